"""Trials of what concerns processes: the kernel's version, pidfds, seccomp, catatonit."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

from zonectl.errors import HostLacks
from zonectl.kernel import attributes, process, trial
from zonectl.kernel.libc import SystemCall
from zonectl.model.facts import Probe

if TYPE_CHECKING:
    from zonectl.model.facts import HostFacts

OLDEST: Final = (6, 1)
"""Idmapped layers below overlay are from 5.19; 6.1 is the oldest long-term kernel that we test on."""

PR_SET_SECCOMP: Final = 22
SECCOMP_MODE_FILTER: Final = 2
SECCOMP_RET_ALLOW: Final = 0x7FFF0000
BPF_RET_K: Final = 0x06

_CATATONIT: Final = "/usr/libexec/catatonit/catatonit", "/usr/libexec/podman/catatonit"

_prctl = SystemCall("prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


def kernel(facts: HostFacts) -> Probe:
    """Whether the kernel is new enough."""
    ok = facts.kernel >= OLDEST
    wanted = ".".join(map(str, OLDEST))
    remedy = "" if ok else f"Linux {wanted} or later"
    return Probe(name="kernel", ok=ok, seen=f"Linux {facts.release}", needed=True, remedy=remedy)


def probes() -> tuple[Probe, ...]:
    """What processes are started, watched and confined with."""
    return (
        trial.in_child(_pidfd).probe(
            "pidfd", needed=True, remedy="Linux 5.4; a seccomp filter that knows the calls"
        ),
        trial.in_child(_exit_of_pidfd).probe(
            "PIDFD_GET_INFO",
            needed=False,
            remedy="Linux 6.15: until then exit codes of adopted zones may be unknown",
        ),
        trial.in_child(_seccomp).probe("seccomp", needed=True, remedy="a kernel with CONFIG_SECCOMP_FILTER"),
        trial.here(_catatonit).probe(
            "catatonit", needed=False, remedy="apt-get install catatonit, for zones with init = true"
        ),
        trial.here(_suid_dumpable).probe(
            "fs.suid_dumpable",
            needed=False,
            remedy="sysctl fs.suid_dumpable=0 (or 2, for dumps that only root reads)",
        ),
    )


def _pidfd() -> str:
    _pid, pidfd = process.spawn(lambda: 7)
    status = process.wait_pidfd(pidfd)
    if status is None or status.status != 7:
        raise HostLacks(f"a child that exits with 7 was seen to end as {status}")
    return "works"


def _exit_of_pidfd() -> str:
    _pid, pidfd = process.spawn(lambda: 7)
    process.wait_pidfd(pidfd)
    info = process.pidfd_info(pidfd)
    if info is None or info.ended is None:
        raise HostLacks("the kernel forgets exit codes" if info else "not in this kernel")
    return "exit codes are remembered"


def _seccomp() -> str:
    """Install the filter that allows everything."""
    attributes.set_no_new_privs()
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, subject="PR_SET_SECCOMP")
    return "filters work"


def _suid_dumpable() -> str:
    """What becomes of a process that changes its user, as one does that comes into a zone: proc_sys_fs(5)."""
    with open("/proc/sys/fs/suid_dumpable", encoding="ascii") as file:
        value = file.readline().strip()
    if value == "1":
        raise HostLacks(
            "1: a zone with sys_ptrace can trace who comes in as another user, before its filter holds"
        )
    return value


def _catatonit() -> str:
    folders = os.environ.get("PATH", os.defpath).split(":")
    for place in (*(os.path.join(folder, "catatonit") for folder in folders), *_CATATONIT):
        if os.access(place, os.X_OK):
            return place
    raise HostLacks("not found")
