"""Capabilities as the kernel shows them for what runs in a zone: exact, for init and for each exec."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.kernel.runtime.world import REQUIRED, Result, World
from zonectl.kernel import attributes
from zonectl.model.capabilities import ALL, DEFAULT, NAMES, SYSTEM, mask

pytestmark = pytest.mark.requires(*REQUIRED)

CAPABILITIES = "grep Cap /proc/self/status"
NICE = mask(("sys_nice",))
BIND = mask(("net_bind_service",))
RAW = mask(("net_raw",))


@dataclass(frozen=True)
class Sets:
    """What a program has: of `bounding` everything that root has, of `ambient` everything that another user has."""

    bounding: int
    ambient: int = 0

    def of(self, *, root: bool) -> dict[str, int]:
        """As /proc shows them."""
        held = self.bounding if root else self.ambient
        ambient = 0 if root else self.ambient
        return {"Inh": ambient, "Prm": held, "Eff": held, "Bnd": self.bounding, "Amb": ambient}


def seen(result: Result) -> dict[str, int]:
    """The sets that a program has printed of itself."""
    assert result.exit_status.code == 0, result.err
    return {name: int(value, 16) for name, value in re.findall(r"Cap(\w+):\t(\w+)", result.out)}


def security(words: str, *, user: str = "root", ids: str = "auto") -> str:
    """What a zone file says beyond the usual."""
    return f'user = "{user}"\n[namespaces]\nuser = "{ids}"\n[security]\ncapabilities = {words}'


CASES = [
    ('["default"]', Sets(DEFAULT)),
    ('["default", "!net_raw", "sys_nice"]', Sets(DEFAULT & ~RAW | NICE, NICE)),
    ('["all"]', Sets(ALL)),
    ('["none"]', Sets(0)),
    ('["net_bind_service"]', Sets(BIND, BIND)),
    ('["system", "!chown"]', Sets(SYSTEM & ~mask(("chown",)))),
    (f'["{NAMES[0]}", "{NAMES[-1]}"]', Sets(1 | 1 << 40, 1 | 1 << 40)),
]


@pytest.mark.parametrize(("words", "sets"), CASES)
@pytest.mark.parametrize("user", ["root", "web"])
def test_of_init(world: World, words: str, sets: Sets, user: str) -> None:
    assert seen(world.sh(CAPABILITIES, extra=security(words, user=user))) == sets.of(root=user == "root")


@pytest.mark.parametrize(("words", "sets"), CASES)
def test_of_exec(world: World, words: str, sets: Sets) -> None:
    world.started(extra=security(words))
    for user in ("root", "web"):
        assert seen(world.execute("sh", "-c", CAPABILITIES, user=user)) == sets.of(root=user == "root")


@pytest.mark.parametrize("user", ["root", "web"])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_of_a_zone_that_shares_the_hosts_ids(world: World, user: str, verb: str) -> None:
    extra = security('["default", "!setfcap", "net_admin"]', user=user, ids="host")
    sets = Sets(DEFAULT & ~mask(("setfcap",)) | mask(("net_admin",)), mask(("net_admin",)))
    if verb == "run":
        result = world.sh(CAPABILITIES, extra=extra)
    else:
        world.started(extra=extra)
        result = world.execute("sh", "-c", CAPABILITIES)
    assert seen(result) == sets.of(root=user == "root")


def test_all_of_the_hosts_ids_is_what_zonectl_has(world: World) -> None:
    own = world.context.facts.capabilities
    assert seen(world.sh(CAPABILITIES, extra=security('["all"]', ids="host"))) == Sets(own & ALL).of(
        root=True
    )


def test_what_the_caller_has_inheritable_stays_out(world: World) -> None:
    # CVE-2022-24769: a program with file capabilities would have got it past the bounding set.
    held = attributes.capget()
    attributes.capset(held.effective, held.permitted, held.permitted & DEFAULT)
    try:
        result = world.sh(CAPABILITIES, extra=security('["default", "!net_raw"]', ids="host"))
    finally:
        attributes.capset(held.effective, held.permitted, 0)
    assert seen(result) == Sets(DEFAULT & ~RAW).of(root=True)


@pytest.mark.parametrize("no_new_privs", [False, True])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_what_is_granted_by_name_is_of_use_to_any_user(world: World, no_new_privs: bool, verb: str) -> None:
    script = "touch /tmp/$$ && chown 5 /tmp/$$ && stat -c %u /tmp/$$"
    results = []
    for name, words in (("with", '["default", "chown"]'), ("without", '["default"]')):
        extra = security(words, user="web") + f"\nno_new_privs = {str(no_new_privs).lower()}"
        if verb == "run":
            results.append(world.sh(script, extra=extra))
        else:
            world.started(name=name, extra=extra)
            results.append(world.execute("sh", "-c", script, name=name))
    granted, refused = results
    assert (granted.exit_status.code, granted.out) == (0, "5\n")
    assert "Operation not permitted" in refused.err
