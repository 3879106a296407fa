"""One boot: make what the machine needs, run it, relay the command's output, and leave nothing."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.vm.lane import confinement, guest, initramfs, machine, modules, program
from tests.vm.lane.channel import Console, Output
from tests.vm.lane.errors import LaneError
from tests.vm.lane.machine import ROOT_TAG, Devices, Share
from tests.vm.lane.relay import Patience, relay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.vm.lane.kernel_package import Kernel
    from tests.vm.lane.options import Options

BOOT_S: Final = 120.0  # many times what a boot takes, even on a busy host
STDOUT: Final = 1
STDERR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Both ends of a connection with the machine."""

    here: socket.socket
    there: socket.socket


def boot(options: Options, kernel: Kernel, until_s: float) -> int:
    """Boot once and run the command; return its status.

    until_s is the deadline on the monotonic clock. Raises BootError when another try may help, else
    LaneError.
    """
    token = secrets.token_hex(16)
    with ExitStack() as stack:
        lines = {name: stack.enter_context(_line()) for name in ("console", *_streams())}
        devices = Devices(
            initrd_fd=stack.enter_context(_initrd(options, kernel, token)),
            console_fd=lines["console"].there.fileno(),
            channel_fds={name: lines[name].there.fileno() for name in _streams()},
            shares=tuple(stack.enter_context(_share(tag, path)) for tag, path in _folders(options).items()),
            disk_fd=stack.enter_context(_disk(options.disk_bytes)) if _is_fresh(options) else None,
            nbd=options.nbd,
        )
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        stack.enter_context(confinement.running(_programs(options, kernel, devices), log))
        for line in lines.values():
            line.there.close()  # the machine's alone from now on: when it ends, so do the lines
        try:
            return _relay(options, lines, token, until_s)
        except LaneError as error:
            log.seek(0)
            error.add_note(log.read())
            raise


def _relay(options: Options, lines: Mapping[str, Line], token: str, until_s: float) -> int:
    console = Console(lines["console"].here, STDERR if options.verbose else None)
    outputs = [Output(lines[name].here, fd, token) for name, fd in _streams().items()]
    boot_until_s = time.monotonic() + BOOT_S
    return relay(
        console, outputs, Patience(boot_until_s=boot_until_s, until_s=until_s, timeout_s=options.timeout_s)
    )


def _streams() -> dict[str, int]:
    """Our descriptor for each stream; one for both if they are the same file, so that their order is kept."""
    return {"out": STDOUT} if os.path.sameopenfile(STDOUT, STDERR) else {"out": STDOUT, "err": STDERR}


def _folders(options: Options) -> dict[str, Path]:
    """The folders of the host that the guest sees, by tag."""
    return {ROOT_TAG: Path("/"), **_writable(options)}


def _writable(options: Options) -> dict[str, Path]:
    return {f"rw{number}": folder for number, folder in enumerate(options.rw)}


def _programs(options: Options, kernel: Kernel, devices: Devices) -> confinement.Programs:
    return confinement.Programs(
        daemons=[machine.virtiofsd_command(share) for share in devices.shares],
        machine=machine.qemu_command(options, kernel, devices),
        writable=options.rw,
        pass_fds=devices.fds,
    )


@contextmanager
def _line() -> Iterator[Line]:
    here, there = socket.socketpair()
    with here, there:
        yield Line(here=here, there=there)


@contextmanager
def _share(tag: str, source: Path) -> Iterator[Share]:
    """A connection made beforehand: neither program waits for the other, and the socket needs no name."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as connection:
        with tempfile.TemporaryDirectory(prefix="lane.") as folder:
            path = f"{folder}/{tag}"
            listener.bind(path)
            listener.listen(1)
            connection.connect(path)
        yield Share(tag=tag, source=source, listener_fd=listener.fileno(), connection_fd=connection.fileno())


def _is_fresh(options: Options) -> bool:
    """Whether the machine gets a scratch disk that is made for it, and goes with it."""
    return bool(options.disk_bytes) and options.nbd is None


@contextmanager
def _disk(size_bytes: int) -> Iterator[int]:
    """A sparse file without a name, with an empty ext4 in it."""
    with tempfile.TemporaryFile() as disk:
        disk.truncate(size_bytes)
        mke2fs = program.find("mke2fs", "e2fsprogs")
        fd = disk.fileno()
        program.run([mke2fs, "-q", "-F", "-t", "ext4", "-m", "0", machine.inherited(fd)], pass_fds=[fd])
        yield fd


@contextmanager
def _initrd(options: Options, kernel: Kernel, token: str) -> Iterator[int]:
    with os.fdopen(os.memfd_create("initrd"), "wb") as file:
        file.write(initramfs.build(kernel, _told(options, kernel, token)))
        file.flush()
        yield file.fileno()


def _told(options: Options, kernel: Kernel, token: str) -> dict[str, str]:
    """The files that tell the guest's stages of this run."""
    disk = guest.SCRATCH_DEVICE if options.disk_bytes or options.nbd else ""
    venv = Path(os.environ.get("VIRTUAL_ENV") or sys.prefix)
    devname = (kernel.modules / "modules.devname").read_text()
    return {
        "settings": guest.settings(kernel, token=token, disk=disk),
        "kept": guest.kept([Path.cwd(), Path(sys.prefix), venv]),
        "shares": guest.shares(_writable(options)),
        "nodes": guest.nodes(modules.static_nodes(devname)),
        "command": guest.command_script(_command(options, disk)),
    }


def _command(options: Options, disk: str) -> guest.Command:
    marks = {"ZONECTL_LANE": machine.accelerator()} | ({"ZONECTL_LANE_DISK": disk} if disk else {})
    umask = os.umask(0o022)
    os.umask(umask)
    return guest.Command(argv=options.command, environment=os.environ | marks, folder=Path.cwd(), umask=umask)
