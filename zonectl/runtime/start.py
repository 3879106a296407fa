"""start and ready: from an installed zone to a running one, or to one whose platform is up."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.errors import ZonectlError
from zonectl.model.state import ZoneState
from zonectl.runtime import outlets, zones
from zonectl.runtime.handshake import Channel
from zonectl.runtime.initial import Equipment
from zonectl.runtime.launch import launch, open_reaper, see_executed
from zonectl.runtime.settle import settle
from zonectl.runtime.status import open_init, require
from zonectl.runtime.undo import Undo
from zonectl.store import records, room

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.runtime.context import Context
    from zonectl.runtime.launch import Launched
    from zonectl.runtime.zones import Zone

DOOR = "init.sock"
"""The socket, in the zone's run folder, at which a parked init waits."""


def start(
    context: Context, name: str, *, writable: bool = False, unless: Callable[[], bool] = lambda: False
) -> None:
    """Start the zone `name`, which runs on after this returns, watched by the context's warden.

    With `writable` an immutable root can be written to until the zone stops. Nothing is done where `unless` says so,
    which is asked when nobody else works on the zone.

    Raises:
        StateError: it is not installed or ready.
        HostLacks: the host cannot do what the zone file asks for.
        ProgramError: the zone's program cannot be executed.
        Busy: another command works on the zone.
        ZonectlError: its root is not immutable, or its platform is up with one that is.

    """
    with zones.locked(context, name, "start"):
        if unless():
            return
        found = require(context, name, "start")
        if found.state is ZoneState.READY:
            if writable:
                hint = f"zonectl stop {name}, then start it again"
                raise ZonectlError("its platform is up with an immutable root", zone=name, hint=hint)
            _release(context, name)
            return
        zone = zones.load(context, name)
        _bring_up(context, zones.for_maintenance(zone) if writable else zone, parked=False, writable=writable)


def ready(context: Context, name: str) -> None:
    """Bring the zone's platform up, with its init parked until `start`; raises as `start`."""
    with zones.locked(context, name, "ready"):
        require(context, name, "ready")
        _bring_up(context, zones.load(context, name), parked=True)


def _bring_up(context: Context, zone: Zone, *, parked: bool, writable: bool = False) -> None:
    if context.warden is None:
        raise _unwatched(zone)
    settle(context, zone.record)
    room.require(context.paths.run_dir)
    if not zone.config.root.readonly:
        # The kernel's word for an upper layer that cannot be written to is EINVAL, and comes late.
        room.require(context.paths.zone_dir(zone.record.name))
    plan = zones.plan_of(context, zone)
    zones.make_run_dir(context, zone.record.name)
    with Undo() as undo, ExitStack() as held:
        equipment = _equipment(context, zone, held, parked=parked)
        undo.callback(_remove_door, context, zone.record.name)
        launched = launch(context, zone.record.name, plan, equipment=equipment, undo=undo, writable=writable)
        if not parked:
            launched.execute()
        _hand_over(context, zone, launched)
        undo.keep()


def _unwatched(zone: Zone) -> ZonectlError:
    return ZonectlError("nobody would watch the zone: zoned is not there", zone=zone.record.name)


def _hand_over(context: Context, zone: Zone, launched: Launched) -> None:
    if context.warden is None:
        raise _unwatched(zone)
    context.warden.adopt(zone=zone.record.name, pid=launched.pid, pidfd=launched.pidfd)
    launched.channel.close()
    os.close(launched.pidfd)


def _equipment(context: Context, zone: Zone, held: ExitStack, *, parked: bool) -> Equipment:
    out, err = outlets.open_both(context, zone.record)
    held.callback(os.close, out)
    held.callback(os.close, err)
    equipment = Equipment(env=zone.config.env, streams=(None, out, err))
    if zone.config.init:
        reaper = open_reaper()
        held.callback(os.close, reaper)
        equipment = replace(equipment, reaper=reaper)
    if parked:
        door = _listen(_door(context, zone.record.name))
        held.callback(door.close)
        equipment = replace(equipment, door=door.fileno())
    return equipment


def _release(context: Context, name: str) -> None:
    room.require(context.paths.run_dir)
    live = records.load_live(context.paths, name)
    pidfd = open_init(live) if live else None
    channel = _knock(_door(context, name), name)
    try:
        if live is not None:
            # Before the word: whoever breaks this off in between ends init, too, which sees the end of the channel.
            records.save_live(context.paths, name, replace(live, parked=False))
        channel.bid("EXEC")
        channel.expect_end()
        if live is not None and pidfd is not None:
            see_executed(live.pid, pidfd)
    finally:
        channel.close()
        if pidfd is not None:
            os.close(pidfd)
    _remove_door(context, name)


def _remove_door(context: Context, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(_door(context, name))


def _door(context: Context, name: str) -> str:
    return f"{context.paths.run_zone_dir(name)}/{DOOR}"


def _listen(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        os.unlink(path)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _inside_folder(path) as short:
        door.bind(short)
    os.chmod(path, 0o600)
    door.listen(1)
    return door


def _knock(path: str, name: str) -> Channel:
    knocking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _inside_folder(path) as short:
            knocking.connect(short)
    except OSError as error:
        knocking.close()
        hint = f"zonectl stop {name}"
        raise ZonectlError("its parked init does not answer", zone=name, hint=hint) from error
    return Channel(knocking)


class _inside_folder:  # noqa: N801 - a context manager, read as a verb
    """`path` as one short enough for a socket's address (108 bytes, unix(7)): through a descriptor of its folder."""

    def __init__(self, path: str) -> None:
        self._folder, self._name = os.path.split(path)
        self._fd = -1

    def __enter__(self) -> str:
        self._fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
