"""A zoo of roots: every place that zonectl touches, made into everything that could lead it to the host or stall it.

The canary is a piece of the host on a file system that notes each access (strictatime), so that not even a look at it
goes unseen. What is beside it counts too: nothing may be made there.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.kernel.runtime.world import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "what only the host may read"
ENDLESS = 1 << 40
COMMAND = "/sbin/sleep"
WORKDIR = "/work"
HOME = "/root"
FOLDER_TARGET, FILE_TARGET, TMPFS_TARGET, GUARDED_TARGET = (
    "/srv/folder",
    "/srv/file",
    "/srv/tmpfs",
    "/srv/guarded",
)

PLACES = (
    "dev", "dev/null", "dev/pts", "dev/shm", "proc", "sys", "sys/fs/cgroup", "tmp",
    "etc", "etc/passwd", "etc/group", "etc/resolv.conf", "etc/hosts", "etc/hostname",
    "srv", "srv/folder", "srv/file", "srv/tmpfs", "srv/guarded",
    "work", "root", "bin", "bin/sh", "sbin/sleep",
)  # fmt: skip
"""Below the root, what a verb looks at, mounts on, enters, reads or executes."""

_FOLDERS = (
    "bin",
    "dev",
    "etc",
    "proc",
    "root",
    "sbin",
    "srv/folder",
    "srv/tmpfs",
    "srv/guarded",
    "sys/fs/cgroup",
    "tmp",
    "work",
)


@dataclass(frozen=True)
class Canary:
    """The piece of the host, below `folder`."""

    folder: Path

    def make(self) -> None:
        """Put it there: a file, a folder with a file, a program, a file of accounts."""
        (self.folder / "folder").mkdir()
        for name in ("file", "folder/inner", "folder/passwd", "folder/null", "folder/sleep", "folder/sh"):
            (self.folder / name).write_text(f"{SECRET}\n")
        (self.folder / "passwd").write_text(
            f"root:x:0:0:{SECRET}:/{SECRET}:/bin/sh\nweb:x:33:33::/:/bin/sh\n"
        )
        (self.folder / "program").write_text(f"#!/bin/sh\necho {SECRET}\n")
        (self.folder / "program").chmod(0o755)

    def seen(self) -> dict[str, tuple[int, ...]]:
        """All that the kernel notes of it, read without an access that it would note."""
        known = ("", "file", "folder", "folder/inner", "folder/passwd", "folder/null", "folder/sleep", "folder/sh",
                 "passwd", "program")  # fmt: skip
        return {name: _status(self.folder / name) for name in known}

    def content(self) -> dict[str, str]:
        """What there is and what is in it; an access, so that `seen` comes first."""
        paths = sorted(self.folder.rglob("*"))
        return {str(path): path.read_text() if path.is_file() else "" for path in paths}


def _status(path: Path) -> tuple[int, ...]:
    found = path.lstat()
    return (
        *(found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_size),
        *(found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns),
    )


def make_root(folder: Path) -> Path:
    """A root in which every place is what it should be; programs are hard links to one busybox beside it."""
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    store = folder.parent / "busybox"
    if not store.exists():
        shutil.copy(BUSYBOX, store)
    for name in ("busybox", "bin/sh", "sbin/sleep"):
        os.link(store, folder / name)
    (folder / "srv/file").touch()
    (folder / "tmp").chmod(0o1777)
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/work:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\nweb:x:33:\nadm:x:4:web\n")
    return folder


def _link(to: str) -> Callable[[Canary, Path], None]:
    """A link to a text in which HOST is the canary's folder, and UP many steps up."""

    def make(canary: Canary, place: Path) -> None:
        place.symlink_to(to.replace("UP", "../" * 40).replace("HOST", str(canary.folder)))

    return make


def _chain(last: str) -> Callable[[Canary, Path], None]:
    def make(canary: Canary, place: Path) -> None:
        root = _root_of(place)
        (root / "links").mkdir()
        (root / "links/a").symlink_to("/links/b")
        (root / "links/b").symlink_to("../../links/../links/c")
        (root / "links/c").symlink_to("../" * 40 + f"{canary.folder}/{last}".lstrip("/"))
        place.symlink_to("/links/a")

    return make


def _root_of(place: Path) -> Path:
    return next(parent for parent in place.parents if parent.name.startswith("root-"))


