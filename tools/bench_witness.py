"""`make bench-witness`: other people's benchmarks, run by hand in both arms, by the figures that they print themselves.

`zonectl bench` times the whole life of such programs. Here a zone runs, and each program says what it has done in so
many seconds: on bare metal, and by `zonectl exec` in the zone, on the same processor and over the same file system. A
round is a palindrome of bare metal, the zone, and bare metal again as the control, and is judged as the benchmark's own
are (docs/adr/0101-statistics-of-the-benchmark.md). Nothing is asserted: what it prints is laid beside `zonectl bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from zonectl.bench.bootstrap import median  # noqa: E402 - runs from the tree, installed or not
from zonectl.bench.statistics import compare, noise_floor  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable

ZONECTL = TOP / ".venv" / "bin" / "zonectl"
BRIDGE, SUBNET, GATEWAY, PORT = "zbench2", "10.211.78.0/24", "10.211.78.1", "5207"
ZONE = f"""
name = "witness"
command = ["/bin/sleep", "infinity"]
[root]
host = true
[network]
bridge = "{BRIDGE}"
subnet = "{SUBNET}"
"""
INSIDE = "/root"
ARMS = ("bare", "zone", "control")


@dataclass
class Witness:
    """A program, its figure in what it prints (more is better), and what each arm showed: [arm][round][sample]."""

    name: str
    argv: list[str]
    figure: Callable[[str], float]
    unit: str
    served: bool = False
    rates: dict[str, list[list[float]]] = field(default_factory=lambda: {arm: [] for arm in ARMS})


def matched(pattern: str) -> Callable[[str], float]:
    """What reads the first group of the pattern as a number."""

    def figure(said: str) -> float:
        found = re.search(pattern, said)
        if found is None:
            sys.exit(f"bench_witness: no figure in {said!r}")
        return float(found[1])

    return figure


def fio_rate(said: str) -> float:
    """Reads and writes a second, of fio's JSON."""
    job = json.loads(said[said.index("{") :])["jobs"][0]
    return float(job["read"]["iops"] + job["write"]["iops"])


def iperf_rate(said: str) -> float:
    """Bits a second that the receiver has got, of iperf3's JSON."""
    return float(json.loads(said)["end"]["sum_received"]["bits_per_second"])


def stress(stressor: str, seconds: int) -> list[str]:
    """One stressor of stress-ng."""
    return f"stress-ng {stressor} -t {seconds} --metrics --temp-path .".split()


def witnesses(seconds: int) -> list[Witness]:
    """Each program with so many seconds of work."""
    sysbench = f"--threads=1 --time={seconds} run"
    fio = f"--time_based --runtime={seconds} --output-format=json --randseed=1 --ioengine=psync --thread"
    bogo = matched(r"(?:metrc|info):.* \d+ +[\d.]+ +[\d.]+ +[\d.]+ +([\d.]+)")
    return [
        Witness(
            "sysbench cpu", f"sysbench cpu {sysbench}".split(), matched(r"per second: +([\d.]+)"), "events/s"
        ),
        Witness(
            "sysbench memory",
            f"sysbench memory --memory-block-size=1M --memory-total-size=100T {sysbench}".split(),
            matched(r"\(([\d.]+) MiB/sec"),
            "MiB/s",
        ),
        Witness("stress-ng --cpu", stress("--cpu 1 --cpu-method int64", seconds), bogo, "bogo ops/s"),
        Witness("stress-ng --null", stress("--null 1", seconds), bogo, "bogo ops/s"),
        Witness("stress-ng --fork", stress("--fork 1", seconds), bogo, "bogo ops/s"),
        Witness(
            "fio randrw",
            f"fio --name=witness --size=16M --rw=randrw --bs=4k {fio}".split(),
            fio_rate,
            "operations/s",
        ),
        Witness(
            "iperf3",
            f"iperf3 -c {GATEWAY} -p {PORT} -J -t {seconds}".split(),
            iperf_rate,
            "bit/s",
            served=True,
        ),
    ]


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a command fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each program (10)")
    parser.add_argument("--seconds", type=int, default=1, help="how long each runs (1)")
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("bench_witness: must be run as root", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found = witnesses(options.seconds)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zonectl-witness.")))
        zone(work, stack)
        for witness in found:
            for _ in range(options.rounds):
                palindrome(witness, work)
            print(told(witness), flush=True)
    if options.json:
        rates = {witness.name: witness.rates for witness in found}
        Path(options.json).write_text(json.dumps(rates, indent=1), encoding="utf-8")
    return 0


def zonectl(work: Path, *argv: str) -> list[str]:
    """The command line of zonectl, on an instance of the benchmark's own."""
    return [str(ZONECTL), "--root", str(work / "state"), "--run", str(work / "run"), *argv]


def zone(work: Path, stack: ExitStack) -> None:
    """A running zone of the host's programs; it goes with `stack`."""
    (work / "zone.toml").write_text(ZONE, encoding="utf-8")
    (work / "bare").mkdir()
    stack.callback(output, zonectl(work, "zoned", "stop"))
    stack.callback(output, zonectl(work, "delete", "-f", "witness"))
    output(zonectl(work, "create", str(work / "zone.toml")))
    output(zonectl(work, "start", "witness"))


def palindrome(witness: Witness, work: Path) -> None:
    """One round: each arm twice, there and back."""
    seen: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for arm in (*ARMS, *reversed(ARMS)):
        seen[arm].append(one(witness, work, arm))
    for arm, rates in seen.items():
        witness.rates[arm].append(rates)


def one(witness: Witness, work: Path, arm: str) -> float:
    """What the program says of itself, run in the arm."""
    argv = ["taskset", "-c", str(max(os.sched_getaffinity(0))), *witness.argv]
    if arm == "zone":
        argv = zonectl(work, "exec", "-w", INSIDE, "witness", "--", *argv)
    if not witness.served:
        return witness.figure(output(argv, folder=work / "bare"))
    others = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(others), "iperf3", "-s", "-1", "-B", GATEWAY, "-p", PORT, "--forceflush"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise AssertionError
        for line in server.stdout:
            if "listening" in line:
                break
        figure = witness.figure(output(argv, folder=work / "bare"))
        server.stdout.read()
    return figure


def output(argv: list[str], *, folder: Path | None = None) -> str:
    """What the command says; a failure ends the benchmark."""
    done = subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )
    if done.returncode != 0:
        sys.exit(f"bench_witness: {' '.join(argv)}: {done.stdout.strip()}")
    return done.stdout


def told(witness: Witness) -> str:
    """A line of a Markdown table: rates, and the loss with its interval beside the control's."""
    costs = {arm: [[1 / rate for rate in rates] for rates in rounds] for arm, rounds in witness.rates.items()}
    floor = noise_floor(costs["bare"], costs["control"])
    found = compare(costs["bare"], costs["zone"], floor=floor)
    control = compare(costs["bare"], costs["control"], floor=None)
    rates = [median([rate for rates in witness.rates[arm] for rate in rates]) for arm in ("bare", "zone")]
    return (
        f"| {witness.name} | {rates[0]:.5g} | {rates[1]:.5g} {witness.unit} | {percent(found.ratio)} "
        f"({percent(found.low)} to {percent(found.high)}) | {percent(control.low)} to {percent(control.high)} "
        f"| {found.verdict} |"
    )


def percent(ratio: float) -> str:
    """A ratio as a loss."""
    return f"{(ratio - 1) * 100:+.1f}"


if __name__ == "__main__":
    sys.exit(main())
