"""The base of sparse roots: the host's /usr is shown, and everything else is made up here.

Whatever an id-mapped view shows, the zone's root may read as the host's root may. So what is shown is listed, never
what is hidden: /usr, mounted by the plan, and from /etc only what describes /usr and holds no secret. One layer of the
store holds it for all zones, named by what it is made from: a zone keeps the one that it was installed on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.errors import StoreError
from zonectl.images import layers, storage
from zonectl.images.storage import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.images.layers import Image
    from zonectl.store.paths import Paths

_HOST = ""
"""Where the host's /etc and the links to its /usr are."""

_TRIES = 3

_FOLDERS = {
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "srv": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
}
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "bash.bashrc",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "os-release",
    "profile",
    "protocols",
    "services",
    "ssl/certs",
    "terminfo",
)
_MADE = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/shells": "/bin/sh\n/bin/bash\n",
}


def base(paths: Paths) -> Image:
    """The image of one layer that sparse roots stand on, made if the store has none of the host as it is; no reference.

    Raises:
        StoreError: it cannot be stored, or the host's /etc changes again and again while it is copied.
        Busy: the store was locked for too long.

    """
    for _ in range(_TRIES):
        digest = _digest()
        if (image := layers.unreferenced(paths, digest)) is not None:
            return image
        with storage.fresh(paths) as temporary:
            fill(temporary)
            if _digest() == digest:
                return layers.store(paths, temporary, _described(temporary, digest), reference=None)
    raise StoreError(
        "the host's /etc changes while it is copied", hint="try again when packages are installed"
    )


def fill(folder: str) -> None:
    """Make the base of a sparse root in `folder`, which is empty.

    Raises:
        StoreError: something cannot be made.

    """
    try:
        for name, mode in _FOLDERS.items():
            _make_folder(f"{folder}/{name}", mode)
        for name in _links():
            os.symlink(f"usr/{name}", f"{folder}/{name}")
        for path, text in _MADE.items():
            with open(f"{folder}/{path}", "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the caller's umask
                file.write(text)
        _make_folder(f"{folder}/etc/ssl", 0o755)
        for path, found in _shown():
            with suppress(FileNotFoundError):  # it has gone since it was listed
                _copy(path, _placed(folder, path), found)
    except OSError as error:
        raise StoreError(f"cannot make the base of a sparse root: {error.strerror or error}") from error


def _digest() -> str:
    """What the base is made from, as a SHA-256 in hex: what is made up, and of each file when it was changed last."""
    known = hashlib.sha256(repr((_FOLDERS, _MADE, _links())).encode())
    for path, found in _shown():
        known.update(
            f"{path}\0{found.st_mode} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\0".encode()
        )
    return known.hexdigest()


def _described(folder: str, digest: str) -> Layer:
    files = [_placed(folder, path) for path, found in _shown() if stat.S_ISREG(found.st_mode)]
    return Layer(
        digest=digest,
        tree=storage.describe(folder),
        entries=sum(len(folders) + len(names) for _, folders, names in os.walk(folder)),
        bytes=sum(os.lstat(file).st_size for file in files),
        created_at=time.time(),
    )


def _links() -> list[str]:
    return [name for name in _LINKS if os.path.islink(f"{_HOST}/{name}")]


def _shown() -> Iterator[tuple[str, os.stat_result]]:
    """What anyone may read of the listed: links as links, files and folders that are readable by all; parents first."""
    for name in _ETC:
        path = f"{_HOST}/etc/{name}"
        with suppress(FileNotFoundError):
            yield from _readable(path, os.lstat(path))


def _readable(path: str, found: os.stat_result) -> Iterator[tuple[str, os.stat_result]]:
    public = found.st_mode & stat.S_IROTH
    if stat.S_ISLNK(found.st_mode) or (public and stat.S_ISREG(found.st_mode)):
        yield path, found
    elif public and stat.S_ISDIR(found.st_mode):
        yield path, found
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                with suppress(FileNotFoundError):
                    yield from _readable(entry.path, entry.stat(follow_symlinks=False))


def _placed(folder: str, path: str) -> str:
    return f"{folder}{path.removeprefix(_HOST)}"


def _copy(source: str, target: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISDIR(found.st_mode):
        _make_folder(target, 0o755)
    else:
        shutil.copyfile(source, target)
        os.chmod(target, stat.S_IMODE(found.st_mode) & 0o755)


def _make_folder(path: str, mode: int) -> None:
    os.mkdir(path)
    os.chmod(path, mode)  # whatever the caller's umask