def _socket(_canary: Canary, place: Path) -> None:
    here = os.getcwd()
    os.chdir(place.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.chdir(here)


def _device(kind: int, major: int, minor: int) -> Callable[[Canary, Path], None]:
    return lambda _canary, place: os.mknod(place, 0o666 | kind, os.makedev(major, minor))


def _sparse(_canary: Canary, place: Path) -> None:
    place.touch(0o755)
    os.truncate(place, ENDLESS)


def _long_line(_canary: Canary, place: Path) -> None:
    place.write_bytes(b"root:" + b"x" * (2 << 20))
    place.chmod(0o755)


def _nasty(_canary: Canary, place: Path) -> None:
    lines = [
        b"root:x:-1:0::/:/bin/sh", b"root:x:4294967296:0::/:/bin/sh", b"web:x:0x21:33::/:/bin/sh", b":x:0:0:::",
        b"web\x1b]0;owned\x07:x:33:33::/:", b"web:x:33:33::/\0:/bin/sh", b"\xff\xfe" * 50, b"a:" * 5000, b"\r\n\x85",
        b"web:x:033:33::/work:/bin/sh\x0b", b"#!/../../../../../bin/sh",
    ]  # fmt: skip
    place.write_bytes(b"\n".join(lines) + b"\n")
    place.chmod(0o755)


def _full_folder(_canary: Canary, place: Path) -> None:
    place.mkdir()
    for name in ("null", "pts", "shm", "passwd", "group", "hosts", "inner", "sh", "sleep"):
        os.mkfifo(place / name)


KINDS: dict[str, Callable[[Canary, Path], None]] = {
    "link to a file": _link("HOST/file"),
    "link to a folder": _link("HOST/folder"),
    "link to accounts": _link("HOST/passwd"),
    "link to a program": _link("HOST/program"),
    "link by dots to a file": _link("UPHOST/file"),
    "link by dots to a folder": _link("UPHOST/folder"),
    "chain to a file": _chain("file"),
    "chain to a folder": _chain("folder"),
    "link by the root of a process": _link("/proc/1/rootHOST/folder"),
    "link by the own root": _link("/proc/self/root/../..HOST/file"),
    "link by a descriptor": _link("/proc/self/fd/3"),
    "link by the working directory": _link("/proc/self/cwd/UPHOST/folder"),
    "link to a new name beside it": _link("HOST/new"),
    "link to a new name far below it": _link("HOST/folder/made/deep/down"),
    "link to itself": lambda _canary, place: place.symlink_to(place.name),
    "link to its folder": _link("."),
    "link to an endless device": _link("/dev/zero"),
    "link to the terminal": _link("/dev/tty"),
    "fifo": lambda _canary, place: os.mkfifo(place, 0o666),
    "socket": _socket,
    "null device": _device(stat.S_IFCHR, 1, 3),
    "console": _device(stat.S_IFCHR, 5, 1),
    "disk": _device(stat.S_IFBLK, 7, 0),
    "empty file": lambda _canary, place: place.touch(0o755),
    "endless file": _sparse,
    "file of one line": _long_line,
    "file of nasty lines": _nasty,
    "file that nobody may read": lambda _canary, place: place.touch(0),
    "folder": lambda _canary, place: place.mkdir(),
    "folder of fifos": _full_folder,
    "folder that nobody may enter": lambda _canary, place: place.mkdir(0),
    "nothing": lambda _canary, _place: None,
}
"""What a place is made into."""

_READ = ("etc", "bin", "sbin", "root", "dev/null")
_ONLY = {
    "link to accounts": ("etc",),
    "link to a program": ("bin", "sbin"),
    "file of one line": _READ,
    "file of nasty lines": _READ,
    "file that nobody may read": _READ,
    "chain to a file": (*_READ, "srv", "work"),
    "link by the own root": (*_READ, "srv", "work"),
    "link to the terminal": ("dev", "etc", "srv", "work"),
    "null device": ("dev", "etc", "srv", "work"),
}

COMBINATIONS = tuple(
    (place, kind) for place in PLACES for kind in KINDS if kind not in _ONLY or place.startswith(_ONLY[kind])
)
"""Every place made into every kind, save where another kind says the same."""

LEADS_OUT = {
    "link to a file": "file",
    "link to a folder": "folder",
    "link to accounts": "passwd",
    "link to a program": "program",
    "link by dots to a file": "file",
    "link by dots to a folder": "folder",
}
"""Links that on the host lead to the canary from any place."""


def spoil(canary: Canary, root: Path, place: str, kind: str) -> Path:
    """Make the place of the root into the kind."""
    path = root / place
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    KINDS[kind](canary, path)
    return path
