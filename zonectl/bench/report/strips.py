"""Intervals and values on an axis of losses, one strip a workload or arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.report import figures
from zonectl.bench.report.markup import join
from zonectl.bench.report.svg import box, dot, drawing, label, line, ornament, upright
from zonectl.bench.statistics import LIMIT, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.bench.report.findings import Duration, Finding
    from zonectl.bench.report.markup import Markup
    from zonectl.bench.report.scale import LogScale, LossScale

HEIGHT = 44
AXIS = 22
_MIDDLE = HEIGHT / 2
_RADIUS = 5.0
_FLOOR = 7.0
"""Half the height of the noise's band, in pixels."""
VERDICTS = {Verdict.WITHIN: "within", Verdict.ABOVE: "above", Verdict.UNCLEAR: "unclear"}
_CROWDED = 0.12
"""Ticks whose names would stand closer together than this share of the axis get none."""


def axis(scale: LossScale) -> Markup:
    """The names of the losses, to stand above strips of the same width."""
    return ornament(
        *(label(_percent(tick), (scale.at(1 + tick), 15), "tick") for tick in named(scale)),
        height=AXIS,
        class_="axis",
    )


def named(scale: LossScale) -> list[float]:
    """The ticks that have room for a name; 0 and the limit come first."""
    chosen: list[float] = []
    for tick in sorted(scale.ticks, key=lambda tick: (tick not in {0.0, LIMIT}, abs(tick))):
        if all(abs(scale.at(1 + tick) - scale.at(1 + other)) >= _CROWDED for other in chosen):
            chosen.append(tick)
    return chosen


def _percent(tick: float) -> str:
    return f"{tick * 100:.0f}%".replace("-", "\N{MINUS SIGN}")


def _ground(scale: LossScale) -> Markup:
    """What lies behind each strip: the stretch within the limit, and the ticks."""
    zero, limit = scale.at(1.0), scale.at(1 + LIMIT)
    return join(
        box(zero, limit - zero, "good", top=0, height=HEIGHT),
        *(upright(scale.at(1 + tick), "grid", top=0, bottom=HEIGHT) for tick in named(scale)),
        upright(zero, "zero", top=0, bottom=HEIGHT),
        upright(limit, "limit", top=0, bottom=HEIGHT),
    )


def interval(finding: Finding, scale: LossScale) -> Markup:
    """The interval of a finding with its median, before the band of the noise."""
    comparison = finding.comparison
    verdict = VERDICTS[comparison.verdict]
    floor = "not known" if comparison.floor is None else figures.share(comparison.floor)
    return drawing(
        _ground(scale),
        _noise(comparison.floor, scale),
        line(
            (scale.at(comparison.low), _MIDDLE), (scale.at(comparison.high), _MIDDLE), f"interval {verdict}"
        ),
        dot(scale.at(comparison.ratio), _MIDDLE, f"median {verdict}", radius=_RADIUS),
        height=HEIGHT,
        title=f"{finding.workload.name}: {figures.loss(comparison.ratio)}, {comparison.verdict}",
        desc=f"95 % interval {figures.interval(comparison)} %, noise floor {floor}, "
        f"{comparison.rounds} rounds",
        class_="strip",
    )


def _noise(floor: float | None, scale: LossScale) -> Markup:
    """The band of what bare metal differs from itself by; none where that is not known."""
    if floor is None:
        return join()
    low, high = scale.at(1 / (1 + floor)), scale.at(1 + floor)
    return box(low, high - low, "noise", top=_MIDDLE - _FLOOR, height=2 * _FLOOR)


def spread(findings: Sequence[Finding], scale: LossScale, *, title: str, middle: float) -> Markup:
    """All the workloads of an arm as dots, and their median."""
    dots = [
        dot(
            scale.at(finding.comparison.ratio),
            _MIDDLE,
            "one",
            radius=4.5,
            title=f"{finding.workload.name}: {figures.loss(finding.comparison.ratio)}",
        )
        for finding in findings
    ]
    at = scale.at(middle)
    return drawing(
        _ground(scale),
        upright(at, "middle", top=8, bottom=HEIGHT - 8),
        *dots,
        height=HEIGHT,
        title=title,
        desc=f"median {figures.loss(middle)} of {len(findings)} workloads",
        class_="strip",
    )


def times_axis(scale: LogScale) -> Markup:
    """The names of the times, to stand above strips of the same width."""
    names = (label(_whole(tick), (scale.at(tick), 15), "tick") for tick in scale.ticks)
    return ornament(*names, height=AXIS, class_="axis")


def _whole(nanoseconds: float) -> str:
    number, unit = figures.duration(nanoseconds).split(" ")
    return f"{float(number):g} {unit}"


def time(duration: Duration, scale: LogScale) -> Markup:
    """How long a command takes: the median's interval."""
    low, high, middle = (scale.at(ns) for ns in (duration.low_ns, duration.high_ns, duration.median_ns))
    return drawing(
        *(upright(scale.at(tick), "grid", top=0, bottom=HEIGHT) for tick in scale.ticks),
        line((low, _MIDDLE), (high, _MIDDLE), "interval plain"),
        dot(middle, _MIDDLE, "median plain", radius=_RADIUS),
        height=HEIGHT,
        title=f"{duration.workload.name} in {duration.arm.title}: {figures.duration(duration.median_ns)}",
        desc=f"95 % interval {figures.duration(duration.low_ns)} to {figures.duration(duration.high_ns)}, "
        f"{duration.rounds} rounds",
        class_="strip",
    )
