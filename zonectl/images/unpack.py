"""Archives unpacked in a child that is confined to the folder they go to.

    parent                                     child
    pipe, spawn ─────────────────────────────▶ born in pid, network and ipc namespaces of its own
                                               closes every other descriptor, dies with its parent
                                               memory bounded, chroot to the folder, six capabilities left
                                               reads, decompresses, hashes, makes entries (`extract`)
    reads the report, at most 1 MiB  ◀──────── {"digest", "entries", …} or {"error"}
    waits; kills it when the time is over

An archive is parsed nowhere else: what a flaw in tarfile, zlib or lzma would give is that child.
"""

from __future__ import annotations

import json
import lzma
import os
import resource
import select
import signal
import tarfile
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from zonectl.errors import ImageError, StoreError, SyscallError
from zonectl.images.archive import Hashed, compression, decompressed
from zonectl.images.extract import Extraction
from zonectl.kernel import attributes, command, process
from zonectl.kernel.ending import kill_and_reap
from zonectl.kernel.signals import held_back
from zonectl.store import documents
from zonectl.store.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.images.limits import Limits

MAX_REPORT_BYTES: Final = 1024 * 1024

# CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SETFCAP (capabilities(7)): no MKNOD, no SYS_*.
_CAPABILITIES: Final = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 31
# Signals, abstract sockets and System V ipc reach nobody from there.
_NAMESPACES: Final = process.CLONE_NEWPID | process.CLONE_NEWNET | process.CLONE_NEWIPC
_DAMAGE = (tarfile.TarError, ValueError, OverflowError, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What an archive brought: the SHA-256 of it uncompressed, its entries, and what was left out of them."""

    digest: str
    entries: int
    bytes: int
    skipped: tuple[str, ...]


def unpack(archive_fd: int, target_fd: int, *, limits: Limits) -> Unpacked:
    """Unpack the archive, which zstd must not have compressed, into the empty folder; both stay the caller's.

    Raises:
        ImageError: the archive is damaged or refused, too large, or took too long; the folder may be half full.

    """
    pidfd, ended = -1, None
    reader, writer = os.pipe()
    try:
        job = partial(_child, archive_fd, target_fd, report_fd=writer, limits=limits)
        with held_back():
            _pid, pidfd = process.spawn(job, flags=_NAMESPACES)
        os.close(writer)
        writer = -1
        report = _read_report(reader, time.monotonic() + limits.time_s)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
        if pidfd >= 0:
            # It has reported, or nothing is wanted of it any more.
            ended = kill_and_reap(pidfd)
            os.close(pidfd)
    if not report:
        raise ImageError(f"unpacking the archive broke off ({ended})")
    return _parsed(report)


@contextmanager
def opened(path: str, *, scratch: str, limits: Limits) -> Iterator[int]:
    """The descriptor of the archive at `path`, in the folder `scratch` decompressed first if zstd compressed it.

    Raises:
        ImageError: it is no regular file, cannot be read, or zstd cannot decompress it.

    """
    try:
        # O_NONBLOCK: a FIFO would hang us.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    try:
        if not os.path.isfile(f"/proc/self/fd/{fd}"):
            raise ImageError(f"{path} is not a file")
        if compression(fd) != "zstd":
            yield fd
            return
        with _without_zstd(path, scratch, limits) as plain_fd:
            yield plain_fd
    finally:
        os.close(fd)


@contextmanager
def _without_zstd(path: str, scratch: str, limits: Limits) -> Iterator[int]:
    plain = f"{scratch}/{documents.temporary_name()}"
    # A zstd frame may decompress to a million times its size.
    argv = ["prlimit", f"--fsize={limits.stream_bytes}", "--", "zstd", "-dqf", "-o", plain, "--", path]
    try:
        command.run(argv, timeout_s=limits.time_s, hint="apt install zstd util-linux")
        fd = os.open(plain, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    finally:
        if os.path.lexists(plain):
            os.unlink(plain)
    try:
        yield fd
    finally:
        os.close(fd)


def _read_report(fd: int, deadline_s: float) -> bytes:
    report = b""
    while len(report) <= MAX_REPORT_BYTES:
        left_s = deadline_s - time.monotonic()
        ready = left_s > 0 and select.select([fd], [], [], left_s)[0]
        if not ready:
            raise ImageError("unpacking the archive takes too long")
        data = os.read(fd, 65536)
        if not data:
            return report
        report += data
    return b""


def _parsed(report: bytes) -> Unpacked:
    """What the child has reported; an archive may have made it say anything."""
    try:
        fields = Fields("the report of unpacking", {"all": json.loads(report)}).table("all")
        if (error := fields.optional_text("error")) is not None:
            raise ImageError(error)
        return Unpacked(
            digest=fields.text("digest"),
            entries=fields.integer("entries"),
            bytes=fields.integer("bytes"),
            skipped=fields.texts("skipped"),
        )
    except (ValueError, RecursionError, StoreError) as error:
        raise ImageError("unpacking the archive has reported what makes no sense") from error


def _child(archive_fd: int, target_fd: int, *, report_fd: int, limits: Limits) -> int:
    try:
        archive_fd, target_fd, report_fd = _keep_only(archive_fd, target_fd, report_fd)
        _confine(target_fd, report_fd, limits=limits)
        report = _extract(archive_fd, target_fd, limits)
    except (ImageError, SyscallError) as error:
        report = {"error": error.message}
    except MemoryError:
        report = {"error": "the archive needs too much memory to be read"}
    except _DAMAGE as error:
        report = {"error": f"the archive is damaged: {error}"}
    with os.fdopen(report_fd, "wb") as file:
        file.write(json.dumps(report).encode())
    return 0


def _keep_only(*fds: int) -> list[int]:
    """Number the descriptors 3, 4, 5 and close every other one but the standard streams."""
    # Out of the way first: dup2 would close one that is still to come.
    high = [os.dup(os.dup(os.dup(fd))) for fd in fds]
    while min(high) < 3 + len(fds):
        high = [os.dup(fd) for fd in high]
    kept = [os.dup2(fd, 3 + n, inheritable=False) for n, fd in enumerate(high)]
    process.close_range(3 + len(fds))
    return kept


def _confine(target_fd: int, report_fd: int, *, limits: Limits) -> None:
    attributes.set_pdeathsig(signal.SIGKILL)
    if _is_unread(report_fd):
        # The parent was gone before: its end sends nothing any more.
        raise ImageError("the command that unpacks has ended")
    _bound_memory(limits)
    try:
        os.fchdir(target_fd)
        os.chroot(".")
    except OSError as error:
        raise ImageError(f"cannot confine the unpacking: {error.strerror}", hint="it needs root") from error
    attributes.capset(_CAPABILITIES, _CAPABILITIES, 0)
    attributes.set_no_new_privs()


def _is_unread(pipe_fd: int) -> bool:
    poll = select.poll()
    poll.register(pipe_fd, 0)
    return bool(poll.poll(0))


def _bound_memory(limits: Limits) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        used_bytes = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + limits.memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _extract(archive_fd: int, target_fd: int, limits: Limits) -> dict[str, object]:
    os.lseek(archive_fd, 0, os.SEEK_SET)
    with os.fdopen(archive_fd, "rb", closefd=False) as file:
        stream = Hashed(decompressed(file), limit_bytes=limits.stream_bytes)
        extraction = Extraction(target_fd, limits)
        extraction.run(stream)
        digest = stream.digest()
    return {
        "digest": digest,
        "entries": extraction.entries,
        "bytes": extraction.bytes,
        "skipped": extraction.skipped,
    }
