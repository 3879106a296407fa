"""The bytes of an archive: decompressed, counted, hashed. Run only inside the confined child of `unpack`."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
from typing import TYPE_CHECKING, Protocol

from zonectl.errors import ImageError

if TYPE_CHECKING:
    from typing import IO

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK_BYTES = 1024 * 1024
_LZMA_MEMORY_BYTES = 256 * 1024 * 1024
_MAGICS = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2"), (ZSTD_MAGIC, "zstd"))


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def compression(fd: int) -> str | None:
    """How the archive is compressed, by its first bytes; None when it is not."""
    head = os.pread(fd, 8, 0)
    return next((name for magic, name in _MAGICS if head.startswith(magic)), None)


def decompressed(file: IO[bytes]) -> Readable:
    """What the archive decompresses to; zstd is not ours to read (`unpack` has a program do it before)."""
    match compression(file.fileno()):
        case None:
            return file
        case "gzip":
            return gzip.GzipFile(fileobj=file, mode="rb")
        case "xz":
            return _Xz(file)
        case "bzip2":
            return bz2.BZ2File(file)
        case other:
            raise ImageError(f"cannot read {other} here")


class Hashed:
    """What passes through it is counted, bounded and hashed."""

    def __init__(self, source: Readable, *, limit_bytes: int) -> None:
        self._source = source
        self._limit_bytes = limit_bytes
        self._count = 0
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes.

        Raises:
            ImageError: more came than is allowed.

        """
        data = self._source.read(size)
        self._count += len(data)
        if self._count > self._limit_bytes:
            raise ImageError(f"the archive is larger than {self._limit_bytes} bytes")
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """The SHA-256, in hex, of all there is: what was not read yet is read now."""
        while self.read(_CHUNK_BYTES):
            pass
        return self._hash.hexdigest()


class _Xz:
    """lzma.LZMAFile has no bound for the memory that a stream may ask for; this has."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = self._fresh()

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decoder.eof and not self._next_stream():
                return b""
            data = b""
            if self._decoder.needs_input and not (data := self._file.read(_CHUNK_BYTES)):
                raise EOFError("the archive ends early")
            if out := self._decoder.decompress(data, size):
                return out

    def _next_stream(self) -> bool:
        """Go on with what follows a stream: another one, or padding of zeros (the .xz file format, 2.2)."""
        rest = self._decoder.unused_data.lstrip(b"\0")
        while not rest:
            data = self._file.read(_CHUNK_BYTES)
            if not data:
                return False
            rest = data.lstrip(b"\0")
        self._decoder = self._fresh()
        self._file.seek(-len(rest), os.SEEK_CUR)
        return True

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY_BYTES)
