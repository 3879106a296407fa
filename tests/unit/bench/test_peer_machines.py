"""Which kernel the machines boot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from zonectl.bench.peers.machines import find_kernel
from zonectl.errors import HostLacks

if TYPE_CHECKING:
    from pathlib import Path


def test_the_newest_of_the_folder_is_booted(tmp_path: Path) -> None:
    for age, name in enumerate(("vmlinuz-6.1", "vmlinuz-6.12", "initrd.img-7")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    assert find_kernel(str(tmp_path)) == f"{tmp_path}/vmlinuz-6.12"


def test_no_kernel_is_taken_from_what_tests_have_in_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / ".cache/zonectl-lane/current/vmlinux"
    kernel.parent.mkdir(parents=True)
    kernel.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HostLacks, match="there is no kernel in") as raised:
        find_kernel(str(tmp_path))
    assert raised.value.hint
    assert raised.value.hint.startswith("--kernel FILE")
