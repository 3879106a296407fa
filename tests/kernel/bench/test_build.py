"""The probe's compilation, by the compiler of this host."""

from __future__ import annotations

import os
import shutil
import signal
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


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The probe's sources, to be changed."""
    copied = tmp_path / "sources"
    shutil.copytree(build.SOURCES, copied)
    monkeypatch.setattr(build, "SOURCES", str(copied))
    return copied


def change(sources: Path) -> None:
    with (sources / "probe.h").open("a", encoding="utf-8") as stream:
        stream.write("/* changed */\n")


def test_other_sources_make_another_one(tmp_path: Path, sources: Path) -> None:
    before = build.probe(str(tmp_path))
    change(sources)
    assert build.probe(str(tmp_path)) != before


def test_a_probe_that_nobody_uses_goes_with_the_next(tmp_path: Path, sources: Path) -> None:
    folder = tmp_path / "cache"
    with build.using(str(folder)) as old:
        assert os.listdir(folder) == [os.path.basename(old)]
    (folder / "probe.killed").touch()
    (folder / "zones-0123abcd").mkdir()
    (folder / "probe-of-somebody").touch()
    change(sources)
    with build.using(str(folder)) as new:
        assert new != old
        assert sorted(os.listdir(folder)) == sorted(
            [os.path.basename(new), "zones-0123abcd", "probe-of-somebody"]
        )


def test_a_probe_that_a_second_bench_uses_stays(tmp_path: Path, sources: Path) -> None:
    """The two are of different versions, or one has been updated while the other runs."""
    with build.using(str(tmp_path)) as old:
        change(sources)
        with build.using(str(tmp_path)) as new:
            assert os.access(old, os.X_OK)
    with build.using(str(tmp_path)) as again:
        assert again == new
        assert not os.path.exists(old)


def test_what_a_killed_bench_used_is_nobodys(tmp_path: Path, sources: Path) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with build.using(str(tmp_path)) as path:
                os.write(told, os.fsencode(path))
                signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    try:
        old = os.fsdecode(os.read(ready, 4096))
        change(sources)
        with build.using(str(tmp_path)):
            assert os.path.exists(old)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
    with build.using(str(tmp_path)):
        assert not os.path.exists(old)


def test_who_comes_while_another_compiles_waits_for_it(tmp_path: Path, sources: Path) -> None:
    """Many at once, of two kinds: whoever has found a probe has it until the end."""
    trouble: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(5):
                with build.using(str(tmp_path)) as path:
                    subprocess.run([path, "true"], check=True)
        except BaseException as error:  # noqa: BLE001 - the thread's end is told to the test
            trouble.append(error)

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    change(sources)
    use()
    for user in users:
        user.join()
    assert trouble == []


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="file"), build.using(str(tmp_path / "file" / "below")):
        pass


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
