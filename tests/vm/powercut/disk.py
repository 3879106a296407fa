"""A disk that forgets: what was not flushed when the power goes is lost, or some of it, in any order.

A server of the network block device protocol (NBD, fixed newstyle handshake, doc/proto.md of the nbd project) for one
client, QEMU. Writes are held in memory and go to the file at a flush (or with FUA) alone. At the end of the connection
each write that was not flushed is kept or dropped by the toss of a coin, block by block: a real disk promises no more.
What a file system asks for by its barriers is thereby all that it gets.

A block is 4 KiB, what disks of today write at once. With 512 bytes ext4's own superblock was torn, which is 1 KiB with
one checksum and is written past the journal: nothing could be mounted then, let alone be looked at.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    import socket

SECTOR = 512
BLOCK = 4096

_MAGIC, _OPTION_MAGIC, _REPLY_MAGIC = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
_REQUEST_MAGIC, _SIMPLE_REPLY_MAGIC = 0x25609513, 0x67446698
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_OPT_EXPORT_NAME, _OPT_ABORT, _OPT_GO = 1, 2, 7
_REP_ACK, _REP_INFO, _REP_UNSUPPORTED = 1, 3, 0x80000001
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA = 1, 4, 8
_FLAGS = _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_FLAG_FUA = 1
_EINVAL = 22

_REQUEST = struct.Struct(">IHHQQI")
_OPTION = struct.Struct(">QII")


class EndOfConnection(Exception):
    """The client has gone."""


@dataclass
class Disk:
    """The file `fd` of so many bytes, and the sectors that were written and not flushed."""

    fd: int
    size: int
    chance: random.Random
    pending: dict[int, bytes] = field(default_factory=dict)
    flushes: int = 0

    def read(self, offset: int, length: int) -> bytes:
        """What the client sees: what it has written, flushed or not."""
        found = bytearray(os.pread(self.fd, length, offset))
        for at in range(0, length, SECTOR):
            sector = self.pending.get((offset + at) // SECTOR)
            if sector is not None:
                found[at : at + SECTOR] = sector
        return bytes(found)

    def write(self, offset: int, data: bytes) -> None:
        """Hold it; requests are whole sectors."""
        for at in range(0, len(data), SECTOR):
            self.pending[(offset + at) // SECTOR] = data[at : at + SECTOR]

    def flush(self) -> None:
        """Make all that was written durable."""
        self.flushes += 1
        self._store(self.pending)
        self.pending = {}

    def lose_power(self) -> int:
        """Each block that was not flushed is kept or lost; how many sectors were lost."""
        blocks = {at * SECTOR // BLOCK for at in self.pending}
        lasting = {block for block in sorted(blocks) if self.chance.random() < 0.5}
        kept = {at: data for at, data in self.pending.items() if at * SECTOR // BLOCK in lasting}
        lost = len(self.pending) - len(kept)
        self._store(kept)
        self.pending = {}
        return lost

    def _store(self, sectors: dict[int, bytes]) -> None:
        for at, data in sectors.items():
            os.pwrite(self.fd, data, at * SECTOR)


def serve(disk: Disk, client: socket.socket) -> int:
    """Serve one client until it goes, which is when the power goes; how many sectors were lost."""
    try:
        if _negotiate(disk, client):
            while _answer(disk, client):
                pass
    except (EndOfConnection, ConnectionError):
        pass
    return disk.lose_power()


def _negotiate(disk: Disk, client: socket.socket) -> bool:
    """The handshake; whether the client goes on to use the disk."""
    client.sendall(struct.pack(">QQH", _MAGIC, _OPTION_MAGIC, _FIXED_NEWSTYLE | _NO_ZEROES))
    (flags,) = struct.unpack(">I", _receive(client, 4))
    while True:
        _, option, length = _OPTION.unpack(_receive(client, _OPTION.size))
        _receive(client, length)
        if option == _OPT_EXPORT_NAME:
            zeroes = b"" if flags & _NO_ZEROES else bytes(124)
            client.sendall(struct.pack(">QH", disk.size, _FLAGS) + zeroes)
            return True
        if option == _OPT_GO:
            _reply(client, option, _REP_INFO, struct.pack(">HQH", 0, disk.size, _FLAGS))
            _reply(client, option, _REP_ACK)
            return True
        if option == _OPT_ABORT:
            _reply(client, option, _REP_ACK)
            return False
        _reply(client, option, _REP_UNSUPPORTED)


def _reply(client: socket.socket, option: int, kind: int, data: bytes = b"") -> None:
    client.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, kind, len(data)) + data)


def _answer(disk: Disk, client: socket.socket) -> bool:
    """Serve one request; false when it was the client's goodbye."""
    magic, flags, kind, cookie, offset, length = _REQUEST.unpack(_receive(client, _REQUEST.size))
    if magic != _REQUEST_MAGIC or kind == _DISCONNECT:
        return False
    error, data = 0, b""
    if kind == _READ:
        data = disk.read(offset, length)
    elif kind == _WRITE:
        disk.write(offset, _receive(client, length))
        if flags & _FLAG_FUA:
            # To flush the others, too, is to lose less than one might; a disk may do that at any time.
            disk.flush()
    elif kind == _FLUSH:
        disk.flush()
    else:
        error = _EINVAL
    client.sendall(struct.pack(">IIQ", _SIMPLE_REPLY_MAGIC, error, cookie) + data)
    return True


def _receive(client: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = client.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EndOfConnection
        parts += part
    return bytes(parts)
