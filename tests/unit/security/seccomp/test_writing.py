"""Profiles as files: what is written is read back as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.config.profile_file import read_toml
from zonectl.security.seccomp import architectures, builtin, files, observed, writing
from zonectl.security.seccomp.observed import TELLING, Permission
from zonectl.security.seccomp.profile import (
    ALLOW,
    ENOSYS,
    EPERM,
    KILL,
    MOST,
    WORD,
    Condition,
    Profile,
    Rule,
    fails,
)

CALLS = sorted(architectures.every_name())
ACTIONS = st.sampled_from([ALLOW, EPERM, ENOSYS, KILL, fails(999), fails(22)])


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    word = draw(st.sampled_from([WORD, MOST]))
    mask = draw(st.just(word) | st.integers(1, word))
    least, most = sorted(draw(st.tuples(st.integers(0, word), st.integers(0, word))))
    index = draw(st.integers(0, 5))
    match draw(st.sampled_from(["one", "not", "range"])):
        case "one":
            return Condition(index, least & mask, least & mask, mask=mask)
        case "not":
            return Condition(index, least & mask, least & mask, mask=mask, negated=True)
        case _:
            return Condition(index, least, most, mask=word)


RULES = st.lists(
    st.builds(Rule, ACTIONS, st.lists(conditions(), max_size=2).map(tuple)), min_size=1, max_size=3
)
PROFILES = st.builds(
    Profile,
    name=st.just("any"),
    rules=st.dictionaries(st.sampled_from(CALLS), RULES.map(tuple), max_size=6),
    otherwise=ACTIONS,
    unknown=ACTIONS,
    no_new_privs=st.booleans(),
)


def read(text: str) -> Profile:
    return files.of_file(read_toml(text, file="it.toml", known=architectures.every_name()), "any")


def plainly(profile: Profile) -> Profile:
    """Without rules that can never matter: those behind one that always holds."""

    def reached(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        last = next((n for n, rule in enumerate(rules) if not rule.conditions), len(rules))
        return rules[: last + 1]

    rules = {name: reached(rules) for name, rules in profile.rules.items()}
    return Profile(
        name=profile.name,
        rules=rules,
        otherwise=profile.otherwise,
        unknown=profile.unknown,
        no_new_privs=profile.no_new_privs,
    )


@given(PROFILES)
def test_any_profile_is_read_back_as_it_was(profile: Profile) -> None:
    again = read(writing.text(profile, comments=["one", "", "two"]))
    assert plainly(again).digest == plainly(profile).digest


@pytest.mark.parametrize("name", builtin.NAMES)
@pytest.mark.parametrize("nesting", [False, True])
def test_named_profiles_too(name: str, nesting: bool) -> None:
    profile = builtin.named(name, nesting=nesting)
    assert read(writing.text(profile)).digest == profile.digest


def test_what_was_learned_reads_well() -> None:
    granted = [Permission("read"), Permission("ioctl", 0x5401), Permission("clone", 0)]
    within = Profile(name="", rules={"clone3": (Rule(ENOSYS),)})
    text = writing.text(observed.profile("web", granted, within=within), comments=["What it needs."])
    assert text == (
        '# What it needs.\n\nallow = ["read"]\n\n'
        '[[rule]]\ncalls = ["clone"]\naction = "allow"\n'
        f"[[rule.when]]\nargument = 0\nbits = 32\nmask = {TELLING['clone'][1]:#x}\nequals = 0x0\n\n"
        '[[rule]]\ncalls = ["ioctl"]\naction = "allow"\n'
        "[[rule.when]]\nargument = 1\nbits = 32\nequals = 0x5401\n\n"
        '[[rule]]\ncalls = ["clone3"]\naction = "ENOSYS"\n'
    )
