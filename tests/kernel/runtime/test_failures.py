"""A start that fails at any step, and one whose worker is killed at any moment: the host is as before."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, Caller, World
from tests.patience import eventually
from zonectl.errors import HostLacks, ProgramError, StepError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.model.state import ZoneState
from zonectl.runtime import entry
from zonectl.runtime.create import create
from zonectl.runtime.handshake import Channel
from zonectl.runtime.remains import teardown_when_last
from zonectl.runtime.run import run
from zonectl.runtime.settle import recover
from zonectl.runtime.start import ready, start
from zonectl.runtime.status import status
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires(*REQUIRED, "veth", "bridge", "nft")

BIND = '[[mount]]\nsource = "{source}"\ntarget = "{target}"'


def _source_removed(world: World) -> None:
    (world.folder / "source").rmdir()


def _bridge_is_anothers(world: World) -> None:
    subprocess.run(["ip", "link", "add", world.bridge, "type", "bridge"], check=True)


def _give_back(world: World) -> None:
    subprocess.run(["ip", "link", "del", world.bridge], check=False, stderr=subprocess.DEVNULL)


def _root_gone(world: World) -> None:
    shutil.rmtree(world.folder / "root")


def _nothing(_world: World) -> None:
    return


FAILURES: dict[str, tuple[dict[str, str | bool], Callable[[World], None], type[ZonectlError]]] = {
    "the bridge is another's": ({"net": True}, _bridge_is_anothers, HostLacks),
    "a layer is gone": ({}, _root_gone, ZonectlError),
    "the source of a mount is gone": ({"extra": "[[mount]]"}, _source_removed, ZonectlError),
    "a target is a file": ({"extra": "[[mount]] at /etc/passwd"}, _nothing, StepError),
    "the user is unknown": ({"extra": 'user = "nobody"'}, _nothing, StepError),
    "the working directory is not there": ({"extra": 'workdir = "/nowhere"'}, _nothing, StepError),
    "the program is not there": ({"extra": ""}, _nothing, ProgramError),
}


def _wishes(world: World, wishes: dict[str, str | bool]) -> tuple[tuple[str, ...], dict[str, str | bool]]:
    """The program and the rest of the zone file."""
    extra = wishes.get("extra")
    if extra == "":
        return ("/nowhere",), wishes
    if isinstance(extra, str) and extra.startswith("[[mount]]"):
        source = world.folder / "source"
        source.mkdir()
        target = "/etc/passwd" if "passwd" in extra else "/mnt"
        return (), {**wishes, "extra": BIND.format(source=source, target=target)}
    return (), wishes


# Whether the program and its folder are there is found out when init is told to go on.
OF_READY = [
    why for why in FAILURES if why not in {"the working directory is not there", "the program is not there"}
]


@pytest.mark.parametrize(
    ("verb", "why"), [*((start, why) for why in FAILURES), *((ready, why) for why in OF_READY)]
)
@pytest.mark.fault("start and ready fail at each of seven places", "an error in words; the host is as before")
def test_a_start_that_fails_leaves_the_host_as_it_was(
    world: World, verb: Callable[..., None], why: str
) -> None:
    wanted, spoil, error = FAILURES[why]
    command, wishes = _wishes(world, wanted)
    world.create(*command, **wishes)
    spoil(world)
    before = world.footprint()
    try:
        with pytest.raises(error):
            verb(world.context, "web")
        assert world.state() is ZoneState.INSTALLED
        world.becomes(before, save="files")
        added = world.footprint()["files"] - before["files"]  # type: ignore[operator]
        # Mount points made in the zone's own layer are the zone's own files.
        own = (world.context.paths.upper("web"), world.context.paths.work("web"))
        assert {Path(entry.split()[0]).name for entry in added if not entry.startswith(own)} <= {"out", "err"}
    finally:
        if spoil is _bridge_is_anothers:
            _give_back(world)


@pytest.mark.parametrize("why", [why for why in FAILURES if why != "a layer is gone"])
def test_a_run_that_fails_leaves_nothing(world: World, why: str) -> None:
    wanted, spoil, error = FAILURES[why]
    command, wishes = _wishes(world, wanted)
    spoil(world)
    before = world.footprint()
    try:
        with pytest.raises(error):
            world.run(*(command or ("/bin/true",)), **wishes)
        world.becomes(before)
    finally:
        if spoil is _bridge_is_anothers:
            _give_back(world)


def test_what_a_failed_start_leaves_does_not_hinder_the_next(world: World) -> None:
    world.create()
    (world.folder / "root").rename(world.folder / "elsewhere")
    with pytest.raises(ZonectlError):
        start(world.context, "web")
    (world.folder / "elsewhere").rename(world.folder / "root")
    start(world.context, "web")
    assert world.execute("true").exit_status.code == 0


def test_a_limit_that_nothing_enforces_stops_the_start(world: World) -> None:
    facts = world.context.facts
    without = replace(facts, cgroup=replace(facts.cgroup, controllers=frozenset()))
    context = replace(world.context, facts=without)
    text = world.text(extra='[resources]\nmemory = "64MiB"')
    before = world.footprint()
    with pytest.raises(HostLacks, match="memory"):
        create(context, world.parse(text), text)
    world.becomes(before)


# ------------------------------------------------------------------------------------------------------- killed


def _kill_after(worker: Callable[[], int], delay_s: float) -> bool:
    """Kill a worker after so long; whether it was still at work."""
    _, pidfd = process.spawn(worker)
    try:
        ended = process.wait_pidfd(pidfd, timeout_s=delay_s)
        if ended is None:
            process.kill_and_reap(pidfd)
    finally:
        os.close(pidfd)
    return ended is None


def _reap_orphans() -> None:
    """This process is their reaper: wait for every child."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.002)


