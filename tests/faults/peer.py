"""The same faults thrown at runc(8): `run`, killed or failed at each changing call, then told `delete --force`.

`python -m tests.faults.peer` runs in a private mount namespace where /sys/fs/cgroup is a pure cgroup2 view, so that
runc writes to no controller of version 1. What counts as left is what bears the container's name: its groups, its
state folder, its mounts, its processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e import host
from tests.faults import calls, strace
from tests.faults.drive import sample

if TYPE_CHECKING:
    from tests.faults.calls import Point

_ENTERED = "ZONECTL_FAULTS_ENTERED"
_VIEW = Path("/sys/fs/cgroup")
_HANGS_S = 20
_SETTLES_S = 3.0


@dataclass(frozen=True, slots=True)
class Peer:
    """runc with a bundle in `folder`, for one container that runs `true` of busybox."""

    folder: Path

    def prepare(self) -> None:
        """Make the bundle."""
        root = self.folder / "rootfs"
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            (root / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin" / "true")
        subprocess.run(["runc", "spec"], cwd=self.folder, check=True)
        path = self.folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["process"] |= {"terminal": False, "args": ["/bin/true"]}
        config["process"].pop("rlimits", None)  # this root may not raise any
        path.write_text(json.dumps(config), encoding="utf-8")

    def words(self, *words: str) -> list[str]:
        """A command line of runc."""
        return ["runc", "--root", str(self.folder / "state"), *words]

    def run(self, name: str, log: Path, point: Point | None) -> None:
        """Run the container under strace."""
        argv = [
            *strace.words(log, point, follow=True),
            *self.words("run", "--bundle", str(self.folder), name),
        ]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:  # fmt: skip
            try:
                process.wait(_HANGS_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def delete(self, name: str) -> int:
        """`delete --force`: its exit status."""
        done = subprocess.run(
            self.words("delete", "--force", name), capture_output=True, check=False, timeout=60
        )
        return done.returncode

    def left(self, name: str) -> list[str]:
        """What still bears the container's name."""
        groups = [f"group {path.relative_to(_VIEW)}" for path in _groups(name)]
        state = self.folder / "state" / name
        return [
            *groups,
            *(f"mount {target}" for target in self._mounts()),
            *([f"state {state.name}"] if state.exists() else []),
            *(f"process {each.words}" for each in host.table() if name in each.group),
        ]

    def clear(self, name: str) -> None:
        """Remove by hand what was left, so that the next point is not blamed for it."""
        for path in _groups(name):
            for pid in (path / "cgroup.procs").read_text(encoding="ascii").split():
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.2)
        for path in _groups(name):
            path.rmdir()
        for target in self._mounts():
            subprocess.run(["umount", "--lazy", target], check=True)
        shutil.rmtree(self.folder / "state" / name, ignore_errors=True)

    def _mounts(self) -> list[str]:
        """Where something is mounted in the folder, what was mounted last first."""
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        return [
            target for line in reversed(lines) if (target := line.split()[4]).startswith(str(self.folder))
        ]


def _groups(name: str) -> list[Path]:
    """The groups of that name; others come and go meanwhile, which os.walk passes over."""
    return [Path(folder) for folder, _, _ in os.walk(_VIEW) if os.path.basename(folder) == name]


def main() -> int:
    """Throw the faults at runc, and print what it leaves."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--each", type=int, default=50, help="how many points of a kind (default 50; 0 is all)"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if _ENTERED not in os.environ:
        _enter_private_view()
    with tempfile.TemporaryDirectory(prefix="zonectl-faults-peer.") as folder:
        peer = Peer(Path(folder))
        peer.prepare()
        points = _points(peer)
        number = itertools.count()
        for kind, found in (("killed", points), ("failed", calls.errors(points))):
            chosen = sample(found, options.each or len(found), random.Random(options.seed))
            _report(kind, [_throw(peer, next(number), point) for point in chosen], of=len(found))
    return 0


def _points(peer: Peer) -> list[Point]:
    log = peer.folder / "trace"
    peer.run("runc-faults", log, None)
    peer.delete("runc-faults")
    return calls.kills(log.read_text(encoding="utf-8", errors="replace").splitlines())


def _throw(peer: Peer, number: int, point: Point) -> tuple[bool, int, list[str]]:
    """Whether the fault came to pass, what `delete --force` exits with, and what it leaves."""
    name, log = f"runc-faults-{number:04}", peer.folder / "fault"
    peer.run(name, log, point)
    struck = strace.struck(log, point)
    code = peer.delete(name)
    deadline = time.monotonic() + _SETTLES_S
    while (left := peer.left(name)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:
        print(f"  LEAK: {point}: delete --force exits with {code}: {'; '.join(left)}", flush=True)
        peer.clear(name)
    return struck, code, left


def _report(kind: str, verdicts: list[tuple[bool, int, list[str]]], *, of: int) -> None:
    struck = [each for each in verdicts if each[0]]
    leaks = sum(bool(left) for _, _, left in struck)
    lies = sum(bool(left) and code == 0 for _, code, left in struck)
    print(
        f"runc run, {kind}: points {len(struck)} of {of}, leaks {leaks}, of them {lies} after an exit with 0",
        flush=True,
    )


def _enter_private_view() -> None:
    script = 'mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "tests.faults.peer"]
    os.execvpe("unshare", [*argv, *sys.argv[1:]], {**os.environ, _ENTERED: "1"})


if __name__ == "__main__":
    sys.exit(main())
