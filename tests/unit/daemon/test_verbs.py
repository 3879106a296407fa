from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.cli import catalog
from zonectl.daemon import verbs
from zonectl.model.instance import DEFAULT_ROOT, DEFAULT_RUN

IN_PLACE = {"verify", "schema", "plan", "help", "completion", "seccomp", "learn", "bench"}
"""Need no warmth; learning and measuring take a hundred runs in one process, which is warm after the first."""


def test_every_verb_has_its_place() -> None:
    assert set(catalog.VERBS) <= verbs.WARM | IN_PLACE
    assert {name for name, verb in catalog.VERBS.items() if verb.foreground} <= verbs.FOREGROUND


def test_the_defaults_are_the_instances() -> None:
    call = verbs.parse(["list"], {}, "/")
    assert (call.root, call.run) == (DEFAULT_ROOT, DEFAULT_RUN)


@pytest.mark.parametrize(
    ("argv", "root", "run", "verb", "cold"),
    [
        ([], "/R", "/U", "", False),
        (["list", "--root", "x"], "/R", "/U", "list", False),
        (["--root", "/a", "list"], "/a", "/U", "list", False),
        (["--root=/a", "--run=b/../c", "--debug", "run", "x"], "/a", "/w/c", "run", False),
        (["--no-daemon", "--run", "/u", "start"], "/R", "/u", "start", True),
        (["exec", "z", "--no-daemon"], "/R", "/U", "exec", False),
        (["--root"], "/R", "/U", "", False),
    ],
)
def test_what_stands_before_the_verb_is_read(
    argv: list[str], root: str, run: str, verb: str, cold: bool
) -> None:
    call = verbs.parse(argv, {"ZONECTL_ROOT": "/R", "ZONECTL_RUN": "/U"}, "/w")
    assert (call.root, call.run, call.verb, call.cold) == (root, run, verb, cold)


@given(st.text(alphabet="/.ab", min_size=1, max_size=12))
def test_paths_become_what_the_command_makes_of_them(path: str) -> None:
    expected = os.path.normpath(os.path.join("/some/where", path))
    # POSIX leaves the meaning of two leading slashes open; here it is one.
    assert verbs.normal(path, "/some/where") == "/" + expected.lstrip("/")
