"""cp: files between the host and a running zone, whose root lives in no mount of the host's.

A child joins the zone's user and mount namespaces; a tar stream goes between it and the host's side over a pipe.
Whatever the zone's files are, the child can reach nothing but the zone. What comes out of a zone is hostile: on both
sides it is written by `Landing`, which goes by descriptors and follows no link.
"""

from __future__ import annotations

import os
import signal
import stat
import tarfile
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, BinaryIO

from zonectl.errors import StateError, SyscallError, ZonectlError
from zonectl.kernel import process
from zonectl.namespaces import entering
from zonectl.runtime.landing import Landing
from zonectl.runtime.packing import LEFT_OUT, LeftOut, forget_members, pack
from zonectl.runtime.status import open_init, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.runtime.context import Context

_CHUNK = 1 << 20


def copy_in(context: Context, name: str, source: str, *, target: str) -> tuple[str, ...]:
    """Copy the host's file or folder `source` into the zone at `target`, an absolute path in it.

    Into `target` if that is a folder, else as `target`. Owners become the zone's root; modes, times and holes are
    kept. Devices, FIFOs and sockets are left out: returns what was ("fifo log/pipe"), 20 at most and how many more.

    Raises:
        StateError: the zone is not running.
        ZonectlError: the source cannot be read or the target not written.

    """
    base = os.path.basename(os.path.abspath(source))

    def arrive(pipe: BinaryIO) -> None:
        _unpack(pipe, target, base)

    with _Peer(context, name, arrive, writes=False) as pipe:
        return pack(pipe, source, base)


def copy_out(context: Context, name: str, source: str, *, target: str) -> tuple[str, ...]:
    """Copy the zone's file or folder at the absolute path `source` to the host's `target`; as `copy_in` otherwise.

    What arrives belongs to the caller; setuid and setgid bits and devices do not. A link arrives as it is, and is
    never followed, by this or by a later copy into the same place.

    Raises:
        StateError: the zone is not running.
        ZonectlError: the source cannot be read or the target not written.

    """
    base = os.path.basename(os.path.normpath(source)) or "root"

    def leave(pipe: BinaryIO) -> None:
        pack(pipe, source, base)

    with _Peer(context, name, leave, writes=True) as pipe:
        return _unpack(pipe, target, base)


class _Peer:
    """The child inside the zone, and the pipe between it and this process; ends with the child's failure, if any."""

    def __init__(
        self, context: Context, name: str, work: Callable[[BinaryIO], None], *, writes: bool
    ) -> None:
        self._context = context
        self._name = name
        self._work = work
        self._writes = writes
        self._held = ExitStack()
        self._child = -1
        self._notes = -1

    def __enter__(self) -> BinaryIO:
        found = require(self._context, self._name, "cp")
        init = open_init(found.live) if found.live else None
        if init is None or found.live is None:
            raise StateError(
                zone=self._name, state="installed", verb="cp", hint=f"zonectl start {self._name}"
            )
        self._held.callback(os.close, init)
        reading, writing = os.pipe()
        notes, noted = os.pipe()
        theirs, ours = (writing, reading) if self._writes else (reading, writing)
        live = found.live

        def inside() -> int:
            process.close_all_but((0, 1, 2, init, theirs, noted))
            return self._be_inside(init, pid=live.pid, end=theirs, noted=noted)

        _, self._child = process.spawn(inside)
        os.close(theirs)
        os.close(noted)
        self._notes = notes
        self._held.callback(os.close, notes)
        pipe = os.fdopen(ours, "rb" if self._writes else "wb")
        self._pipe = pipe
        return pipe

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        with suppress(BrokenPipeError):
            self._pipe.close()
        if error is not None and not isinstance(error, BrokenPipeError | tarfile.TarError):
            with suppress(SyscallError):
                process.pidfd_send_signal(self._child, signal.SIGKILL)
        note = b"".join(iter(lambda: os.read(self._notes, 4096), b""))
        ended = process.wait_pidfd(self._child)
        os.close(self._child)
        self._held.close()
        if note:
            raise ZonectlError(note.decode(errors="replace"), zone=self._name) from error
        if isinstance(error, OSError):
            raise ZonectlError(_said(error), zone=self._name) from error
        if isinstance(error, tarfile.TarError | OverflowError):
            raise ZonectlError("what came out of the zone is no archive", zone=self._name) from error
        if error is None and (ended is None or ended.code):
            raise ZonectlError("the copy was broken off", zone=self._name)

    def _be_inside(self, init: int, *, pid: int, end: int, noted: int) -> int:
        try:
            entering.enter(init, pid=pid)
            os.umask(0)
            with os.fdopen(end, "wb" if self._writes else "rb") as pipe:
                self._work(pipe)
        except (OSError, tarfile.TarError, ZonectlError) as error:
            text = _said(error) if isinstance(error, OSError) else str(error)
            os.write(noted, text.encode(errors="replace")[:4000])
            return 1
        return 0


def _said(error: OSError) -> str:
    return (
        f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else str(error.strerror or error)
    )


def _unpack(pipe: BinaryIO, target: str, base: str) -> tuple[str, ...]:
    folder, renamed = _place(target, base)
    left = LeftOut()
    with Landing(folder) as landing, tarfile.open(fileobj=pipe, mode="r|") as archive:
        while (member := archive.next()) is not None:
            forget_members(archive)
            if member.type in LEFT_OUT:
                left.note(LEFT_OUT[member.type], member.name)
            elif member.name == base or member.name.startswith(f"{base}/"):
                landing.put(_renamed(member.name, base, renamed), member, archive)
    # What pads the archive is not read by tarfile; its writer must not meet a closed pipe.
    while pipe.read(_CHUNK):
        pass
    return left.told()


def _place(target: str, base: str) -> tuple[str, str]:
    """The folder that is written to, and the name there, as cp(1) understands its last argument."""
    try:
        mode = os.lstat(target).st_mode
        if stat.S_ISLNK(mode) and not target.endswith("/"):
            # An earlier copy may have brought it out of the zone: it would choose what is written to.
            msg = f"{target} is a link; write {target}/ for the folder that it leads to"
            raise ZonectlError(msg)
        if target.endswith("/"):
            mode = os.stat(target).st_mode
        if stat.S_ISDIR(mode):
            return target, base
        if not stat.S_ISREG(mode):
            # It would be replaced: nobody wants /dev/null to become a file.
            msg = f"{target} is neither a file nor a folder"
            raise ZonectlError(msg)
    except FileNotFoundError:
        if target.endswith("/"):
            raise
    folder, name = os.path.split(target)
    return folder or ".", name


def _renamed(name: str, base: str, renamed: str) -> str:
    return renamed + name.removeprefix(base)