def _in_reaper(test: Callable[[], None]) -> None:
    """Run the test in a process that orphans come to."""

    def body() -> int:
        process.set_child_subreaper()
        test()
        return 0

    _, pidfd = process.spawn(body)
    try:
        assert process.wait_pidfd(pidfd, timeout_s=100) == process.ExitStatus(status=0)
    finally:
        os.close(pidfd)


DELAYS_S = [number / 1000 for number in (*range(1, 60, 2), *range(60, 160, 10))]


@pytest.mark.fault("a run is killed after 1, 3, 5 … 150 ms", "a recovery leaves nothing of it")
def test_a_run_that_is_killed_at_any_moment_leaves_nothing_after_a_recovery(world: World) -> None:
    def test() -> None:
        before = world.footprint()
        killed = 0
        for delay_s in DELAYS_S:
            folder = world.folder / "caller"
            folder.mkdir()
            text = world.text("/bin/sh", "-c", "sleep 0.05", net=True)
            config = world.parse(text)
            killed += _kill_after(lambda: run(world.context, config, Caller(folder)).code, delay_s)  # noqa: B023
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            assert recover(world.context) == []
            _reap_orphans()
            assert records.list_names(world.context.paths) == []
            world.becomes(before)
        assert killed > len(DELAYS_S) // 2

    _in_reaper(test)


def _is_settled(world: World) -> bool:
    """Init is the zone's program, or has ended: one whose worker died before the word to execute takes a moment to."""
    live = status(world.context, "web").live
    return live is None or proc.command_name(live.pid) not in {None, entry.NAME}


@pytest.mark.fault(
    "a start is killed after 1, 3, 5 … 150 ms", "the zone runs and can be entered, or is installed"
)
def test_a_start_that_is_killed_at_any_moment_leaves_a_zone_that_runs_or_does_not(world: World) -> None:
    def test() -> None:
        world.create(net=True)
        before = world.footprint()
        seen = set()
        # At last after a time in which a start is done however busy the machine is.
        for delay_s in (*DELAYS_S, 5.0):

            def worker() -> int:
                start(world.context, "web")
                time.sleep(10)
                return 0

            assert _kill_after(worker, delay_s)
            assert eventually(lambda: _is_settled(world))
            assert recover(world.context) == []
            state = world.state()
            seen.add(state)
            if state is ZoneState.RUNNING:
                assert world.execute("true").exit_status.code == 0
                process.kill_and_reap(pidfd := process.pidfd_open(world.live().pid))
                os.close(pidfd)
                assert recover(world.context) == []
            assert world.state() is ZoneState.INSTALLED
            _reap_orphans()
            world.becomes(before, save="files")
        assert seen == {ZoneState.INSTALLED, ZoneState.RUNNING}

    _in_reaper(test)


@pytest.mark.fault("a create is killed after 0.5, 1.5 … ms", "it can be done again; no ids are lost")
def test_a_create_that_is_killed_at_any_moment_can_be_done_again(world: World) -> None:
    def test() -> None:
        for delay_s in DELAYS_S[:20]:
            text = world.text()
            config = world.parse(text)

            def worker() -> int:
                create(world.context, config, text)  # noqa: B023
                return 0

            _kill_after(worker, delay_s / 2)
            assert recover(world.context) == []
            if "web" in records.list_names(world.context.paths):
                state = world.state()
                assert state in {ZoneState.INCOMPLETE, ZoneState.INSTALLED}
                if state is ZoneState.INSTALLED:
                    start(world.context, "web")
                    process.kill_and_reap(pidfd := process.pidfd_open(world.live().pid))
                    os.close(pidfd)
                    world.clean()
            world.create()
            world.clean()
            assert world.footprint()["ids"] == {}

    _in_reaper(test)


