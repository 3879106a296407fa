"""The kinds of step that control groups take. All are the host's; paths are absolute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from zonectl.model.steps import Call, Side

MAN = "cgroups(7)"


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeGroup:
    """Make the group at the absolute `path`. A `shared` one may be there already, and its undo leaves it."""

    path: str
    shared: bool = False
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make the instance's control group" if self.shared else "make a control group"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One mkdir."""
        when = "when missing" if self.shared else ""
        return (Call(name="mkdir", target=self.path, detail="0755", man=MAN, when=when),)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableControllers:
    """Let groups below the one at `path` have `controllers`. Doing it twice changes nothing; it has no undo."""

    path: str
    controllers: tuple[str, ...]
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "enable " + ", ".join(self.controllers)

    @property
    def value(self) -> str:
        """The text that the kernel takes: all of them, or none."""
        return " ".join(f"+{name}" for name in self.controllers)

    @property
    def calls(self) -> tuple[Call, ...]:
        """One write."""
        return (_write(f"{self.path}/cgroup.subtree_control", self.value),)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimit:
    """Write `value` to the file `file` of the group at `path`."""

    path: str
    file: str
    value: str
    summary: str
    side: Side = Side.HOST

    @property
    def calls(self) -> tuple[Call, ...]:
        """One write."""
        return (_write(f"{self.path}/{self.file}", self.value),)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDeviceLimit:
    """Write `value` for the block device at the path `device`, whose number is read when the step is done."""

    path: str
    file: str
    device: str
    value: str
    summary: str
    side: Side = Side.HOST

    @property
    def calls(self) -> tuple[Call, ...]:
        """One write."""
        return (_write(f"{self.path}/{self.file}", f"<major:minor of {self.device}> {self.value}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareProtection:
    """Set the instance's `file` to the sum of its zones', since a group's protection counts within its parent's.

    The sum is lowered again when a zone's group is removed.
    """

    path: str
    file: str
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "let the zone's protected memory count"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One write, under a lock of the group's folder."""
        return (_write(f"{self.path}/{self.file}", f"<sum of the zones' {self.file}>"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateGroup:
    """Give the group at `path` to the zone's root, whose host id is the text `uid`: it may make groups below.

    `files` are those of /sys/kernel/cgroup/delegate that the group has; the others, the limits, stay the host's.
    """

    path: str
    uid: str
    files: tuple[str, ...]
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "let the zone make groups of its own"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One chown of the folder, one of each file."""
        owner = f"{self.uid}:{self.uid}"
        targets = (self.path, *(f"{self.path}/{file}" for file in self.files))
        return tuple(Call(name="chown", target=target, detail=owner, man=MAN) for target in targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterDevices:
    """Let the processes of the group at `path`, and of all below it, open the usual devices and `devices` alone.

    `devices` are (path on the host, access as in "rw"); their numbers are read when the step is done.
    """

    path: str
    devices: tuple[tuple[str, str], ...] = ()
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        more = "".join(f", {path} ({access})" for path, access in self.devices)
        return f"let it open the usual devices{more} and no others"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One program, which a worker may have loaded before, attached to the group for as long as that is there."""
        detail = "BPF_PROG_LOAD BPF_PROG_TYPE_CGROUP_DEVICE"
        return (
            Call(
                name="bpf", target="a device program", detail=detail, man="bpf(2)", when="when not loaded yet"
            ),
            Call(name="bpf", target=self.path, detail="BPF_PROG_ATTACH BPF_CGROUP_DEVICE", man="bpf(2)"),
        )


CgroupStep: TypeAlias = (
    MakeGroup
    | EnableControllers
    | WriteLimit
    | WriteDeviceLimit
    | ShareProtection
    | DelegateGroup
    | FilterDevices
)


def _write(target: str, text: str) -> Call:
    return Call(name="write", target=target, detail=text, man=MAN)
