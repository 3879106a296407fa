"""What restricts a zone's processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planning.plans import WEB
from zonectl.model.config import NamespacesConfig, SecurityConfig
from zonectl.security.steps import execute_step, restrict_step


def test_an_exec_is_restricted_as_init_is_but_for_user_and_folder() -> None:
    init = restrict_step(WEB)
    joined = restrict_step(WEB, user="web:adm", workdir="/srv")
    assert replace(joined, user=init.user, workdir=init.workdir) == init
    assert (joined.user, joined.workdir) == ("web:adm", "/srv")


def test_without_a_wish_of_its_own_an_exec_is_what_init_is() -> None:
    assert restrict_step(WEB, user=None, workdir=None) == restrict_step(WEB)


@pytest.mark.parametrize("own_ids", [True, False])
def test_capabilities_are_bounded_where_ids_are_shared(own_ids: bool) -> None:
    step = restrict_step(replace(WEB, namespaces=NamespacesConfig(user=own_ids)))
    assert ("PR_CAPBSET_DROP" in [call.detail for call in step.calls]) == (not own_ids)


def test_what_needs_a_capability_comes_before_it_is_lost() -> None:
    strict = replace(WEB, namespaces=NamespacesConfig(user=False), security=SecurityConfig(no_new_privs=True))
    names = [(call.name, call.detail) for call in restrict_step(strict).calls]
    order = [names.index(call) for call in names]
    assert order == sorted(order)
    assert names[1] == ("prctl", "PR_CAPBSET_DROP")
    assert [name for name, _ in names[4:]] == ["setgroups", "setresgid", "setresuid", "chdir", "prctl"]
    assert names[-1] == ("prctl", "PR_SET_NO_NEW_PRIVS")


def test_the_program_is_what_the_zone_file_names() -> None:
    assert [call.name for call in execute_step(WEB).calls] == ["close_range", "execve"]
    assert execute_step(replace(WEB, init=True)).calls[-1].target == "catatonit"
