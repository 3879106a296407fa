"""What is warned of, from made-up trees of /proc and /sys before and after a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from zonectl.bench import disturbances

if TYPE_CHECKING:
    from pathlib import Path

CPU = "sys/devices/system/cpu/cpu1"
ZONE = "sys/class/thermal/thermal_zone0"
REMEDY = "cpupower -c 1 frequency-set -g performance"
QUIET = {
    "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000\nfull avg10=0.00 total=0\n",
    "proc/pressure/io": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000\nfull avg10=0.00 total=9\n",
    "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 total=0\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 1234\n",
    "proc/stat": "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 9 9 9 9 9 9 9 9 9 9\ncpu1 100 0 50 800 0 0 0 0 90 0\n",
    "proc/vmstat": "pgfault 5\npswpin 10\npswpout 20\n",
    f"{CPU}/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpufreq/scaling_cur_freq": "3000000\n",
    f"{CPU}/topology/thread_siblings_list": "1\n",
    f"{CPU}/thermal_throttle/core_throttle_count": "3\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
    f"{ZONE}/temp": "60000\n",
    f"{ZONE}/trip_point_0_type": "critical\n",
    f"{ZONE}/trip_point_0_temp": "100000\n",
    f"{ZONE}/trip_point_1_type": "active\n",
    f"{ZONE}/trip_point_1_temp": "61000\n",
    f"{ZONE}/trip_point_2_type": "passive\n",
    f"{ZONE}/trip_point_2_temp": "0\n",
}


def reading(root: Path, **changed: str) -> disturbances.Reading:
    for path, content in (QUIET | changed).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return disturbances.read(1, root=str(root))


def after_100_s(root: Path, changed: dict[str, str]) -> tuple[str, ...]:
    before = reading(root)
    after = replace(reading(root, **changed), at_s=before.at_s + 100)
    return disturbances.warnings(before, after, processor=1)


def test_a_reading(tmp_path: Path) -> None:
    found = reading(tmp_path)
    assert found.waited_us == {"cpu": 1000, "io": 2000, "memory": 0}
    assert found.load == 0.1
    assert found.ticks[:4] == (100, 0, 50, 800)
    assert found.swapped == 30
    assert found.throttled == 3
    assert found.clock_khz == 3e6
    assert found.hottest_c == 40


def test_a_quiet_machine_is_warned_of_nothing(tmp_path: Path) -> None:
    assert after_100_s(tmp_path, {}) == ()


def test_a_machine_that_tells_nothing_is_warned_of_nothing(tmp_path: Path) -> None:
    nothing = disturbances.read(1, root=str(tmp_path))
    assert disturbances.warnings(nothing, nothing, processor=1) == ()


@pytest.mark.parametrize(
    ("path", "content", "warning"),
    [
        (
            "proc/pressure/cpu",
            "some avg10=9.00 avg60=0.00 avg300=0.00 total=20001000\n",
            "processes waited for a processor for 20% of the run (/proc/pressure/cpu)",
        ),
        (
            "proc/pressure/io",
            "some avg10=9.00 avg60=0.00 avg300=0.00 total=6002000\n",
            "processes waited for a disk for 6% of the run (/proc/pressure/io)",
        ),
        (
            "proc/pressure/memory",
            "some avg10=9.00 avg60=0.00 avg300=0.00 total=50000000\n",
            "processes waited for memory for 50% of the run (/proc/pressure/memory)",
        ),
        (
            "proc/stat",
            "cpu1 200 0 50 860 0 0 0 40 90 0\n",
            "the hypervisor gave 20% of the processor's time to others (steal)",
        ),
        (
            "proc/loadavg",
            "3.20 0 0 1/1 1\n",
            "the load was 3.2 at the end, of which the run itself makes about 1",
        ),
        ("proc/vmstat", "pswpin 11\npswpout 25\n", "6 pages were swapped in or out during the run"),
        (
            f"{CPU}/thermal_throttle/core_throttle_count",
            "5\n",
            "the processor was slowed down for heat, 2 times",
        ),
        (f"{ZONE}/temp", "97000\n", "the machine is 3 degrees from being slowed down for heat"),
        (
            f"{CPU}/cpufreq/scaling_governor",
            "powersave\n",
            f"the clock of processor 1 follows its load (governor powersave): {REMEDY}",
        ),
        (
            f"{CPU}/cpufreq/scaling_cur_freq",
            "1500000\n",
            "the clock of processor 1 went from 3000 to 1500 MHz",
        ),
        (
            "sys/devices/system/cpu/intel_pstate/no_turbo",
            "0\n",
            "turbo is on: the clock depends on what the other processors do",
        ),
        (
            "sys/devices/system/cpu/cpufreq/boost",
            "1\n",
            "turbo is on: the clock depends on what the other processors do",
        ),
        (
            f"{CPU}/topology/thread_siblings_list",
            "0-1\n",
            "processors 0-1 are one core, and slow each other down (SMT)",
        ),
    ],
)
def test_one_disturbance_one_warning(tmp_path: Path, path: str, content: str, warning: str) -> None:
    assert after_100_s(tmp_path, {path: content}) == (warning,)


def test_what_was_at_work_before_the_run(tmp_path: Path) -> None:
    busy = "some avg10=30.00 avg60=0.00 avg300=0.00 total=1000\n"
    before = reading(tmp_path, **{"proc/loadavg": "2.50 0 0 1/1 1\n", "proc/pressure/cpu": busy})
    after = replace(reading(tmp_path), at_s=before.at_s + 100)
    assert disturbances.warnings(before, after, processor=1) == (
        "processes waited for a processor for 30% of the ten seconds before the run",
        "the load was 2.5 before the run began: other programs are at work",
    )


def test_a_guest_without_cpufreq_has_the_clock_of_cpuinfo(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    blocks = [f"processor\t: {number}\ncpu MHz\t\t: {2000 + number}.5\n" for number in (0, 1, 10)]
    (tmp_path / "proc/cpuinfo").write_text("\n".join(blocks), encoding="utf-8")
    assert disturbances.read(1, root=str(tmp_path)).clock_khz == 2001500
