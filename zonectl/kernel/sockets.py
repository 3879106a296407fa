"""Unix sockets that carry descriptors; unix(7)."""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel.libc import failed

if TYPE_CHECKING:
    from collections.abc import Sequence

SCM_MAX_FD: Final = 253

_UCRED: Final = struct.Struct("=iII")
_FD_BYTES: Final = array.array("i").itemsize


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that keep the bounds of messages, closed on exec, owned by the caller."""
    try:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise failed("socketpair", error) from error


def send(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Send `data`, at least one byte, and copies of `fds`; sendmsg(2). A closed peer is EPIPE, not SIGPIPE."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        sent = sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
        if sent < len(data):  # a stream that was full; the descriptors went with the first byte
            sock.sendall(data[sent:], socket.MSG_NOSIGNAL)
    except OSError as error:
        raise failed("sendmsg", error) from error


def receive(sock: socket.socket, max_bytes: int, max_fds: int = 0) -> tuple[bytes, list[int]]:
    """A message and its descriptors, closed on exec, owned by the caller; (b"", []) when the peer has closed.

    Raises:
        SyscallError: recvmsg; EMSGSIZE for more bytes or descriptors than asked for, and what came is closed.

    """
    room = socket.CMSG_SPACE(max_fds * _FD_BYTES) if max_fds else 0
    try:
        data, ancillary, flags, _address = sock.recvmsg(max_bytes, room, socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        raise failed("recvmsg", error) from error
    fds = _descriptors(ancillary)
    # CMSG_SPACE rounds up: one descriptor more than asked for can come without truncation.
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC) or len(fds) > max_fds:
        for fd in fds:
            os.close(fd)
        raise SyscallError("recvmsg", errno.EMSGSIZE, f"over {max_bytes} bytes or {max_fds} descriptors")
    return data, fds


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[: len(payload) - len(payload) % _FD_BYTES])
    return fds.tolist()


def peer_credentials(sock: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of the process that connected or made the pair; SO_PEERCRED, unix(7)."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError as error:
        raise failed("SO_PEERCRED", error) from error
    pid, uid, gid = _UCRED.unpack(raw)
    return pid, uid, gid
