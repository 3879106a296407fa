"""Decisions have numbers of their own, and are listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT, ROOT / "zonectl", ROOT / "tests", ROOT / "docs"]
"""What the pages' names of files begin at."""
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [decision.name[:4] for decision in DECISIONS]
    assert numbers == sorted(set(numbers))


def test_decisions_are_listed_by_their_titles() -> None:
    titles = {}
    for decision in DECISIONS:
        heading = decision.read_text(encoding="utf-8").partition("\n")[0]
        titles[decision.name] = heading.removeprefix(f"# {decision.name[:4]}: ")
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| \[\d{4}\]\(([^)]+)\) \| (.*) \|", listed)
    assert rows == list(titles.items())


def lost_places(text: str) -> list[str]:
    """Names of files, folders and tests in backticks that lead nowhere.

    `a/{b,c}.py` are two files; `::test_x`, `test_x.py` and `test_x` are of the file or folder named before them.
    """
    lost, here = [], ROOT
    for span in re.findall(r"`([^`\n]+)`", text):
        if not re.fullmatch(r"(?=.*/|.*\.py|::|test_)(?!/)[\w./{},:-]+", span):
            continue
        for name in unfolded(span):
            file, _, test = name.partition("::")
            found = place(file, here) if file else here
            here = found or here
            if not found or (test and not re.search(rf"def {test}\(", found.read_text(encoding="utf-8"))):
                lost.append(name)
    return lost


def unfolded(span: str) -> list[str]:
    """What a shell makes of braces; they are not nested."""
    head, brace, rest = span.partition("{")
    inner, _, tail = rest.partition("}")
    return [f"{head}{each}{tail}" for each in inner.split(",")] if brace else [span]


def place(name: str, here: Path) -> Path | None:
    """The file or folder of that name, below a room or beside `here`."""
    folders = [*FOLDERS, *(here, here.parent)] if "/" not in name else FOLDERS
    there = (folder / f"{name}{end}" for folder in folders for end in ("", ".py"))
    return next((path for path in there if path.exists()), None)


@pytest.mark.parametrize(
    "page",
    ["ARCHITECTURE.md", "GUARANTEES.md", "KNOWN-LIMITS.md", "SECURITY.md", "README.md", "docs/parts.md"],
)
def test_what_is_named_is_there(page: str) -> None:
    assert lost_places((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("`store/` `store/nothing.py`", ["store/nothing.py"]),
        ("`runtime/{undo,undone}.py`", ["runtime/undone.py"]),
        ("`unit/test_documents.py::test_what_is_named_is_there`, `::test_of_nothing`", ["::test_of_nothing"]),
        ("`tests/unit/bench` (`test_pipes`, `test_pipe`)", ["test_pipe"]),
        ("`/proc/self/nothing` `make check` `a.b` `zonectl[-INST]/ID`", []),
    ],
)
def test_what_is_named_and_not_there_is_noticed(text: str, lost: list[str]) -> None:
    assert lost_places(text) == lost
