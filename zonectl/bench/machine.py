"""The machine that a run was made on, as its document names it. All of it is read below `root`: "/" for this one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import zonectl
from zonectl.bench.results import Host
from zonectl.errors import CommandError
from zonectl.kernel import command, proc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KIB: Final = 1024
_ASKING_S: Final = 5.0
_LONGEST: Final = 80

_CLOCKS: Final = {"kvm-clock": "kvm", "hyperv_clocksource_tsc_page": "hyper-v", "xen": "xen"}
"""Clocks that only guests have, and whose guests (Documentation/timers/timekeeping.rst)."""
_MAKERS: Final = {
    "qemu": "qemu",
    "kvm": "kvm",
    "vmware": "vmware",
    "virtualbox": "virtualbox",
    "innotek": "virtualbox",
    "xen": "xen",
    "microsoft corporation virtual machine": "hyper-v",
    "amazon ec2": "kvm",
    "google compute engine": "kvm",
}
"""What virtual machines say that they were made by (SMBIOS, type 1), in lower case."""


def host(folder: str, *, programs: Iterable[str] = (), root: str = "/") -> Host:
    """The machine, with the file system that `folder` is on, and the versions of those `programs` that are there."""
    return Host(
        kernel=text(root, "proc/sys/kernel/osrelease").strip() or os.uname().release,
        processor=_processor(text(root, "proc/cpuinfo")),
        processors=len(re.findall(r"^cpu\d+ ", text(root, "proc/stat"), re.MULTILINE)),
        memory_bytes=fields(text(root, "proc/meminfo")).get("MemTotal", 0) * _KIB,
        virtualization=_virtualization(root),
        file_system=_file_system(folder, text(root, "proc/self/mountinfo")),
        versions=_versions(programs),
    )


def text(root: str, path: str) -> str:
    """What a file says; nothing where it is missing or cannot be read."""
    try:
        with open(os.path.join(root, path), "rb", buffering=0) as file:
            return os.fsdecode(file.readall() or b"")
    except OSError:
        return ""


def fields(content: str) -> dict[str, int]:
    """The first number of each line that begins with a name: /proc/meminfo, /proc/vmstat."""
    return {name: int(number) for name, number in re.findall(r"^(\w+):?\s+(\d+)", content, re.MULTILINE)}


def _processor(cpuinfo: str) -> str:
    """The model: x86 calls it so, other architectures know a hardware or a machine, or nothing."""
    for name in ("model name", "Model", "Hardware", "machine", "cpu model", "uarch"):
        if found := re.search(rf"^{name}\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
            return found[1].strip()
    return platform.machine()


def _virtualization(root: str) -> str | None:
    """By what the hypervisor lets its guests have: a clock, a type, a maker's name, or at least the bit of CPUID."""
    clocks = text(root, "sys/devices/system/clocksource/clocksource0/available_clocksource").split()
    for clock in clocks:
        if clock in _CLOCKS:
            return _CLOCKS[clock]
    if kind := text(root, "sys/hypervisor/type").strip():
        return kind
    names = ("sys_vendor", "product_name")
    said = " ".join(text(root, f"sys/class/dmi/id/{name}").strip() for name in names).lower()
    for maker, kind in _MAKERS.items():
        if maker in said:
            return kind
    return (
        "unknown"
        if re.search(r"^flags\s*:.*\bhypervisor\b", text(root, "proc/cpuinfo"), re.MULTILINE)
        else None
    )


def _file_system(folder: str, mountinfo: str) -> str:
    """The type of the mount that the folder is below: of the longest target, the last mounted."""
    mounts = [proc.parse_mount(line) for line in mountinfo.split("\n") if line]
    here = os.path.realpath(folder)
    above = [mount for mount in mounts if os.path.commonpath([here, mount.target]) == mount.target]
    return max(reversed(above), key=lambda mount: len(mount.target)).fstype if above else "unknown"


def _versions(programs: Iterable[str]) -> dict[str, str]:
    known = {"zonectl": zonectl.__version__, "python": platform.python_version()}
    # crun(1) makes a folder for the containers that it may run, whatever it is asked.
    with tempfile.TemporaryDirectory(prefix="zonectl-") as folder:
        env = {**os.environ, "XDG_RUNTIME_DIR": folder}
        asked = {program: _version(program, env) for program in programs}
    return known | {program: version for program, version in asked.items() if version}


def _version(program: str, env: Mapping[str, str]) -> str | None:
    """The first line that a program says of its version; None where it is missing or says nothing."""
    if not shutil.which(program):
        return None
    try:
        said = command.run([program, "--version"], timeout_s=_ASKING_S, env=env, max_output_bytes=1 << 16)
    except CommandError:
        return None
    lines = (said.stdout or said.stderr).decode(errors="replace").strip().splitlines()
    return lines[0].strip()[:_LONGEST] if lines else None
