"""Kernels that a program unpacks."""

from __future__ import annotations

import struct
import subprocess

import pytest

from tests.unit.vm_lane.test_vmlinux import KERNEL, image
from tests.vm.lane import vmlinux
from tests.vm.lane.errors import LaneError

ZSTD = pytest.param(["zstd", "-cq"], marks=pytest.mark.requires("program:zstd"), id="zstd")
LZ4 = pytest.param(["lz4", "-lcq"], marks=pytest.mark.requires("program:lz4"), id="lz4")


@pytest.mark.parametrize("packer", [ZSTD, LZ4])
def test_a_kernel_that_a_program_unpacks(packer: list[str]) -> None:
    packed = subprocess.run(packer, input=KERNEL, capture_output=True, check=True).stdout
    assert vmlinux.extract(image(packed + struct.pack("<I", len(KERNEL)))) == KERNEL


@pytest.mark.parametrize("packer", [ZSTD, LZ4])
def test_a_kernel_that_is_damaged(packer: list[str]) -> None:
    packed = subprocess.run(packer, input=KERNEL, capture_output=True, check=True).stdout
    damaged = packed[:4] + b"\xff" * (len(packed) - 4)
    with pytest.raises(LaneError, match=f"{packer[0]} cannot unpack the kernel"):
        vmlinux.extract(image(damaged + struct.pack("<I", len(KERNEL))))
