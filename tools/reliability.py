"""The table of faults in docs/reliability.md, made from the tests that inject them.

A test says so itself: `@pytest.mark.fault("what was injected", "what was seen")`, on the test or on one of its
parameters (`pytest.param("name", marks=pytest.mark.fault(…))`). The sources are read, nothing is run or imported.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- faults: begin. Made from the tests by tools/generate.py: edit the marks there. -->"
END = "<!-- faults: end -->"

_HEAD = "| | Injected | Seen | Test |\n|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: `file` is the test's, below the tree; `test` its name with the parameter, if the mark is of one."""

    injected: str
    seen: str
    file: str
    test: str

    @property
    def node_id(self) -> str:
        """What pytest calls the test."""
        return f"{self.file}::{self.test}"


def faults(root: Path = ROOT) -> list[Fault]:
    """Every fault that a test below `root`/tests injects, in the order of files and lines.

    Raises:
        ValueError: a mark that does not say two constant texts.

    """
    return [
        fault for path in sorted((root / "tests").rglob("test_*.py")) for fault in _in_file(path, root=root)
    ]


def table(found: list[Fault]) -> str:
    """The faults as a table of Markdown, for a page in docs/."""
    rows = (
        f"| {number} | {_cell(fault.injected)} | {_cell(fault.seen)} | [`{fault.node_id.removeprefix('tests/')}`]"
        f"(../{fault.file}) |"
        for number, fault in enumerate(found, start=1)
    )
    return "\n".join([_HEAD, *rows])


def _in_file(path: Path, *, root: Path) -> Iterator[Fault]:
    text = path.read_text(encoding="utf-8")
    if "mark.fault(" not in text:
        return
    file = path.relative_to(root).as_posix()
    for test in ast.parse(text).body:
        if isinstance(test, ast.FunctionDef):
            for mark, parameter in chain.from_iterable(_marks(each, None) for each in test.decorator_list):
                yield _fault(mark, parameter, file=file, test=test.name)


def _marks(node: ast.AST, parameter: ast.Call | None) -> Iterator[tuple[ast.Call, ast.Call | None]]:
    """The marks in an expression, each with the `pytest.param` that it stands in."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called == "pytest.mark.fault":
            yield node, parameter
            return
        if called == "pytest.param":
            parameter = node
    for child in ast.iter_child_nodes(node):
        yield from _marks(child, parameter)


def _fault(mark: ast.Call, parameter: ast.Call | None, *, file: str, test: str) -> Fault:
    match [_text(each) for each in mark.args]:
        case [str() as injected, str() as seen] if not mark.keywords:
            return Fault(
                injected=injected, seen=seen, file=file, test=f"{test}{_suffix(parameter, file=file)}"
            )
    raise ValueError(
        f"{file}:{mark.lineno}: a fault is two constant texts: what is injected, and what is seen"
    )


def _suffix(parameter: ast.Call | None, *, file: str) -> str:
    """What pytest adds to a test's name for a parameter: its `id`, or else its only value, a text."""
    if parameter is None:
        return ""
    named = {each.arg: each.value for each in parameter.keywords}
    name = _text(named.get("id", parameter.args[0]))
    if name is None:
        raise ValueError(f"{file}:{parameter.lineno}: a parameter with a fault of its own needs an id")
    return f"[{name}]"


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
