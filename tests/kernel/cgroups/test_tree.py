"""Making and removing groups, by name and by what a hostile zone may have made of them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground, apart, fork_and_sleep, sleep
from tests.patience import eventually
from zonectl.cgroups import events, removal, walk
from zonectl.cgroups.steps import steps
from zonectl.cgroups.steps.kinds import MakeGroup
from zonectl.cgroups.tree import Tree
from zonectl.errors import HostLacks, SyscallError, TimedOut
from zonectl.kernel import process
from zonectl.model.config import ResourcesConfig
from zonectl.model.facts import CgroupFacts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root", "cgroup2")


def test_make_and_undo_leave_nothing(groups: Ground) -> None:
    made, _ = steps(ResourcesConfig(), groups.facts, group=ZONE, owner="100000")
    for step in made:
        groups.tree.apply(step)
    assert groups.tree.exists(PAYLOAD)
    for step in (*reversed(made), *reversed(made)):
        groups.tree.undo(step)
    assert not groups.tree.exists(ZONE)
    assert groups.tree.exists("zonectl-test")
    assert groups.tree.discard("zonectl-test")
    assert not groups.tree.exists("zonectl-test")
    assert groups.tree.discard("zonectl-test")


def test_making_a_zones_group_twice_is_an_error_a_shared_one_is_not(groups: Ground) -> None:
    shared = MakeGroup(path=str(groups.path("shared")), shared=True)
    groups.tree.apply(shared)
    groups.tree.apply(shared)
    own = MakeGroup(path=str(groups.path("own")))
    groups.tree.apply(own)
    with pytest.raises(SyscallError, match="File exists"):
        groups.tree.apply(own)


def test_a_shared_group_in_use_is_not_discarded(groups: Ground) -> None:
    groups.make()
    assert not groups.tree.discard("zonectl-test")
    assert groups.tree.exists(PAYLOAD)


def test_children_are_zones_only(groups: Ground) -> None:
    assert groups.tree.children("zonectl-test") == []
    groups.make()
    groups.make(group="zonectl-test/00000001")
    groups.path("zonectl-test/zoned").mkdir()
    groups.path("zonectl-test/0A1B2C3D").mkdir()
    assert groups.tree.children("zonectl-test") == ["00000001", "0a1b2c3d"]


@pytest.mark.parametrize("group", ["", ".", "..", "/", "a/../..", "/zonectl", "a//b", "a/."])
def test_a_name_that_leads_elsewhere_is_refused(groups: Ground, group: str) -> None:
    with pytest.raises(ValueError, match="not a control group"):
        groups.tree.remove(group)


def test_without_cgroup2(tmp_path: Path) -> None:
    with pytest.raises(HostLacks):
        Tree(CgroupFacts()).exists(ZONE)


def test_a_process_is_born_in_payload(groups: Ground) -> None:
    groups.make()
    with groups.running(sleep) as pid:
        assert groups.tree.processes(ZONE) == [pid]
        assert groups.tree.processes(ZONE, recursive=False) == []
        assert groups.tree.processes(PAYLOAD, recursive=False) == [pid]
        assert groups.tree.is_populated(ZONE)
    assert eventually(lambda: not groups.tree.is_populated(ZONE))


def test_open_group_is_closed_on_exec_and_only_a_path(groups: Ground) -> None:
    groups.make()
    fd = groups.tree.open_group(PAYLOAD)
    try:
        assert not os.get_inheritable(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.listdir(fd)
    finally:
        os.close(fd)
    with pytest.raises(SyscallError, match="No such file"):
        groups.tree.open_group("zonectl-test/ffffffff")


def test_kill_reaches_all_below_and_waits(groups: Ground) -> None:
    groups.make()
    inner = groups.path(PAYLOAD) / "inner"
    inner.mkdir()
    with groups.running(fork_and_sleep), groups.running(sleep, f"{PAYLOAD}/inner") as other:
        assert eventually(lambda: len(groups.tree.processes(ZONE)) == 4)
        groups.tree.kill(ZONE)
        assert not groups.tree.is_populated(ZONE)
        assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == -signal.SIGKILL
    groups.tree.kill(ZONE)


def test_killing_what_is_gone_is_fine(groups: Ground) -> None:
    groups.tree.kill("zonectl-test/ffffffff")
    groups.tree.remove("zonectl-test/ffffffff")


def test_kill_reaches_the_frozen(groups: Ground) -> None:
    groups.make()
    with groups.running(sleep):
        groups.tree.freeze(ZONE, timeout_s=20)
        groups.tree.kill(ZONE)
        assert not groups.tree.is_populated(ZONE)


def test_removing_kills_and_removes_what_the_zone_made(groups: Ground) -> None:
    groups.make()
    for name in ("system.slice", "a b", "$(reboot)", "-rf", "…", "x" * 255, "tab\t", "\x1b[2J"):
        (groups.path(PAYLOAD) / name / "below").mkdir(parents=True)
    (groups.path(PAYLOAD) / os.fsdecode(b"\xff\xfe")).mkdir()
    with groups.running(sleep, f"{PAYLOAD}/a b/below"):
        groups.tree.remove(ZONE)
        assert not groups.tree.exists(ZONE)


def test_the_bounds_hold(groups: Ground) -> None:
    groups.make()
    deep = groups.path(PAYLOAD)
    with pytest.raises(OSError, match="temporarily unavailable"):  # noqa: PT012 - which one fails is asked below
        while True:
            deep /= "d"
            deep.mkdir()
    assert deep.relative_to(groups.path(ZONE)).parts == ("payload", *"d" * 16)
    for number in range(1000 - 16):
        (groups.path(PAYLOAD) / str(number)).mkdir()
    with pytest.raises(OSError, match="temporarily unavailable"):
        (groups.path(PAYLOAD) / "one-more").mkdir()
    assert groups.tree.stats(ZONE).groups == 1000
    groups.tree.remove(ZONE)
    assert not groups.tree.exists(ZONE)


def test_a_tree_deeper_than_a_path_may_be_long_is_removed(groups: Ground) -> None:
    """As a host without our bounds may have, or one that an earlier zonectl made."""
    groups.make()
    for file in ("cgroup.max.depth", "cgroup.max.descendants"):
        (groups.path(ZONE) / file).write_text("max")
    here = os.open(groups.path(PAYLOAD), os.O_RDONLY | os.O_DIRECTORY)
    name = "n" * 200
    for _ in range(40):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    assert groups.tree.processes(ZONE) == []
    groups.tree.remove(ZONE)
    assert not groups.tree.exists(ZONE)
    assert len(os.listdir("/proc/self/fd")) == before


def churn(top: Path, stop: threading.Event) -> None:
    """Make and remove groups, as a zone does that would hold up its removal."""
    number = 0
    while not stop.is_set():
        number += 1
        for act in (os.mkdir, os.rmdir):
            try:
                act(top / str(number % 7))
                act(top / str(number % 7) / "x") if number % 2 else None
            except OSError:
                pass


def test_a_walk_passes_over_what_vanishes_and_leaks_no_descriptor(groups: Ground) -> None:
    groups.make()
    stop = threading.Event()
    maker = threading.Thread(target=churn, args=(groups.path(PAYLOAD), stop))
    before = len(os.listdir("/proc/self/fd"))
    maker.start()
    try:
        for _ in range(300):
            assert groups.tree.processes(ZONE) == []
    finally:
        stop.set()
        maker.join()
    assert len(os.listdir("/proc/self/fd")) == before
    groups.tree.remove(ZONE)


@pytest.mark.fault(
    "a zone makes control groups as fast as it can while it is removed",
    "it is killed, and all of them are removed",
)
def test_a_zone_that_goes_on_making_groups_cannot_stop_its_removal(groups: Ground) -> None:
    groups.make()

    def make_groups() -> int:
        churn(groups.path(PAYLOAD), threading.Event())
        return 0

    with groups.running(make_groups):
        assert eventually(lambda: groups.tree.stats(ZONE).groups > 1)
        groups.tree.remove(ZONE)
        assert not groups.tree.exists(ZONE)


@pytest.mark.fault("something keeps a control group from being removed", "an error within the time-out")
def test_removal_that_is_held_up_gives_up_in_time(groups: Ground) -> None:
    """A mount on a group keeps it from being removed, in the mount namespace it is seen in."""
    groups.make()
    kept = groups.path(PAYLOAD) / "kept"
    kept.mkdir()

    def remove() -> int:
        process.unshare(process.CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(kept)], check=True)
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            groups.tree.remove(ZONE, timeout_s=0.3)
        return 0

    begun = time.monotonic()
    assert apart(remove) == 0
    assert time.monotonic() - begun < 20
    assert kept.is_dir()


def test_threaded_groups_of_a_zone(groups: Ground) -> None:
    """They refuse to tell their processes (EOPNOTSUPP), which the group above them does."""
    groups.make()
    inner = groups.path(PAYLOAD) / "inner"
    inner.mkdir()
    (inner / "cgroup.type").write_text("threaded")
    with groups.running(sleep) as pid:
        (inner / "cgroup.threads").write_text(str(pid))
        assert groups.tree.processes(ZONE) == [pid]
        groups.tree.kill(ZONE)
        assert not groups.tree.is_populated(ZONE)
    groups.tree.remove(ZONE)


def test_groups_cannot_be_renamed(groups: Ground) -> None:
    """What the walk relies on: `..` of a group is where it was found."""
    groups.path("a").mkdir()
    with pytest.raises(PermissionError):
        groups.path("a").rename(groups.path("b"))


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def test_a_walk_goes_on_after_groups_that_vanished(groups: Ground) -> None:
    for number in range(10):
        groups.path(f"a/{number}").mkdir(parents=True)
    top = opened(groups.path("a"))
    last, *others = walk.names(top)
    found = walk.below(top)
    try:
        first = next(found)[1]
        for name in set(others) - {first}:
            groups.path(f"a/{name}").rmdir()
        assert [name for _, name in found] == [last]
    finally:
        found.close()
        os.close(top)


def test_a_group_that_was_removed_while_open_has_none_below(groups: Ground) -> None:
    groups.path("a").mkdir()
    top = opened(groups.path("a"))
    groups.path("a").rmdir()
    try:
        assert walk.names(top) == []
        assert list(walk.below(top)) == []
        assert walk.processes(top, recursive=True) == []
    finally:
        os.close(top)


@pytest.mark.parametrize(("count", "more"), [(8, False), (9, True)])
def test_an_error_names_eight_processes_at_most(groups: Ground, count: int, more: bool) -> None:
    groups.make()
    with ExitStack() as stack:
        pids = sorted(stack.enter_context(groups.running(sleep)) for _ in range(count))
        told = removal._who(str(groups.path(ZONE)))
    assert told == f"pid {', '.join(map(str, pids[:8]))}" + " and more" * more


def test_a_walk_ends_at_its_bound(groups: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_GROUPS", 5)
    groups.make()
    for number in range(10):
        (groups.path(PAYLOAD) / str(number)).mkdir()
    top = opened(groups.path(ZONE))
    try:
        assert len(list(walk.below(top))) == 5
    finally:
        os.close(top)
    groups.tree.remove(ZONE)
    assert not groups.tree.exists(ZONE)


def test_waiting_ends_in_time_and_with_the_group(groups: Ground) -> None:
    groups.make()
    path = str(groups.path(ZONE))
    with groups.running(sleep):
        begun = time.monotonic()
        assert not events.wait(path, key="populated", value=0, timeout_s=0.2)
        assert 0.2 <= time.monotonic() - begun < 20
    assert events.wait(path, key="populated", value=0, timeout_s=20)
    assert events.wait(f"{path}-gone", key="populated", value=0, timeout_s=20)
    assert not events.wait(f"{path}-gone", key="frozen", value=1, timeout_s=20)


def test_waiting_for_a_group_that_is_removed_meanwhile(groups: Ground) -> None:
    groups.make()
    path = groups.path(ZONE)
    remover = threading.Timer(0.1, groups.tree.remove, args=(ZONE,))
    remover.start()
    begun = time.monotonic()
    assert not events.wait(str(path), key="populated", value=1, timeout_s=30)
    assert time.monotonic() - begun < 20
    remover.join()
