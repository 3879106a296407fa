"""The table of faults is the tests': complete, current, and long enough."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tools.pages import renewed
from tools.reliability import BEGIN, END, PAGE, faults, table

if TYPE_CHECKING:
    from pathlib import Path

FEWEST = 35


def write(folder: Path, text: str) -> Path:
    (folder / "tests").mkdir()
    (folder / "tests" / "test_it.py").write_text(text, encoding="utf-8")
    return folder


def test_the_table_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page, BEGIN, END, text=table(faults())) == page, "run tools/generate.py"


def test_there_are_enough_faults_each_with_a_test_and_words_of_its_own() -> None:
    found = faults()
    assert len(found) >= FEWEST
    for said in ([fault.node_id for fault in found], [(fault.injected, fault.seen) for fault in found]):
        assert [one for one, times in Counter(said).items() if times > 1] == []


def test_marks_are_found_on_tests_and_on_their_parameters(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        """
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.fault("it " "breaks", "told | said")
def test_one(n): ...

@pytest.mark.parametrize("x", [
    pytest.param("a b", marks=pytest.mark.fault("a", "A")),
    pytest.param(2, id="two", marks=[pytest.mark.fault("b", "B")]),
    "c",
])
def test_more(x): ...

def test_none(): ...
""",
    )
    found = faults(root)
    assert [(fault.node_id, fault.injected, fault.seen) for fault in found] == [
        ("tests/test_it.py::test_one", "it breaks", "told | said"),
        ("tests/test_it.py::test_more[a b]", "a", "A"),
        ("tests/test_it.py::test_more[two]", "b", "B"),
    ]
    assert r"| 1 | it breaks | told \| said | [`test_it.py::test_one`](../tests/test_it.py) |" in table(found)


@pytest.mark.parametrize(
    "mark",
    [
        'pytest.mark.fault("one")',
        'pytest.mark.fault("one", words)',
        'pytest.mark.fault("one", f"{two}")',
        'pytest.mark.fault(injected="one", seen="two")',
        'pytest.mark.parametrize("x", [pytest.param(3, marks=pytest.mark.fault("one", "two"))])',
    ],
)
def test_a_mark_that_cannot_be_read_is_an_error(tmp_path: Path, mark: str) -> None:
    root = write(tmp_path, f"@{mark}\ndef test_it(x): ...\n")
    with pytest.raises(ValueError, match=r"test_it\.py:1: "):
        faults(root)
