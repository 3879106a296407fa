"""What came of each fault, a line of JSON each, so that a run that was broken off can go on; and the figures of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from tests.faults.calls import KILL, Point
from tests.faults.drive import ROLES, Verdict
from tests.faults.scene import SCENES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def append(path: Path, verdict: Verdict) -> None:
    """Add a verdict to the file, which is made where it is missing."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(verdict)) + "\n")


def load(path: Path) -> list[Verdict]:
    """The verdicts in the file; none if there is no file, and not a last line that was broken off."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [_verdict(line) for line in lines if line.endswith("\n")]


def _verdict(line: str) -> Verdict:
    fields = json.loads(line)
    return Verdict(
        verb=fields["verb"],
        role=fields["role"],
        point=Point(**fields["point"]),
        struck=fields["struck"],
        leaks=tuple(fields["leaks"]),
        lies=tuple(fields["lies"]),
    )


def summary(verdicts: Sequence[Verdict], *, of: int = 0) -> str:
    """`points N of M, leaks 0, lies 0`: the faults that came to pass, those which did not, and what was found."""
    struck = sum(each.struck for each in verdicts)
    leaks, lies = sum(bool(each.leaks) for each in verdicts), sum(bool(each.lies) for each in verdicts)
    total = f" of {of}" if of else ""
    missed = f" ({len(verdicts) - struck} not reached)" if struck < len(verdicts) else ""
    return f"points {struck}{total}{missed}, leaks {leaks}, lies {lies}"


def table(verdicts: Sequence[Verdict]) -> str:
    """The figures as a table of Markdown: a line a command, a column a role, killed and failed."""
    lines = ["| | " + " | ".join(ROLES) + " |", "|---|" + "---|" * len(ROLES)]
    for verb in SCENES:
        cells = [
            _cell([each for each in verdicts if (each.verb, each.role) == (verb, role)]) for role in ROLES
        ]
        lines.append(f"| {verb} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(verdicts: Sequence[Verdict]) -> str:
    struck = [each for each in verdicts if each.struck]
    kills = sum(each.point.fault == KILL for each in struck)
    return f"{kills} + {len(struck) - kills}" if struck else "-"
