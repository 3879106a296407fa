"""What worker and init say to each other, over a real pair of sockets."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.errors import HostLacks, ProgramError, StepError, SyscallError, ZonectlError
from zonectl.runtime.handshake import BATCH, MAX_TEXT, Channel, describe, failure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    """Two ends."""
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_word_is_heard_with_its_descriptors(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    ours.say("READY", [0, 1])
    fds = theirs.expect("READY")
    assert len(fds) == 2
    for fd in fds:
        assert not os.get_inheritable(fd)
        os.close(fd)


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1, 3 * BATCH])
def test_any_number_of_trees_arrives_in_order(pair: tuple[Channel, Channel], count: int) -> None:
    ours, theirs = pair
    made = [os.memfd_create(f"tree{number}") for number in range(count)]
    ours.send_trees(made)
    heard: list[int] = []
    while not heard or len(heard) < count:
        heard += theirs.expect("TREES")
        if not count:
            break
    assert [os.fstat(fd).st_ino for fd in heard] == [os.fstat(fd).st_ino for fd in made]
    for fd in (*made, *heard):
        os.close(fd)


def test_an_end_without_a_word_is_said_to_be_one(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(ZonectlError, match="ended before"):
        ours.expect("READY")
    with pytest.raises(ZonectlError, match="gone"):
        ours.say("EXEC")


def test_the_end_of_the_conversation_is_success(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    theirs.close()
    ours.expect_end()


def test_a_failure_is_heard_though_its_teller_left_something_unread(pair: tuple[Channel, Channel]) -> None:
    """The kernel then says ECONNRESET before what was sent."""
    ours, theirs = pair
    ours.say("LINKS")
    theirs.fail(SyscallError("mount", errno.EPERM, "/x"), "mount proc")
    theirs.close()
    with pytest.raises(StepError, match="mount proc"):
        ours.expect("READY")


def test_a_failure_is_overheard_when_the_other_side_is_gone(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    assert ours.overhear() is None
    theirs.say("READY")
    theirs.fail(HostLacks("no overlay", hint="modprobe overlay"), "mount")
    theirs.close()
    heard = ours.overhear()
    assert isinstance(heard, HostLacks)
    assert heard.hint == "modprobe overlay"
    assert ours.overhear() is None


def test_another_word_than_the_expected_gives_its_descriptors_back(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    before = os.listdir("/proc/self/fd")
    ours.say("TREES", [0])
    with pytest.raises(ZonectlError):
        theirs.expect("EXEC")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    "error",
    [
        ProgramError("nginx", errno.ENOENT),
        HostLacks("no overlay", hint="modprobe overlay"),
        SyscallError("mount", errno.EPERM, "/proc", detail="said"),
        FileNotFoundError(errno.ENOENT, "No such file", "/x"),
        ZonectlError("no user 'web'", hint="useradd"),
        ValueError("embedded null byte"),
        RecursionError(),
    ],
)
def test_a_failure_arrives_with_its_words(pair: tuple[Channel, Channel], error: Exception) -> None:
    ours, theirs = pair
    theirs.fail(error, "the step")
    message, _ = ours.hear()
    heard = failure(message)
    words = getattr(error, "message", None) or getattr(error, "strerror", None) or str(error)
    assert words in str(heard)
    assert getattr(error, "hint", None) == heard.hint
    if isinstance(error, ProgramError):
        assert isinstance(heard, ProgramError)
        assert (heard.program, heard.errno) == (error.program, error.errno)


@given(text=st.text(max_size=3 * MAX_TEXT), step=st.text(max_size=100))
def test_a_failure_of_any_words_fits_into_a_message(text: str, step: str) -> None:
    ours, theirs = Channel.pair()
    theirs.fail(ValueError(text), step)
    message, _ = ours.hear()
    assert message == describe(ValueError(text), step) | {"word": "FAILED"}
    ours.close()
    theirs.close()


def test_what_failed_in_the_kernel_is_still_known() -> None:
    """Whoever decides by errno, to tell a remedy, say, does so on either side."""
    gone = failure({"word": "FAILED", **describe(SyscallError("mount", errno.ENOSPC, "/dev"), "mount /dev")})
    assert isinstance(gone, StepError)
    assert isinstance(gone.__cause__, SyscallError)
    assert (gone.__cause__.call, gone.__cause__.errno, gone.__cause__.subject) == (
        "mount",
        errno.ENOSPC,
        "/dev",
    )
    plain = failure({"word": "FAILED", **describe(OSError(errno.EIO, "error"), "read")})
    assert isinstance(plain.__cause__, OSError)
    assert plain.__cause__.errno == errno.EIO
    assert failure({"word": "FAILED", **describe(ValueError("odd"), "think")}).__cause__ is None


def test_a_bid_to_a_side_that_has_failed_raises_what_it_failed_with(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    theirs.fail(ProgramError("nginx", errno.ENOENT), "execute")
    theirs.close()
    with pytest.raises(ProgramError, match="nginx"):
        ours.bid("EXEC")


def test_a_bid_to_a_side_that_has_gone_says_so(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(ZonectlError, match="has gone"):
        ours.bid("EXEC")
