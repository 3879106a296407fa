"""Messages with descriptors."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import process, sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends(open_fds: object) -> Iterator[Pair]:
    one, other = sockets.pair()
    with one, other:
        yield one, other


def test_messages_keep_their_bounds(ends: Pair) -> None:
    for text in (b"one", b"two"):
        sockets.send(ends[0], text)
    assert sockets.receive(ends[1], 100) == (b"one", [])
    assert sockets.receive(ends[1], 100) == (b"two", [])
    ends[0].close()
    assert sockets.receive(ends[1], 100) == (b"", [])


@pytest.mark.parametrize("count", [1, 2, 3, sockets.SCM_MAX_FD])
def test_descriptors_arrive(ends: Pair, count: int) -> None:
    reading, writing = os.pipe()
    sockets.send(ends[0], b"x", [writing] * count)
    data, fds = sockets.receive(ends[1], 10, count)
    assert (data, len(fds)) == (b"x", count)
    assert not any(map(os.get_inheritable, fds))
    os.write(fds[-1], b"through")
    assert os.read(reading, 10) == b"through"
    for fd in (reading, writing, *fds):
        os.close(fd)


@pytest.mark.parametrize(("sent", "room"), [(1, 0), (2, 1), (3, 2), (9, 2)])
def test_more_descriptors_than_asked_for_are_closed(ends: Pair, sent: int, room: int) -> None:
    sockets.send(ends[0], b"x", [0] * sent)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(SyscallError) as caught:
        sockets.receive(ends[1], 10, room)
    assert caught.value.errno == errno.EMSGSIZE
    assert os.listdir("/proc/self/fd") == before


def test_more_bytes_than_asked_for(ends: Pair) -> None:
    sockets.send(ends[0], b"x" * 11, [0])
    before = os.listdir("/proc/self/fd")
    with pytest.raises(SyscallError) as caught:
        sockets.receive(ends[1], 10, 1)
    assert caught.value.errno == errno.EMSGSIZE
    assert os.listdir("/proc/self/fd") == before


def test_a_peer_that_is_gone(ends: Pair) -> None:
    ends[1].close()
    with pytest.raises(SyscallError) as caught:
        sockets.send(ends[0], b"x")
    assert caught.value.errno == errno.EPIPE


def test_more_descriptors_than_the_kernel_takes(ends: Pair) -> None:
    with pytest.raises(SyscallError):
        sockets.send(ends[0], b"x", [0] * (sockets.SCM_MAX_FD + 1))


def test_a_stream_that_is_full() -> None:
    one, other = socket.socketpair()
    with one, other:
        text = b"y" * 1_000_000

        def read() -> int:
            _first, fds = sockets.receive(other, 10, 1)
            rest = 10
            while rest < len(text):
                rest += len(other.recv(65536))
            return 0 if len(fds) == 1 else 1

        _pid, pidfd = process.spawn(read)
        sockets.send(one, text, [0])
        assert process.wait_pidfd(pidfd, timeout_s=20) == process.ExitStatus(status=0)
        os.close(pidfd)


def test_peer_credentials(ends: Pair) -> None:
    assert sockets.peer_credentials(ends[0]) == (os.getpid(), os.getuid(), os.getgid())
