"""exec against a zone that does not want it: nobody waits for ever, and nobody comes in too early."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, SERVICE, World
from tests.patience import eventually, until
from zonectl.errors import ZonectlError
from zonectl.kernel import proc, process
from zonectl.kernel.process import ExitStatus
from zonectl.runtime import entry
from zonectl.runtime import exec as execution
from zonectl.runtime.handshake import Channel, Late
from zonectl.runtime.launch import Launched
from zonectl.runtime.start import start
from zonectl.runtime.status import status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.record import ZoneRecord

pytestmark = pytest.mark.requires(*REQUIRED)

FREEZE = (
    "mkdir /sys/fs/cgroup/x; "
    "sh -c 'echo 1 >/sys/fs/cgroup/x/cgroup.procs; echo 1 >/sys/fs/cgroup/x/cgroup.freeze'"
)
"""Moves init into a group of its own making, and freezes that from a process outside of it."""


def _frozen(world: World) -> ZoneRecord:
    record = world.started("/bin/sh", "-c", f"{FREEZE}; {SERVICE}")
    events = world.group(record) / "payload/x/cgroup.events"
    assert eventually(lambda: events.exists() and "frozen 1" in events.read_text())
    return record


def _children() -> list[int]:
    return proc.children(os.getpid())


def test_a_zone_that_freezes_who_comes_in_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = _frozen(world)
    monkeypatch.setattr(execution, "ENTRY_S", 0.5)
    before = _children()
    with pytest.raises(ZonectlError, match="it has frozen or stopped the process") as caught:
        world.execute("true")
    assert caught.value.hint == "zonectl stop web"
    assert _children() == before
    procs = (world.group(record) / "payload/x/cgroup.procs").read_text().split()
    assert procs == [str(world.live().pid)]
    world.stop()


def test_an_interruption_ends_an_exec_that_the_zone_holds_up(world: World) -> None:
    record = _frozen(world)
    procs = world.group(record) / "payload/x/cgroup.procs"

    def interrupter() -> int:
        until(lambda: len(procs.read_text().split()) == 2)  # init, and who comes in
        os.kill(os.getppid(), signal.SIGINT)
        return 0

    before = _children()
    _, pidfd = process.spawn(interrupter)
    with pytest.raises(KeyboardInterrupt):
        world.execute("true")
    assert process.wait_pidfd(pidfd) == ExitStatus(status=0)
    os.close(pidfd)
    assert _children() == before
    world.stop()


def test_a_word_that_does_not_come_in_time_is_waited_for_no_longer() -> None:
    ours, theirs = Channel.pair()
    ours.hurry(0.05)
    with pytest.raises(Late):
        ours.expect("READY")
    theirs.say("READY")
    assert ours.expect("READY") == []
    ours.close()
    theirs.close()


@contextmanager
def _held_back(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Start a zone from another process, whose init is not told to execute before this descriptor is closed."""
    hearing, telling = os.pipe()
    execute = Launched.execute

    def late(launched: Launched) -> None:
        os.close(telling)
        os.read(hearing, 1)
        execute(launched)

    def worker() -> int:
        monkeypatch.setattr(Launched, "execute", late)
        start(world.context, "web")
        time.sleep(60)
        return 0

    _, pidfd = process.spawn(worker)
    try:
        assert eventually(lambda: status(world.context, "web").live is not None)
        yield telling
    finally:
        os.close(hearing)
        process.end_child(pidfd)


def test_who_comes_while_init_has_not_begun_gets_the_zones_clocks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create(extra='[namespaces]\nmonotonic_offset = "1d"\n')
    with _held_back(world, monkeypatch) as telling:
        assert proc.namespace_id(world.live().pid, "time") != proc.namespace_id("self", "time")
        inside = world.execute("readlink", "/proc/self/ns/time").out.strip()
        assert inside == f"time:[{proc.namespace_id(world.live().pid, 'time')}]"
        os.close(telling)
        # Until it has, it ends with the worker.
        until(lambda: proc.command_name(world.live().pid) != entry.NAME)
    world.stop()
