"""Which steps give a zone its control group. Pure: configuration and facts in, frozen steps out.

    MOUNT/BASE              the host's root group, or the subtree delegated to zonectl
    └── zonectl[-INST]      shared by the zones of an instance, kept until the last of them is deleted
        └── ID              the limits stand here. The zone cannot see it: its cgroup namespace begins below
            └── payload     the processes live here, and the zone may make groups of its own below

Controllers are enabled in the subtree_control of all three inner groups, ID's included, so that a systemd inside
finds them in payload's cgroup.controllers and may hand them on. That of payload itself stays off: with it on,
CLONE_INTO_CGROUP into payload would fail with EBUSY (no internal processes). Only controllers that a limit needs
are enabled: each costs something in every group, and enabling one in the root's subtree_control reaches all groups
of the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.limits import enforceable, unenforceable
from zonectl.cgroups.memory import PROTECTIONS
from zonectl.cgroups.steps.kinds import (
    DelegateGroup,
    EnableControllers,
    FilterDevices,
    MakeGroup,
    ShareProtection,
    WriteDeviceLimit,
    WriteLimit,
)
from zonectl.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cgroups.limits import Lack
    from zonectl.cgroups.setting import Setting
    from zonectl.cgroups.steps.kinds import CgroupStep
    from zonectl.model.config import ResourcesConfig, ZoneConfig
    from zonectl.model.facts import CgroupFacts

PAYLOAD = "payload"
"""The group below ID in which a zone's processes live."""

BOUNDS = (("cgroup.max.descendants", "1000"), ("cgroup.max.depth", "16"))
"""What a zone may make below ID, so that listing and removing it ends.

A busy systemd has about 100 groups, its services' are 7 below payload at most (user@.service's); a container in
such a user's session whose init is again systemd reaches 14.
"""

_ORDER = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
_DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
_DELEGATED_MEMORY = ("memory.oom.group", "memory.reclaim")


def steps(
    resources: ResourcesConfig, cgroup: CgroupFacts, *, group: str, owner: str | None = None
) -> tuple[tuple[CgroupStep, ...], tuple[str, ...]]:
    """The steps that make the zone's groups, in order, and warnings about limits that are left out.

    `group` is `zonectl[-INST]/ID` relative to `cgroup.base`; `owner` the host id of the zone's root as text, None
    where the zone has no ids of its own and nothing is delegated.

    Raises:
        HostLacks: there is no cgroup2; or a limit cannot be enforced and `resources.required` is set: the message
            names every controller that is missing.

    """
    lacks = _refuse_or_warn(resources, cgroup)
    base = base_path(cgroup)
    path = f"{base}/{group}"
    instance = path.rpartition("/")[0]
    wanted = enforceable(resources, cgroup)
    made = (
        MakeGroup(path=instance, shared=True),
        *_enable(wanted, base, instance),
        MakeGroup(path=path),
        *(WriteLimit(path=path, file=file, value=value, summary=_bound(file)) for file, value in BOUNDS),
        *(_limit(path, setting) for setting in wanted),
        *_share(wanted, instance),
        *_enable(wanted, path),
        MakeGroup(path=f"{path}/{PAYLOAD}"),
        *_delegate(wanted, f"{path}/{PAYLOAD}", owner),
    )
    return made, tuple(lack.warning for lack in lacks)


def changes(
    old: ResourcesConfig, new: ResourcesConfig, cgroup: CgroupFacts, *, group: str
) -> tuple[tuple[CgroupStep, ...], tuple[str, ...]]:
    """The steps that give a zone that is there `new` limits in place of `old` ones, and warnings as of `steps`.

    Swapping `old` and `new` gives the steps back. Raises as `steps` does.
    """
    lacks = _refuse_or_warn(new, cgroup)
    base = base_path(cgroup)
    path = f"{base}/{group}"
    instance = path.rpartition("/")[0]
    after = {(s.file, s.device): s for s in enforceable(new, cgroup)}
    before = {(s.file, s.device): s for s in enforceable(old, cgroup)}
    written = tuple(s for at, s in after.items() if before.get(at) != s)
    dropped = tuple(s for at, s in before.items() if at not in after)
    made = (
        *_enable(written, base, instance, path),
        *(_limit(path, setting, reset=True) for setting in dropped),
        *(_limit(path, setting) for setting in written),
        *_share((*written, *dropped), instance),
    )
    return made, tuple(lack.warning for lack in lacks)


def device_steps(config: ZoneConfig, cgroup: CgroupFacts, *, group: str) -> tuple[FilterDevices, ...]:
    """The step that keeps the zone from devices that are not its own; none where the zone file waives that.

    It stands on `group`, which the zone cannot see, and so cannot take it away.
    """
    if not config.security.filter_devices or not group:
        return ()
    given = tuple((device.path, device.access) for device in config.devices)
    return (FilterDevices(path=f"{base_path(cgroup)}/{group}", devices=given),)


def base_path(cgroup: CgroupFacts) -> str:
    """The absolute path of the group below which zonectl's own go.

    Raises:
        HostLacks: no cgroup2 is mounted.

    """
    if cgroup.mount is None:
        raise HostLacks(
            "no cgroup2 file system is mounted: a zone's processes could not be held together",
            hint="mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
        )
    return f"{cgroup.mount}/{cgroup.base}".rstrip("/")


def _refuse_or_warn(resources: ResourcesConfig, cgroup: CgroupFacts) -> tuple[Lack, ...]:
    lacks = unenforceable(resources, cgroup)
    if lacks and resources.required:
        raise HostLacks(
            "limits cannot be enforced: " + "; ".join(str(lack) for lack in lacks),
            hint="set resources.required = false to start without",
        )
    return lacks


def _enable(wanted: Iterable[Setting], *paths: str) -> tuple[EnableControllers, ...]:
    needed = {setting.controller for setting in wanted}
    controllers = tuple(name for name in _ORDER if name in needed)
    return tuple(EnableControllers(path=path, controllers=controllers) for path in paths if controllers)


def _limit(path: str, setting: Setting, *, reset: bool = False) -> WriteLimit | WriteDeviceLimit:
    value = setting.default if reset else setting.value
    summary = f"no longer {setting.summary}" if reset else setting.summary
    if setting.device is None:
        return WriteLimit(path=path, file=setting.file, value=value, summary=summary)
    return WriteDeviceLimit(path=path, file=setting.file, device=setting.device, value=value, summary=summary)


def _share(wanted: Iterable[Setting], instance: str) -> tuple[ShareProtection, ...]:
    files = {setting.file for setting in wanted}
    return tuple(ShareProtection(path=instance, file=file) for file in PROTECTIONS if file in files)


def _delegate(wanted: Iterable[Setting], path: str, owner: str | None) -> tuple[DelegateGroup, ...]:
    if owner is None:
        return ()
    memory = any(setting.controller == "memory" for setting in wanted)
    files = _DELEGATED + (_DELEGATED_MEMORY if memory else ())
    return (DelegateGroup(path=path, uid=owner, files=files),)


def _bound(file: str) -> str:
    return (
        "bound " + ("the number" if file.endswith("descendants") else "the depth") + " of the zone's groups"
    )
