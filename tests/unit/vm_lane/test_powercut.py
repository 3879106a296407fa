from __future__ import annotations

import os
import random
import socket
import struct
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from tests.vm.powercut.__main__ import Machine
from tests.vm.powercut.disk import BLOCK, SECTOR, Disk, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 64 * SECTOR
OURS, THEIRS = b"o" * SECTOR, b"t" * SECTOR


class Never(random.Random):
    """A coin that always says that a sector is lost."""

    def random(self) -> float:
        return 0.9


@pytest.fixture
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        yield Disk(file.fileno(), SIZE, Never())


def test_what_was_flushed_stays_and_the_rest_goes(disk: Disk) -> None:
    disk.write(0, OURS)
    disk.flush()
    disk.write(SECTOR, THEIRS)
    assert disk.read(0, 2 * SECTOR) == OURS + THEIRS
    assert disk.lose_power() == 1
    assert disk.read(0, 2 * SECTOR) == OURS + bytes(SECTOR)


def test_a_sector_written_twice_falls_back_to_what_was_flushed(disk: Disk) -> None:
    disk.write(0, OURS)
    disk.flush()
    disk.write(0, THEIRS)
    disk.lose_power()
    assert os.pread(disk.fd, SECTOR, 0) == OURS


def test_some_of_what_was_not_flushed_may_stay() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        disk = Disk(file.fileno(), SIZE, random.Random(1))
        disk.write(0, OURS * 64)
        lost = disk.lose_power()
        assert 0 < lost < 64
        blocks = [disk.read(at, BLOCK) for at in range(0, SIZE, BLOCK)]
        assert blocks.count(OURS * (BLOCK // SECTOR)) == (64 - lost) * SECTOR // BLOCK
        assert blocks.count(bytes(BLOCK)) == lost * SECTOR // BLOCK, "no block is torn"


def _request(kind: int, offset: int, length: int, data: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">IHHQQI", 0x25609513, flags, kind, 7, offset, length) + data


def test_a_client_that_speaks_the_protocol_is_served(disk: Disk) -> None:
    ours, theirs = socket.socketpair()
    lost: list[int] = []
    server = threading.Thread(target=lambda: lost.append(serve(disk, theirs)))
    server.start()
    with ours, theirs:
        assert ours.recv(18, socket.MSG_WAITALL) == b"NBDMAGICIHAVEOPT\x00\x03"
        ours.sendall(struct.pack(">I", 3) + struct.pack(">QII", 0x49484156454F5054, 7, 6) + bytes(6))
        info = ours.recv(20 + 12, socket.MSG_WAITALL)
        assert struct.unpack(">HQH", info[20:]) == (0, SIZE, 1 | 4 | 8)
        ours.recv(20, socket.MSG_WAITALL)
        ours.sendall(_request(1, 0, SECTOR, OURS) + _request(3, 0, 0) + _request(1, SECTOR, SECTOR, THEIRS))
        assert ours.recv(48, socket.MSG_WAITALL) == struct.pack(">IIQ", 0x67446698, 0, 7) * 3
        ours.sendall(_request(0, 0, 2 * SECTOR))
        assert ours.recv(16 + 2 * SECTOR, socket.MSG_WAITALL)[16:] == OURS + THEIRS
        ours.shutdown(socket.SHUT_RDWR)
        server.join(timeout=30)
    assert lost == [1]
    assert disk.read(0, 2 * SECTOR) == OURS + bytes(SECTOR)


def test_a_command_that_was_cut_off_may_have_been_done_or_not() -> None:
    machine = Machine({})
    machine.hear("BEGIN create z1")
    assert machine.known["z1"].states == ["absent", "incomplete", "installed"]
    machine.hear("DONE create z1")
    assert machine.known["z1"].states == ["installed"]
    machine.hear("DONE write z1 text")
    machine.hear("BEGIN write z1 newer")
    assert machine.known["z1"].states == ["installed"]
    machine.hear("BEGIN delete z1")
    assert machine.known["z1"].states == ["absent", "incomplete", "installed"]
    machine.hear("WRONG z1 is gone")
    assert machine.wrong == ["WRONG z1 is gone"]
