"""A run as text for a terminal: what bounds the claims first, then the overhead, then what else was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zonectl.bench.bootstrap import median
from zonectl.bench.report import figures, overview, sections
from zonectl.bench.report.findings import derive
from zonectl.bench.report.grid import NARROWEST, Page
from zonectl.bench.statistics import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.report.findings import Finding, Findings
    from zonectl.bench.results import Host, Run

_MOST_TOLD = 6
"""Of so many workloads is said what it would take to tell."""


def table(run: Run, *, width: int = 80, color: bool = False, unicode: bool = True) -> str:
    """Everything about the run, no line longer than `width` columns (of at least 60)."""
    found = derive(run)
    page = Page(width=max(width, NARROWEST), colour=color, unicode=unicode)
    parts = [_head(page, found), _overhead(page, found), *sections.all_of(page, found)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _head(page: Page, found: Findings) -> list[str]:
    run = found.run
    return [
        *page.paragraph(f"What isolation costs: {run.zone}", colour="bold"),
        *page.paragraph(f"{machine(run.host)}; on processor {run.processor}", colour="dim"),
        *page.paragraph(
            f"{run.started_at}, {figures.span(run.duration_s)}{_rounds(found)}; {versions(run.host)}",
            colour="dim",
        ),
        *_cautions(page, found),
    ]


def machine(host: Host) -> str:
    """What a run was measured on, in a line."""
    parts = [
        f"Linux {host.kernel}",
        f"{host.processors} x {host.processor}",
        figures.size(host.memory_bytes),
        host.virtualization or "",
        host.file_system,
    ]
    return ", ".join(part for part in parts if part)


def versions(host: Host) -> str:
    """The programs that took part, in a line."""
    # Some programs begin with their name themselves.
    told = (each if each.startswith(f"{name} ") else f"{name} {each}" for name, each in host.versions.items())
    return ", ".join(told) or "no versions noted"


def _rounds(found: Findings) -> str:
    counts = [finding.comparison.rounds for finding in found.overhead]
    if not counts:
        return ""
    least, most = min(counts), max(counts)
    return f", {least} rounds" if least == most else f", {least} to {most} rounds"


def cautions(found: Findings) -> list[str]:
    """What makes the run less than it should be."""
    run = found.run
    broken = [] if run.complete else ["broken off: only what was measured until then is shown"]
    blind = (
        []
        if found.control or not found.overhead
        else ["no control was measured: the noise floor is not known, and nothing is claimed"]
    )
    return [*broken, *blind, *run.warnings]


def noise(found: Findings) -> str:
    """The noise floor in a sentence; empty where no control was measured."""
    floors = {each.workload.name: each.comparison.floor for each in found.overhead}
    known = {name: floor for name, floor in floors.items() if floor is not None}
    if not known:
        return ""
    worst = max(known, key=known.__getitem__)
    return (
        f"Noise floor: {figures.share(median(list(known.values())))} at the median, "
        f"{figures.share(known[worst])} at most ({worst}); nothing below it is claimed."
    )


def _cautions(page: Page, found: Findings) -> Iterator[str]:
    told, floor = cautions(found), noise(found)
    if told or floor:
        yield ""
    for caution in told:
        yield from page.paragraph(f"! {caution}", colour="yellow", indent="  ")
    if floor:
        yield from page.paragraph(floor)


def _overhead(page: Page, found: Findings) -> list[str]:
    if not found.overhead:
        none = "No workload was measured both on bare metal and in the zone."
        return [] if found.life or found.run.density else page.paragraph(none)
    unclear = undecided(found)
    return [
        *overview.lines(page, found.overhead),
        "",
        *page.paragraph(summary(found)),
        *(page.paragraph(unclear, colour="yellow") if unclear else []),
    ]


def summary(found: Findings) -> str:
    """How many workloads got which verdict, in a sentence."""
    verdicts = [finding.comparison.verdict for finding in found.overhead]
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts]
    return f"Of {len(verdicts)} workload{'s' * (len(verdicts) > 1)}: {', '.join(counts)}."


def undecided(found: Findings) -> str:
    """What it would take to tell, in a sentence, what takes the least first; empty where all is told."""
    unclear = [finding for finding in found.overhead if finding.comparison.verdict is Verdict.UNCLEAR]
    unclear.sort(key=lambda finding: finding.comparison.rounds_needed or math.inf)
    parts = [f"{finding.workload.name} ({rounds_needed(finding)})" for finding in unclear[:_MOST_TOLD]]
    if more := len(unclear) - len(parts):
        parts.append(f"and {more} more that take more")
    return f"Cannot tell yet: {', '.join(parts)}." if parts else ""


def rounds_needed(finding: Finding) -> str:
    """About how many rounds would tell, or why none would."""
    if finding.comparison.floor is None:
        return "without a control none would"
    needed = finding.comparison.rounds_needed
    return f"about {needed} rounds would" if needed else "it lies on the limit"
