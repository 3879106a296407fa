"""`make bench-seccomp`: what a filter costs per system call, and what loading it costs.

A C program makes one call over and over and prints nanoseconds per call. It runs under no filter, under one that allows
everything in a single instruction (the kernel's own price of having a filter), and under zonectl's profiles. A round
runs the arms there and back (ABBA), so that whatever drifts meanwhile counts for all alike; what is compared is the
median of the differences within a round, with the interval in which it lies with 95 % (order statistics). `everything
again` is the same filter as `everything`: what differs there is noise.

Loading is timed in a forked child, around seccomp(2) alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from zonectl.kernel import attributes, process  # noqa: E402 - runs from the tree
from zonectl.kernel.seccomp import set_mode_filter  # noqa: E402 - as above
from zonectl.security.seccomp import filters  # noqa: E402 - as above
from zonectl.security.seccomp.assembler import Return, assemble  # noqa: E402 - as above
from zonectl.security.seccomp.profile import ALLOW  # noqa: E402 - as above

PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
    long times = atol(argv[2]);
    int zero = open("/dev/zero", O_RDONLY), kind = argv[1][0];
    char byte;
    struct stat found;
    double best = 1e18;
    for (int chunk = 0; chunk < 10; chunk++) {
        double began = now();
        for (long n = 0; n < times; n++)
            switch (kind) {
            case 'g': syscall(SYS_getpid); break;
            case 'r': if (read(zero, &byte, 1) != 1) return 1; break;
            case 's': if (stat("/", &found)) return 1; break;
            case 'i': syscall(SYS_ioctl, -1, 0x5401, 0); break;
            }
        double each = (now() - began) / times;
        if (each < best)
            best = each;
    }
    printf("%.3f\n", best);
    return 0;
}
"""
CALLS = ("getpid", "read", "stat", "ioctl")
BASE = "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Nanoseconds a call above `everything`: the median over rounds, and where it lies with 95 %."""

    call: str
    arm: str
    median_ns: float
    above_ns: float
    low_ns: float
    high_ns: float


def arms() -> dict[str, bytes | None]:
    """The program of each arm; None is no filter."""
    everything = assemble([Return(ALLOW.value)])
    return {
        "none": None,
        BASE: everything,
        "default": filters.named("default", nesting=False).program,
        "strict": filters.named("strict", nesting=False).program,
        "everything again": everything,
    }


def measured(binary: Path, call: str, times: int, *, program: bytes | None) -> float:
    """Nanoseconds a call, in a child that has loaded `program`."""
    reader, writer = os.pipe()

    def child() -> int:
        os.dup2(writer, 1)
        attributes.set_no_new_privs()
        if program is not None:
            set_mode_filter(program)
        os.execv(binary, [str(binary), call, str(times)])  # noqa: S606 - no shell is wanted

    _pid, pidfd = process.spawn(child)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    ended = process.wait_pidfd(pidfd)
    os.close(pidfd)
    if ended is None or ended.code:
        sys.exit(f"the measuring program failed: {ended}")
    return float(text)


def load_us(program: bytes) -> float:
    """Microseconds that loading takes."""
    reader, writer = os.pipe()

    def child() -> int:
        attributes.set_no_new_privs()
        began = time.perf_counter()
        set_mode_filter(program)
        os.write(writer, str((time.perf_counter() - began) * 1e6).encode())
        return 0

    _pid, pidfd = process.spawn(child)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    os.close(writer)
    with os.fdopen(reader) as stream:
        return float(stream.read())


def differences(samples: dict[str, dict[str, list[float]]]) -> list[Difference]:
    """Every arm against `everything`, round by round."""
    found = []
    for call, by_arm in samples.items():
        for arm, values in by_arm.items():
            each = sorted(value - base for value, base in zip(values, by_arm[BASE], strict=True))
            # The order statistics between which the median lies with 95 % (normal approximation of the binomial).
            reach = round(0.98 * len(each) ** 0.5)
            middle = len(each) // 2
            found.append(
                Difference(
                    call=call,
                    arm=arm,
                    median_ns=statistics.median(values),
                    above_ns=statistics.median(each),
                    low_ns=each[max(0, middle - reach)],
                    high_ns=each[min(len(each) - 1, middle + reach)],
                )
            )
    return found


def sample(binary: Path, *, rounds: int, times: int) -> dict[str, dict[str, list[float]]]:
    """Nanoseconds by call and arm: for each round the mean of the way there and the way back."""
    programs = arms()
    samples: dict[str, dict[str, list[float]]] = {call: {arm: [] for arm in programs} for call in CALLS}
    for _ in range(rounds):
        for call in CALLS:
            seen: dict[str, list[float]] = {arm: [] for arm in programs}
            for arm in (*programs, *reversed(programs)):
                seen[arm].append(measured(binary, call, times, program=programs[arm]))
            for arm, both in seen.items():
                samples[call][arm].append(statistics.fmean(both))
    return samples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--times", type=int, default=20_000, help="calls in each of a run's ten chunks")
    parser.add_argument("--json", type=Path, help="write every sample there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder, "calls.c"), Path(folder, "calls")
        source.write_text(PROGRAM)
        subprocess.run(["gcc", "-O2", "-static", "-o", binary, source], check=True)
        samples = sample(binary, rounds=options.rounds, times=options.times)
    found = differences(samples)
    print(f"{'call':<8}{'arm':<18}{'ns':>8}{'above':>8}   95 %")
    for one in found:
        interval = f"{one.low_ns:+.1f} to {one.high_ns:+.1f}"
        print(f"{one.call:<8}{one.arm:<18}{one.median_ns:8.1f}{one.above_ns:+8.1f}   {interval}")
    loads = {
        arm: statistics.median(load_us(program) for _ in range(2 * options.rounds))
        for arm, program in arms().items()
        if program is not None
    }
    for arm, microseconds in loads.items():
        print(f"loading {arm:<18}{microseconds:8.0f} us")
    if options.json:
        data = {"samples": samples, "differences": [asdict(one) for one in found], "load_us": loads}
        options.json.write_text(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
