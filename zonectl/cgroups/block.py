"""Block devices: from the path in a zone file to the number that io.max takes."""

from __future__ import annotations

import os
import stat

from zonectl.errors import HostLacks


def number(path: str) -> str:
    """The `MAJOR:MINOR` of the whole disk at `path`, links followed.

    Raises:
        HostLacks: there is nothing, something that is no block device, or a partition: the io controller limits whole
            disks only (blkg_conf_open_bdev in block/blk-cgroup.c: ENODEV). The hint names the disk where one is found.

    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise HostLacks(f"{path}: {error.strerror}", hint="lsblk lists the block devices") from error
    if not stat.S_ISBLK(found.st_mode):
        raise HostLacks(f"{path} is not a block device", hint=_advice(found.st_dev, "it is stored on"))
    if _is_partition(found.st_rdev):
        message = f"{path} is a partition, and limits of I/O are for whole disks"
        raise HostLacks(message, hint=_advice(found.st_rdev, "it is part of"))
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def _sysfs(device: int) -> str:
    return os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")


def _is_partition(device: int) -> bool:
    return os.path.exists(f"{_sysfs(device)}/partition")


def _advice(device: int, relation: str) -> str:
    folder = os.path.dirname(_sysfs(device)) if _is_partition(device) else _sysfs(device)
    if not os.path.exists(f"{folder}/queue"):
        return "name a disk: lsblk -d lists them"
    disk = os.path.basename(folder).replace("!", "/")
    return f"name the disk that {relation}: /dev/{disk}"
