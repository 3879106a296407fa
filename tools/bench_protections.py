"""`make bench-protections`: what a zone's protections cost its start.

`zonectl run` of a program that tells when it began, in zones that differ in one thing: all protections that a zone has
by default, none of those that a zone file can waive, and the latter once more, where what differs is noise. With
`--each`, every single protection beside none as well.

A round runs the arms there and back, beginning with another in each round, so that what drifts meanwhile, and what one
run leaves to the next, falls on all alike (ABBA). What is compared is the difference within a round; told are the
median of the differences and where it lies with 95 %, counted and not drawn by lot (zonectl.bench.bootstrap). The time
"to the program" is from the spawning of the command to the first thing that the program does; "whole" is until the
command has ended, with what is undone afterwards.

To answer whether a start grew by more than so many milliseconds (`--limit`), on a machine on which nothing else runs:

    make bench-protections BENCH_ARGS="--rounds 300 --json FILE"
    make bench-protections BENCH_ARGS="--rounds 300 --each"

The first takes about three minutes. The answer is yes or no if the whole interval lies on one side of the limit and
the control shows no difference; otherwise it is that nothing can be told: run more rounds.

Not in the difference, since no key waives them: the session keyring, whose system call is timed by itself in a forked
child, and the scaffold of locked mounts (docs/adr/0065-mounts-are-locked-on-a-scaffold.md). Zones have no network here:
it costs the same in all arms, and scatters more than they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zonectl.bench.bootstrap import LEAST_VALUES, Interval, interval, median
from zonectl.kernel import process
from zonectl.kernel.ranking import join_session_keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TOP = Path(__file__).resolve().parent.parent
ZONECTL = TOP / ".venv" / "bin" / "zonectl"
LIMIT_MS = 0.6
"""What all protections together were to cost at most."""
WARM_UP = 4
PROGRAM = r"""
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* the monotonic clock may be the zone's own */
    printf("%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    return 0;
}
"""
ZONE_FILE = """
name = "{name}"
command = ["/bin/tell"]
[root]
path = "{root}"
[network]
mode = "none"
[process]
scheduler = "inherit"
[security]
{waivers}
"""
WAIVERS = {
    "seccomp": 'seccomp = "off"',
    "capabilities": 'capabilities = ["all"]',
    "masks": 'unmask = ["all"]',
    "devices": 'devices = "unfiltered"',
}
"""By protection, the line of `[security]` that waives it."""
NONE, AGAIN, ALL = "none", "none again", "all"
MEASURES = ("to the program", "whole")

Rounds = dict[str, list[list[float]]]
"""By arm, the samples of each round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Milliseconds above the arm without protections: the median over rounds, and where it lies with 95 %."""

    arm: str
    median_ms: float
    above_ms: float
    where: Interval


def main() -> int:
    """Measure and print; the exit status is 0 unless a command fails."""
    options = parse_arguments()
    if os.geteuid() != 0:
        print("bench_protections: must be run as root", file=sys.stderr)
        return 1
    # A benchmark that is broken off removes what it has made, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zonectl-bench.")))
        commands = zone_files(work, arms(each=options.each))
        stack.callback(subprocess.run, zonectl(work, "zoned", "stop"), check=False, capture_output=True)
        taken = sample(commands, rounds=options.rounds, pause_s=options.pause)
    for measure in MEASURES:
        print("\n".join(told(measure, taken[measure], limit_ms=options.limit)))
    keyring_us = median([timed_us(join_session_keyring) for _ in range(options.rounds)])
    print(f"\nin all arms: a session keyring, {keyring_us:.0f} us of init's time")
    if options.json:
        Path(options.json).write_text(json.dumps(taken, indent=1), encoding="utf-8")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=at_least(LEAST_VALUES), default=300, help="default 300")
    parser.add_argument("--each", action="store_true", help="every protection by itself as well")
    parser.add_argument("--limit", type=float, default=LIMIT_MS, metavar="MS", help=f"default {LIMIT_MS}")
    parser.add_argument(
        "--pause", type=float, default=0.05, metavar="S", help="between two runs, for zoned to be ready again"
    )
    parser.add_argument("--json", metavar="FILE", help="write every sample there")
    return parser.parse_args()


def at_least(least: int) -> Callable[[str], int]:
    """A number for the command line."""

    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"at least {least}")
        return int(text)

    return number


def arms(*, each: bool) -> dict[str, tuple[str, ...]]:
    """By arm, the lines of `[security]`."""
    found: dict[str, tuple[str, ...]] = {NONE: tuple(WAIVERS.values()), ALL: ()}
    if each:
        for kept in WAIVERS:
            found[kept] = tuple(line for name, line in WAIVERS.items() if name != kept)
    return {**found, AGAIN: found[NONE]}


def zone_files(work: Path, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """By arm, the command that runs its zone: one root for all, with the program in it."""
    root = work / "root"
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (root / folder).mkdir(parents=True)
    source = work / "tell.c"
    source.write_text(PROGRAM, encoding="ascii")
    subprocess.run(["gcc", "-O2", "-static", "-o", root / "bin" / "tell", source], check=True)
    commands = {}
    for number, (arm, waivers) in enumerate(wanted.items()):
        file = work / f"arm{number}.toml"
        text = ZONE_FILE.format(name=f"arm{number}", root=root, waivers="\n".join(waivers))
        file.write_text(text, encoding="utf-8")
        commands[arm] = zonectl(work, "run", str(file))
    return commands


def zonectl(work: Path, *argv: str) -> list[str]:
    """The command line of zonectl, on an instance of the benchmark's own."""
    return [str(ZONECTL), "--root", str(work / "state"), "--run", str(work / "run"), *argv]


