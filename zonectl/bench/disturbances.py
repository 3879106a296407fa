"""What disturbs a measurement, read before and after it: others at work, a hypervisor's theft, heat, changing clocks.

A run goes on whatever is found: its rounds, its control and its intervals show what came of it. The warnings say why an
interval may be wide, and what to do about it. All is read below `root`, which is "/" but for tests.

Source: Documentation/accounting/psi.rst, proc_stat(5), Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench.machine import fields, text

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCES: Final = ("cpu", "io", "memory")

_WAITING: Final = 0.05
_BUSY_BEFORE: Final = 0.10
"""Shares of time in which somebody waited: over the run, and (avg10, in which we wait for nothing yet) before it."""
_STOLEN: Final = 0.01
_OTHERS: Final = 1.0
"""Processes that ran on the average beside the one of ours."""
_CLOCK_MOVED: Final = 0.03
_NEAR_C: Final = 5.0
"""Degrees below a point at which the kernel or the firmware slows the processor down."""
_STEAL: Final = 7
_WAIT_WORDS: Final = {
    "cpu": "waited for a processor",
    "io": "waited for a disk",
    "memory": "waited for memory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The machine at a moment. What it does not tell is missing, or 0."""

    at_s: float  # CLOCK_MONOTONIC
    waited_us: dict[str, int]  # by resource, the time in which some process waited for it, since boot
    waiting: dict[str, float]  # by resource, the share of the last ten seconds: 0.5
    load: float  # processes that run or wait, average of a minute
    ticks: tuple[int, ...]  # of the measured processor, by what it spent them on (proc_stat(5))
    swapped: int  # pages in and out since boot
    throttled: int  # how often the measured processor was slowed down for heat, since boot
    clock_khz: float  # of the measured processor
    governor: str
    turbo: bool
    siblings: str  # the processors of its core, as the kernel lists them: "0-1"
    hottest_c: float | None  # by how many degrees a zone is away from being slowed down; below 0: past it


def read(processor: int, *, root: str = "/") -> Reading:
    """How the machine is now, for measurements on that processor."""
    cpu = f"sys/devices/system/cpu/cpu{processor}"
    pressures = {name: text(root, f"proc/pressure/{name}") for name in RESOURCES}
    vmstat = fields(text(root, "proc/vmstat"))
    return Reading(
        at_s=time.monotonic(),
        waited_us={name: int(_number(r"^some .*total=(\d+)", told)) for name, told in pressures.items()},
        waiting={name: _number(r"^some avg10=([\d.]+)", told) / 100 for name, told in pressures.items()},
        load=_number(r"^([\d.]+)", text(root, "proc/loadavg")),
        ticks=_ticks(text(root, "proc/stat"), processor),
        swapped=vmstat.get("pswpin", 0) + vmstat.get("pswpout", 0),
        throttled=int(_number(r"^(\d+)", text(root, f"{cpu}/thermal_throttle/core_throttle_count"))),
        clock_khz=_clock_khz(root, processor),
        governor=text(root, f"{cpu}/cpufreq/scaling_governor").strip(),
        turbo=_turbo(root),
        siblings=text(root, f"{cpu}/topology/thread_siblings_list").strip(),
        hottest_c=_headroom_c(root),
    )


def warnings(before: Reading, after: Reading, *, processor: int) -> tuple[str, ...]:
    """What disturbed a run between two readings, each in a line, the gravest kinds first."""
    return (
        *_pressure(before, after),
        *_theft(before, after),
        *_load(before, after),
        *_swap(before, after),
        *_heat(before, after),
        *_clock(before, after, processor),
    )


def _pressure(before: Reading, after: Reading) -> Iterator[str]:
    """Our own wait little: they have a processor to themselves, and take turns."""
    duration_us = (after.at_s - before.at_s) * 1e6
    for name in RESOURCES:
        share = (after.waited_us[name] - before.waited_us[name]) / duration_us if duration_us > 0 else 0.0
        if share > _WAITING:
            yield f"processes {_WAIT_WORDS[name]} for {share:.0%} of the run (/proc/pressure/{name})"
        elif before.waiting[name] > _BUSY_BEFORE:
            yield f"processes {_WAIT_WORDS[name]} for {before.waiting[name]:.0%} of the ten seconds before the run"


