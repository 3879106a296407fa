"""What the files of a zone's group say, beside the steps that wrote them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.cgroups import block, devices, files
from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.errors import HostLacks, ZonectlError
from zonectl.kernel import bpf
from zonectl.model.audit import DeviceFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cgroups.steps.kinds import CgroupStep, FilterDevices


def settings(steps: Iterable[CgroupStep]) -> tuple[tuple[str, str | None], ...]:
    """The file of each limit among `steps`, for one of a device with its path, and its text; None where there is none.

    Raises:
        SyscallError: a file that is there cannot be read.

    """
    found = []
    for step in steps:
        if isinstance(step, WriteLimit):
            found.append((step.file, files.read(f"{step.path}/{step.file}")))
        elif isinstance(step, WriteDeviceLimit):
            found.append((f"{step.file} {step.device}", _of_device(step)))
    return tuple(found)


def device_filter(steps: Iterable[FilterDevices]) -> DeviceFilter | None:
    """The device programs of the group of the step that attaches one; None without such a step, or without an answer.

    The one that is wanted is loaded for its tag, which the kernel alone can tell: it hashes what it has made of the
    instructions.
    """
    step = next(iter(steps), None)
    if step is None:
        return None
    try:
        return DeviceFilter(attached=_attached(step.path), wanted=_wanted(step))
    except (OSError, ZonectlError):
        return None


def _attached(group: str) -> tuple[str, ...]:
    fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return tuple(tag.hex() for tag in bpf.device_programs(fd))
    finally:
        os.close(fd)


def _wanted(step: FilterDevices) -> str:
    program = devices.PREPARED.take(devices.rules(step))
    try:
        return bpf.program_tag(program).hex()
    finally:
        os.close(program)


def _of_device(step: WriteDeviceLimit) -> str | None:
    """The device's line without its number; a device without a line has no limit."""
    text = files.read(f"{step.path}/{step.file}")
    if text is None:
        return None
    try:
        number = block.number(step.device)
    except HostLacks:
        return None
    lines = (line.partition(" ") for line in text.splitlines())
    return next((rest for at, _, rest in lines if at == number), "no limit")
