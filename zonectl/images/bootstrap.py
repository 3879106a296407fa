"""Images made on the host: `busybox:latest` from its static busybox, `debian:12` and others by mmdebstrap."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.errors import CommandError, ImageError
from zonectl.images import copy, layers, storage
from zonectl.images.content import Cloning
from zonectl.images.reference import Reference, parse
from zonectl.kernel import command
from zonectl.store import documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.images.layers import Image
    from zonectl.store.paths import Paths

BUSYBOX = "/bin/busybox"
BUSYBOX_REFERENCE = Reference(name="busybox")

_BUSYBOX_HINT = "apt install busybox-static"
_APPLETS_TIMEOUT_S = 10.0
_DEBIAN_TIMEOUT_S = 1800.0
_TAGS = {"bullseye": "11", "bookworm": "12", "trixie": "13"}

_FOLDERS = (
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("srv", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
)
_FILES = (
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("etc/hostname", ""),
    ("etc/resolv.conf", ""),
)


def busybox(paths: Paths, *, program: str = BUSYBOX) -> Image:
    """Make `busybox:latest`: the static busybox, a link for each of its applets, the usual folders and files.

    The same busybox gives the same digest.

    Raises:
        ImageError: the host has no busybox, or one that needs libraries.
        StoreError: it cannot be stored.

    """
    applets = _applets(program)
    with storage.fresh(paths) as root:
        copied = copy.Copied(entries=len(_FOLDERS) + len(_FILES) + len(applets) + 1)
        for name, mode in _FOLDERS:
            os.mkdir(f"{root}/{name}")
            os.chmod(f"{root}/{name}", mode)
        copied.bytes = _install(program, f"{root}/bin/busybox")
        for name, text in _FILES:
            _write(f"{root}/{name}", text)
        for applet in applets:
            os.symlink("/bin/busybox", f"{root}/{applet}")
            os.utime(f"{root}/{applet}", (0, 0), follow_symlinks=False)
        return layers.store_tree(paths, root, copied, reference=BUSYBOX_REFERENCE)


def debian(
    paths: Paths,
    suite: str = "bookworm",
    variant: str = "minbase",
    *,
    mirror: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Image:
    """The image `debian:12` (or of another suite and variant); made by mmdebstrap unless it is there already.

    `mirror` is a URL, a line of sources.list or a file with such lines; without it mmdebstrap's own.

    Raises:
        ImageError: mmdebstrap is missing or fails.
        StoreError: it cannot be stored.

    """
    reference = debian_reference(suite, variant)
    try:
        return layers.resolve(paths, reference)
    except ImageError:
        tell = progress or _ignore
    archive = f"{paths.images_dir}/{documents.temporary_name()}.tar"
    argv = ["mmdebstrap", "--quiet", f"--variant={variant}", "--format=tar", "--", suite, archive]
    try:
        tell(f"mmdebstrap: downloading and installing {suite} ({variant})")
        command.run(
            [*argv, *filter(None, [mirror])],
            timeout_s=_DEBIAN_TIMEOUT_S,
            # The same packages give the same archive, and so the same digest.
            env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
            hint="apt install mmdebstrap",
        )
        tell("unpacking it")
        return layers.import_tar(paths, archive, reference)
    except CommandError as error:
        raise ImageError(f"cannot build {reference}: {error.message}", hint=error.hint) from error
    finally:
        if os.path.lexists(archive):
            os.unlink(archive)


def debian_reference(suite: str, variant: str = "minbase") -> Reference:
    """`debian:12` for bookworm; other variants than minbase are in the tag: `debian:12-apt`.

    Raises:
        ImageError: the suite or the variant cannot be part of a tag.

    """
    tag = _TAGS.get(suite, suite)
    return parse(f"debian:{tag}" if variant == "minbase" else f"debian:{tag}-{variant}")


def _ignore(_message: str) -> None:
    pass


def _applets(program: str) -> list[str]:
    """Where applets belong, relative: bin/sh, usr/bin/env, …; not busybox itself, whose place is the program's."""
    try:
        listed = command.run([program, "--list-full"], timeout_s=_APPLETS_TIMEOUT_S, hint=_BUSYBOX_HINT)
    except CommandError as error:
        raise ImageError(f"cannot use {program}: {error.message}", hint=_BUSYBOX_HINT) from error
    folders = {name for name, _mode in _FOLDERS}
    names = sorted(set(listed.stdout.decode().split()))
    known = [name for name in names if os.path.dirname(name) in folders and ".." not in name]
    return [name for name in known if name != "bin/busybox"]


def _install(program: str, target: str) -> int:
    source_fd = os.open(program, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _needs_loader(source_fd):
            raise ImageError(f"{program} is not static", hint=_BUSYBOX_HINT)
        target_fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            size = Cloning().copy(source_fd, target_fd)
            os.fchmod(target_fd, 0o755)
            os.utime(target_fd, (0, 0))
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)
    return size


def _needs_loader(fd: int) -> bool:
    # Its path stands in the first page of a dynamic program (PT_INTERP, elf(5)).
    return b"/ld-" in os.pread(fd, 4096, 0)


def _write(path: str, text: str) -> None:
    with open(path, "x", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o644)
    os.utime(path, (0, 0))
