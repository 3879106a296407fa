"""The zone's control group: that init is in it, and what its files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups import cpuset
from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.model.audit import Finding, Verdict
from zonectl.planning.audit.comparison import unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Observed
    from zonectl.planning.plan import ZonePlan

AREA = "limits"
_GRANULE_BYTES = 1 << 16
"""Below this sizes of memory may be rounded down: the largest page that Linux has."""
_UNITS = {"KB": 10, "MB": 20, "GB": 30}


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """The group that init is in, then each limit."""
    if plan.cgroup:
        yield _membership(plan.cgroup, observed.group)
    settings = dict(observed.settings)
    for step in plan.before:
        if isinstance(step, WriteLimit):
            yield _limit(step.file, name=step.file, declared=step.value, found=settings.get(step.file))
        elif isinstance(step, WriteDeviceLimit):
            name = f"{step.file} {step.device}"
            yield _limit(step.file, name=name, declared=step.value, found=settings.get(name))


def _membership(declared: str, found: str) -> Finding:
    """A zone may make groups below its own, and a systemd moves there itself."""
    found = found.lstrip("/")
    inside = f"/{found}/".endswith(f"/{declared}/") or f"/{declared}/" in f"/{found}"
    verdict = Verdict.HOLDS if inside else Verdict.DIFFERS
    return Finding(area=AREA, name="group", declared=declared, found=found, verdict=verdict)


def _limit(file: str, *, name: str, declared: str, found: str | None) -> Finding:
    if found is None:
        return unread(AREA, name, declared=declared, reason="there is no such file")
    verdict = Verdict.HOLDS if agrees(file, declared=declared, found=found) else Verdict.DIFFERS
    return Finding(area=AREA, name=name, declared=declared, found=" ".join(found.split()), verdict=verdict)


def agrees(file: str, *, declared: str, found: str) -> bool:
    """Whether the kernel's text says what was written, which it may have rounded or spelled in another way."""
    found = found.strip()
    match file.split("."):
        case ["cpuset", *_]:
            return cpuset.members(declared) == cpuset.members(found)
        case ["memory", *_] if found.isdecimal() and file != "memory.oom.group":
            return 0 <= int(declared) - int(found) < _GRANULE_BYTES
        case ["hugetlb", page_size, *_] if found.isdecimal():
            granule_bytes = int(page_size[:-2]) << _UNITS[page_size[-2:]]
            return 0 <= int(declared) - int(found) < granule_bytes
        case ["io", "max"]:
            return set(declared.split()) <= set(found.split())
        case ["io", "weight"]:  # one line for all disks, and one for each that has a weight of its own
            return declared in found.splitlines()
    return declared.split() == found.split()
