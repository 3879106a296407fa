"""The conversation with a probe, whose part the test plays."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from zonectl.bench import pipes
from zonectl.bench.runner import Place
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = Place(root_folder="/srv", bind_folder=None, server=None)
GREETING = b"zonectl-probe 1 getpid spin\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def connected(ends: tuple[socket.socket, socket.socket], *, timeout_s: float = 30) -> pipes.PipedRunner:
    ours, theirs = ends
    theirs.sendall(GREETING)
    return pipes.connect(ours.fileno(), ours.fileno(), place=PLACE, timeout_s=timeout_s)


def test_the_greeting_says_what_can_be_asked_for(ends: tuple[socket.socket, socket.socket]) -> None:
    runner = connected(ends)
    assert runner.workloads == {"getpid", "spin"}
    assert runner.place is PLACE


def test_what_a_machine_says_while_it_boots_is_passed_over(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(b"[    0.000000] Linux version\r\n\xff\xfe\n zonectl-probe 1\r\n")
    assert connected(ends).workloads == {"getpid", "spin"}


def test_a_probe_of_another_version_is_not_talked_to(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(b"zonectl-probe 2 getpid\n")
    with pytest.raises(BenchError, match="speaks version 2, not 1"):
        connected(ends)


def test_a_request_is_a_line_and_so_is_its_answer(ends: tuple[socket.socket, socket.socket]) -> None:
    runner = connected(ends)
    ends[1].sendall(b"ok 1234\r\n")
    assert runner.sample("spin", 7, {"extra": "5", "plant": "1"}) == 1234
    assert ends[1].recv(100) == b"spin 7 extra=5 plant=1\n"


def test_an_answer_may_come_in_pieces(ends: tuple[socket.socket, socket.socket]) -> None:
    runner = connected(ends)

    def answer() -> None:
        ends[1].recv(100)
        for byte in b"ok 12\n":
            ends[1].sendall(bytes([byte]))

    piecemeal = threading.Thread(target=answer)
    piecemeal.start()
    assert runner.sample("getpid", 1, {}) == 12
    piecemeal.join()


def test_what_cannot_be_done_there_is_told_and_the_next_sample_is_taken(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    runner = connected(ends)
    ends[1].sendall(b"no /usr/bin/cc: not found\nok 5\n")
    with pytest.raises(BenchError, match="/usr/bin/cc: not found"):
        runner.sample("getpid", 1, {})
    assert runner.sample("getpid", 1, {}) == 5


@pytest.mark.parametrize(
    "line",
    [b"", b"ok", b"ok -1", b"ok 1.5", b"ok 1 2", b"OK 1", b"no", b"no \x1b[2J", b"ok " + b"9" * 20, b"\xff"],
)
def test_another_language_ends_the_conversation(
    ends: tuple[socket.socket, socket.socket], line: bytes
) -> None:
    runner = connected(ends)
    ends[1].sendall(line + b"\nok 5\n")
    with pytest.raises(BenchError, match="the probe answered") as raised:
        runner.sample("getpid", 1, {})
    assert raised.value.message.isprintable()
    with pytest.raises(BenchError, match="the probe answered"):
        runner.sample("getpid", 1, {})


def test_a_line_without_an_end_ends_the_conversation(ends: tuple[socket.socket, socket.socket]) -> None:
    runner = connected(ends)

    def babble() -> None:
        ends[1].sendall(b"o" * (pipes.MOST_LINE_BYTES + 1))

    babbling = threading.Thread(target=babble)
    babbling.start()
    with pytest.raises(BenchError, match="without an end"):
        runner.sample("getpid", 1, {})
    babbling.join()


def test_a_probe_that_says_nothing_is_given_up(ends: tuple[socket.socket, socket.socket]) -> None:
    runner = connected(ends, timeout_s=0.05)
    with pytest.raises(BenchError, match=r"said nothing within 0\.05 s"):
        runner.sample("getpid", 1, {})
    # What it says later belongs to nothing that is asked now.
    ends[1].sendall(b"ok 1\n")
    with pytest.raises(BenchError, match="said nothing"):
        runner.sample("getpid", 1, {})


def test_no_greeting_in_time(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BenchError, match=r"said nothing within 0\.05 s"):
        pipes.connect(ends[0].fileno(), ends[0].fileno(), place=PLACE, greeting_s=0.05)


def test_a_probe_that_ends_before_it_greets() -> None:
    reading, writing = os.pipe()
    try:
        os.close(writing)
        with pytest.raises(BenchError, match="the probe has ended"):
            pipes.connect(reading, reading, place=PLACE)
    finally:
        os.close(reading)


def test_a_probe_that_ends_over_a_request(ends: tuple[socket.socket, socket.socket]) -> None:
    runner = connected(ends)
    ends[1].close()
    for _ in range(2):
        with pytest.raises(BenchError, match="the probe has ended"):
            runner.sample("getpid", 1, {})


def test_a_probe_that_no_longer_reads() -> None:
    (reading, requests), (answers, writing) = os.pipe(), os.pipe()
    try:
        os.write(writing, GREETING)
        runner = pipes.connect(requests, answers, place=PLACE)
        os.close(reading)
        with pytest.raises(BenchError, match="the probe has ended"):
            runner.sample("getpid", 1, {})
    finally:
        for fd in (requests, answers, writing):
            os.close(fd)


@pytest.mark.parametrize(
    ("workload", "settings"),
    [
        ("get pid", {}),
        ("", {}),
        ("getpid\nspin", {}),
        ("getpid", {"folder": "/a b"}),
        ("getpid", {"folder": "/a\n"}),
        ("getpid", {"folder": "/é"}),
    ],
)
def test_what_would_be_another_request_is_not_sent(
    ends: tuple[socket.socket, socket.socket], workload: str, settings: dict[str, str]
) -> None:
    runner = connected(ends)
    with pytest.raises(BenchError, match="not a word of a request"):
        runner.sample(workload, 1, settings)
    # The conversation goes on.
    ends[1].sendall(b"ok 5\n")
    assert runner.sample("getpid", 1, {}) == 5
    assert ends[1].recv(100) == b"getpid 1\n"


def test_a_request_too_long_for_the_probe_is_not_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BenchError, match="a request of 70011 bytes"):
        connected(ends).sample("spawn", 1, {"x": "y" * 70000})
