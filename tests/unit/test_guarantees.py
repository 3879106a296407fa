"""Every promise has a test that is there, and every waiver is told of."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from zonectl.planning.protections import PROTECTIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "GUARANTEES.md").read_text(encoding="utf-8")
ID = re.compile(r"[a-z]+-\d+")
VERSION = re.compile(r"(\d+\.\d+(\.\d+)?)?")
HEADER = "| Id | Promise | Kernel | Tests |"


@dataclass(frozen=True)
class Promise:
    """One row: `tests` are node ids below tests/, `kernel` the version from which on it can be kept, "" for any."""

    id: str
    words: str
    kernel: str
    tests: tuple[str, ...]


def promises(text: str) -> list[Promise]:
    """The rows of the tables; what is no row of one is an error."""
    found = []
    for line in text.splitlines():
        if not line.startswith("|") or line == HEADER or set(line) <= set("|-"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == len(HEADER.strip("|").split("|")), f"this is not a promise: {line}"
        name, words, kernel, tests = cells
        assert ID.fullmatch(name)
        assert VERSION.fullmatch(kernel), f"{name}: {kernel} is not a kernel"
        assert not re.sub(r"`[^`]+`", "", tests).strip(), f"{name}: tests are node ids in backticks: {tests}"
        found.append(Promise(name, words, kernel, tuple(re.findall(r"`([^`]+)`", tests))))
    return found


PROMISES = promises(TEXT)


@cache
def collected(*, vm: bool) -> frozenset[str]:
    """The node ids, without parameters, that pytest finds in the files named; those below vm/ have a stage apart."""
    files = sorted({test.partition("::")[0] for promise in PROMISES for test in promise.tests})
    there = [
        f"tests/{file}" for file in files if file.startswith("vm/") is vm and (ROOT / "tests" / file).exists()
    ]
    words = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]
    words += [
        "--assert=plain"
    ]  # half of the time would go into making failures tell more, of tests that are not run
    words += ["--confcutdir=tests/vm"] if vm else []
    done = subprocess.run(
        [*words, *there], cwd=ROOT, check=False, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = (line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line)
    return frozenset(line.removeprefix("tests/") for line in lines)


def test_promises_have_ids_of_their_own() -> None:
    ids = [promise.id for promise in PROMISES]
    assert len(ids) > 40
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.id)
def test_a_promise_has_tests_that_are_there(promise: Promise) -> None:
    assert promise.tests, f"{promise.id} has no test"
    for test in promise.tests:
        assert test in collected(vm=test.startswith("vm/")), f"{promise.id}: there is no test {test}"


def test_a_promise_without_a_test_would_be_noticed() -> None:
    (promise,) = promises("| x-1 | Words | | |")
    assert promise.tests == ()
    with pytest.raises(AssertionError, match="no test"):
        test_a_promise_has_tests_that_are_there(promise)
    (promise,) = promises("| x-1 | Words | 6.1 | `unit/test_guarantees.py::test_of_nothing` |")
    with pytest.raises(AssertionError, match="there is no test"):
        test_a_promise_has_tests_that_are_there(promise)
    for wrong in ("| x-1 | Words | 6.1 | a test |", "| x | Words | 6.1 | `a` |"):
        with pytest.raises(AssertionError):
            promises(wrong)


def test_every_waiver_is_told_of() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for protection in PROTECTIONS:
        assert not protection.waiver or f"`{protection.waiver}`" in text


@pytest.mark.parametrize("name", ["SECURITY.md", "GUARANTEES.md", "KNOWN-LIMITS.md", "README.md"])
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        assert "://" in target or (ROOT / target).exists(), f"{name}: {target}"
