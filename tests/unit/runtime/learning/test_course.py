"""What a zone file has to say for what was learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.plans import WEB
from zonectl.model import capabilities
from zonectl.model.capabilities import NAMES
from zonectl.model.config import SecurityConfig, ZoneConfig
from zonectl.runtime.learning.course import words


def zone(user: str, *granted: str) -> ZoneConfig:
    return replace(WEB, user=user, security=SecurityConfig(capabilities=granted))


@pytest.mark.parametrize(
    ("user", "granted", "held", "expected"),
    [
        ("root", ("default",), ("chown", "kill"), ("chown", "kill")),
        ("0:5", ("all",), (), ("none",)),
        ("web", ("default",), (), ("none",)),
        ("web", ("chown", "kill"), ("kill",), ("kill",)),
        ("web", ("none", "chown"), ("chown",), ("none", "chown")),
        ("web", ("default", "sys_nice", "!kill"), ("sys_nice",), None),
    ],
)
def test_the_words(
    user: str, granted: tuple[str, ...], held: tuple[str, ...], expected: tuple[str, ...] | None
) -> None:
    found = words(zone(user, *granted), held)
    if expected is not None:
        assert found == expected
    assert set(capabilities.names(zone(user, *found).granted.granted)) == set(held)


SETS = st.sets(st.sampled_from(NAMES))


@given(
    st.sampled_from(["root", "0", "web", "33:0"]),
    st.sampled_from(["default", "system", "all", "none"]),
    SETS,
    st.data(),
)
def test_exactly_what_was_learned_is_granted_and_nothing_more_by_name(
    user: str, base: str, named: set[str], data: st.DataObject
) -> None:
    before = zone(user, base, *sorted(named))
    held = tuple(
        sorted(
            data.draw(st.sets(st.sampled_from(capabilities.names(before.granted.granted) or ("none",))))
            - {"none"}
        )
    )
    after = zone(user, *words(before, held))
    assert after.granted.granted == capabilities.mask(held)
    if user not in {"root", "0"}:
        # By name a plain user would have it from the start.
        assert after.granted.named & ~before.granted.named == 0
