"""What /proc tells, of ourselves, of children, of processes that are gone."""

from __future__ import annotations

import os
import re
import resource
import signal
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zonectl.kernel import mount, proc, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    InChild = Callable[[Callable[[], object]], None]


@pytest.fixture
def gone() -> int:
    """The pid of a process that has ended."""
    pid, pidfd = process.spawn(lambda: 0)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    return pid


@pytest.fixture
def zombie() -> Iterator[int]:
    pid, pidfd = process.spawn(lambda: 0)
    while not process.pidfd_exited(pidfd):
        time.sleep(0.001)
    yield pid
    process.wait_pidfd(pidfd)
    os.close(pidfd)


def test_nothing_is_known_of_who_is_gone(gone: int) -> None:
    assert proc.start_ticks(gone) is None
    assert proc.parent_pid(gone) is None
    assert proc.process_state(gone) is None
    assert proc.signal_masks(gone) is None
    assert proc.capability_sets(gone) is None
    assert proc.cgroup_of(gone) is None
    assert proc.namespace_ids(gone) == {}
    assert proc.status_fields(gone) == {}
    assert proc.resource_limits(gone) == {}
    assert proc.children(gone) == []
    assert proc.mountinfo(gone) == []


def test_a_zombie_is_known_in_part(zombie: int) -> None:
    assert proc.process_state(zombie) == "Z"
    assert proc.start_ticks(zombie) is not None
    assert proc.parent_pid(zombie) == os.getpid()
    assert proc.mountinfo(zombie) == []
    assert proc.namespace_ids(zombie).keys() <= {"user", "pid", "time", "net"}
    assert zombie in proc.children(os.getpid())


def test_start_ticks_tell_processes_apart() -> None:
    ours = proc.start_ticks(os.getpid())
    assert ours is not None
    seconds = ours / os.sysconf("SC_CLK_TCK")
    assert 0 < seconds <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert proc.start_ticks(1) != ours


@pytest.mark.requires("root")
def test_a_name_made_to_mislead(in_child: InChild) -> None:
    def body() -> None:
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(") R 1 2 (x)")
        assert proc.parent_pid(os.getpid()) == os.getppid()

    in_child(body)


def test_a_name_with_what_python_takes_for_the_end_of_a_line(in_child: InChild) -> None:
    def body() -> None:
        before = proc.status_fields("self")
        with open("/proc/self/comm", "wb") as comm:
            comm.write(b"a\x0cSeccomp2:\t2")
        fields = proc.status_fields("self")
        assert "Seccomp2" not in fields
        assert fields.keys() == before.keys()

    in_child(body)


@pytest.mark.requires("root")
def test_a_mount_with_what_python_takes_for_the_end_of_a_line(
    in_mount_namespace: InChild, tmp_path: Path
) -> None:
    folder = tmp_path / "a\x0cb\x1cc\x85d"
    folder.mkdir()

    def body() -> None:
        mount.mount("tmpfs", str(folder), "tmpfs")
        targets = [entry.target for entry in proc.mountinfo()]
        assert targets[-1] == str(folder)

    in_mount_namespace(body)


@pytest.mark.requires("root")
def test_no_more_mounts_are_read_than_asked_for(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        first = proc.mountinfo()
        for _ in range(200):
            mount.mount("tmpfs", str(tmp_path), "tmpfs")
        assert len(proc.mountinfo()) == len(first) + 200
        few = proc.mountinfo(limit_bytes=1000)
        assert 0 < len(few) < 20
        assert few == proc.mountinfo()[: len(few)]

    in_mount_namespace(body)


def test_limits_of_a_process(in_child: InChild) -> None:
    def body() -> None:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, min(128, hard)))
        assert proc.resource_limits("self")["Max open files"] == (64, 128)
        for name in ("Max cpu time", "Max realtime timeout"):
            assert name in proc.resource_limits(os.getpid())

    in_child(body)


def test_boot_id() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", proc.boot_id())


def test_signal_masks(in_child: InChild) -> None:
    def body() -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        masks = proc.signal_masks(os.getpid())
        assert masks is not None
        assert (masks.handles(signal.SIGTERM), masks.handles(signal.SIGUSR1)) == (True, False)
        assert (masks.ignores(signal.SIGHUP), masks.ignores(signal.SIGTERM)) == (True, False)
        assert masks.blocked >> (signal.SIGUSR2 - 1) & 1

    in_child(body)


def test_namespace_ids() -> None:
    ids = proc.namespace_ids("self")
    assert ids["mnt"] == os.stat("/proc/self/ns/mnt").st_ino
    assert {"user", "pid", "net", "uts", "ipc", "cgroup"} <= ids.keys()


def test_descendants(in_child: InChild) -> None:
    def body() -> None:
        reading, writing = os.pipe()

        def middle() -> int:
            pid, _pidfd = process.fork()
            if pid == 0:
                os.write(writing, str(os.getpid()).encode())
            signal.pause()
            return 0

        pid, pidfd = process.spawn(middle)
        lowest = int(os.read(reading, 20))
        assert proc.descendants(os.getpid()) == [pid, lowest]
        os.kill(lowest, signal.SIGKILL)
        process.kill_and_reap(pidfd)

    in_child(body)


@pytest.mark.requires("root")
def test_mounts_with_odd_names(in_mount_namespace: InChild, tmp_path: Path) -> None:
    odd = tmp_path / "a b\tc\nd\\e - f#é\udcff"
    odd.mkdir()

    def body() -> None:
        mount.mount("so urce", odd, "tmpfs", mount.MS_NODEV)
        last = proc.mountinfo()[-1]
        assert (last.target, last.fstype, last.source, last.root) == (str(odd), "tmpfs", "so urce", "/")
        assert os.makedev(last.major, last.minor) == odd.stat().st_dev
        assert "nodev" in last.options

    in_mount_namespace(body)


NAMES = (
    st.binary(min_size=1, max_size=40)
    .map(lambda raw: raw.translate(None, b"\0/"))
    .filter(lambda raw: raw not in {b"", b".", b".."})
)
SOURCES = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\0")) | st.sampled_from(
    [b"", b" - ", b"a - b c rw", b"#", b"\\040"]
)


@pytest.mark.requires("root")
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, SOURCES), min_size=1, max_size=8, unique_by=lambda one: one[0]))
def test_any_name_and_source_of_mounts(
    in_mount_namespace: InChild, tmp_path: Path, wanted: list[tuple[bytes, bytes]]
) -> None:
    """What a zone's root may call its mounts."""
    for name, _ in wanted:
        os.makedirs(os.fsencode(tmp_path) + b"/" + name, exist_ok=True)

    def body() -> None:
        known = len(proc.mountinfo())
        for name, source in wanted:
            mount.mount(source, os.fsencode(tmp_path) + b"/" + name, "tmpfs", 0)
        found = proc.mountinfo()[known:]
        assert [os.fsencode(entry.target) for entry in found] == [
            os.fsencode(tmp_path) + b"/" + name for name, _ in wanted
        ]
        assert [os.fsencode(entry.source) for entry in found] == [source for _, source in wanted]
        assert {entry.fstype for entry in found} == {"tmpfs"}

    in_mount_namespace(body)
