"""Settings of the zone's namespaces that its file sets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zonectl.cgroups import cpuset
from zonectl.namespaces.steps.sysctls import WriteSysctls
from zonectl.planning.audit.comparison import ordered, unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed
    from zonectl.planning.plan import ZonePlan

AREA = "sysctl"
_NUMBER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_LIST = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
_LISTS = ("net.ipv4.ip_local_reserved_ports",)
"""Bitmaps, which are told as lists of ranges (proc_do_large_bitmap())."""
_TICK_MS = 10
"""The longest that the kernel's clock has (HZ is 100 at least): times are rounded up to whole ones."""


def written(plan: ZonePlan) -> Iterator[tuple[str, str]]:
    """Names and values that the start sets; of one that is set twice, the last."""
    steps = (step for step in plan.inside if isinstance(step, WriteSysctls))
    yield from dict(pair for step in steps for pair in step.settings).items()


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """Each setting of the zone file. Those that the zone's root may set itself as well: it is not what was declared."""
    found = dict(observed.sysctls)
    for name, declared in written(plan):
        text = found.get(name)
        if text is None:
            yield unread(AREA, name, declared=declared)
            continue
        words = declared, " ".join(text.split())
        equal = agrees(name, declared=declared, found=text)
        yield ordered(AREA, name, words=words, equal=equal, less=False)


def agrees(name: str, *, declared: str, found: str) -> bool:
    """Whether the kernel's text says what was written, which it may have rounded or spelled in another way.

    Of several numbers those that were not written stay what they were (proc_dointvec()).
    """
    wanted, seen = declared.split(), found.split()
    if wanted and all(_NUMBER.fullmatch(word) for word in (*wanted, *seen)):
        tick = _TICK_MS if name.endswith("_ms") else 1
        numbers = zip(map(_number, wanted), map(_number, seen), strict=False)
        return len(wanted) <= len(seen) and all(0 <= there - here < tick for here, there in numbers)
    if name in _LISTS and _LIST.fullmatch(declared.strip()):
        return cpuset.members(declared) == cpuset.members(found)
    return wanted == seen


def _number(word: str) -> int:
    """As the kernel reads it: 0x10 is 16, and so is 020 (strtoul_lenient(), with a base of 0)."""
    digits = word.lstrip("+-")
    value = int(digits, 8 if digits.startswith("0") and digits.isdecimal() else 0)  # Python has 0o20 for it
    return -value if word.startswith("-") else value
