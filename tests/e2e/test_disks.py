"""The disk of the state root is full, read-only or failing: refused in words, and delete works."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import COMMAND, TIMEOUT_S
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.instance import Zonectl

SLEEP = "exec sleep 1000000"


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every path below it, and what files hold; locks come and go."""
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
        if path.name != "lock" and not path.name.endswith(".lock")
    }


@contextmanager
def disk(z: Zonectl, *options: str) -> Iterator[Path]:
    """The instance's root on an ext4 of its own of 16 MiB; what it held is on it."""
    image, kept = z.folder / "disk", z.folder / "kept"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", str(image))
    z.root.rename(kept)
    z.root.mkdir(mode=0o700)
    run("mount", "-o", ",".join(("loop", *options)), str(image), str(z.root))
    try:
        run("cp", "-a", f"{kept}/.", str(z.root))
        z.root.chmod(0o700)
        yield z.root
    finally:
        run("mount", "-o", "remount,rw", str(z.root))
        (z.root / "filler").unlink(missing_ok=True)
        z.clear()
        until(
            lambda: not subprocess.run(["umount", str(z.root)], check=False, capture_output=True).returncode
        )
        z.root.rmdir()
        kept.rename(z.root)
        image.unlink()


def fill(folder: Path) -> None:
    """Take every block of the file system, by a file in it."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.requires("loop", "program:mke2fs")
@pytest.mark.fault(
    "the disk of the state root is full",
    "create and start are refused in words with nothing changed; what runs is listed, entered and stopped; "
    "delete works",
)
def test_a_full_disk(z: Zonectl) -> None:
    with disk(z) as root:
        z.define("web", SLEEP)
        z.define("idle", SLEEP)
        z("start", "web")
        fill(root)
        before = everything(root / "zones")
        done = z("create", "--set", "name=more", str(z.folder / "web.toml"), code=1)
        assert "No space left on device" in done.err
        assert set(z.list()) == {"web", "idle"}
        assert everything(root / "zones") == before
        assert z.exec("web", "echo", "here").out == "here\n"
        z("stop", "-t", "0", "web")
        assert z.state("web") == "installed"
        before = everything(root / "zones")
        for verb in ("start", "ready"):
            done = z(verb, "web", code=1)
            assert done.err.startswith("zonectl: web: cannot write to ")
            assert "No space left on device" in done.err
            assert done.err.count("\n") <= 2, done.err
        assert z.state("web") == "installed"
        assert everything(root / "zones") == before
        z("delete", "-f", "idle")
        assert set(z.list()) == {"web"}
        z("delete", "-f", "web")
        assert z.list() == {}


@pytest.mark.requires("loop", "program:mke2fs")
@pytest.mark.fault(
    "a run on a full disk, then on one that is read-only",
    "125, in words, before anything is made; the same run works once there is room",
)
def test_a_run_without_room(z: Zonectl) -> None:
    with disk(z) as root:
        assert z.run("echo", "here").out == "here\n"
        before = everything(root)
        fill(root)
        _refused(z, "No space left on device")
        (root / "filler").unlink()
        run("mount", "-o", "remount,ro", str(root))
        _refused(z, "Read-only file system")
        run("mount", "-o", "remount,rw", str(root))
        assert everything(root) == before
        assert z.run("echo", "here").out == "here\n"


def _refused(z: Zonectl, words: str) -> None:
    done = z.run("echo", "here", code=125)
    assert done.out == ""
    assert words in done.err
    assert done.err.count("\n") <= 2, done.err
    assert z.list() == {}


@pytest.mark.requires("loop", "program:mke2fs")
@pytest.mark.fault(
    "the disk of the state root becomes read-only",
    "create, start and delete are refused in words with nothing changed; all zones are listed; later all works",
)
def test_a_read_only_disk(z: Zonectl) -> None:
    with disk(z) as root:
        z.define("web", SLEEP)
        before = everything(root)
        run("mount", "-o", "remount,ro", str(root))
        for words in (
            ["create", "--set", "name=more", str(z.folder / "web.toml")],
            ["start", "web"],
            ["delete", "-f", "web"],
        ):
            done = z(*words, code=1)
            assert "Read-only file system" in done.err
            assert done.err.count("\n") <= 2, done.err
        assert z.state("web") == "installed"
        run("mount", "-o", "remount,rw", str(root))
        assert everything(root) == before
        z("start", "web")
        z("delete", "-f", "web")


@pytest.mark.requires("program:strace")
@pytest.mark.fault(
    "the disk fails: each fsync says EIO",
    "create is refused in words and leaves nothing; zones that are there are listed and start",
)
def test_a_failing_disk(z: Zonectl) -> None:
    z.define("web", SLEEP)
    before = everything(z.root / "zones")
    trace = z.folder / "trace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", "inject=fsync:error=EIO", COMMAND, "--no-daemon",
         "create", "--set", "name=more", str(z.folder / "web.toml")],
        env=z.environment, check=False, capture_output=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert "(INJECTED)" in trace.read_text(encoding="utf-8")
    assert done.returncode == 1
    assert b"Input/output error" in done.stderr
    assert set(z.list()) == {"web"}
    assert everything(z.root / "zones") == before
    z("start", "web")
