"""The command lines of the virtual machine: QEMU, and a virtiofsd for each folder of the host that it shows.

All sockets, and the files that live only for one run, are passed as inherited descriptors: they have no name,
so that nothing is left on the host however the lane ends.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.vm.lane import program
from tests.vm.lane.errors import MissingProgram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.vm.lane.kernel_package import Kernel
    from tests.vm.lane.options import Options

# Debian 12 ships QEMU's own virtiofsd, outside of any PATH.
VIRTIOFSD: Final = Path("/usr/lib/qemu/virtiofsd")
ROOT_TAG: Final = "root"

ACCELERATION: Final[Mapping[str, tuple[str, ...]]] = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    # One thread for all emulated processors: faster on two busy cores, and with a thread each the kernel
    # crashes at times while it patches its own code.
    "tcg": ("-accel", "tcg,thread=single,tb-size=512", "-cpu", "max"),
}
KERNEL_PARAMETERS: Final = (
    "console=ttyS0 quiet panic=-1 cgroup_no_v1=all psi=1 audit=0 mitigations=off random.trust_cpu=on "
    # Emulation on a busy host is late all the time: no check of timers and clocks may disable one.
    "no_timer_check tsc=reliable nowatchdog "
    # The same addresses in every process let the emulator reuse what it has translated: an exec costs half.
    "nokaslr norandmaps"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A folder that the guest sees: the daemon's listening socket, and a connection to it for QEMU."""

    tag: str
    source: Path
    listener_fd: int
    connection_fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What is plugged into the machine, as descriptors that QEMU inherits."""

    initrd_fd: int
    console_fd: int
    channel_fds: Mapping[str, int]  # virtio-serial ports by name
    shares: tuple[Share, ...]
    disk_fd: int | None
    nbd: Path | None = None

    @property
    def fds(self) -> list[int]:
        """All descriptors that the machine's programs inherit."""
        sockets = [fd for share in self.shares for fd in (share.listener_fd, share.connection_fd)]
        disk = [] if self.disk_fd is None else [self.disk_fd]
        return [self.initrd_fd, self.console_fd, *self.channel_fds.values(), *sockets, *disk]


def accelerator() -> str:
    """Kvm where hardware virtualization works, else tcg: emulation.

    A paravirtual /dev/kvm can be opened, too, but does not boot such kernels; its processors have
    neither flag.
    """
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    has_hardware = flags is not None and not {"vmx", "svm"}.isdisjoint(flags[1].split())
    return "kvm" if has_hardware and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def virtiofsd_command(share: Share) -> list[str]:
    """The daemon that serves a folder. Nothing else writes to the root while the guest runs: cache it."""
    if not os.access(VIRTIOFSD, os.X_OK):
        raise MissingProgram(str(VIRTIOFSD), "qemu-system-common")
    cache = "always" if share.tag == ROOT_TAG else "auto"
    options = [f"source={share.source}", "sandbox=chroot", "log_level=err", f"cache={cache}"]
    flags = [word for option in options for word in ("-o", option)]
    return [str(VIRTIOFSD), f"--fd={share.listener_fd}", "-f", "--thread-pool-size=0", *flags]


def qemu_command(options: Options, kernel: Kernel, devices: Devices) -> list[str]:
    """The machine. Its memory is shared with the virtiofsd daemons, as vhost-user demands."""
    memory = f"{options.memory_bytes >> 20}M"
    return [
        program.find("qemu-system-x86_64", "qemu-system-x86"),
        *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot"),
        *("-bios", "qboot.rom"),  # does what PVH needs and no more: a second less than SeaBIOS when emulated
        *("-machine", "q35,memory-backend=memory", "-m", memory, "-smp", str(options.cpus)),
        *("-object", f"memory-backend-memfd,id=memory,size={memory},share=on"),
        *ACCELERATION[accelerator()],
        *("-kernel", str(kernel.image), "-initrd", inherited(devices.initrd_fd)),
        *("-append", f"{KERNEL_PARAMETERS} {options.append}".strip()),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *_console(devices.console_fd),
        *(word for name, fd in devices.channel_fds.items() for word in _channel(name, fd)),
        *(word for share in devices.shares for word in _share(share)),
        *(_disk(devices.disk_fd) if devices.disk_fd is not None else ()),
        *(_served_disk(devices.nbd) if devices.nbd is not None else ()),
    ]


def inherited(fd: int) -> str:
    """A path by which a child opens a file that has no name."""
    return f"/proc/self/fd/{fd}"


def _console(fd: int) -> tuple[str, ...]:
    return ("-chardev", f"socket,id=console,fd={fd}", "-serial", "chardev:console")


def _channel(name: str, fd: int) -> tuple[str, ...]:
    return ("-chardev", f"socket,id={name},fd={fd}", "-device", f"virtserialport,chardev={name},name={name}")


def _share(share: Share) -> tuple[str, ...]:
    chardev = f"fs-{share.tag}"
    device = f"vhost-user-fs-pci,chardev={chardev},tag={share.tag}"
    return ("-chardev", f"socket,id={chardev},fd={share.connection_fd}", "-device", device)


def _disk(fd: int) -> tuple[str, ...]:
    drive = f"file={inherited(fd)},format=raw,if=none,id=disk,cache=unsafe"
    return ("-drive", drive, "-device", "virtio-blk-pci,drive=disk")


def _served_disk(nbd: Path) -> tuple[str, ...]:
    """With a write cache that the guest flushes: what it does not flush is the server's to lose."""
    drive = f"file=nbd+unix:///?socket={nbd},format=raw,if=none,id=disk,cache=writeback"
    return ("-drive", drive, "-device", "virtio-blk-pci,drive=disk")
