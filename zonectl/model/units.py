"""Sizes and durations as people write them: "512MiB", "50MB", "1.5s"."""

from __future__ import annotations

import re
from fractions import Fraction

_SIZE_UNITS = {
    "": 1,
    "B": 1,
    **{prefix + "B": 1000**power for power, prefix in enumerate(("K", "M", "G", "T", "P"), 1)},
    "kB": 1000,
    **{prefix + "iB": 1024**power for power, prefix in enumerate(("K", "M", "G", "T", "P"), 1)},
}
_DURATION_UNITS_S = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_QUANTITY = re.compile(r"(-?)(\d{1,19}(?:\.\d{1,9})?) ?([A-Za-z]*)\Z", re.ASCII)
_MAX_BYTES = 2**63 - 1


def parse_size(text: str) -> int:
    """The bytes that a size means: `512MiB`, `50MB`, `1.5GiB`, `4096`.

    Decimal prefixes are powers of 1000, those with an i powers of 1024 (IEC 80000-13).

    Raises:
        ValueError: not a size, negative, not a whole number of bytes, or above 2**63 - 1.

    """
    match = _QUANTITY.match(text)
    if not match or match[1] or match[3] not in _SIZE_UNITS:
        msg = f"not a size: {text!r} (write 512MiB, 50MB or a number of bytes)"
        raise ValueError(msg)
    size = Fraction(match[2]) * _SIZE_UNITS[match[3]]
    if size.denominator != 1 or size > _MAX_BYTES:
        msg = f"not a whole number of bytes below 8 EiB: {text!r}"
        raise ValueError(msg)
    return int(size)


def parse_duration(text: str, *, negative: bool = False) -> float:
    """The seconds that a duration means: `1.5s`, `10s`, `200ms`, `5min`, `1h`, `2d`.

    Raises:
        ValueError: not a duration, without a unit, or negative where `negative` is not set.

    """
    match = _QUANTITY.match(text)
    if not match or match[3] not in _DURATION_UNITS_S or (match[1] and not negative):
        msg = f"not a duration: {text!r} (write 1.5s, 200ms, 5min, 1h or 2d)"
        raise ValueError(msg)
    seconds = float(Fraction(match[2]) * _DURATION_UNITS_S[match[3]])
    return -seconds if match[1] else seconds


def format_size(size_bytes: int) -> str:
    """The shortest exact text of a size, which `parse_size` reads back."""
    for power in range(5, 0, -1):
        for base, suffix in ((1024, "iB"), (1000, "B")):
            unit = base**power
            if size_bytes and size_bytes % unit == 0:
                return f"{size_bytes // unit}{'KMGTP'[power - 1]}{suffix}"
    return str(size_bytes)


def format_duration(seconds: float) -> str:
    """A duration as `parse_duration` reads it: whole seconds as `10s`, others to the millisecond."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
