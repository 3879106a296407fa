"""What many lives of zones leave behind: `python -m tests.faults.endurance` (`make endurance`).

Cycles of create, start, exec, stop and delete; many zones up and down together; one zone restarted as often as one
that is restarted every ten seconds is in an hour. Before and after each, and at every tenth of it, are counted: the
descriptors and the memory of zoned, processes, namespaces, control groups, links, and files of both state roots. What
the counts end with has to be what they began with, but for memory, which is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e import host
from tests.e2e.instance import Zonectl
from tests.faults.witness import look
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Callable

_TENTH = 10


@dataclass(frozen=True)
class Count:
    """How much there is of what could leak; `pss_kib` is zoned's proportional set size."""

    descriptors: int
    workers: int
    processes: int
    namespaces: int
    groups: int
    links: int
    files: int
    pss_kib: int

    def flat(self, other: Count) -> bool:
        """Whether nothing but memory differs."""
        return {**asdict(self), "pss_kib": 0} == {**asdict(other), "pss_kib": 0}


def count(z: Zonectl) -> Count:
    """What there is now."""
    z("list")
    zoned, seen = z.zoned(), look(z)
    return Count(
        descriptors=len(os.listdir(f"/proc/{zoned}/fd")) if zoned else 0,
        workers=seen.workers,
        processes=len(seen.processes),
        namespaces=len(_namespaces(z)),
        groups=len(seen.groups),
        links=len(seen.links),
        files=len(seen.state),
        pss_kib=_pss_kib(zoned),
    )


def _namespaces(z: Zonectl) -> set[str]:
    """Those of the instance's processes that are not ours; a namespace's number is used again."""
    table = {each.pid: each for each in host.table()}
    mine = (each for each in table.values() if z.mark in each.group or str(z.folder) in each.words)
    return {name for each in mine for name in each.namespaces} - table[os.getpid()].namespaces


def _pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines() if pid else []
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def repeat(z: Zonectl, name: str, times: int, once: Callable[[int], None]) -> bool:
    """Do it so many times; whether all is as it was after the first."""
    once(0)
    time.sleep(1)
    first = count(z)
    took_s = 0.0
    print(f"{name}, {times} times\n  {first}", flush=True)
    for number in range(1, times):
        began = time.monotonic()
        once(number)
        took_s += time.monotonic() - began
        if number % max(times // _TENTH, 1) == 0:
            print(f"  {number}: {_differences(first, count(z))}", flush=True)
    flat = _becomes_flat(z, first)
    each_ms = took_s / max(times - 1, 1) * 1000
    print(f"  {count(z)}\n  {'flat' if flat else 'NOT FLAT'}, {each_ms:.0f} ms each", flush=True)
    return flat


def _becomes_flat(z: Zonectl, first: Count) -> bool:
    """The kernel reaps network namespaces a little later, and others on this host make theirs: they have a while."""
    try:
        until(lambda: first.flat(count(z)), timeout_s=30)
    except AssertionError:
        return False
    return True


def _differences(first: Count, now: Count) -> str:
    both = zip(asdict(first).items(), asdict(now).values(), strict=True)
    return (
        ", ".join(f"{name} {was} -> {is_now}" for (name, was), is_now in both if was != is_now) or "the same"
    )


def main() -> int:
    """Run all three; the exit status is 1 if something is not flat."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--cycles", type=int, default=1000, help="create, start, exec, stop, delete (default 1000)"
    )
    parser.add_argument("--zones", type=int, default=200, help="up and down together (default 200)")
    parser.add_argument("--restarts", type=int, default=360, help="of one zone (default 360)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zonectl-endurance.") as folder:
        z = Zonectl(Path(folder, "instance"))
        z.environment["ZONECTL_IDLE"] = "600"
        z.root.mkdir(mode=0o700, parents=True)
        z("image", "build", "busybox")
        try:
            flat = [
                repeat(z, "create, start, exec, stop, delete", options.cycles, lambda _: _cycle(z)),
                repeat(
                    z, f"{options.zones} zones up and down together", 3, lambda _: _crowd(z, options.zones)
                ),
                _restarts(z, options.restarts),
            ]
        finally:
            z.clear()
        z.host.check()
    return 0 if all(flat) else 1


def _cycle(z: Zonectl) -> None:
    z.define("one", "exec sleep 1000000", 'stop_timeout = "1s"\n')
    z("start", "one")
    z("exec", "one", "--", "true")
    z("stop", "one")
    z("delete", "-f", "one")


def _crowd(z: Zonectl, zones: int) -> None:
    names = [f"z{number}" for number in range(zones)]
    for name in names:
        z.write(
            name, f'name = "{name}"\ncommand = ["/bin/sleep", "1000000"]\nroot = {{ image = "busybox" }}\n'
        )
    z("create", *(str(z.folder / f"{name}.toml") for name in names), timeout=600)
    z("start", *names, timeout=600)
    assert {zone["state"] for zone in z.list().values()} == {"running"}
    z("stop", "--all", "-f", timeout=600)
    z("delete", "--all", "-f", timeout=600)


def _restarts(z: Zonectl, times: int) -> bool:
    def restart(_number: int) -> None:
        z("restart", "again")

    z.define("again", "exec sleep 1000000", 'stop_timeout = "1s"\n')
    z("start", "again")
    flat = repeat(z, "restart", times, restart)
    z("delete", "-f", "again")
    return flat


if __name__ == "__main__":
    sys.exit(main())
