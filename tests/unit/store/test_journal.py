from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.store.journal import Entry, Journal

if TYPE_CHECKING:
    from pathlib import Path


def test_entries_come_back_in_order_until_cleared(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "zones/web/journal.jsonl"))
    assert journal.entries() == []
    journal.append("cgroup", {"path": "zonectl/0123abcd"})
    journal.append("veth", {"name": "z0123abcda", "index": 3})
    assert journal.entries() == [
        Entry("cgroup", {"path": "zonectl/0123abcd"}),
        Entry("veth", {"name": "z0123abcda", "index": 3}),
    ]
    journal.clear()
    journal.clear()
    assert journal.entries() == []


@given(cut=st.integers(0, 200))
@pytest.mark.fault("a journal is torn in the middle of a line", "every whole entry is read")
def test_a_torn_line_hides_no_other(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(str(path))
    journal.append("first", {"n": 1})
    whole = path.stat().st_size
    journal.append("torn", {"text": "line\nbreak é"})
    with path.open("r+b") as file:
        file.truncate(min(whole + cut, path.stat().st_size))
    journal.append("after", {})
    steps = [entry.step for entry in journal.entries()]
    assert steps in (["first", "after"], ["first", "torn", "after"])
