"""Steps that make the zone's first process and its namespaces."""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.steps import Call, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneInit:
    """Make the zone's init in new namespaces, already inside its control group.

    `namespaces` are kinds as in /proc/PID/ns ("user", "mnt", …), `cgroup` the group it is born in, "" for none.
    `owner` is the user whom a new user namespace belongs to, the zone's root as the host knows it: what is used in
    the namespace (instances of inotify, message queues, signals that wait) is counted for its owner too, and would
    be missing for the host's root and for all other zones if that were the host's root.
    """

    namespaces: tuple[str, ...]
    cgroup: str
    owner: str = ""
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make init in namespaces of its own: " + " ".join(self.namespaces)

    @property
    def calls(self) -> tuple[Call, ...]:
        """One clone3, by a process that is the owner of what it makes, keeps its capabilities, and ends then."""
        flags = [clone_flag(kind) for kind in self.namespaces] + ["CLONE_PARENT", "CLONE_PARENT_SETTID"]
        flags += ["CLONE_INTO_CGROUP"] if self.cgroup else []
        begun = Call(name="execve", target="zonectl-entry", man="posix_spawn(3)")
        clone = Call(name="clone3", target="init", detail="|".join(flags), man="clone(2)")
        if not self.owner:
            return begun, clone
        return (
            begun,
            Call(name="setresuid", target="maker", detail=f"-1, {self.owner}, -1", man="user_namespaces(7)"),
            Call(name="capset", target="maker", detail="of all that is permitted", man="capabilities(7)"),
            clone,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIdMap:
    """Give the zone's user namespace its ids: inside 0 is `first` outside. `kind` is "uid" or "gid"."""

    kind: str
    first: str
    count: int
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"map the zone's {self.count} {self.kind}s"

    @property
    def text(self) -> str:
        """The line that the kernel takes (user_namespaces(7))."""
        return f"0 {self.first} {self.count}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One write."""
        target = f"/proc/<init>/{self.kind}_map"
        return (Call(name="write", target=target, detail=self.text, man="user_namespaces(7)"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomeRoot:
    """Take ids 0: what init makes from here on belongs to the zone's root, and overlay works with its mounter's ids."""

    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "become the zone's root"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Groups first: setgroups needs the capability that a later change of ids may drop."""
        return (
            Call(name="setgroups", target="init", detail="none", man="setgroups(2)"),
            Call(name="setresgid", target="init", detail="0, 0, 0", man="setresuid(2)"),
            Call(name="setresuid", target="init", detail="0, 0, 0", man="setresuid(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRoot:
    """Have the folder `path` of the host as root, and nothing else: no wall, and in no zone's plan.

    It is what isolation began with, and the lowest rung of the benchmark's ladder (`bench.layers`).
    """

    path: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"change the root to {self.path}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One chroot, and a working directory below it."""
        return (
            Call(name="chroot", target=self.path, man="chroot(2)"),
            Call(name="chdir", target="/", man="chdir(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHostname:
    """Name the zone's own UTS namespace."""

    hostname: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"set the host name to {self.hostname}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One sethostname."""
        return (Call(name="sethostname", target=self.hostname, man="sethostname(2)"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftClocks:
    """Make a time namespace and enter it; offsets in seconds.

    unshare rather than clone3: after clone3(CLONE_NEWTIME) the offsets can no longer be written (EACCES, measured).
    """

    boottime_s: float
    monotonic_s: float
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make clocks of the zone's own"

    @property
    def text(self) -> str:
        """The lines that the kernel takes, empty where nothing is shifted (time_namespaces(7))."""
        offsets = (("monotonic", self.monotonic_s), ("boottime", self.boottime_s))
        return "".join(_offset_line(clock, offset_s) for clock, offset_s in offsets if offset_s)

    @property
    def calls(self) -> tuple[Call, ...]:
        """One unshare, one write where a clock is shifted, one setns."""
        man = "time_namespaces(7)"
        made = Call(name="unshare", target="init", detail="CLONE_NEWTIME", man=man)
        shifted = Call(name="write", target="/proc/self/timens_offsets", detail=self.text, man=man)
        entered = Call(name="setns", target="init", detail="CLONE_NEWTIME", man=man)
        return (made, shifted, entered) if self.text else (made, entered)


def _offset_line(clock: str, offset_s: float) -> str:
    # To the microsecond: a float of many days is not exact beyond.
    seconds, microseconds = divmod(round(offset_s * 1_000_000), 1_000_000)
    return f"{clock} {seconds} {microseconds * 1000}\n"


def clone_flag(kind: str) -> str:
    """The clone(2) flag of a namespace kind as /proc/PID/ns spells it."""
    return "CLONE_NEW" + {"mnt": "NS"}.get(kind, kind.upper())
