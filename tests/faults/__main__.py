"""Faults at every step: each command is killed, or one of its calls failed, at each call that changes the host.

`python -m tests.faults` (`make faults`) traces each command once with strace(1) to list its changing calls, then runs
it again for them with a fault injected there, and looks at the host: what is left, and what is said.

    trace ▶ points ─┬▶ prepare ▶ command with the fault ▶ truth ▶ delete -f ▶ leaks ▶ delete -f again ┐
                    └──────────────────────────────────────────────────────────────────────────────────┘

A *leak* is what is there after `delete -f` and was not before; a *lie* is a success that did not happen, a state that
the kernel contradicts, a traceback, or a command that never ends. Without `--full` a sample of the points is taken,
within `--minutes`; another `--seed` is another sample.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.instance import Zonectl
from tests.faults import calls
from tests.faults.drive import ROLES, Driver, Verdict, as_json, every, sample
from tests.faults.scene import SCENES

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Throw the faults; the exit status is 1 if anything leaked or lied."""
    options = _arguments()
    with tempfile.TemporaryDirectory(prefix="zonectl-faults.") as folder:
        z = Zonectl(Path(folder, "instance"))
        z.root.mkdir(mode=0o700, parents=True)
        z("image", "build", "busybox")
        try:
            verdicts = _throw_all(Driver(z, Path(folder)), options)
        finally:
            z.clear()
        z.host.check()
    _say("all", verdicts)
    if options.json:
        Path(options.json).write_text(as_json(verdicts), encoding="utf-8")
    return 1 if any(each.leaks or each.lies for each in verdicts) else 0


def _throw_all(driver: Driver, options: argparse.Namespace) -> list[Verdict]:
    verdicts: list[Verdict] = []
    deadline = time.monotonic() + options.minutes * 60
    for scene, role, points in every(driver, options.verbs, options.roles):
        chance = random.Random(f"{options.seed} {scene.verb} {role}")
        found = []
        for point in _chosen(points, options, chance):
            if not options.full and time.monotonic() > deadline:
                break
            found.append(_thrown(driver.throw(scene, role, point)))
        verdicts += found
        _say(f"{scene.verb} in {role}", found, of=len(points))
    return verdicts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="every point, and every error at each")
    parser.add_argument("--verbs", type=_list(tuple(SCENES)), default=list(SCENES), metavar="VERB,…")
    parser.add_argument("--roles", type=_list(ROLES), default=list(ROLES), metavar="ROLE,…")
    parser.add_argument("--kinds", type=_list(("kill", "error")), default=["kill", "error"], metavar="KIND,…")
    parser.add_argument("--each", type=int, default=3, help="points of a kind, command and role (default 3)")
    parser.add_argument("--minutes", type=float, default=9.0, help="how long at most (default 9)")
    parser.add_argument("--seed", type=int, default=1, help="which sample (default 1)")
    parser.add_argument("--point", metavar="CALL:NTH[:ERRNO]", help="this one alone")
    parser.add_argument("--json", metavar="FILE", help="write every verdict there")
    return parser.parse_args()


def _list(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        words = text.split(",")
        if unknown := set(words) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return words

    return parse


def _chosen(
    points: list[calls.Point], options: argparse.Namespace, chance: random.Random
) -> list[calls.Point]:
    if options.point:
        call, nth, *error = options.point.split(":")
        return [calls.Point(call, int(nth), *error)]
    kinds = {"kill": points, "error": calls.errors(points)}
    chosen = []
    for kind in options.kinds:
        chosen += kinds[kind] if options.full else sample(kinds[kind], options.each, chance)
    return chosen


def _thrown(verdict: Verdict) -> Verdict:
    for kind, lines in (("LEAK", verdict.leaks), ("LIE", verdict.lies)):
        for line in lines:
            print(f"  {kind}: {verdict.verb} in {verdict.role}, {verdict.point}: {line}", flush=True)
    return verdict


def _say(what: str, verdicts: list[Verdict], *, of: int = 0) -> None:
    struck = sum(each.struck for each in verdicts)
    leaks, lies = sum(bool(each.leaks) for each in verdicts), sum(bool(each.lies) for each in verdicts)
    missed = f", {len(verdicts) - struck} not reached" if struck < len(verdicts) else ""
    traced = f" of {of} calls" if of else ""
    print(f"{what}: points {struck}{missed}{traced}, leaks {leaks}, lies {lies}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
