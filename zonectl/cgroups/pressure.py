"""Pressure stall information of a group: how long its processes waited for what they needed.

Source: Documentation/accounting/psi.rst. Linux 4.20; cpu `full` 5.13; irq 6.1. Needs no controller; needs CONFIG_PSI.
"""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.cgroups import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The share of time lost, in percent over the last 10, 60 and 300 seconds, and all of it in microseconds."""

    avg10: float
    avg60: float
    avg300: float
    total_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """`some`: at least one process waited; `full`: all that could run did."""

    some: Stall | None
    full: Stall | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPressure:
    """Pressure by resource; None where the kernel does not tell."""

    cpu: Pressure | None
    memory: Pressure | None
    io: Pressure | None
    irq: Pressure | None


def read(directory: str) -> GroupPressure:
    """What the pressure files of the group at `directory` say.

    Raises:
        SyscallError: one cannot be read.

    """
    found = {name: files.read(f"{directory}/{name}.pressure") for name in ("cpu", "memory", "io", "irq")}
    parsed = {name: None if text is None else parse(text) for name, text in found.items()}
    return GroupPressure(**parsed)


def parse(text: str) -> Pressure:
    """The pressure in a file's text: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same of `full`.

    Raises:
        ValueError, KeyError: the text is of another kind.

    """
    lines = {line.split(" ", 1)[0]: _stall(line) for line in text.splitlines()}
    return Pressure(some=lines.get("some"), full=lines.get("full"))


def _stall(line: str) -> Stall:
    fields = dict(part.split("=", 1) for part in line.split()[1:])
    return Stall(
        avg10=float(fields["avg10"]),
        avg60=float(fields["avg60"]),
        avg300=float(fields["avg300"]),
        total_us=int(fields["total"]),
    )
