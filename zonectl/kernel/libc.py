"""How this room calls the kernel: argument types set once, errno read at once, EINTR retried here alone."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any, Final

from zonectl.errors import SyscallError

if TYPE_CHECKING:
    from collections.abc import Callable

LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC_HOLDING_GIL: Final = ctypes.PyDLL(None, use_errno=True)

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000

PathLike = str | bytes | os.PathLike[str]


class SystemCall:
    """One call of the C library, or of the kernel by number, ready to be made.

    Calls after number 423 have the same number on every architecture, and need no recent C library; older ones
    are called by name.
    """

    __slots__ = ("_entry", "_leading", "name")

    def __init__(self, name: str, *argtypes: Any, number: int | None = None) -> None:
        self.name = name
        # Indexing makes a new function object each time, so that one syscall(2) has many argument lists.
        self._entry: Callable[..., int] = LIBC[name if number is None else "syscall"]
        self._leading: tuple[int, ...] = () if number is None else (number,)
        leading = () if number is None else (ctypes.c_long,)
        self._entry.argtypes = (*leading, *argtypes)
        self._entry.restype = ctypes.c_int if number is None else ctypes.c_long

    def attempt(self, *arguments: object) -> int:
        """Make the call once: its result, or the negative errno. For failures that are no errors."""
        result = self._entry(*self._leading, *arguments)
        return result if result >= 0 else -ctypes.get_errno()

    def __call__(self, *arguments: object, subject: str = "") -> int:
        """Make the call, again after EINTR; its result, never negative.

        Raises:
            SyscallError: it failed.

        """
        while (result := self._entry(*self._leading, *arguments)) < 0:
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise SyscallError(self.name, number, subject)
        return result


def c_text(text: PathLike, *, call: str = "path") -> bytes:
    """The bytes of `text` for C, which would take a NUL for its end.

    Raises:
        SyscallError: EINVAL, there is a NUL in it.

    """
    raw = os.fsencode(text)
    if b"\0" in raw:
        raise SyscallError(call, errno.EINVAL, repr(text))
    return raw


def c_text_or_null(text: PathLike | None) -> bytes | None:
    """As `c_text`, with None for C's NULL."""
    return None if text is None else c_text(text)


def shown(text: PathLike | None) -> str:
    """How `text` stands in an error."""
    return "" if text is None else os.fsdecode(text)


def failed(call: str, error: OSError, subject: str = "") -> SyscallError:
    """The SyscallError that says what the standard library's `error` says."""
    return SyscallError(call, error.errno or 0, subject)
