"""The guest's first root: busybox, the modules for its real root, the stages and what they are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.vm.lane import cpio, guest, modules, program
from tests.vm.lane.errors import LaneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.vm.lane.kernel_package import Kernel

# What the root file system and the lane's devices need, as far as the kernel does not contain it.
MODULES: Final = ("virtio_pci", "virtio_console", "virtiofs", "overlay", "virtio_blk", "virtio_rng")
FOLDERS: Final = ("bin", "proc", "sys", "dev", "lower", "rw", "root", "modules", "lane")


def build(kernel: Kernel, told: Mapping[str, str]) -> bytes:
    """The archive for one run; told are the files by which the stages learn of it. Raises LaneError."""
    busybox = _busybox()
    entries = [
        *map(cpio.folder, FOLDERS),
        cpio.file("init", guest.stage("initramfs"), mode=0o755),
        cpio.file("bin/busybox", busybox, mode=0o755),
        cpio.file("lane/busybox", busybox, mode=0o755),
        *(cpio.file(f"lane/{name}.sh", guest.stage(name)) for name in ("system", "session")),
        *(cpio.file(f"lane/{name}", os.fsencode(text)) for name, text in told.items()),
        *(cpio.file(f"modules/{number:02}", data) for number, data in enumerate(_module_files(kernel))),
    ]
    return cpio.archive(entries)


def _module_files(kernel: Kernel) -> list[bytes]:
    folder = kernel.modules
    dep, builtin = ((folder / name).read_text() for name in ("modules.dep", "modules.builtin"))
    return [(folder / path).read_bytes() for path in modules.load_order(dep, builtin, MODULES)]


def _busybox() -> bytes:
    """A busybox that runs where no library is."""
    binary = Path(program.find("busybox", "busybox-static")).read_bytes()
    if b"/ld-linux" in binary[:4096]:  # the interpreter of a dynamic ELF file is named near its start
        raise LaneError("busybox needs libraries\n  install the package busybox-static")
    return binary
