"""Compiled filters on disk: read when whole, made anew when not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import HostLacks
from zonectl.security.seccomp import architectures, builtin, filters
from zonectl.security.seccomp.cache import filter_of
from zonectl.security.seccomp.compiler import compile_profile

if TYPE_CHECKING:
    from pathlib import Path

    from zonectl.security.seccomp.profile import Profile

STRICT = builtin.named("strict", nesting=False)


class Maker:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Profile:
        self.times += 1
        return STRICT


def test_compiled_once_and_read_by_others(tmp_path: Path) -> None:
    make = Maker()
    first = filter_of("strict 1", make, folder=str(tmp_path))
    second = filter_of("strict 1", make, folder=str(tmp_path))
    assert make.times == 1
    assert first == second
    assert first.program == compile_profile(STRICT, architectures.native())
    assert (first.name, first.digest, first.no_new_privs) == ("strict", STRICT.digest, True)
    filter_of("strict 2", make, folder=str(tmp_path))
    assert make.times == 2


def test_every_damage_is_seen(tmp_path: Path) -> None:
    make = Maker()
    whole = filter_of("strict", make, folder=str(tmp_path))
    (entry,) = tmp_path.iterdir()
    content = entry.read_bytes()
    damaged = [content[:length] for length in (0, 1, 64, 65, 200, len(content) - 1)]
    damaged += [
        content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        for at in (*range(0, len(content), 97), len(content) - 2)
    ]
    damaged += [b"\xff" * 100, content + b"x", content.replace(b" 1 ", b" 0 ", 1)]
    for number, wrong in enumerate(damaged, make.times + 1):
        entry.write_bytes(wrong)
        assert filter_of("strict", make, folder=str(tmp_path)) == whole
        assert make.times == number
        assert entry.read_bytes() == content


def test_an_entry_is_not_another_profiles(tmp_path: Path) -> None:
    make = Maker()
    filter_of("first", make, folder=str(tmp_path))
    (entry,) = tmp_path.iterdir()
    filter_of("second", make, folder=str(tmp_path))
    (other,) = (path for path in tmp_path.iterdir() if path != entry)
    other.write_bytes(entry.read_bytes())
    filter_of("second", make, folder=str(tmp_path))
    assert make.times == 3


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    make = Maker()
    filter_of("strict", make, folder=str(tmp_path))
    (entry,) = tmp_path.iterdir()
    elsewhere = tmp_path / "elsewhere"
    os.rename(entry, elsewhere)
    entry.symlink_to(elsewhere)
    filter_of("strict", make, folder=str(tmp_path))
    assert make.times == 2


def test_no_disk_is_no_reason_to_fail(tmp_path: Path) -> None:
    make = Maker()
    whole = filter_of("strict", make, folder=None)
    assert filter_of("strict", make, folder=str(tmp_path / "missing")) == whole
    assert make.times == 2


def test_named_filters_are_one_object_in_a_process(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert filters.named("default", nesting=True, folder=folder) is filters.named(
        "default", nesting=True, folder=folder
    )
    assert filters.named("default", nesting=False).digest != filters.named("default", nesting=True).digest


def test_an_architecture_without_a_table_is_refused() -> None:
    with pytest.raises(HostLacks, match="no system call filter for riscv64") as caught:
        architectures.named("riscv64")
    assert "seccomp" in (caught.value.hint or "")
