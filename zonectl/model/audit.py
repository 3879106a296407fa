"""What the kernel says of a running zone, and how that compares with its file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.model.limits import Limit


class Verdict(Enum):
    """How what was found compares with what was declared.

    `NARROWER`: less is allowed than the file grants; a program may always give up what it has. `UNREAD`: the kernel
    did not tell, which counts as a difference.
    """

    HOLDS = "holds"
    NARROWER = "narrower"
    DIFFERS = "differs"
    UNREAD = "unread"

    @property
    def good(self) -> bool:
        """Whether the zone has no more than its file grants."""
        return self in {Verdict.HOLDS, Verdict.NARROWER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was declared and what was found; both in words. `area` is the group of findings it belongs to.

    `detail` is what was found in more words, where there are some.
    """

    area: str
    name: str
    declared: str
    found: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands at `path` in the zone's root, as its init sees it.

    `mounted`: a mount stands exactly there, of a file system `fstype`, with `options` ("nodev", "ro"). `kind` is
    "folder", "empty folder", "file", "empty file", "device 1:3" or another kind of file; "" where nothing is found,
    for `reason`.
    """

    path: str
    mounted: bool = False
    fstype: str = ""
    options: frozenset[str] = frozenset()
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Ids and privileges of a process, ids in the host's numbers: real, effective, saved and file-system ids.

    The sets are masks (capabilities(7)). `uid_map` and `gid_map` are lines of three numbers (user_namespaces(7)).
    """

    uids: tuple[int, ...]
    gids: tuple[int, ...]
    uid_map: str
    gid_map: str
    inheritable: int
    permitted: int
    effective: int
    bounding: int
    ambient: int
    no_new_privs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """System call filters of a process: the mode (2: filters), how many, and the first one's instructions.

    `program` is None where it could not be read back, for `reason`.
    """

    mode: int
    count: int
    program: bytes | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What else a process has: its policy is a number of sched(7), its limits are those of getrlimit(2) by name."""

    umask: int
    oom_score_adj: int
    nice: int
    policy: int
    affinity: frozenset[int]
    limits: tuple[tuple[str, Limit], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Device programs by their tags, which the kernel makes of instructions: those of the group, and `wanted`."""

    attached: tuple[str, ...]
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a zone's link stands: `problems` in words; whether its port is guarded and kept apart, None without one.

    `guarded`: it takes frames from the zone's link address alone, and gets those for it alone. `isolated`: nothing
    passes between it and other isolated ones, on the bridge or between bridges.
    """

    problems: tuple[str, ...] = ()
    guarded: bool | None = None
    isolated: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that was read of a zone's init and of its group.

    `shared` are the kinds of namespace that are ours, `kinds` those that could be compared. `group` is init's own
    group, absolute in the hierarchy. `settings` are texts of the zone's group by file, None where there is none.
    `connection` is None where its plan has none, as is `devices`. `nodes` are the host's devices that the plan puts
    into the zone: where, and what each is. `sysctls` are settings of its namespaces, None for what cannot be read.
    """

    pid: int
    credentials: Credentials
    filter: Filter
    attributes: Attributes
    kinds: frozenset[str]
    shared: frozenset[str]
    group: str
    settings: tuple[tuple[str, str | None], ...]
    standings: tuple[Standing, ...]
    nodes: tuple[tuple[str, str], ...] = ()
    sysctls: tuple[tuple[str, str | None], ...] = ()
    devices: DeviceFilter | None = None
    connection: Connection | None = None
