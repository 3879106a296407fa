"""Copies that share blocks, on a file system that can and one that cannot."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import reflink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    InChild = Callable[[Callable[[], object]], None]


def _clone(folder: Path) -> bytes:
    (folder / "source").write_bytes(b"block" * 4096)
    with (folder / "source").open("rb") as source, (folder / "copy").open("wb") as copy:
        reflink.ficlone(copy.fileno(), source.fileno())
    return (folder / "copy").read_bytes()


@pytest.mark.requires("root")
def test_where_blocks_cannot_be_shared(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
        with pytest.raises(SyscallError) as caught:
            _clone(tmp_path)
        assert caught.value.errno in (errno.EOPNOTSUPP, errno.EXDEV)

    in_mount_namespace(body)


@pytest.mark.requires("root", "loop", "filesystem:btrfs", "program:mkfs.btrfs")
def test_where_blocks_are_shared(in_mount_namespace: InChild, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    (tmp_path / "mounted").mkdir()

    def body() -> None:
        subprocess.run(["mount", "-o", "loop", image, tmp_path / "mounted"], check=True)
        assert _clone(tmp_path / "mounted") == b"block" * 4096
        os.sync()
        subprocess.run(["umount", tmp_path / "mounted"], check=True)

    in_mount_namespace(body)
