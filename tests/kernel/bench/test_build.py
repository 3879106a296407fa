"""The probe's compilation, by the compiler of this host."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from zonectl.bench.probe import build
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("program:cc")

PT_LOAD, PT_INTERP = 1, 3  # elf(5)
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes"]


def test_no_source_has_a_warning(tmp_path: Path) -> None:
    out = str(tmp_path / "probe")
    argv = ["cc", *build.FLAGS, *WARNINGS, "-Werror", "-o", out, *build.sources(), *build.LIBRARIES]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_is_static_and_anybody_may_execute_it(probe_program: str) -> None:
    with open(probe_program, "rb") as stream:
        image = stream.read()
    offset, size, count = *struct.unpack_from("<Q", image, 32), *struct.unpack_from("<HH", image, 54)
    types = [struct.unpack_from("<I", image, offset + at * size)[0] for at in range(count)]
    assert PT_LOAD in types
    assert PT_INTERP not in types, "a program interpreter would have to be in each arm's root"
    assert stat.S_IMODE(os.stat(probe_program).st_mode) == 0o755
    assert subprocess.run([probe_program, "true"], check=False).returncode == 0


def test_it_is_compiled_once(tmp_path: Path) -> None:
    first = build.probe(str(tmp_path))
    made = os.stat(first)
    assert build.probe(str(tmp_path)) == first
    assert os.stat(first).st_ino == made.st_ino
    assert os.listdir(tmp_path) == [os.path.basename(first)]


def test_other_sources_make_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "sources"
    shutil.copytree(build.SOURCES, copied)
    monkeypatch.setattr(build, "SOURCES", str(copied))
    before = build.probe(str(tmp_path))
    with (copied / "probe.h").open("a") as stream:
        stream.write("/* changed */\n")
    assert build.probe(str(tmp_path)) != before


def test_several_at_once_make_the_same_one(tmp_path: Path) -> None:
    found: list[str] = []
    makers = [threading.Thread(target=lambda: found.append(build.probe(str(tmp_path)))) for _ in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(found) == 3
    assert os.listdir(tmp_path) == [os.path.basename(path) for path in set(found)]


def test_without_a_compiler_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="there is no C compiler") as raised:
        build.probe(str(tmp_path))
    assert raised.value.hint == "apt install gcc libc6-dev"


def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "cache"
    programs.mkdir()
    compiler = programs / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && exit\necho "cannot find -lc" >&2\nexit 1\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(BenchError, match=r"cannot be compiled: .*cannot find -lc") as raised:
        build.probe(str(folder))
    assert raised.value.hint == "apt install gcc libc6-dev"
    assert os.listdir(folder) == []


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="file"):
        build.probe(str(tmp_path / "file" / "below"))
