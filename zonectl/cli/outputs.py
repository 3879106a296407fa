"""Files that a verb writes at its end, and standard output in their place: seen to be writable before it begins."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass

from zonectl.errors import StoreError, UsageError
from zonectl.store import documents

STDOUT = "-"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_PUBLIC, _PRIVATE = 0o666, 0o600  # less the caller's umask
_PERMISSIONS = 0o777


@dataclass(frozen=True, slots=True)
class Output:
    """Where a text goes: the file `path`, replaced at once, so that it is whole or as it was; or standard output.

    A new file is for everybody to read whom the umask lets, a `private` one for its owner alone. A file that was there
    keeps its mode and, as far as that is allowed, its owner and group.
    """

    path: str
    private: bool = False

    @property
    def is_stdout(self) -> bool:
        """Whether it is standard output."""
        return self.path == STDOUT

    def require(self) -> None:
        """See that it can be written.

        Raises:
            UsageError: it cannot.

        """
        if self.is_stdout:
            return
        try:
            if self._is_special():
                os.close(os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK))
                return
            folder, _ = self._place()
            name = f"{folder}/{documents.temporary_name()}"
            os.close(os.open(name, _NEW, _PRIVATE))
            os.unlink(name)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}") from error

    def write(self, text: str) -> None:
        """Write it.

        Raises:
            StoreError: it cannot be written any more; a file is then as it was.

        """
        if self.is_stdout:
            sys.stdout.write(text)
            return
        try:
            if self._is_special():
                _fill(os.open(self.path, os.O_WRONLY | os.O_CLOEXEC), text)
            else:
                self._replace(text)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror}") from error

    def _is_special(self) -> bool:
        """Whether it is a device or a FIFO, which nobody wants replaced by a file.

        Raises:
            IsADirectoryError: it is a folder.

        """
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory")
        return not stat.S_ISREG(mode)

    def _place(self) -> tuple[str, str]:
        """The folder and the name of the file itself, not of a link to it."""
        folder, name = os.path.split(os.path.realpath(self.path))
        return folder, name

    def _replace(self, text: str) -> None:
        folder, name = self._place()
        temporary = f"{folder}/{documents.temporary_name()}"
        try:
            fd = os.open(temporary, _NEW, _PRIVATE if self.private else _PUBLIC)
            _fill(fd, text, like=f"{folder}/{name}")
            os.rename(temporary, f"{folder}/{name}")
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _fill(fd: int, text: str, *, like: str = "") -> None:
    """Write the text to `fd`, which is closed; it becomes whose the file `like` is, if there is one, before."""
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        with suppress(FileNotFoundError):
            _resemble(fd, os.stat(like))
        file.write(text)
        file.flush()
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.fsync(fd)


def _resemble(fd: int, there: os.stat_result) -> None:
    """Give the file the owner, group and mode of another."""
    with suppress(PermissionError):
        os.fchown(fd, there.st_uid, there.st_gid)
    os.fchmod(fd, there.st_mode & _PERMISSIONS)
