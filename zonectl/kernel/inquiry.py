"""Asking a child of ours for something that can only be seen by becoming what this process must not become."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel import process

if TYPE_CHECKING:
    from collections.abc import Callable

_DONE: Final = b"\0"


def ask(answer: Callable[[], bytes], *, call: str, subject: str) -> bytes:
    """What `answer` returns in a forked child, which takes all that it changed of itself with it.

    Its end is waited for, however it comes. `call` and `subject` are what an error is said to be of.

    Raises:
        SyscallError: with the number of the one that `answer` raised; EIO, the child ended otherwise.

    """
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe:
        try:
            _child, pidfd = process.spawn(lambda: _tell(writing, answer))
        finally:
            os.close(writing)
        try:
            number, said = pipe.read(1), pipe.read()
        finally:
            process.wait_pidfd(pidfd)
            os.close(pidfd)
    if number != _DONE:
        raise SyscallError(call, ord(number or bytes([errno.EIO])), subject)
    return said


def _tell(writing: int, answer: Callable[[], bytes]) -> int:
    """Write a zero byte and the answer to the pipe `writing`, or the number of the error."""
    try:
        said = _DONE + answer()
    except SyscallError as error:
        said = bytes([error.errno])
    with open(writing, "wb") as pipe:
        pipe.write(said)
    return 0
