"""Unpacking hostile archives: what the confined child may meet, and that what it reports is not trusted."""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.images.archives import Item, file, folder, hardlink, pack, symlink
from zonectl.errors import ImageError, SyscallError
from zonectl.images.archive import Hashed
from zonectl.images.extract import Extraction
from zonectl.images.limits import Limits
from zonectl.images.unpack import _DAMAGE, Unpacked, _parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["error", "digest", "entries", "bytes", "skipped"])
REPORTS = (
    st.binary(max_size=80)
    | (VALUES | st.dictionaries(KEYS, VALUES)).map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [b"[" * 100_000, b"1" * 100_000, b'{"error":"\\ud800"}', b"\xff\xfe{}", b'{"a":' * 50_000]
    )
)


@given(REPORTS)
def test_any_report_is_a_result_or_an_error_of_the_image(report: bytes) -> None:
    try:
        found = _parsed(report)
    except ImageError:
        return
    assert isinstance(found.digest, str)
    assert type(found.entries) is int
    assert type(found.bytes) is int


def test_a_good_report() -> None:
    said = {"digest": "d", "entries": 3, "bytes": 4, "skipped": ["x"]}
    assert _parsed(json.dumps(said).encode()) == Unpacked(digest="d", entries=3, bytes=4, skipped=("x",))
    with pytest.raises(ImageError, match="it is damaged"):
        _parsed(b'{"error": "it is damaged"}')


RICH = pack(
    folder("./a", 0o1777),
    file("./a/b", b"x" * 700, 0o4755),
    symlink("./l", "a/b"),
    hardlink("./h", "a/b"),
    Item(
        name="n" * 150,
        content=b"y",
        pax={"mtime": "1.5", "SCHILY.xattr.user.k": "v", "uid": "7", "path": "p" * 120},
    ),
    Item(
        name="GNUSparseFile.0/hole",
        content=b"1\n4096\n512\n".ljust(512, b"\0") + b"d" * 512,
        pax={
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "hole",
            "GNU.sparse.realsize": "8192",
        },
    ),
)
LIMITS = Limits(entries=100, file_bytes=1 << 20, total_bytes=4 << 20)
CHANGES = st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.integers(0, 255)), min_size=1, max_size=6)


@given(CHANGES, st.none() | st.integers(0, len(RICH)), st.booleans())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_no_damage_to_an_archive_is_more_than_damage(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int | None, whole: bool
) -> None:
    """What unpacking raises is what its child knows how to report, whatever bytes it reads."""
    damaged = bytearray(RICH)
    for place, value in changes:
        damaged[place] = value
        if whole:
            _mend_checksum(damaged, place - place % 512)
    folder_fd = os.open(tmp_path_factory.mktemp("root"), os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(ImageError, SyscallError, *_DAMAGE):
            Extraction(folder_fd, LIMITS).run(Hashed(io.BytesIO(damaged[:end]), limit_bytes=8 << 20))
    finally:
        os.close(folder_fd)


def _mend_checksum(archive: bytearray, start: int) -> None:
    """Have the change get past the header's checksum, if it is a header."""
    if bytes(archive[start + 257 : start + 262]) != b"ustar":
        return
    archive[start + 148 : start + 156] = b" " * 8
    archive[start + 148 : start + 156] = b"%06o\0 " % sum(archive[start : start + 512])
