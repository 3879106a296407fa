"""Doing the steps: each makes the calls that it lists, and nothing else that changes anything."""

from __future__ import annotations

import os
from errno import EBUSY, ENOENT, EOPNOTSUPP
from typing import TYPE_CHECKING, assert_never

from zonectl.cgroups import block, cpuset, devices, files, protection
from zonectl.cgroups.steps.kinds import (
    DelegateGroup,
    EnableControllers,
    FilterDevices,
    MakeGroup,
    ShareProtection,
    WriteDeviceLimit,
    WriteLimit,
)
from zonectl.errors import HostLacks, SyscallError

if TYPE_CHECKING:
    from zonectl.cgroups.steps.kinds import CgroupStep


def do(step: CgroupStep) -> None:
    """Carry `step` out.

    Raises:
        HostLacks: the host turns out not to have what the step needs.
        SyscallError: a call failed; a limit out of range is EINVAL or ERANGE.

    """
    match step:
        case MakeGroup():
            _make(step)
        case EnableControllers():
            _enable(step)
        case WriteLimit():
            _limit(step.path, step.file, step.value)
        case WriteDeviceLimit():
            _limit_device(step)
        case ShareProtection():
            protection.share(step.path, step.file)
        case DelegateGroup():
            _delegate(step)
        case FilterDevices():
            devices.attach(step)
        case _:
            assert_never(step)


def _make(step: MakeGroup) -> None:
    try:
        os.mkdir(step.path, 0o755)
    except FileExistsError as error:
        if not step.shared:
            raise SyscallError("mkdir", error.errno or 0, step.path) from error
    except OSError as error:
        raise SyscallError("mkdir", error.errno or 0, step.path) from error


def _enable(step: EnableControllers) -> None:
    try:
        files.write(f"{step.path}/cgroup.subtree_control", step.value)
    except SyscallError as error:
        if error.errno != EBUSY:
            raise
        raise HostLacks(
            f"processes live in {step.path} itself: groups below cannot have limits",
            hint="move them into a group below it (cgroups(7), no internal processes)",
        ) from error


def _limit(path: str, file: str, value: str) -> None:
    try:
        files.write(f"{path}/{file}", value)
    except SyscallError as error:
        if error.errno != ENOENT or not os.path.isdir(path):
            raise
        raise HostLacks(f"this kernel has no {file}", hint=_alternatives(path, file)) from error
    if file in cpuset.EFFECTIVE and value.strip():
        _verify_binding(path, file)


def _limit_device(step: WriteDeviceLimit) -> None:
    number = block.number(step.device)
    try:
        _limit(step.path, step.file, f"{number} {step.value}")
    except SyscallError as error:
        if error.errno != EOPNOTSUPP:
            raise
        raise HostLacks(
            f"{step.device} does not heed {step.file}: its cost model is off",
            hint=f"write '{number} enable=1' to io.cost.qos of the root group",
        ) from error


def _alternatives(path: str, file: str) -> str | None:
    if not file.startswith("hugetlb."):
        return None
    sizes = sorted({name.split(".")[1] for name in os.listdir(path) if name.startswith("hugetlb.")})
    return f"huge pages here are of {' and '.join(sizes)}"


def _verify_binding(path: str, file: str) -> None:
    asked = files.read(f"{path}/{file}") or ""
    effective = files.read(f"{path}/{cpuset.EFFECTIVE[file]}") or ""
    if not cpuset.holds(asked, effective=effective):
        raise HostLacks(
            f"{file} {asked.strip()}: none of them is online", hint=f"here are {effective.strip()}"
        )


def _delegate(step: DelegateGroup) -> None:
    owner = int(step.uid)
    for target in (step.path, *(f"{step.path}/{file}" for file in step.files)):
        try:
            os.chown(target, owner, owner)
        except FileNotFoundError:
            continue  # memory.reclaim came with Linux 5.19
        except OSError as error:
            raise SyscallError("chown", error.errno or 0, target) from error
