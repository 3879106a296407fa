"""The tables of the page: the one that holds the interval plot, and those that say in numbers what figures show."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from zonectl.bench.report import figures, strips
from zonectl.bench.report.markup import join, tag
from zonectl.bench.report.scale import LossScale

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.bench.report.findings import Duration, Finding, Findings, Row
    from zonectl.bench.report.markup import Child, Markup
    from zonectl.bench.report.scale import LogScale
    from zonectl.bench.results import DensityPoint, WorkloadFacts

# Roles are spelt out where the style sheet lays a table out as something else: browsers then forget that it is one.


def _cell(class_: str, *children: Child) -> Markup:
    return tag("td", *children, class_=class_, role="cell")


def _head(class_: str, *children: Child) -> Markup:
    return tag("th", *children, class_=class_, scope="col", role="columnheader")


def overview_table(found: Findings) -> Markup:
    """A row a workload, with its interval drawn."""
    findings = found.overhead
    scale = LossScale.around(end for each in findings for end in (each.comparison.low, each.comparison.high))
    titles = tag(
        "tr",
        _head("name", "workload"),
        _head("bare", "bare"),
        _head("walled", "zone"),
        _head("loss", "loss"),
        _head("range", "95 % interval"),
        _head("drawn", tag("span", "interval plot", class_="unseen"), strips.axis(scale)),
        _head("verdict", "verdict"),
        role="row",
    )
    groups = groupby(findings, lambda each: each.workload.group)
    bodies = (_group(name, list(of), scale) for name, of in groups)
    return tag("table", tag("thead", titles, role="rowgroup"), *bodies, class_="overview", role="table")


def _group(name: str, findings: Sequence[Finding], scale: LossScale) -> Markup:
    head = tag(
        "tr", tag("th", name, colspan=7, scope="rowgroup", role="rowheader"), class_="group", role="row"
    )
    return tag("tbody", head, *(_finding(finding, scale) for finding in findings), role="rowgroup")


def _finding(finding: Finding, scale: LossScale) -> Markup:
    comparison = finding.comparison
    verdict = strips.VERDICTS[comparison.verdict]
    faint = "" if comparison.differs else " faint"
    name = join(tag("span", finding.workload.name), tag("small", finding.workload.stresses))
    return tag(
        "tr",
        tag("th", name, class_="name", scope="row", role="rowheader"),
        _cell("bare", figures.duration(finding.reference_ns)),
        _cell("walled", figures.duration(finding.measured_ns)),
        _cell(f"loss{faint}", figures.typeset(figures.loss(comparison.ratio))),
        _cell(f"range{faint}", figures.typeset(figures.interval(comparison))),
        _cell("drawn", strips.interval(finding, scale)),
        _cell("verdict", tag("span", comparison.verdict, class_=f"verdict {verdict}")),
        role="row",
    )


def _scrolled(title: str, head: Iterable[Child], rows: Iterable[Markup]) -> Markup:
    """A table that may be wider than a telephone, which scrolls by itself."""
    titles = tag("tr", *(tag("th", each, scope="col") for each in head))
    table = tag("table", tag("thead", titles), tag("tbody", *rows), class_="plain")
    return tag("div", table, class_="scrolled", role="region", aria_label=title, tabindex="0")


def matrix(rows: Sequence[tuple[str, Row]], workloads: Sequence[WorkloadFacts]) -> Markup:
    """A row a workload, a column an arm; what lies below the noise is a dot."""
    body = (
        tag("tr", tag("th", each.name, scope="row"), *(_loss(row, each.name) for _title, row in rows))
        for each in workloads
    )
    return _scrolled("Losses in percent", ["", *(title for title, _row in rows)], body)


def _loss(row: Row, workload: str) -> Markup:
    finding = row.cells.get(workload)
    if finding is None:
        return tag("td")
    comparison = finding.comparison
    told = figures.typeset(figures.interval(comparison))
    if not comparison.differs:
        return tag("td", "·", class_="faint", title=told)
    return tag("td", figures.typeset(figures.bare_loss(comparison.ratio)), tag("small", told))


def life_table(life: Sequence[Duration], scale: LogScale) -> Markup:
    """A row a command, with its interval drawn."""
    titles = tag(
        "tr",
        _head("name", "command"),
        _head("loss", "median"),
        _head("range", "95 % interval"),
        _head("drawn", tag("span", "interval plot", class_="unseen"), strips.times_axis(scale)),
        role="row",
    )
    body = tag("tbody", *(_duration(each, scale) for each in life), role="rowgroup")
    return tag("table", tag("thead", titles, role="rowgroup"), body, class_="overview life", role="table")


def _duration(duration: Duration, scale: LogScale) -> Markup:
    name = join(tag("span", duration.workload.name), tag("small", duration.arm.title))
    return tag(
        "tr",
        tag("th", name, class_="name", scope="row", role="rowheader"),
        _cell("loss", figures.duration(duration.median_ns)),
        _cell("range", f"{figures.duration(duration.low_ns)} to {figures.duration(duration.high_ns)}"),
        _cell("drawn", strips.time(duration, scale)),
        role="row",
    )


def density_table(points: Sequence[DensityPoint]) -> Markup:
    """A row a number of zones."""
    rows = (
        tag(
            "tr",
            tag("th", str(point.zones), scope="row"),
            *(
                tag("td", figures.duration(nanoseconds))
                for nanoseconds in (point.create_ns, point.start_ns, point.exec_ns, point.list_ns)
            ),
            *(tag("td", figures.size(size)) for size in (point.kernel_bytes, point.user_bytes)),
        )
        for point in points
    )
    return _scrolled("Density", ("zones", "create", "start", "exec", "list", "kernel", "processes"), rows)
