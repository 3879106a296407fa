"""Debian's kernel package: downloaded once, unpacked in the cache, never installed."""

from __future__ import annotations

import fcntl
import lzma
import re
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.vm.lane import program, vmlinux
from tests.vm.lane.errors import LaneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Metapackages: they depend on the image of their newest version.
STOCK: Final = ("linux-image-cloud-amd64",)
"""The distribution's own: on Debian 12 the oldest kernel that zonectl runs on."""
NEWEST: Final = ("linux-image-6.12-cloud-amd64", *STOCK)
"""The first that apt knows."""
ATTEMPTS: Final = 3
PAUSE_S: Final = 5.0  # another apt may be holding the lists
# The _apt user, to which a root apt-get drops, cannot write into the cache.
APT_GET: Final = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An unpacked kernel: the ELF image and the folder of its modules, named after its release."""

    image: Path
    modules: Path

    @property
    def release(self) -> str:
        """What uname -r says under this kernel."""
        return self.modules.name


def cached(cache: Path, packages: Sequence[str] = NEWEST) -> Kernel:
    """The kernel of a cache, downloaded first if there is none: from the first of `packages` that apt knows.

    A kernel that is there is used without a look at apt: remove the cache to get a newer one.
    Raises LaneError.
    """
    cache.mkdir(parents=True, exist_ok=True)
    current = cache / "current"
    with _locked(cache / "lock"):
        if not current.is_dir():
            _fetch(cache, packages).rename(current)
    return _kernel(current)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait here while another run of the lane fills the cache."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kernel(tree: Path) -> Kernel:
    return Kernel(image=tree / "vmlinux", modules=next((tree / "lib/modules").iterdir()))


def _fetch(cache: Path, packages: Sequence[str]) -> Path:
    """A complete unpacked package below the cache, not yet under its final name."""
    tree = cache / "unfinished"  # of a fixed name, so that the next run clears what a killed one left
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    package = _download(tree, packages)
    program.run(["dpkg-deb", "-x", str(package), str(tree)])
    package.unlink()
    modules = _kernel(tree).modules
    (tree / "vmlinux").write_bytes(vmlinux.extract((tree / f"boot/vmlinuz-{modules.name}").read_bytes()))
    _unpack_modules(modules)
    program.run([program.find("depmod", "kmod"), "-b", str(tree), modules.name])
    return tree


def _unpack_modules(modules: Path) -> None:
    """Unpack all modules, once here rather than at each use by an emulated processor."""
    for packed in modules.rglob("*.ko.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()


def _download(folder: Path, packages: Sequence[str]) -> Path:
    """The package file, in folder; updates apt's lists when they lack the first choice or are out of date."""
    failure = LaneError("the kernel was not downloaded")
    if _image_of(packages[0]) is None:
        with suppress(LaneError):  # the second may be there all the same
            program.run([*APT_GET, "update"])
    for attempt in range(ATTEMPTS):
        try:
            if attempt:
                program.run([*APT_GET, "update"])
            name = _first_known(packages)
            sys.stderr.write(f"lane: downloading {name}\n")
            program.run([*APT_GET, "download", name], cwd=folder)
            return next(folder.glob("*.deb"))
        except LaneError as error:
            failure = error
            time.sleep(PAUSE_S * attempt)
    raise failure


def _first_known(packages: Sequence[str]) -> str:
    """The package of the image of the first that apt knows; raises LaneError when it knows none."""
    for name in packages:
        if image := _image_of(name):
            return image
    raise LaneError(f"apt knows no package {' or '.join(packages)}")


def _image_of(name: str) -> str | None:
    """The image that a metapackage depends on; None where apt does not know it."""
    try:
        depends = program.run(["apt-cache", "depends", name])
    except LaneError:
        return None
    image = re.search(r"^\s*Depends: (linux-image-\S+)$", depends, re.MULTILINE)
    return image[1] if image else None
