"""Decisions have numbers of their own, and are listed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
