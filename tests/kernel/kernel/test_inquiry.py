"""What a child is asked comes back, and so does its error; nothing of the child stays."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import inquiry


def _killed() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def _moved() -> bytes:
    os.chdir("/")
    return os.getcwd().encode()


def _refused() -> bytes:
    raise SyscallError("setns", errno.EPERM)


def test_an_answer_longer_than_a_pipe_comes_back_whole() -> None:
    assert inquiry.ask(lambda: b"\0x" * 200_000, call="c", subject="s") == b"\0x" * 200_000
    assert inquiry.ask(lambda: b"", call="c", subject="s") == b""


def test_what_the_child_changed_of_itself_it_takes_along() -> None:
    before = os.getcwd()
    assert inquiry.ask(_moved, call="c", subject="s") == b"/"
    assert os.getcwd() == before != "/"


@pytest.mark.parametrize(("answer", "number"), [(_refused, errno.EPERM), (_killed, errno.EIO)])
def test_no_answer_is_an_error_and_no_child_is_left(answer: object, number: int) -> None:
    with pytest.raises(SyscallError) as caught:
        inquiry.ask(answer, call="setns", subject="it")  # type: ignore[arg-type]
    assert (caught.value.call, caught.value.errno, caught.value.subject) == ("setns", number, "it")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
