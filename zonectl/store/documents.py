"""Documents that are there whole or not at all: temporary file, fsync, rename, fsync of the folder.

A file system may order a rename before the data that it names; only the two fsyncs make the new name mean
the new text after a power cut (fsync(2), rename(2)).
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import zonectl
from zonectl.errors import Damaged, StoreError, SyscallError
from zonectl.kernel.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

TEMPORARY = ".tmp-"
"""What the names of temporary files and folders begin with: `.tmp-PID-RANDOM`."""

FILE_MODE = 0o600
MAX_BYTES = 64 * 1024 * 1024
"""No document of ours comes near it; a larger file is not one."""

_HINTS = {
    errno.ENOSPC: "free some space on that file system",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is mounted read-only",
}


def temporary_name() -> str:
    """A name that nobody else uses, from which `sweep` can tell whose it was."""
    return f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"


def write_text(path: str, text: str, *, volatile: bool = False) -> None:
    """Replace the file `path` by `text`; once it returns, the text survives a power cut (unless `volatile`).

    Raises:
        StoreError: it cannot be written (no space, read-only, …); the old file is then as it was.

    """
    folder, name = os.path.split(path)
    try:
        with _opened(folder or ".", os.O_DIRECTORY) as folder_fd:
            _replace(folder_fd, name, text.encode(), volatile=volatile)
    except OSError as error:
        raise _failure("write", path, error) from error


def write_json(path: str, data: Mapping[str, object], *, volatile: bool = False) -> None:
    """Replace the document `path` by `data`, which must have a `schema_version`; notes the program's version.

    Raises:
        StoreError: it cannot be written; the old document is then as it was.

    """
    document = {"schema_version": data["schema_version"], "written_by": zonectl.__version__, **data}
    # What is kept is for people too; indented it takes json's encoder in Python, a tenth of a millisecond more.
    text = json.dumps(document, indent=None if volatile else 1)
    write_text(path, f"{text}\n", volatile=volatile)


def write_volatile(path: str, data: Mapping[str, object]) -> None:
    """Replace a document of the run root: whole or not at all for a killed process, but with no fsync.

    Raises:
        StoreError: it cannot be written; the old document is then as it was.

    """
    write_json(path, data, volatile=True)


def read_text(path: str) -> str | None:
    """The text of the file `path`; None when there is none. Never follows a link at its last name.

    Raises:
        StoreError: it cannot be read, is no regular file, is too large or is not UTF-8.

    """
    try:
        # O_NONBLOCK: a FIFO in its place must not hang us.
        with _opened(path, os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
            content = _read_all(fd, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failure("read", path, error) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Damaged(f"{path} is damaged: not UTF-8") from error


def read_optional(path: str, *, newest: int) -> dict[str, Json] | None:
    """The document `path`; None when there is none.

    Raises:
        StoreError: it is damaged, or of a schema newer than `newest`.

    """
    text = read_text(path)
    return None if text is None else parse(path, text, newest)


def read_json(path: str, *, newest: int) -> dict[str, Json]:
    """The document `path`, whose `schema_version` must be there and at most `newest`.

    Raises:
        StoreError: it is missing, damaged, or newer (the message says which program version wrote it).

    """
    document = read_optional(path, newest=newest)
    if document is None:
        raise StoreError(f"{path} is missing")
    return document


def parse(path: str, text: str, newest: int) -> dict[str, Json]:
    """The document `text`, which messages call `path`: an object whose `schema_version` is at most `newest`.

    Raises:
        StoreError: it is damaged, or newer (the message says which program version wrote it).

    """
    try:
        document: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(document, dict) or type(version) is not int or version < 1:
        raise Damaged(f"{path} is damaged: no schema_version")
    if version > newest:
        writer = document.get("written_by", "unknown")
        raise StoreError(
            f"{path} has schema {version}, newer than {newest}: written by zonectl {writer!s:.40}",
            hint="use that version of zonectl or a later one",
        )
    return document


def remove(path: str, *, volatile: bool = False) -> None:
    """Remove the file `path`, which may be gone already, and sync its folder (unless `volatile`).

    Raises:
        StoreError: it cannot be removed.

    """
    folder, name = os.path.split(path)
    try:
        with _opened(folder or ".", os.O_DIRECTORY) as folder_fd:
            os.unlink(name, dir_fd=folder_fd)
            if not volatile:
                os.fsync(folder_fd)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failure("remove", path, error) from error


def sync_folder(path: str) -> None:
    """Make the names in the folder `path` survive a power cut.

    Raises:
        StoreError: the folder cannot be synced.

    """
    try:
        with _opened(path, os.O_DIRECTORY) as fd:
            os.fsync(fd)
    except OSError as error:
        raise _failure("sync", path, error) from error


def leftovers(folder: str) -> list[str]:
    """The paths of temporary files and folders in `folder` whose process is gone."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [f"{folder}/{name}" for name in names if name.startswith(TEMPORARY) and not _is_alive(name)]


def sweep(folder: str) -> None:
    """Remove the temporary files that killed processes have left in `folder`."""
    for path in leftovers(folder):
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(path)


def _is_alive(name: str) -> bool:
    pid = name.removeprefix(TEMPORARY).partition("-")[0]
    return pid.isascii() and pid.isdecimal() and os.path.exists(f"/proc/{int(pid)}")


def _replace(folder_fd: int, name: str, content: bytes, *, volatile: bool) -> None:
    temporary = temporary_name()
    try:
        with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=folder_fd) as fd:
            _write_all(fd, content)
            if not volatile:
                os.fsync(fd)
        if not (volatile and _exchanged(folder_fd, temporary, name)):
            os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder_fd)
        raise
    if not volatile:
        os.fsync(folder_fd)


def _exchanged(folder_fd: int, temporary: str, name: str) -> bool:
    """Put the temporary file in the place of a file that is there, and remove that; False where it could not be done.

    ext4 begins to write a file to its disk at once when that is renamed over another (auto_da_alloc of ext4(5)); not
    when both change places. That third of a millisecond is for nothing where no power cut has to be survived.
    """
    try:
        exchange(folder_fd, temporary, name)
    except SyscallError:
        return False
    try:
        os.unlink(temporary, dir_fd=folder_fd)
    except OSError:
        # A folder, which no file replaces: it has its name again.
        exchange(folder_fd, temporary, name)
        raise
    return True


@contextmanager
def _opened(path: str, flags: int, *, dir_fd: int | None = None) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC, FILE_MODE, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_all(fd: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def _read_all(fd: int, path: str) -> bytes:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        raise Damaged(f"{path} is damaged: not a regular file of at most {MAX_BYTES} bytes")
    parts = []
    while part := os.read(fd, max(status.st_size, 4096)):
        parts.append(part)
    return b"".join(parts)


def _failure(verb: str, path: str, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} {path}: {error.strerror}", hint=_HINTS.get(error.errno or 0))
