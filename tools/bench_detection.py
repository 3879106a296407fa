"""`make bench-detection`: whether `zonectl bench` finds a loss that was planted, and none where none was.

Bare metal is measured against bare metal that does a calibrated 5 % more, and against bare metal that does no more, in
turns: ten runs each, by the sampler and with the effort of an ordinary run. What was found is printed; `--record` keeps
the samples, which tests/unit/bench judges without a machine.

Where others are at work, `chrt -f 20 python tools/bench_detection.py` has the probes go before them: on two processors
with twelve processes that wanted them it found 10 of 10, and without it the noise floor was at 15 % or more.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zonectl import config
from zonectl.bench.results import Kind
from zonectl.bench.run import FULL, Wish, measure
from zonectl.bench.statistics import LIMIT, Comparison, Verdict, compare, noise_floor
from zonectl.bench.workloads import named
from zonectl.kernel.host import host_facts
from zonectl.model.instance import Instance
from zonectl.runtime.context import Context
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from zonectl.bench.results import Run

PLANTED_PERCENT = 5.0
ZONE = 'name = "detection"\n[root]\nhost = true\n[network]\nmode = "none"\n[process]\nscheduler = "inherit"\n'
POLICIES = {os.SCHED_OTHER: "other", os.SCHED_BATCH: "batch", os.SCHED_FIFO: "fifo", os.SCHED_RR: "rr"}
ARMS = (Kind.BARE, Kind.CONTROL, Kind.ZONE)


def main() -> int:
    """Measure; 0 if what was planted was found in 9 of 10 runs, and nothing where nothing was planted."""
    options = parse_arguments()
    if os.geteuid() != 0:
        print("bench_detection: must be run as root", file=sys.stderr)
        return 1
    # A benchmark that is broken off removes what it has made, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    runs: list[tuple[bool, Run]] = []
    with tempfile.TemporaryDirectory(prefix="zonectl-detection.") as folder:
        for number in range(2 * options.runs):
            planted = number % 2 == 0
            found = one(folder, options, percent=PLANTED_PERCENT if planted else 0.0)
            runs.append((planted, found))
            print(told(number, planted=planted, found=judged(found)), flush=True)
    if options.record:
        Path(options.record).write_text(recorded(options.workload, runs), encoding="utf-8")
    return summary(runs)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="how many runs of each kind (10)")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help=f"rounds of a run ({FULL.rounds})")
    parser.add_argument("--young", type=int, default=FULL.young, help=f"rounds of a process ({FULL.young})")
    parser.add_argument("--workload", default="spin", help="one of the processor (spin)")
    parser.add_argument("--record", metavar="FILE", help="write the samples there")
    return parser.parse_args()


def one(folder: str, options: argparse.Namespace, *, percent: float) -> Run:
    """A run with so much planted in the arm that otherwise is the zone."""
    instance = Instance(root=f"{folder}/root", run=f"{folder}/run")
    paths = Paths(instance)
    paths.ensure()
    context = Context(instance=instance, paths=paths, facts=host_facts())
    wish = Wish(
        config=config.parse(ZONE, file="detection.toml", folder=folder),
        workloads=named(options.workload),
        effort=replace(FULL, rounds=options.rounds, young=options.young),
        plant_percent=percent,
    )
    return measure(context, wish, tell=lambda _: None)


def judged(run: Run) -> Comparison:
    """What is said of the run's only workload."""
    bare, control, zone = (series.rounds for series in run.series)
    return compare(bare, zone, floor=noise_floor(bare, control))


def told(number: int, *, planted: bool, found: Comparison) -> str:
    """A line about a run."""
    loss, low, high = ((ratio - 1) * 100 for ratio in (found.ratio, found.low, found.high))
    what = f"{PLANTED_PERCENT:g} %" if planted else "none"
    noise = math.nan if found.floor is None else found.floor * 100
    return (
        f"{number + 1:3} planted {what:4}  found {loss:+.2f} % ({low:+.2f} .. {high:+.2f}), "
        f"noise {noise:.2f} %: {found.verdict}"
    )


def summary(runs: list[tuple[bool, Run]]) -> int:
    """Print what came of all; the exit status."""
    verdicts = {
        kind: [judged(run).verdict for planted, run in runs if planted is kind] for kind in (True, False)
    }
    found = sum(verdict is Verdict.ABOVE for verdict in verdicts[True])
    false = sum(verdict is Verdict.ABOVE for verdict in verdicts[False])
    within = sum(verdict is Verdict.WITHIN for verdict in verdicts[False])
    each = len(runs) // 2
    print(
        f"planted {PLANTED_PERCENT:g} %: above {LIMIT:.0%} in {found} of {each}; "
        f"none: above in {false}, within in {within} of {each}"
    )
    for warning in runs[-1][1].warnings:
        print(f"! {warning}")
    return 0 if found >= 0.9 * each and not false else 1


def recorded(workload: str, runs: list[tuple[bool, Run]]) -> str:
    """The samples as a document, a line a run: picoseconds an operation, for each arm and round."""
    first = runs[0][1]
    head = {
        "what": f"{workload} on bare metal, its control, and bare metal with {PLANTED_PERCENT:g} % more or none",
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "host": f"Linux {first.host.kernel}, {first.host.processors} x {first.host.processor}",
        "scheduling": POLICIES.get(os.sched_getscheduler(0), "another"),
        "warnings": list(first.warnings),
        "planted_percent": PLANTED_PERCENT,
    }
    lines = [json.dumps(_samples(run, planted=planted), separators=(",", ":")) for planted, run in runs]
    return f'{{"about": {json.dumps(head, indent=1)},\n"runs": [\n' + ",\n".join(lines) + "\n]}\n"


def _samples(run: Run, *, planted: bool) -> dict[str, object]:
    arms = {
        kind.value: [[round(ns * 1000) for ns in samples] for samples in series.rounds]
        for kind, series in zip(ARMS, run.series, strict=True)
    }
    return {"planted": planted, **arms}


if __name__ == "__main__":
    sys.exit(main())
