"""The ELF kernel inside a bzImage.

QEMU enters an ELF kernel directly (PVH), which spares an emulated processor more than a second of
decompression. The layout is that of Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header", protocol
2.08 (Linux 2.6.26).
"""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
from typing import Final

from tests.vm.lane import program
from tests.vm.lane.errors import LaneError

SETUP_SECTS: Final = 0x1F1
HEADER_MAGIC: Final = 0x202
PAYLOAD_OFFSET: Final = 0x248
SECTOR_BYTES: Final = 512
PROGRAMS: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4"}
"""Who unpacks what begins so; of lz4 it is the legacy format, which is the kernel's (lz4(1), -l)."""
# The build appends the unpacked size to what it has packed, except to gzip, which has it by itself.
SIZE_BYTES: Final = 4


def extract(image: bytes) -> bytes:
    """The unpacked kernel of a bzImage; raises LaneError when there is none that we can unpack."""
    kernel = _unpack(payload(image))
    if not kernel.startswith(b"\x7fELF"):
        raise LaneError("the kernel image holds no ELF kernel")
    return kernel


def payload(image: bytes) -> bytes:
    """The packed kernel, as the boot protocol's header locates it."""
    if image[HEADER_MAGIC : HEADER_MAGIC + 4] != b"HdrS":
        raise LaneError("not a bzImage")
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    start = (image[SETUP_SECTS] + 1) * SECTOR_BYTES + offset
    return image[start : start + length]


def _unpack(packed: bytes) -> bytes:
    if packed.startswith(b"\x1f\x8b"):
        return gzip.decompress(packed)
    if packed.startswith(b"\xfd7zXZ\0"):
        return lzma.decompress(packed[:-SIZE_BYTES])
    for magic, name in PROGRAMS.items():
        if packed.startswith(magic):
            return _unpack_by(name, packed[:-SIZE_BYTES])
    raise LaneError(f"the kernel is packed in an unknown way: {packed[:4].hex()}")


def _unpack_by(name: str, packed: bytes) -> bytes:
    """Unpack by the program `name`, of a Debian package of that name."""
    argv = [program.find(name, name), "-dcq"]
    done = subprocess.run(argv, input=packed, capture_output=True, check=False)
    if done.returncode:
        raise LaneError(f"{name} cannot unpack the kernel: {done.stderr.decode(errors='replace')}")
    return done.stdout
