"""What restricts a zone's processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planning.plans import FACTS, WEB
from zonectl.errors import HostLacks
from zonectl.model.capabilities import ALL, DEFAULT, SYSTEM, mask
from zonectl.model.config import (
    LimitsConfig,
    NamespacesConfig,
    ProcessConfig,
    SecurityConfig,
    ZoneConfig,
)
from zonectl.model.limits import DEFAULTS, UNLIMITED, Limit
from zonectl.security.seccomp import filters
from zonectl.security.steps import Restrict, execute_step, rank_step, restrict_step

FILTER = filters.named("default", nesting=False)
WITHOUT_RESOURCE = replace(FACTS, capabilities=ALL & ~mask(("sys_resource",)))


def restricted(config: ZoneConfig = WEB, *words: str, own_ids: bool = True) -> Restrict:
    """The step for a zone with these capabilities, on a host whose root lacks CAP_SYS_RESOURCE."""
    security = SecurityConfig(capabilities=words or ("default",))
    namespaces = NamespacesConfig(user=own_ids)
    return restrict_step(
        replace(config, namespaces=namespaces, security=security), WITHOUT_RESOURCE, seccomp=None
    )


def test_an_exec_is_restricted_as_init_is_but_for_user_and_folder() -> None:
    init = restrict_step(WEB, FACTS, seccomp=FILTER)
    joined = restrict_step(WEB, FACTS, seccomp=FILTER, user="web:adm", workdir="/srv")
    assert replace(joined, user=init.user, workdir=init.workdir) == init
    assert (joined.user, joined.workdir) == ("web:adm", "/srv")


def test_without_a_wish_of_its_own_an_exec_is_what_init_is() -> None:
    assert restrict_step(WEB, FACTS, seccomp=FILTER, user=None, workdir=None) == restrict_step(
        WEB, FACTS, seccomp=FILTER
    )


@pytest.mark.parametrize("own_ids", [True, False])
def test_default_is_the_same_whoever_owns_the_ids(own_ids: bool) -> None:
    step = restricted(own_ids=own_ids)
    assert (step.capabilities, step.ambient) == (DEFAULT, 0)


@pytest.mark.parametrize("program", ["/sbin/init", "/lib/systemd/systemd", "init"])
def test_the_manager_of_a_system_gets_what_it_needs_over_ids_of_its_own_alone(program: str) -> None:
    manager = replace(WEB, command=(program, "--log-level=info"))
    assert restricted(manager).capabilities == SYSTEM
    assert restricted(manager, own_ids=False).capabilities == DEFAULT
    assert restricted(replace(WEB, command=("/sbin/initd", "systemd"))).capabilities == DEFAULT


def test_words_add_and_remove_in_any_order() -> None:
    step = restricted(WEB, "!net_raw", "sys_nice", "default", "chown")
    assert step.capabilities == DEFAULT & ~mask(("net_raw",)) | mask(("sys_nice",))
    assert step.ambient == mask(("sys_nice", "chown"))
    assert restricted(WEB, "none").capabilities == 0
    assert restricted(WEB, "net_raw").capabilities == mask(("net_raw",))


def test_all_is_all_that_there_is() -> None:
    assert restricted(WEB, "all", "!bpf").capabilities == ALL & ~mask(("bpf",))
    assert restricted(WEB, "all", own_ids=False).capabilities == WITHOUT_RESOURCE.capabilities


def test_what_is_granted_by_name_and_is_not_there_is_refused() -> None:
    assert restricted(WEB, "sys_resource").capabilities == mask(("sys_resource",))
    with pytest.raises(HostLacks, match=r"security\.capabilities: zonectl itself does not have sys_resource"):
        restricted(WEB, "all", "sys_resource", own_ids=False)


def test_what_needs_a_capability_comes_before_it_is_lost() -> None:
    strict = replace(WEB, security=SecurityConfig(no_new_privs=True, capabilities=("none", "net_raw")))
    names = [
        call.detail if call.name == "prctl" else call.name
        for call in restrict_step(strict, FACTS, seccomp=FILTER).calls
    ]
    assert names == [
        "umask",
        "personality",
        "PR_CAPBSET_DROP",
        "PR_SET_SECUREBITS",
        "setgroups",
        "setresgid",
        "setresuid",
        "PR_CAP_AMBIENT_CLEAR_ALL",
        "capset",
        "PR_CAP_AMBIENT_RAISE",
        "chdir",
        "prlimit64",
        "PR_SET_NO_NEW_PRIVS",
        "close_range",
        "seccomp",
    ]


def test_limits_of_the_zone_file_stand_over_the_usual_ones() -> None:
    limited = replace(WEB, limits=LimitsConfig(nofile_=Limit(10, 20), as_=Limit(1 << 30, UNLIMITED)))
    step = restrict_step(limited, FACTS, seccomp=None)
    assert [ceiling.number for ceiling in step.limits] == list(range(16))
    assert {ceiling.name: ceiling.limit for ceiling in step.limits} == {
        **DEFAULTS,
        "nofile": (10, 20),
        "as": (1 << 30, UNLIMITED),
    }
    assert [str(ceiling) for ceiling in step.limits if ceiling.declared] == [
        "nofile 10:20",
        "as 1073741824:unlimited",
    ]
    assert rank_step(limited).ceilings == step.limits


def test_a_rank_is_what_the_zone_file_says() -> None:
    assert rank_step(WEB).cpus is None
    ranked = rank_step(replace(WEB, process=ProcessConfig(nice=-5, affinity="0-2,5,1", oom_score_adj=7)))
    assert (ranked.nice, ranked.cpus, ranked.oom_score_adj) == (-5, (0, 1, 2, 5), 7)
    assert ranked.summary == "rank init: nice -5, oom_score_adj 7, processors 0,1,2,5"


def test_the_home_of_the_user_is_called_by_a_name_in_the_plan() -> None:
    step = restrict_step(replace(WEB, user="www", workdir="~"), FACTS, seccomp=None)
    assert "<home: of www>" in [call.target for call in step.calls]


def test_the_program_is_what_the_zone_file_names() -> None:
    assert [call.name for call in execute_step(WEB).calls] == ["execve"]
    assert execute_step(replace(WEB, init=True)).calls[-1].target == "catatonit"
