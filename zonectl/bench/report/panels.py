"""The parts of the page: each a figure, what it shows in words, and the same as a table."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from zonectl.bench.bootstrap import median
from zonectl.bench.report import figures, stack, strips
from zonectl.bench.report.listings import density_table, life_table, matrix, overview_table
from zonectl.bench.report.markup import join, tag
from zonectl.bench.report.plots import Curve, curves, rounds
from zonectl.bench.report.scale import LogScale, LossScale
from zonectl.bench.report.svg import box, drawing
from zonectl.bench.report.terminal import undecided
from zonectl.bench.statistics import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.report.findings import Findings, Row
    from zonectl.bench.report.markup import Child, Markup
    from zonectl.bench.results import WorkloadFacts

_MS, _KIB = 1e6, 1024


def all_of(found: Findings) -> Iterator[Markup]:
    """The panels of what was measured, the answer first."""
    if found.overhead:
        yield _overview(found)
    if found.ladder:
        yield _ladder(found)
    if found.peers:
        yield _classes(found)
    if found.life:
        yield _life(found)
    if found.run.density:
        yield _density(found)
    if found.overhead:
        yield _rounds(found)
    yield _about(found)


def _panel(title: str, words: str, *children: Child) -> Markup:
    return tag("section", tag("h2", title), tag("p", words, class_="words") if words else None, *children)


def _folded(summary: str, *children: Child) -> Markup:
    return tag("details", tag("summary", summary), *children)


def answer(found: Findings) -> Markup | None:
    """How many workloads are within the limit: in words, and as a bar; nothing if that was not asked for."""
    verdicts = [finding.comparison.verdict for finding in found.overhead]
    if not verdicts and (found.life or found.run.density):
        return None
    if not verdicts:
        return tag("p", "No workload was measured both on bare metal and in the zone.", class_="answer")
    within = verdicts.count(Verdict.WITHIN)
    counts = [(verdict, verdicts.count(verdict)) for verdict in Verdict if verdict in verdicts]
    return join(
        tag(
            "p",
            tag("strong", f"{within} of {len(verdicts)}"),
            f" workload{'s' * (len(verdicts) > 1)} lose at most 3 % for certain.",
            class_="answer",
        ),
        _verdict_bar(counts, len(verdicts)),
        tag("ul", *(_count(verdict, count) for verdict, count in counts), class_="counts"),
    )


def _verdict_bar(counts: Sequence[tuple[Verdict, int]], of: int) -> Markup:
    parts, start = [], 0.0
    for verdict, count in counts:
        parts.append(box(start, count / of, f"share {strips.VERDICTS[verdict]}", top=0, height=14))
        start += count / of
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts)
    return drawing(*parts, height=14, title=f"Verdicts: {told}", class_="verdicts")


def _count(verdict: Verdict, count: int) -> Markup:
    return tag("li", tag("b", str(count)), f" {verdict}", class_=f"verdict {strips.VERDICTS[verdict]}")


def _overview(found: Findings) -> Markup:
    unclear = undecided(found)
    return _panel(
        "Workload by workload",
        "What an operation takes longer in the zone than on bare metal: the median of the rounds' ratios with its 95 % "
        "interval. The green stretch is what the question asks about, 0 to 3 %; the grey band is the noise, bare metal "
        "against itself, and nothing within it is claimed. Right is slower.",
        overview_table(found),
        tag("p", unclear, class_="words") if unclear else None,
    )


def _ladder(found: Findings) -> Markup:
    bars = stack.bars(found)
    workloads = found.workloads_of(found.ladder)
    telling = {bar.workload.name for bar in bars}
    silent = ", ".join(each.name for each in workloads if each.name not in telling)
    figure = [_ladder_group(group, list(of)) for group, of in groupby(bars, lambda bar: bar.workload.group)]
    return _panel(
        "The ladder",
        "Which wall costs what: layers of isolation, added one at a time to bare metal. Each piece is what a layer "
        "adds, as a share of the time on bare metal; only what rises above the noise is drawn. The upright mark is "
        "the whole zone, measured by itself: where the pieces end at it, the sum closes.",
        stack.legend(stack.palette(found)),
        *figure,
        tag("p", f"Nothing above the noise: {silent}.", class_="words") if silent else None,
        _folded("The ladder as a table", _layers(found), matrix(_ladder_rows(found), workloads)),
    )


def _ladder_rows(found: Findings) -> list[tuple[str, Row]]:
    total = [("the whole zone", found.zone)] if found.zone else []
    return [*((row.title, row) for row in found.ladder), *total]


def _layers(found: Findings) -> Markup:
    terms = ((tag("dt", row.title), tag("dd", row.arm.differs)) for row in found.ladder)
    return tag("dl", *(part for pair in terms for part in pair), class_="terms")


def _ladder_group(group: str, bars: Sequence[stack.Bar]) -> Markup:
    along = stack.scale(bars)
    rows = [
        tag(
            "div",
            tag("span", bar.workload.name, class_="name"),
            tag("div", stack.drawn(bar, along), class_="drawn"),
            tag(
                "span",
                "" if bar.total is None else figures.typeset(figures.loss(1 + bar.total)),
                class_="number",
            ),
            class_="bar",
        )
        for bar in bars
    ]
    axis = tag(
        "div", tag("span"), tag("div", stack.axis(along), class_="drawn"), tag("span"), class_="bar foot"
    )
    return tag("div", tag("h3", group), *rows, axis, class_="bars")


def _classes(found: Findings) -> Markup:
    zone = [found.zone] if found.zone and found.shared_ratios(found.zone) else []
    shown = [*zone, *found.peers]
    scale = LossScale.around(ratio for row in shown for ratio in found.shared_ratios(row))
    return _panel(
        "Other kinds of isolation",
        "The same program in other walls, against the same bare metal. A dot is a workload, the upright mark their "
        "median. What is claimed for a class stands below its name.",
        tag("div", tag("div", strips.axis(scale), class_="drawn"), class_="kind foot"),
        *(_kind(found, row, scale) for row in shown),
        _folded(
            "Workload by workload",
            matrix([(row.title, row) for row in shown], found.workloads_of(found.peers)),
        ),
    )


def _kind(found: Findings, row: Row, scale: LossScale) -> Markup:
    ratios = found.shared_ratios(row)
    names = [workload.name for workload in found.workloads_of(found.peers) if workload.name in row.cells]
    middle = median(ratios)
    claim = f"claimed: {row.arm.claimed}" if row.arm.claimed else "no figure is claimed"
    claimed = f"{row.arm.family or 'no class'}; {claim}"
    least, middling, most = (figures.typeset(figures.loss(of)) for of in (min(ratios), middle, max(ratios)))
    return tag(
        "div",
        tag(
            "div",
            tag("b", row.title),
            tag("small", claimed if row is not found.zone else "measured above"),
            class_="name",
        ),
        tag(
            "div",
            strips.spread([row.cells[name] for name in names], scale, title=row.title, middle=middle),
            class_="drawn",
        ),
        tag("div", tag("b", middling), tag("small", f"{least} to {most}"), class_="number"),
        class_="kind",
    )


def _life(found: Findings) -> Markup:
    scale = LogScale.around(ns for each in found.life for ns in (each.low_ns, each.high_ns))
    return _panel(
        "Life cycle",
        "How long whole commands take, from outside. Median and its 95 % interval; each line to the right is ten times "
        "as long.",
        life_table(found.life, scale),
    )


def _density(found: Findings) -> Markup:
    points = found.run.density
    zones = [point.zones for point in points]
    times = [
        Curve(name="create", values=tuple(point.create_ns / _MS for point in points)),
        Curve(name="start", values=tuple(point.start_ns / _MS for point in points)),
        Curve(name="exec", values=tuple(point.exec_ns / _MS for point in points)),
        Curve(name="list", values=tuple(point.list_ns / _MS for point in points)),
    ]
    memory = [
        Curve(
            name="all of it", values=tuple((point.kernel_bytes + point.user_bytes) / _KIB for point in points)
        ),
        Curve(name="the kernel's", values=tuple(point.kernel_bytes / _KIB for point in points)),
    ]
    return _panel(
        "Density",
        "What one more zone costs when so many run already.",
        tag(
            "div",
            _curves("Time of a command", zones, times, "ms"),
            _curves("Memory of a zone", zones, memory, "KiB"),
            class_="pair",
        ),
        _folded("Density as a table", density_table(points)),
    )


def _curves(title: str, zones: Sequence[int], of: Sequence[Curve], unit: str) -> Markup:  # noqa: PLR0917 - each of another type
    names = (tag("li", tag("i", class_=f"k{at}"), curve.name) for at, curve in enumerate(of))
    return tag(
        "figure",
        tag("figcaption", title, tag("ul", *names, class_="legend")),
        curves(
            zones,
            of,
            told=lambda value: f"{round(value, 2):,.9g} {unit}",
            title=f"{title} over the number of zones",
        ),
    )


def _rounds(found: Findings) -> Markup:
    controls = found.control.cells if found.control else {}
    shown = (
        tag(
            "figure",
            tag("figcaption", finding.workload.name),
            rounds(finding, controls.get(finding.workload.name)),
        )
        for finding in found.overhead
    )
    return _panel(
        "Round by round",
        "The loss in every single round, from left to right; behind it, in grey, bare metal against itself. What "
        "drifts or jumps shows here. A point far off stands at the edge.",
        tag("div", *shown, class_="many"),
    )


def _about(found: Findings) -> Markup:
    run = found.run
    missing = [join(tag("dt", each.name), tag("dd", each.reason)) for each in run.missing]
    budget = [join(tag("dt", key), tag("dd", limit)) for key, limit in run.budget.items()]
    versions = [join(tag("dt", name), tag("dd", version)) for name, version in run.host.versions.items()]
    return _panel(
        "How it was measured",
        "One static program does the work and takes the time, inside the walls. In each round every arm has its turn, "
        "forth and back, on one processor: what drifts, drifts for all, and ratios are taken within a round. An "
        "interval is that of the ratios' median; a verdict is given where the whole interval, and the noise floor, lie "
        "on one side of 3 %.",
        _workloads(found.run.workloads),
        _terms("Not measured", missing),
        _terms("Budget", budget),
        _terms("Versions", versions),
    )


def _terms(title: str, terms: Sequence[Markup]) -> Markup | None:
    return join(tag("h3", title), tag("dl", *terms, class_="terms")) if terms else None


def _workloads(workloads: Sequence[WorkloadFacts]) -> Markup:
    terms = (
        join(tag("dt", each.name), tag("dd", f"{each.stresses}; one operation is a {each.operation}"))
        for each in workloads
    )
    return _folded("What each workload stresses", tag("dl", *terms, class_="terms"))
