"""What is so after a fault, by the kernel and the disk, next to what zonectl says."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e import host
from tests.faults import processes
from tests.faults.scene import VICTIM
from tests.requirements import cgroup2_mount
from zonectl.daemon.pool import WAITING

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

NEIGHBOUR = "neighbour"
_ZONED = "zoned start"
_HELD = ("running", "ready", "paused", "shutting_down")
_NOTHING = " nothing"
_VOLATILE = {"zoned.log", "zoned.sock", "zoned.lock", "logger.sock", "lock"}


@dataclass(frozen=True)
class Sight:
    """The host and the instance's folders; each field a set of lines that are to be the same afterwards.

    zoned, its logger and its workers may have been killed and started anew, so they count only where there are more
    of them than before. A worker that waits for a client is none too many, and goes after a while: `waiting` is how
    many there are beyond those that zoned may keep, `workers` how many processes of zoned's do anything else.
    """

    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    firewall: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    processes: frozenset[str]
    state: frozenset[str]
    workers: int
    waiting: int

    def left(self, after: Sight) -> list[str]:
        """What is there in one of both only."""
        lines = []
        for each in fields(self):
            if each.name in {"workers", "waiting"}:
                continue
            was, now = getattr(self, each.name), getattr(after, each.name)
            lines += [f"{each.name}: gone: {line}" for line in sorted(was - now)]
            lines += [f"{each.name}: left: {line}" for line in sorted(now - was)]
        if after.workers > self.workers:
            lines.append(f"processes: {after.workers} of zoned's, {self.workers} before")
        if after.waiting:
            lines.append(f"processes: {after.waiting} workers too many wait")
        return lines


def look(z: Zonectl) -> Sight:
    """What is there now."""
    seen = z.host.snapshot()
    mine = [each for each in host.table() if z.mark in each.group or str(z.folder) in each.words]
    zoned = [each for each in mine if _ZONED in each.words]
    waiting = sum(processes.waits_for_a_client(each.pid) for each in zoned)
    others = [each for each in mine if each not in zoned and not each.words.startswith("strace")]
    return Sight(
        mounts=seen.mounts,
        links=seen.links,
        addresses=seen.addresses,
        firewall=seen.firewall,
        groups=seen.groups,
        files=seen.files,
        processes=frozenset(f"{each.pid} {each.words}" for each in others if each.pid != os.getpid()),
        state=frozenset((*_tree(z.root), *_tree(z.run_root))),
        workers=len(zoned) - waiting,
        waiting=max(0, waiting - WAITING),
    )


def _tree(root: Path) -> list[str]:
    """Every file below `root`; of ledgers what they hold."""
    found = []
    for folder, _, names in os.walk(root):
        place = os.path.relpath(folder, root.parent)
        if place.endswith("/log"):  # made when a zone first writes, or a new logger comes
            continue
        found.append(f"{place}/")
        told = ((name, _held(Path(folder, name))) for name in set(names) - _VOLATILE)
        found += [f"{place}/{name}{held}" for name, held in told if held != _NOTHING]
    return found


def _held(path: Path) -> str:
    """What a ledger holds; one that holds nothing is as good as none."""
    if path.suffix != ".json" or not path.parent.name.startswith(("root", "run")):
        return ""
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return " gone"
    if text.get("held") == {}:
        return _NOTHING
    # Where the search for the next free one begins changes with every zone.
    return " " + json.dumps({key: text[key] for key in text if key != "cursor"}, sort_keys=True)


def lies(z: Zonectl) -> list[str]:
    """Where `list` contradicts the kernel about the victim and the zones of runs, and about the neighbour."""
    found = []
    zones = z.list()
    for name, zone in zones.items():
        pid, state = zone["pid"], zone["state"]
        if state in _HELD and not (pid and Path(f"/proc/{pid}/stat").exists()):
            found.append(f"{name} is said to be {state}, but its init {pid} is not there")
        if state not in _HELD and (there := _processes(z, zone["id"] or "none")):
            found.append(f"{name} is said to be {state}, but has the processes {there}")
    ours = {zone["id"] for zone in zones.values()}
    found += [
        f"group {group} has processes and no zone" for group in _groups(z) - ours if _processes(z, group)
    ]
    neighbour = zones.get(NEIGHBOUR, {"state": "absent"})
    if neighbour["state"] != "running":
        found.append(f"the neighbour is said to be {neighbour['state']}")
    return found


def state(z: Zonectl) -> str:
    """The victim's state, as `list` says."""
    return str(z.list().get(VICTIM, {"state": "absent"})["state"])


def _base(z: Zonectl) -> Path:
    mount = cgroup2_mount()
    assert mount is not None
    return Path(mount, f"zonectl-{z.mark}")


def _groups(z: Zonectl) -> set[str]:
    try:
        return {entry.name for entry in _base(z).iterdir() if entry.is_dir()} - {"zoned"}
    except FileNotFoundError:
        return set()


def _processes(z: Zonectl, zone_id: str) -> list[int]:
    """The processes of a zone's group, but for those that have ended and wait to be reaped."""
    found = []
    for folder, _, _ in os.walk(_base(z) / zone_id):
        try:
            pids = [int(line) for line in Path(folder, "cgroup.procs").read_text(encoding="ascii").split()]
        except OSError:
            continue
        found += [pid for pid in pids if _lives(pid)]
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
