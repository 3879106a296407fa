"""What the files of a zone's group say, beside the steps that wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups import block, files
from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cgroups.steps.kinds import CgroupStep


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