def sample(commands: Mapping[str, Sequence[str]], *, rounds: int, pause_s: float) -> dict[str, Rounds]:
    """Milliseconds by measure, arm and round."""
    taken: dict[str, Rounds] = {measure: {arm: [] for arm in commands} for measure in MEASURES}
    for turn in range(-WARM_UP, rounds):
        seen: dict[str, list[tuple[float, float]]] = {arm: [] for arm in commands}
        for arm in order(list(commands), turn):
            time.sleep(pause_s)
            seen[arm].append(once(commands[arm]))
        if turn >= 0:
            for arm, pairs in seen.items():
                for measure, values in zip(MEASURES, zip(*pairs, strict=True), strict=True):
                    taken[measure][arm].append(list(values))
    return taken


def order(names: Sequence[str], turn: int) -> list[str]:
    """In which order a round runs the arms: there and back, beginning with another in each round."""
    first = turn % len(names)
    there = [*names[first:], *names[:first]]
    return [*there, *reversed(there)]


def once(argv: Sequence[str]) -> tuple[float, float]:
    """Run the command: milliseconds until its program began, and until it ended itself."""
    reader, writer = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writer, 1),
    ]
    began, steady = time.time_ns(), time.monotonic_ns()
    # posix_spawn: the cost of forking this interpreter must not be in the figure.
    pid = os.posix_spawn(argv[0], list(argv), os.environ, file_actions=actions)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    whole_ms = (time.monotonic_ns() - steady) / 1e6
    said = os.read(reader, 64)
    os.close(reader)
    if status or not said:
        sys.exit(f"bench_protections: {' '.join(argv)}: status {os.waitstatus_to_exitcode(status)}")
    to_program_ms = (int(said) - began) / 1e6
    if not 0 < to_program_ms < whole_ms:
        sys.exit("bench_protections: somebody has set the clock")
    return to_program_ms, whole_ms


def timed_us(call: Callable[[], None]) -> float:
    """Microseconds that a call takes in a child, whose end takes its effect away."""
    reader, writer = os.pipe()

    def child() -> int:
        began = time.perf_counter_ns()
        call()
        os.write(writer, str(time.perf_counter_ns() - began).encode())
        return 0

    _pid, pidfd = process.spawn(child)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    os.close(writer)
    with os.fdopen(reader) as stream:
        return int(stream.read()) / 1000


def differences(rounds: Rounds) -> list[Difference]:
    """Every arm against the one without protections, by the means of each round."""
    means = {arm: [statistics.fmean(values) for values in each] for arm, each in rounds.items()}
    found = []
    for arm, values in means.items():
        if arm != NONE:
            above = [value - base for value, base in zip(values, means[NONE], strict=True)]
            found.append(
                Difference(arm=arm, median_ms=median(values), above_ms=median(above), where=interval(above))
            )
    return found


def answer(found: Interval, control: Interval, *, limit_ms: float) -> str:
    """Whether it is at most `limit_ms`, as far as a control in which nothing differs lets that be told."""
    if control.low > 0 or control.high < 0:
        return "cannot tell: the control differs"
    if found.high <= limit_ms:
        return "yes"
    if found.low > limit_ms:
        return "no"
    return "cannot tell: more rounds are needed"


def told(measure: str, rounds: Rounds, *, limit_ms: float) -> list[str]:
    """What is printed of one measure."""
    found = differences(rounds)
    base = median([statistics.fmean(values) for values in rounds[NONE]])
    lines = [f"\n{measure} ({len(rounds[NONE])} rounds, ms)"]
    lines += [f"{'protections':<14}{'median':>9}{'above':>9}   95 %", f"{NONE:<14}{base:9.3f}"]
    for one in found:
        ends = f"{one.where.low:+.3f} to {one.where.high:+.3f}"
        lines.append(f"{one.arm:<14}{one.median_ms:9.3f}{one.above_ms:+9.3f}   {ends}")
    where = {one.arm: one.where for one in found}
    return [*lines, f"at most {limit_ms:g} ms: {answer(where[ALL], where[AGAIN], limit_ms=limit_ms)}"]


if __name__ == "__main__":
    sys.exit(main())
