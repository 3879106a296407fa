"""The namespaces that hold a machine's processes: they cannot write to the host, and die together.

    lane  --leash: a pipe-->  unshare --pid --mount
                              `- process 1: makes the host's file systems read-only, starts what follows
                                 |- virtiofsd (one a share)
                                 |- qemu
                                 `- watch: reads the leash; at its end kills qemu

Process 1 ends with qemu, and the kernel then ends the rest and drops the mounts. The leash's other end is the
lane's alone: however the lane ends, SIGKILL included, the leash ends. No race, unlike PR_SET_PDEATHSIG, which
must be set before the parent dies.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tests.vm.lane import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# File systems that hold the host's data; the others are the kernel's own interfaces, or read-only by nature.
PROTECTED: Final = frozenset(
    {
        "9p",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "nfs",
        "nfs4",
        "overlay",
        "tmpfs",
        "vfat",
        "virtiofs",
        "xfs",
        "zfs",
    }
)
# Devices, and the interfaces of the kernel: the machine's programs need them as they are.
LEFT_ALONE: Final = (Path("/dev"), Path("/proc"), Path("/sys"))
NAMESPACES: Final = ("--mount", "--pid", "--fork", "--mount-proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """What runs in the namespaces: daemons, and the machine whose end is the end of all."""

    daemons: Sequence[Sequence[str]]
    machine: Sequence[str]
    writable: Sequence[Path]
    pass_fds: Sequence[int]


@contextmanager
def running(programs: Programs, log: IO[str]) -> Iterator[None]:
    """Run the programs while the block runs; at its end all of them have ended. Their messages go to log."""
    unshare = program.find("unshare", "util-linux")
    script = launch_script(programs, Path("/proc/self/mounts").read_text())
    with subprocess.Popen(
        [unshare, *NAMESPACES, "sh", "-c", script],
        stdin=subprocess.PIPE,  # the leash
        stdout=log,
        stderr=log,
        pass_fds=programs.pass_fds,
        start_new_session=True,  # a Ctrl-C is the lane's to handle
    ):
        yield


def launch_script(programs: Programs, mounts: str) -> str:
    """The shell script of process 1; mounts is the text of /proc/self/mounts."""
    lines = [
        "set -e",
        # A mount of its own each, before what is around it becomes read-only.
        *(f"mount --bind {folder} {folder}" for folder in map(_quoted, programs.writable)),
        # A file system may refuse; one that disappears while we go through them does.
        *(f"mount -o remount,bind,ro {_quoted(path)} || :" for path in writable_mounts(mounts)),
        "exec 3<&0 </dev/null",
        *(f"{shlex.join(daemon)} 3<&- &" for daemon in programs.daemons),
        f"{shlex.join(programs.machine)} 3<&- & machine=$!",
        "{ cat <&3 >&2; kill -KILL $machine; } &",
        "wait $machine",
    ]
    return "\n".join(lines)


def writable_mounts(mounts: str) -> Iterable[Path]:
    """Mount points through which the host's data can be written."""
    for line in mounts.splitlines():
        _, escaped, kind, options, *_ = line.split()
        path = _unescaped(escaped)
        is_left_alone = any(path.is_relative_to(tree) for tree in LEFT_ALONE)
        if kind in PROTECTED and "rw" in options.split(",") and not is_left_alone:
            yield path


def _unescaped(field: str) -> Path:
    r"""A path of /proc/self/mounts, where \040 is a space (proc_pid_mounts(5), fstab(5))."""
    return Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field))


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
