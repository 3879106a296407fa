from __future__ import annotations

import gzip
import lzma
import struct

import pytest

from tests.vm.lane import vmlinux
from tests.vm.lane.errors import LaneError

KERNEL = b"\x7fELF" + bytes(100)
SETUP_SECTS = 3
OFFSET = 20


def image(payload: bytes) -> bytes:
    """A bzImage as the boot protocol describes it: boot sector, set-up sectors, protected-mode code."""
    header = bytearray(512 * (SETUP_SECTS + 1))
    header[0x1F1] = SETUP_SECTS
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", header, 0x248, OFFSET, len(payload))
    return bytes(header) + bytes(OFFSET) + payload + b"what follows the payload"


def test_payload_is_where_the_header_says() -> None:
    assert vmlinux.payload(image(b"packed")) == b"packed"


@pytest.mark.parametrize(
    "packed", [gzip.compress(KERNEL), lzma.compress(KERNEL) + struct.pack("<I", len(KERNEL))]
)
def test_kernel_is_unpacked(packed: bytes) -> None:
    assert vmlinux.extract(image(packed)) == KERNEL


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"MZ" + bytes(2048), "not a bzImage"),
        (image(b"\x89LZO\0lzo"), "unknown way: 894c5a4f"),
        (image(gzip.compress(b"no kernel")), "no ELF kernel"),
    ],
)
def test_what_is_no_kernel_image_is_an_error(wrong: bytes, words: str) -> None:
    with pytest.raises(LaneError, match=words):
        vmlinux.extract(wrong)
