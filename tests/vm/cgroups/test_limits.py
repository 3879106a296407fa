"""What the kernel takes and refuses, asked of it rather than believed."""

from __future__ import annotations

from errno import EINVAL, ERANGE
from typing import TYPE_CHECKING

import pytest

from tests.vm.cgroups.zone import DISK, zone_with_all
from zonectl.cgroups import cpu, io
from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.errors import SyscallError

if TYPE_CHECKING:
    from tests.kernel.cgroups.groups import Ground


@pytest.mark.usefixtures("cost_model")
@pytest.mark.parametrize(
    ("file", "value", "errno"),
    [
        ("cpu.weight", cpu.WEIGHT[0] - 1, ERANGE),
        ("cpu.weight", cpu.WEIGHT[0], None),
        ("cpu.weight", cpu.WEIGHT[1], None),
        ("cpu.weight", cpu.WEIGHT[1] + 1, ERANGE),
        ("cpu.max", f"{cpu.MIN_QUOTA_US - 1} 100000", EINVAL),
        ("cpu.max", f"{cpu.MIN_QUOTA_US} 100000", None),
        ("cpu.max", f"1000 {cpu.PERIOD_US[0] - 1}", EINVAL),
        ("cpu.max", f"1000 {cpu.PERIOD_US[0]}", None),
        ("cpu.max", f"1000 {cpu.PERIOD_US[1]}", None),
        ("cpu.max", f"1000 {cpu.PERIOD_US[1] + 1}", EINVAL),
        ("cpu.max", f"{1024 * 1_000_000} 1000000", None),
        ("io.weight", f"default {io.WEIGHT[0] - 1}", EINVAL),
        ("io.weight", f"default {io.WEIGHT[0]}", None),
        ("io.weight", f"default {io.WEIGHT[1]}", None),
        ("io.weight", f"default {io.WEIGHT[1] + 1}", EINVAL),
        ("pids.max", 0, None),
        ("pids.max", 4_194_304, None),
        ("pids.max", 4_194_305, EINVAL),
        ("memory.max", 2**63 - 1, None),
        ("memory.low", 0, None),
    ],
)
def test_boundaries_are_the_kernels(groups: Ground, file: str, value: object, errno: int | None) -> None:
    step = WriteLimit(path=str(zone_with_all(groups)), file=file, value=str(value), summary="")
    if errno is None:
        groups.tree.apply(step)
    else:
        with pytest.raises(SyscallError) as caught:
            groups.tree.apply(step)
        assert caught.value.errno == errno


@pytest.mark.usefixtures("cost_model")
@pytest.mark.parametrize(
    ("value", "errno"),
    [
        ("rbps=0", ERANGE),
        *((f"{name}={io.LEAST_RATE - 1}", EINVAL) for name in ("rbps", "wbps", "riops", "wiops")),
        *((f"{name}={io.LEAST_RATE}", None) for name in ("rbps", "wbps", "riops", "wiops")),
        ("riops=0", ERANGE),
        (f"riops={2**32 - 2}", None),
        ("nonsense=1", EINVAL),
    ],
)
def test_boundaries_of_a_disk_are_the_kernels(groups: Ground, value: str, errno: int | None) -> None:
    step = WriteDeviceLimit(
        path=str(zone_with_all(groups)), file="io.max", device=DISK, value=value, summary=""
    )
    if errno is None:
        groups.tree.apply(step)
        assert value in groups.read("io.max")
    else:
        with pytest.raises(SyscallError) as caught:
            groups.tree.apply(step)
        assert caught.value.errno == errno