@pytest.mark.fault("the worker is killed after `ready`", "the parked init stays, and `start` lets it go on")
def test_a_kill_while_init_is_parked_leaves_it_parked(world: World) -> None:
    def test() -> None:
        world.create()
        hearing, telling = os.pipe()

        def worker() -> int:
            ready(world.context, "web")
            os.write(telling, b"!")
            time.sleep(10)
            return 0

        _, pidfd = process.spawn(worker)
        os.close(telling)
        assert os.read(hearing, 1) == b"!"
        os.close(hearing)
        assert status(world.context, "web").state is ZoneState.READY
        process.kill_and_reap(pidfd)
        os.close(pidfd)
        assert recover(world.context) == []
        start(world.context, "web")
        assert world.execute("true").exit_status.code == 0
        process.kill_and_reap(pidfd := process.pidfd_open(world.live().pid))
        os.close(pidfd)

    _in_reaper(test)


def _end_within(verb: Callable[[], None]) -> None:
    """Let a process of its own do what ends it on the way, with status 9."""

    def worker() -> int:
        verb()
        return 0

    _, pidfd = process.spawn(worker)
    ended = process.wait_pidfd(pidfd)
    os.close(pidfd)
    assert ended == process.ExitStatus(status=9)


@pytest.mark.fault(
    "the worker of `ready` is killed before its note", "there is no parked init that nobody knows of"
)
def test_a_kill_before_the_note_of_a_parked_init_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def test() -> None:
        record = world.create()
        monkeypatch.setattr(records, "save_live", lambda *_: os._exit(9))
        _end_within(lambda: ready(world.context, "web"))
        assert eventually(lambda: "populated 0" in (world.group(record) / "cgroup.events").read_text())
        assert world.state() is ZoneState.INSTALLED

    _in_reaper(test)


@pytest.mark.fault("the `start` of a ready zone is killed before its word", "the zone is not ready any more")
def test_a_kill_before_a_parked_init_is_released_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def test() -> None:
        record = world.create()
        ready(world.context, "web")
        monkeypatch.setattr(Channel, "bid", lambda *_: os._exit(9))
        _end_within(lambda: start(world.context, "web"))
        assert eventually(lambda: "populated 0" in (world.group(record) / "cgroup.events").read_text())
        assert world.state() is ZoneState.INSTALLED

    _in_reaper(test)


@pytest.mark.fault("the `start` of a ready zone is killed after its word", "the zone runs")
def test_a_kill_after_a_parked_init_is_released_leaves_it_running(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def test() -> None:
        world.create()
        ready(world.context, "web")
        monkeypatch.setattr(Channel, "expect_end", lambda *_: os._exit(9))
        _end_within(lambda: start(world.context, "web"))
        assert world.state() is ZoneState.RUNNING
        monkeypatch.undo()
        assert world.execute("true").exit_status.code == 0

    _in_reaper(test)


def test_the_init_of_a_run_dies_with_its_worker(world: World) -> None:
    def test() -> None:
        folder = world.folder / "caller"
        folder.mkdir()
        config = world.parse(world.text("/bin/sh", "-c", "trap '' TERM HUP INT; sleep 100 & wait"))
        _, pidfd = process.spawn(lambda: run(world.context, config, Caller(folder)).code)
        assert eventually(lambda: bool(records.list_names(world.context.paths)))
        (name,) = records.list_names(world.context.paths)
        assert eventually(lambda: records.load_live(world.context.paths, name) is not None)
        live = records.load_live(world.context.paths, name)
        assert live
        assert eventually(lambda: (proc.read(live.pid, "comm") or "") == "sh\n")
        process.kill_and_reap(pidfd)
        os.close(pidfd)
        assert eventually(lambda: proc.process_state(live.pid) in {None, "Z", "X"})
        assert recover(world.context) == []

    _in_reaper(test)


def test_a_recovery_leaves_a_zone_alone_that_a_command_works_on(world: World) -> None:
    record = world.create()
    half = replace(record, installed=False, ephemeral=True)
    records.save_record(world.context.paths, half)
    holding, told = os.pipe()

    def worker() -> int:
        from zonectl.store.locks import lock  # noqa: PLC0415

        with lock(world.context.paths.lock_file("web"), verb="run", zone="web", timeout_s=1):
            os.write(told, b"!")
            time.sleep(10)
        return 0

    _, pidfd = process.spawn(worker)
    os.read(holding, 1)
    assert recover(world.context) == []
    assert records.list_names(world.context.paths) == ["web"]
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    for fd in (pidfd, holding, told):
        os.close(fd)
    assert recover(world.context) == []
    assert records.list_names(world.context.paths) == []
    teardown_when_last(world.context)
