"""Groups of a test's own, below the cgroup2 mount, and processes in them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zonectl.cgroups import removal
from zonectl.cgroups.steps import steps
from zonectl.cgroups.tree import Tree
from zonectl.errors import TimedOut
from zonectl.kernel import process
from zonectl.model.config import ResourcesConfig
from zonectl.model.facts import CgroupFacts, CgroupLayout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTROLLERS = frozenset({"cpu", "cpuset", "memory", "pids", "io", "hugetlb", "blkio"})
ZONE = "zonectl-test/0a1b2c3d"
PAYLOAD = f"{ZONE}/payload"


def mounted() -> CgroupFacts:
    """What the mount table and the root group say."""
    rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    mount = next(row[1] for row in rows if row[2] == "cgroup2")
    v1 = tuple(
        (name, row[1])
        for row in rows
        if row[2] == "cgroup"
        for name in row[3].split(",")
        if name in CONTROLLERS
    )
    return CgroupFacts(
        layout=CgroupLayout.HYBRID if v1 else CgroupLayout.UNIFIED,
        mount=mount,
        controllers=frozenset((Path(mount) / "cgroup.controllers").read_text().split()),
        v1=v1,
        writable=True,
    )


@dataclass(frozen=True)
class Ground:
    """A subtree of the test's own, in which `tree` works."""

    facts: CgroupFacts
    tree: Tree

    def path(self, group: str = ZONE) -> Path:
        return Path(self.tree.path(group))

    def read(self, file: str, group: str = ZONE) -> str:
        return (self.path(group) / file).read_text().strip()

    def make(
        self, resources: ResourcesConfig | None = None, *, group: str = ZONE, owner: str | None = None
    ) -> None:
        """Make a zone's groups as a start does."""
        made, _ = steps(resources or ResourcesConfig(), self.facts, group=group, owner=owner)
        for step in made:
            self.tree.apply(step)

    @contextmanager
    def running(self, function: Callable[[], int], group: str = PAYLOAD) -> Iterator[int]:
        """A process born in `group` that runs `function`: its pid. Killed and reaped in the end."""
        pid = self.born(function, group)
        try:
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def born(self, function: Callable[[], int], group: str = PAYLOAD) -> int:
        """As `running`, for a process that the caller reaps."""
        fd = self.tree.open_group(group)
        try:
            pid, pidfd = process.clone(0, cgroup_fd=fd)
            if pid == 0:
                end(function)
        finally:
            os.close(fd)
        os.close(pidfd)
        return pid

    def run(self, function: Callable[[], int], group: str = PAYLOAD) -> int:
        """The status of a process born in `group` that runs `function`: negative, the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.born(function, group), 0)[1])


def apart(function: Callable[[], int]) -> int:
    """The status of a forked process that runs `function` in the test's own group."""
    pid = os.fork()
    if pid == 0:
        end(function)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def end(function: Callable[[], int]) -> None:
    """Run `function` and leave, whatever it raises."""
    status = 70
    try:
        status = function()
    except BaseException as error:  # noqa: BLE001 - the process ends here
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(status)


def sleep() -> int:
    """Wait to be killed."""
    time.sleep(300)
    return 0


def fork_and_sleep() -> int:
    """Two more processes, one of which ignores what can be ignored."""
    for _ in range(2):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            break
    return sleep()


@contextmanager
def ground(name: str, *, controllers: tuple[str, ...] = ()) -> Iterator[Ground]:
    """A group `name` below the root to work in, with `controllers`; removed with all that is in it."""
    host = mounted()
    top = Path(host.mount or "") / name
    facts = CgroupFacts(
        layout=host.layout,
        mount=host.mount,
        base=name,
        controllers=host.controllers & frozenset(controllers),
        v1=host.v1,
        writable=True,
    )
    with ExitStack() as stack:
        top.mkdir()
        stack.callback(_sweep, top)
        if controllers:
            # Where they are not on yet they stay on: others may have begun to use them.
            text = " ".join(f"+{controller}" for controller in sorted(facts.controllers))
            (top.parent / "cgroup.subtree_control").write_text(text)
        yield Ground(facts=facts, tree=Tree(facts))


def _sweep(top: Path) -> None:
    try:
        removal.remove(str(top), timeout_s=20)
    except TimedOut as error:
        msg = f"left behind: {top}"
        raise AssertionError(msg) from error
