"""`make bench-density`: what many zones up at once cost: time to create and start each, memory, and `list`.

An instance of its own holds N zones of `busybox sleep`, each with its own ids, overlay root, network namespace and link
to one bridge. The last ten before each N are timed: what the next zone costs when there are so many. Memory is the
proportional set size (PSS, proc_pid_smaps(5)) of zoned, its logger and its workers. Everything is deleted again.
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
from dataclasses import asdict, dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ZONECTL = TOP / ".venv" / "bin" / "zonectl"
ZONE_FILE = """
name = "z{number}"
command = ["/bin/sleep", "100000"]
stop_timeout = "0s"
[root]
image = "busybox:latest"
[network]
bridge = "zdense0"
subnet = "10.215.0.0/16"
[process]
scheduler = "inherit"
"""
TAIL = 10
"""So many zones at the end of each N are timed, fewer where N is small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was measured with `zones` up: milliseconds a zone, and KiB of PSS."""

    zones: int
    create_ms: float
    start_ms: float
    list_ms: float
    zoned_kib: int
    logger_kib: int
    workers_kib: int


class Instance:
    """The benchmark's own instance, in the folder `work`."""

    def __init__(self, work: Path) -> None:
        self._options = ["--root", str(work / "state"), "--run", str(work / "run")]
        self._work = work

    def argv(self, *words: str) -> list[str]:
        """The whole command line."""
        return [str(ZONECTL), *self._options, *words]

    def do(self, *words: str) -> str:
        """Run a command line; its output. A failure ends the benchmark."""
        argv = self.argv(*words)
        done = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"bench_density: {' '.join(words[:3])}: {done.stderr.strip()}")
        return done.stdout

    def timed_ms(self, *words: str) -> float:
        """Run a command line; how long it took."""
        began = time.perf_counter()
        self.do(*words)
        return (time.perf_counter() - began) * 1000

    def file(self, number: int) -> str:
        """The zone file of the zone of that number."""
        path = self._work / f"z{number}.toml"
        path.write_text(ZONE_FILE.format(number=number), encoding="utf-8")
        return str(path)

    def pss(self) -> tuple[int, int, int]:
        """KiB of zoned, its logger, which it forked first, and its workers; 0 for none."""
        zoned = int(self.do("zoned", "status").split()[-1])
        children = Path(f"/proc/{zoned}/task/{zoned}/children").read_text(encoding="ascii").split()
        kin = [pid for pid in children if _is_fork(pid, zoned)]
        sizes = [_pss_kib(pid) for pid in kin]
        return _pss_kib(str(zoned)), sum(sizes[:1]), sum(sizes[1:])


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a command fails."""
    options = parse_arguments()
    if os.geteuid() != 0:
        print("bench_density: must be run as root", file=sys.stderr)
        return 1
    # A benchmark that is broken off removes what it has made, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zonectl-dense.")))
        instance = Instance(work)
        stack.callback(clean_up, instance)
        instance.do("image", "build", "busybox")
        samples = grow(instance, sorted(options.counts))
        fours = at_a_time(instance, work, options.rounds)
        report(samples, fours)
        if options.json:
            found = {"samples": [asdict(sample) for sample in samples], "four_at_a_time_ms": fours}
            Path(options.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "counts", nargs="*", type=int, default=[1, 10, 100, 500], help="how many zones at once"
    )
    parser.add_argument(
        "--rounds", type=int, default=20, help="how often four are run at a time (default 20)"
    )
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    return parser.parse_args()


def grow(instance: Instance, counts: list[int]) -> list[Sample]:
    """Create and start zones up to each count, and measure there."""
    samples, up = [], 0
    for count in counts:
        creates, starts = [], []
        for number in range(up, count):
            creates.append(instance.timed_ms("create", instance.file(number)))
            starts.append(instance.timed_ms("start", f"z{number}"))
        up = count
        created, started = (statistics.median(times[-TAIL:]) for times in (creates, starts))
        samples.append(measured(instance, count, create_ms=created, start_ms=started))
        print(f"{count} zones are up", file=sys.stderr)
    return samples


def measured(instance: Instance, count: int, *, create_ms: float, start_ms: float) -> Sample:
    """The figures with `count` zones up."""
    lists = [instance.timed_ms("list") for _ in range(TAIL)]
    time.sleep(1)  # the workers come to rest
    zoned, logger, workers = instance.pss()
    return Sample(
        zones=count,
        create_ms=create_ms,
        start_ms=start_ms,
        list_ms=statistics.median(lists),
        zoned_kib=zoned,
        logger_kib=logger,
        workers_kib=workers,
    )


def at_a_time(instance: Instance, work: Path, rounds: int) -> dict[int, float]:
    """Milliseconds for each `run` of /bin/true with one, two and four clients at a time: wall time over count."""
    file = work / "four.toml"
    file.write_text(ZONE_FILE.format(number="four"), encoding="utf-8")
    argv = instance.argv("run", str(file), "--", "/bin/true")
    found = {}
    for width in (1, 2, 4):
        keep_running(argv, width, count=width)
        began = time.perf_counter()
        keep_running(argv, width, count=4 * rounds)
        found[width] = (time.perf_counter() - began) * 1000 / (4 * rounds)
    return found


def keep_running(argv: list[str], width: int, *, count: int) -> None:
    """Run the command `count` times, `width` at a time. posix_spawn: this interpreter is not to be forked."""
    actions = [(os.POSIX_SPAWN_OPEN, stream, "/dev/null", os.O_RDWR, 0) for stream in range(3)]
    begun = ended = 0
    while ended < count:
        if begun < count and begun - ended < width:
            os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
            begun += 1
            continue
        _, status = os.wait()
        ended += 1
        if status:
            sys.exit(f"bench_density: {' '.join(argv)}: status {os.waitstatus_to_exitcode(status)}")


def clean_up(instance: Instance) -> None:
    """Delete every zone, and end zoned."""
    names = instance.do("list", "-c", "-q").split()
    for first in range(0, len(names), 50):
        instance.do("delete", "-f", *names[first : first + 50])
    instance.do("zoned", "stop")


def report(samples: list[Sample], widths: dict[int, float]) -> None:
    """Print the tables."""
    columns = f"{'zones':>6} {'create ms':>10} {'start ms':>9} {'list ms':>8}"
    print(f"{columns} {'zoned':>8} {'logger':>8} {'workers':>8}  KiB of PSS")
    for sample in samples:
        print(
            f"{sample.zones:6} {sample.create_ms:10.1f} {sample.start_ms:9.1f} {sample.list_ms:8.1f} "
            f"{sample.zoned_kib:8} {sample.logger_kib:8} {sample.workers_kib:8}"
        )
    first, last = samples[0], samples[-1]
    if last.zones > first.zones:
        more = last.zones - first.zones
        ours = last.zoned_kib + last.logger_kib - first.zoned_kib - first.logger_kib
        print(f"each zone more: {ours / more:.1f} KiB of zoned and logger")
    for width, wall_ms in widths.items():
        print(f"run, {width} at a time: {wall_ms:.1f} ms a zone")


def _is_fork(pid: str, zoned: int) -> bool:
    own, other = (Path(f"/proc/{number}/cmdline").read_bytes() for number in (zoned, pid))
    return own == other


def _pss_kib(pid: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    sys.exit(main())
