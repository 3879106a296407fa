"""What restricts a zone's processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planning.plans import FACTS, WEB
from zonectl.errors import HostLacks
from zonectl.model.capabilities import ALL, DEFAULT, SYSTEM, mask
from zonectl.model.config import NamespacesConfig, SecurityConfig, ZoneConfig
from zonectl.security.seccomp import filters
from zonectl.security.steps import Restrict, execute_step, restrict_step

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
        "PR_CAPBSET_DROP",
        "PR_SET_SECUREBITS",
        "setgroups",
        "setresgid",
        "setresuid",
        "PR_CAP_AMBIENT_CLEAR_ALL",
        "capset",
        "PR_CAP_AMBIENT_RAISE",
        "chdir",
        "PR_SET_NO_NEW_PRIVS",
        "close_range",
        "seccomp",
    ]


def test_the_program_is_what_the_zone_file_names() -> None:
    assert [call.name for call in execute_step(WEB).calls] == ["execve"]
    assert execute_step(replace(WEB, init=True)).calls[-1].target == "catatonit"
