"""Faults at every step: each command is killed, or one of its calls failed, at each call that changes the host.

`python -m tests.faults` (`make faults`) traces each command once with strace(1) to list its changing calls, then runs
it again for them with a fault injected there, and looks at the host: what is left, and what is said.

    trace ▶ points ─┬▶ prepare ▶ command with the fault ▶ truth ▶ delete -f ▶ leaks ▶ delete -f again ┐
                    └──────────────────────────────────────────────────────────────────────────────────┘

A *leak* is what is there after `delete -f` and was not before; a *lie* is a success that did not happen, a state that
the kernel contradicts, a traceback, or a command that never ends.

Without `--full` a sample of the points is taken: so many of each command and role, in `--minutes`. `--full` takes
all of them, in an order that `--seed` shuffles, so that what a run had time for is a fair part of the whole. What is in
`--record` already is not done again; `--shard 2/3` is the second of three runs that share the whole.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.instance import Zonectl
from tests.faults import calls, record
from tests.faults.calls import Point
from tests.faults.drive import ROLES, Driver, Verdict, every, sample
from tests.faults.scene import SCENES, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TELLS_S = 60.0


class Throw(NamedTuple):
    """A fault to be thrown at a command, in one of its roles."""

    scene: Scene
    role: str
    point: Point

    @property
    def name(self) -> tuple[str, str, Point]:
        """What tells it from the others."""
        return self.scene.verb, self.role, self.point


def main() -> int:
    """Throw the faults; the exit status is 1 if anything leaked or lied, or nothing was reached."""
    options = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is there is cleared away
    with tempfile.TemporaryDirectory(prefix="zonectl-faults.") as folder:
        z = Zonectl(Path(folder, "instance"))
        z.root.mkdir(mode=0o700, parents=True)
        z("image", "build", "busybox")
        try:
            verdicts, of = _throw_all(Driver(z, Path(folder)), options)
        finally:
            z.clear()
        z.host.check()
    print(record.table(verdicts))
    print(f"all: {record.summary(verdicts, of=of)}", flush=True)
    good = all(not each.leaks and not each.lies for each in verdicts)
    return 0 if good and any(each.struck for each in verdicts) else 1


def _throw_all(driver: Driver, options: argparse.Namespace) -> tuple[list[Verdict], int]:
    """What came of all faults for which there was time, those of the record with them; and how many there are."""
    throws = list(_every(driver, options))
    began = told = time.monotonic()
    before = {(each.verb, each.role, each.point): each for each in _recorded(options)}
    verdicts = [before[throw.name] for throw in throws if throw.name in before]
    chosen = [throw for throw in _chosen(throws, options) if throw.name not in before]
    print(f"{len(throws)} points, {len(verdicts)} of them done before, {len(chosen)} to do", flush=True)
    for throw in chosen:
        if time.monotonic() > max(began, told) + _TELLS_S:
            told = time.monotonic()
            print(f"  {record.summary(verdicts, of=len(throws))}", flush=True)
        if options.minutes and time.monotonic() > began + options.minutes * 60:
            break
        verdicts.append(_thrown(driver.throw(*throw), options))
    return verdicts, len(throws)


def _every(driver: Driver, options: argparse.Namespace) -> Iterator[Throw]:
    """Every fault there is, of the verbs, roles and kinds that were asked for."""
    for scene, role, points in every(driver, options.verbs, options.roles):
        kinds = {"kill": points, "error": calls.errors(points)}
        for kind in options.kinds:
            yield from (Throw(scene, role, point) for point in kinds[kind])


def _chosen(throws: list[Throw], options: argparse.Namespace) -> list[Throw]:
    """The faults to throw, in this order."""
    if options.point:
        call, nth, *error = options.point.split(":")
        point = Point(call, int(nth), *error)
        return [throw for throw in throws if throw.point == point]
    if not options.full:
        return _sampled(throws, options.each, random.Random(options.seed))
    # By each one's own name: lists of two runs may differ by a call that comes at times only.
    rank = {throw: zlib.crc32(f"{options.seed} {throw.name}".encode()) for throw in throws}
    number, shards = options.shard
    return sorted((throw for throw in throws if rank[throw] % shards == number - 1), key=rank.__getitem__)


def _sampled(throws: list[Throw], each: int, chance: random.Random) -> list[Throw]:
    """So many of each command, role and kind at most."""
    groups: dict[tuple[str, str, bool], list[Throw]] = {}
    for throw in throws:
        groups.setdefault((throw.scene.verb, throw.role, throw.point.fault == calls.KILL), []).append(throw)
    chosen = [throw for group in groups.values() for throw in sample(group, each, chance)]
    chance.shuffle(chosen)  # where there is no time for all of them, none is always the one left out
    return chosen


def _recorded(options: argparse.Namespace) -> list[Verdict]:
    return record.load(options.record) if options.record else []


def _thrown(verdict: Verdict, options: argparse.Namespace) -> Verdict:
    for kind, lines in (("LEAK", verdict.leaks), ("LIE", verdict.lies)):
        for line in lines:
            print(f"  {kind}: {verdict.verb} in {verdict.role}, {verdict.point}: {line}", flush=True)
    if not verdict.struck:
        print(f"  not reached: {verdict.verb} in {verdict.role}, {verdict.point}", flush=True)
    if options.record:
        record.append(options.record, verdict)
    return verdict


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="every point, and every error at each")
    parser.add_argument("--verbs", type=_list(tuple(SCENES)), default=list(SCENES), metavar="VERB,…")
    parser.add_argument("--roles", type=_list(ROLES), default=list(ROLES), metavar="ROLE,…")
    parser.add_argument("--kinds", type=_list(("kill", "error")), default=["kill", "error"], metavar="KIND,…")
    parser.add_argument("--each", type=int, default=3, help="points of a kind, command and role (default 3)")
    parser.add_argument(
        "--minutes", type=float, help="to throw them in, at most (default 9; of all, without end)"
    )
    parser.add_argument("--seed", type=int, default=1, help="which sample, or which order (default 1)")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="a part of all points")
    parser.add_argument("--record", type=Path, metavar="FILE", help="add every verdict there; do none again")
    parser.add_argument("--point", metavar="CALL:NTH[:ERRNO]", help="this one alone")
    options = parser.parse_args()
    if options.minutes is None and not options.full:
        options.minutes = 9.0
    return options


def _list(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        words = text.split(",")
        if unknown := set(words) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return words

    return parse


def _shard(text: str) -> tuple[int, int]:
    number, _, shards = text.partition("/")
    if not (number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise argparse.ArgumentTypeError("I/N, from 1/N to N/N")
    return int(number), int(shards)


if __name__ == "__main__":
    sys.exit(main())
