"""How numbers are written for people: three digits that count, with a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.bench.statistics import Comparison

MICRO, TIMES = "\N{MICRO SIGN}", "×"
_TEN, _HUNDRED = 9.995, 99.95
"""From here on two and three digits stand before the point, once it is rounded."""
_MANY_TIMES = 11.0
"""A ratio from here on is told as one: a loss of 1,100 % says nothing to anybody."""
_MINUTE_S, _HOUR_S = 60, 3600


def duration(nanoseconds: float) -> str:
    """`0.31 ns`, `1.48 us`, `412 us` (with the sign for micro), `11.4 ms`."""
    for unit in ("ns", f"{MICRO}s", "ms"):
        if nanoseconds < 999.5:  # noqa: PLR2004 - what is rounded to 1000 is one of the next unit
            return f"{_three_digits(nanoseconds)} {unit}"
        nanoseconds /= 1000
    return f"{_three_digits(nanoseconds)} s"


def size(size_bytes: float) -> str:
    """`512 B`, `527 KiB`, `1.95 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size_bytes) < 999.5:  # noqa: PLR2004 - as above: three digits
            return f"{_three_digits(size_bytes)} {unit}"
        size_bytes /= 1024
    return f"{_three_digits(size_bytes)} TiB"


def span(seconds: float) -> str:
    """`6 s`, `23 min 38 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // 60} min"


def loss(ratio: float) -> str:
    """A ratio as a loss: `+0.2 %`, `-12 %`, `0.0 %`; from eleven times on `×12.3`."""
    return f"{TIMES}{_three_digits(ratio)}" if ratio >= _MANY_TIMES else f"{bare_loss(ratio)} %"


def bare_loss(ratio: float) -> str:
    """As `loss`, without the unit: `+0.2`."""
    if ratio >= _MANY_TIMES:
        return f"{TIMES}{_three_digits(ratio)}"
    percent = (ratio - 1) * 100
    text = f"{percent:+.1f}" if abs(percent) < _HUNDRED else f"{percent:+.0f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text


def interval(comparison: Comparison) -> str:
    """The interval of a loss in percent: `-0.1..+0.3`."""
    return between(comparison.low, comparison.high)


def between(low: float, high: float) -> str:
    """Two ratios as losses in percent: `-0.1..+0.3`."""
    return f"{bare_loss(low)}..{bare_loss(high)}"


def typeset(text: str) -> str:
    """A loss or an interval with real minus signs, for where it is not a terminal's font that shows it."""
    return text.replace("-", "\N{MINUS SIGN}")


def share(part: float) -> str:
    """A share as a percentage without a sign: `0.4 %`."""
    percent = part * 100
    return f"{percent:.1f} %" if percent < _HUNDRED else f"{percent:.0f} %"


def _three_digits(number: float) -> str:
    if abs(number) < _TEN:
        return f"{number:.2f}"
    return f"{number:.1f}" if abs(number) < _HUNDRED else f"{number:.0f}"
