from __future__ import annotations

import os
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.daemon import protocol
from zonectl.daemon.protocol import Hello, ProtocolError

words = st.binary(max_size=40).filter(lambda word: b"\0" not in word)
streams = st.sets(st.integers(0, 2))


@given(
    st.builds(
        Hello,
        version=words,
        umask=st.integers(0, 0o777),
        terminals=streams.map(frozenset),
        sent=streams.map(lambda found: tuple(sorted(found))),
        window=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
        program=st.lists(words, max_size=4).map(tuple),
        argv=st.lists(words, max_size=6).map(tuple),
        environment=st.lists(words, max_size=6).map(tuple),
    )
)
def test_a_hello_comes_back(hello: Hello) -> None:
    back = protocol.unpack_hello(hello.pack())
    assert {name: getattr(back, name) for name in Hello.__slots__} == {
        name: getattr(hello, name) for name in Hello.__slots__
    }


@given(st.binary(max_size=200))
def test_rubbish_is_refused(body: bytes) -> None:
    for text in (body, protocol.MAGIC + b"\0" + body, protocol.MAGIC + b"\0" + body + b"\0"):
        try:
            protocol.unpack_hello(text)
        except ProtocolError:
            continue


@pytest.mark.parametrize("size", [0, 1, 7, 100_000, 3_000_000])
def test_frames_of_any_size_cross_with_their_descriptors(size: int) -> None:
    ours, theirs = socket.socketpair()
    body = os.urandom(size)
    with ours, theirs:
        sender = threading.Thread(
            target=protocol.send, args=(ours, b"M", body), kwargs={"descriptors": (0, 1)}
        )
        sender.start()
        frame = protocol.receive(theirs)
        sender.join()
        protocol.send(ours, b"X", b"next")
        follower = protocol.receive(theirs)
    assert frame
    assert (frame.kind, frame.body, len(frame.descriptors)) == (b"M", body, 2)
    assert not any(os.get_inheritable(fd) for fd in frame.descriptors)
    for fd in frame.descriptors:
        os.close(fd)
    assert follower
    assert (follower.kind, follower.body, follower.descriptors) == (b"X", b"next", ())


def test_the_end_is_told_from_a_torn_frame() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"X\0\0\0\x05\0\0\0ab")
        ours.close()
        with pytest.raises(ProtocolError):
            protocol.receive(theirs)
        assert protocol.receive(theirs) is None


def test_an_oversized_frame_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"X\0\0\0\xff\xff\xff\xff")
        with pytest.raises(ProtocolError):
            protocol.receive(theirs)