def _theft(before: Reading, after: Reading) -> Iterator[str]:
    spent = [now - then for then, now in zip(before.ticks, after.ticks, strict=False)]
    # Guest time is part of user time already (proc_stat(5)), so that the first eight make up the whole.
    whole = sum(spent[: _STEAL + 1])
    share = spent[_STEAL] / whole if len(spent) > _STEAL and whole > 0 else 0.0
    if share > _STOLEN:
        yield f"the hypervisor gave {share:.0%} of the processor's time to others (steal)"


def _load(before: Reading, after: Reading) -> Iterator[str]:
    if before.load > _OTHERS:
        yield f"the load was {before.load:.1f} before the run began: other programs are at work"
    elif after.load > 1 + _OTHERS:
        yield f"the load was {after.load:.1f} at the end, of which the run itself makes about 1"


def _swap(before: Reading, after: Reading) -> Iterator[str]:
    if pages := after.swapped - before.swapped:
        yield f"{pages} pages were swapped in or out during the run"


def _heat(before: Reading, after: Reading) -> Iterator[str]:
    if times := after.throttled - before.throttled:
        yield f"the processor was slowed down for heat, {times} times"
    elif after.hottest_c is not None and after.hottest_c < _NEAR_C:
        yield f"the machine is {after.hottest_c:.0f} degrees from being slowed down for heat"


def _clock(before: Reading, after: Reading, processor: int) -> Iterator[str]:
    if after.governor not in {"", "performance"}:
        remedy = f"cpupower -c {processor} frequency-set -g performance"
        yield f"the clock of processor {processor} follows its load (governor {after.governor}): {remedy}"
    if before.clock_khz and abs(after.clock_khz / before.clock_khz - 1) > _CLOCK_MOVED:
        yield (
            f"the clock of processor {processor} went from {before.clock_khz / 1000:.0f} to "
            f"{after.clock_khz / 1000:.0f} MHz"
        )
    if after.turbo:
        yield "turbo is on: the clock depends on what the other processors do"
    if re.search(r"[,-]", after.siblings):
        yield f"processors {after.siblings} are one core, and slow each other down (SMT)"


def _number(pattern: str, told: str) -> float:
    found = re.search(pattern, told, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _ticks(stat: str, processor: int) -> tuple[int, ...]:
    found = re.search(rf"^cpu{processor} ([\d ]+)$", stat, re.MULTILINE)
    return tuple(map(int, found[1].split())) if found else ()


def _clock_khz(root: str, processor: int) -> float:
    """By cpufreq; where a guest has none, by what /proc/cpuinfo says of the processor."""
    told = text(root, f"sys/devices/system/cpu/cpu{processor}/cpufreq/scaling_cur_freq")
    if told.strip():
        return _number(r"^(\d+)", told)
    for block in text(root, "proc/cpuinfo").split("\n\n"):
        if re.search(rf"^processor\s*:\s*{processor}$", block, re.MULTILINE):
            return _number(r"^cpu MHz\s*:\s*([\d.]+)", block) * 1000
    return 0.0


def _turbo(root: str) -> bool:
    """intel_pstate says what is off, other drivers what is on."""
    off = text(root, "sys/devices/system/cpu/intel_pstate/no_turbo").strip()
    return off == "0" or text(root, "sys/devices/system/cpu/cpufreq/boost").strip() == "1"


def _headroom_c(root: str) -> float | None:
    """The least distance of any thermal zone from a point at which it is cooled by slowing down, or switched off."""
    folder = os.path.join(root, "sys/class/thermal")
    try:
        zones = [name for name in os.listdir(folder) if name.startswith("thermal_zone")]
    except OSError:
        return None
    return min((gap for zone in zones for gap in _gaps_c(os.path.join(folder, zone))), default=None)


def _gaps_c(zone: str) -> Iterator[float]:
    now = text(zone, "temp").strip()
    for name in sorted(os.listdir(zone)):
        if not re.fullmatch(r"trip_point_\d+_type", name):
            continue
        limit = text(zone, name.replace("_type", "_temp")).strip()
        slows = text(zone, name).strip() in {"passive", "hot", "critical"}
        # A point that is not used is at 0, or below it.
        if slows and re.fullmatch(r"-?\d+", now) and re.fullmatch(r"\d+", limit) and int(limit):
            yield (int(limit) - int(now)) / 1000
