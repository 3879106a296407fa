from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import ImageError
from zonectl.images.archive import Hashed, Readable, compression, decompressed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = bytes(range(256)) * 5000


def read_all(source: Readable, size: int = 1000) -> bytes:
    parts = []
    while part := source.read(size):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("compress", "name"),
    [(gzip.compress, "gzip"), (lzma.compress, "xz"), (bz2.compress, "bzip2"), (bytes, None)],
)
def test_each_compression_is_known_by_its_first_bytes(
    tmp_path: Path, compress: Callable[[bytes], bytes], name: str | None
) -> None:
    path = tmp_path / "archive"
    path.write_bytes(compress(CONTENT))
    with path.open("rb") as file:
        assert compression(file.fileno()) == name
        assert read_all(decompressed(file)) == CONTENT


def test_xz_of_several_streams_with_padding(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(lzma.compress(CONTENT) + b"\0" * 8 + lzma.compress(b"more") + b"\0" * 4)
    with path.open("rb") as file:
        assert read_all(decompressed(file), 70000) == CONTENT + b"more"


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_what_ends_early_is_an_error(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "archive"
    path.write_bytes(compress(CONTENT)[:-5])
    with path.open("rb") as file, pytest.raises((EOFError, OSError)):
        read_all(decompressed(file))


def test_xz_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
    compressor = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    data = bytearray(compressor.compress(b"x") + compressor.flush())
    # The dictionary's size is one byte of the block header: 8 means 64 KiB, 34 means 512 MiB.
    assert data[12 + 4] == 8
    data[16] = 34
    data[20:24] = zlib.crc32(bytes(data[12:20])).to_bytes(4, "little")
    path = tmp_path / "archive"
    path.write_bytes(bytes(data))
    with path.open("rb") as file, pytest.raises(lzma.LZMAError, match=r"[Mm]emory"):
        read_all(decompressed(file))


def test_the_digest_covers_what_was_not_read() -> None:
    stream = Hashed(io.BytesIO(CONTENT), limit_bytes=len(CONTENT))
    stream.read(10)
    assert stream.digest() == hashlib.sha256(CONTENT).hexdigest()


def test_a_bomb_is_stopped_at_the_limit() -> None:
    stream = Hashed(io.BytesIO(CONTENT), limit_bytes=100)
    with pytest.raises(ImageError, match="larger than 100 bytes"):
        stream.digest()
