"""Peers with a kernel of their own: QEMU by emulation and by KVM, and user-mode-linux.

The probe is the machine's first process, in an archive in its memory: nothing but the kernel and the probe runs there.
It has no disk and no network, so that workloads of these are left out. Its console is a serial line on QEMU's standard
streams.

Sources: qemu(1), linux.uml(1), Documentation/admin-guide/kernel-parameters.txt (rdinit; unknown words).
"""

from __future__ import annotations

import glob
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench import hosted, site
from zonectl.bench.hosted import Hosted
from zonectl.bench.peers import clock, initramfs, programs
from zonectl.bench.peers.classes import EMULATION, HARDWARE, MODIFIED_KERNEL, Class
from zonectl.bench.peers.conversation import conversing
from zonectl.bench.results import ArmFacts, Kind
from zonectl.bench.runner import Place
from zonectl.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zonectl.bench.runner import Runner
    from zonectl.bench.site import Site

_BOOT_S: Final = 60.0
_MEMORY_MIB: Final = 1024
_KERNELS: Final = "vmlinuz-*"
"""How Debian names kernels in /boot (kernel-img.conf(5))."""

_DEVICE: Final = "probe_device"
"""What probe.c calls it in its environment, which a kernel makes of words that it does not know."""

_KVM: Final = "/dev/kvm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What a machine is started with: paths of its kernel (None: it is one itself), its root, and a folder."""

    kernel: str | None
    root: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A peer: `package` is Debian's, `argv` its command line; `wants_kernel` if it boots one that must be found."""

    name: str
    title: str
    family: Class
    program: str
    package: str
    wants_kernel: bool
    argv: Callable[[str, Boot], list[str]]


def _qemu(program: str, boot: Boot, *acceleration: str) -> list[str]:
    machine = ["-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-machine", "q35"]
    size = ["-m", f"{_MEMORY_MIB}M", "-smp", "1"]
    console = ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    # Nothing may disable a clock while the host is busy, and the kernel's words would be in the answers' way.
    parameters = f"rdinit=/{initramfs.INIT} quiet loglevel=0 panic=-1 no_timer_check tsc=reliable"
    words = f"{parameters} {_DEVICE}=/dev/ttyS0"
    start = ["-bios", "qboot.rom", "-kernel", boot.kernel or "", "-initrd", boot.root, "-append", words]
    return [program, *machine, *acceleration, *size, *console, *start]


def _emulated(program: str, boot: Boot) -> list[str]:
    return _qemu(program, boot, "-accel", "tcg,thread=single", "-cpu", "max")


def _virtualized(program: str, boot: Boot) -> list[str]:
    if not os.access(_KVM, os.R_OK | os.W_OK):
        raise HostLacks(f"{_KVM} cannot be opened", hint="modprobe kvm_intel, or kvm_amd; or there is none")
    return _qemu(program, boot, "-accel", "kvm", "-cpu", "host")


def _user_mode(program: str, boot: Boot) -> list[str]:
    places = [f"uml_dir={boot.folder}", f"initrd={boot.root}", f"mem={_MEMORY_MIB}M"]
    console = ["con=null", "con0=fd:0,fd:1", f"{_DEVICE}=/dev/tty0"]
    parameters = [f"rdinit=/{initramfs.INIT}", "quiet", "loglevel=0", "panic=-1"]
    return [program, *places, *console, *parameters]


MACHINES: Final = (
    Machine(
        name="qemu-tcg",
        title="QEMU, emulating (TCG)",
        family=EMULATION,
        program="qemu-system-x86_64",
        package="qemu-system-x86",
        wants_kernel=True,
        argv=_emulated,
    ),
    Machine(
        name="qemu-kvm",
        title="QEMU with KVM",
        family=HARDWARE,
        program="qemu-system-x86_64",
        package="qemu-system-x86",
        wants_kernel=True,
        argv=_virtualized,
    ),
    Machine(
        name="user-mode-linux",
        title="user-mode-linux",
        family=MODIFIED_KERNEL,
        program="linux.uml",
        package="user-mode-linux",
        wants_kernel=False,
        argv=_user_mode,
    ),
)


class MachineArm:
    """The probe as the first process of a machine; `kernel` is the one to boot, None for one that is found."""

    def __init__(self, here: Site, peer: Machine, *, kernel: str | None) -> None:
        self._here = here
        self._peer = peer
        self._kernel = kernel

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        return ArmFacts(
            name=self._peer.name,
            kind=Kind.PEER,
            title=self._peer.title,
            differs="a kernel of its own, and a root in memory",
            family=self._peer.family.title,
            claimed=self._peer.family.claimed,
        )

    @contextmanager
    def start(self) -> Iterator[Runner]:
        """A probe in a machine that has just booted, whose clock is the host's.

        Raises:
            BenchError: it does not boot, or its clock is not to be trusted.
            HostLacks: it is not installed, or there is no kernel.
            StoreError: its root cannot be made.

        """
        here, peer = self._here, self._peer
        program = programs.find(peer.program, peer.package)
        kernel = (self._kernel or find_kernel()) if peer.wants_kernel else None
        with ExitStack() as held:
            standing = held.enter_context(site.standing(here.context, here.config))
            folder = standing.folder
            # user-mode-linux has processes that outlive it when it is killed: they go with the group.
            group = held.enter_context(hosted.groups(here.context, here.config, standing.zone_id))
            root = f"{folder}/initramfs"
            with site.making(root), open(root, "xb") as file:
                file.write(initramfs.archive(here.probe))
            argv = peer.argv(program, Boot(kernel=kernel, root=root, folder=folder))
            # user-mode-linux has its memory in a file there, which is deleted at once.
            env = (("TMPDIR", folder),)
            given = Hosted(argv=argv, folder=folder, config=here.config, group=group, env=env)
            place = Place(root_folder=None, bind_folder=None, server=None)
            boot_s = here.time_up.within(_BOOT_S)
            runner = held.enter_context(conversing(given, place=place, scratch=folder, greeting_s=boot_s))
            clock.require_true(runner)
            yield runner


def find_kernel(folder: str = "/boot") -> str:
    """The newest kernel of those installed in the folder.

    Raises:
        HostLacks: there is none.

    """
    if found := glob.glob(f"{folder}/{_KERNELS}"):
        return max(found, key=os.path.getmtime)
    raise HostLacks(
        f"there is no kernel in {folder}", hint="--kernel FILE, or apt install linux-image-cloud-amd64"
    )
