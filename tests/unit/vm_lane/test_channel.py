from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vm.lane.channel import Console, EndMark, Output

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "c0ffee"
END = b"\x01c0ffee"


def test_mark_in_one_piece_ends_the_stream() -> None:
    mark = EndMark(TOKEN)
    assert (mark.feed(b"output" + END + b"007"), mark.status) == (b"output", 7)


def test_stream_without_a_mark_passes_at_once() -> None:
    mark = EndMark(TOKEN)
    assert (mark.feed(b"output"), mark.status) == (b"output", None)


@pytest.mark.parametrize("cut", range(1, len(END) + 3))
def test_mark_cut_in_two_is_found_and_held_back(cut: int) -> None:
    mark = EndMark(TOKEN)
    stream = END + b"143"
    assert (mark.feed(b"output" + stream[:cut]), mark.status) == (b"output", None)
    assert (mark.feed(stream[cut:]), mark.status) == (b"", 143)


def test_false_start_is_passed_when_it_turns_out_to_be_none() -> None:
    mark = EndMark(TOKEN)
    assert mark.feed(b"a\x01c0f") == b"a"
    assert mark.feed(b"fet") == b"\x01c0ffet"


def test_mark_may_follow_a_false_start_directly() -> None:
    mark = EndMark(TOKEN)
    assert (mark.feed(b"\x01c0\x01") + mark.feed(END[1:] + b"000"), mark.status) == (b"\x01c0", 0)


@given(st.lists(st.sampled_from([b"\x01", b"\x01c0ff", b"c0ffe", b"0", b"text"])), st.data())
def test_any_stream_cut_anywhere_passes_unchanged(pieces: list[bytes], data: st.DataObject) -> None:
    body = b"".join(pieces)
    stream = body + END + b"042"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    mark = EndMark(TOKEN)
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert (b"".join(mark.feed(chunk) for chunk in chunks), mark.status) == (body, 42)


def test_output_is_copied_until_its_mark(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    with here, there, (tmp_path / "out").open("wb", buffering=0) as file:
        output = Output(here, file.fileno(), TOKEN)
        there.sendall(b"some")
        assert output.pump()
        there.sendall(b" words" + END + b"001")
        assert not output.pump()
    assert ((tmp_path / "out").read_bytes(), output.status) == (b"some words", 1)


def test_output_of_a_machine_that_died_has_no_status() -> None:
    here, there = socket.socketpair()
    with here:
        there.close()
        output = Output(here, -1, TOKEN)
        assert not output.pump()
        assert output.status is None


def test_console_tells_when_the_guest_is_up_though_the_word_is_cut() -> None:
    here, there = socket.socketpair()
    with here, there:
        console = Console(here, None)
        there.sendall(b"kernel\r\nlane:")
        assert (console.pump(), console.is_up) == (True, False)
        there.sendall(b" up\r\n")
        assert (console.pump(), console.is_up) == (True, True)
    assert console.tail == "kernel\r\nlane: up"


def test_console_is_shown_when_asked_for() -> None:
    here, there = socket.socketpair()
    read_fd, write_fd = os.pipe()
    with here, there, open(read_fd, "rb") as shown, open(write_fd, "wb") as show:
        there.sendall(b"hello")
        Console(here, show.fileno()).pump()
        assert shown.read(5) == b"hello"
