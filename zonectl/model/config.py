"""A zone as its file describes it: parsed, checked, with every default filled in and every path absolute."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Interface, IPv6Interface, ip_network
from typing import TYPE_CHECKING, TypeAlias

from zonectl.model.capabilities import MANAGERS, Grant, grant
from zonectl.model.limits import NAMES as LIMIT_NAMES
from zonectl.model.limits import Limit
from zonectl.model.profiles import RootProfile
from zonectl.model.seccomp import DEFAULT

if TYPE_CHECKING:
    from zonectl.model.names import ZoneName

HOME = "~"
"""A `workdir` that is the home of whoever the process runs as."""

Interface: TypeAlias = IPv4Interface | IPv6Interface


class Restart(Enum):
    """When zoned starts a zone again that has ended; never after a user's stop."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class RootMode(Enum):
    """How a zone gets its root: a thin layer over shared files, or files of its own."""

    OVERLAY = "overlay"
    COPY = "copy"


class RootSwitch(Enum):
    """How init changes into its root."""

    PIVOT_ROOT = "pivot_root"
    CHROOT = "chroot"


class NetworkMode(Enum):
    """How a zone is connected. `HOST` shares the host's namespace, `NONE` has loopback alone."""

    VETH = "veth"
    HOST = "host"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootConfig:
    """`[root]`: exactly one of `image`, `path`, `tar` and `host` says where the files come from."""

    image: str | None = None
    path: str | None = None
    tar: str | None = None
    host: bool = False
    mode: RootMode = RootMode.OVERLAY
    readonly: bool = False
    profile: RootProfile = RootProfile.NONE
    switch: RootSwitch = RootSwitch.PIVOT_ROOT

    @property
    def sealed(self) -> bool:
        """Whether nothing of the root can be written."""
        return self.readonly or self.profile is RootProfile.STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacesConfig:
    """`[namespaces]`: True is a namespace of the zone's own, False the host's. Mount, pid and cgroup are always own.

    The offsets, in seconds, shift the clocks of a time namespace (time_namespaces(7)). `net` is derived from
    `[network] mode` as well: `mode = "host"` and `net = "host"` say the same thing.
    """

    user: bool = True
    net: bool = True
    uts: bool = True
    ipc: bool = True
    time: bool = True
    boottime_offset_s: float = 0.0
    monotonic_offset_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IoLimit:
    """`[[resources.io]]`: limits of one block device; rates in bytes or operations a second, weight 1..10000."""

    device: str
    read_bps: int | None = None
    write_bps: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None
    weight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesConfig:
    """`[resources]`: None is no limit. Sizes in bytes; `hugetlb` maps a page size of the kernel's ("2MB") to bytes."""

    required: bool = True
    cpus: float | None = None
    cpu_period_us: int = 100_000
    cpu_weight: int | None = None
    cpuset: str | None = None
    cpuset_mems: str | None = None
    memory_bytes: int | None = None
    memory_high_bytes: int | None = None
    memory_low_bytes: int | None = None
    memory_min_bytes: int | None = None
    swap_bytes: int | None = None
    oom_group: bool = False
    pids: int | None = None
    io_weight: int | None = None
    io: tuple[IoLimit, ...] = ()
    hugetlb: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """`[network]`: `address` None means one is leased from the subnet of the bridge (`auto`)."""

    mode: NetworkMode = NetworkMode.VETH
    bridge: str = "zbr0"
    subnet: str = "10.77.0.0/16"
    address: Interface | None = None
    gateway: str | None = None
    isolated: bool = True
    nat: bool = True
    mtu: int | None = None
    dns: tuple[str, ...] = ()

    @property
    def router(self) -> str:
        """The bridge's address, by which zones find the way out: the gateway, or the first host of the subnet."""
        return self.gateway or str(ip_network(self.subnet).network_address + 1)


class MountKind(Enum):
    """What a `[[mount]]` is."""

    BIND = "bind"
    TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountConfig:
    """`[[mount]]`: a folder or file of the host, or a tmpfs of `size_bytes`, at the absolute `target` in the zone."""

    target: str
    kind: MountKind = MountKind.BIND
    source: str | None = None
    readonly: bool = False
    exec: bool = True
    suid: bool = False
    dev: bool = False
    recursive: bool = True
    size_bytes: int | None = None
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """`[[device]]`: the host's device `path`, as `target` in the zone, which has `access` ("rw") to it.

    `mode` None is the permissions that it has on the host.
    """

    path: str
    target: str | None = None
    mode: int | None = None
    access: str = "rw"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """`[security]`: `capabilities` are the words of the zone file, which `model.capabilities.grant` reads."""

    capabilities: tuple[str, ...] = ("default",)
    seccomp: str = DEFAULT
    nesting: bool = False
    no_new_privs: bool = False
    unmask: tuple[str, ...] = ()
    filter_devices: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """`[limits]`: what is None is `limits.DEFAULTS`. The attributes are the kernel's names, one of which Python has."""

    cpu_: Limit | None = None
    fsize_: Limit | None = None
    data_: Limit | None = None
    stack_: Limit | None = None
    core_: Limit | None = None
    rss_: Limit | None = None
    nproc_: Limit | None = None
    nofile_: Limit | None = None
    memlock_: Limit | None = None
    as_: Limit | None = None
    locks_: Limit | None = None
    sigpending_: Limit | None = None
    msgqueue_: Limit | None = None
    nice_: Limit | None = None
    rtprio_: Limit | None = None
    rttime_: Limit | None = None

    def declared(self) -> dict[str, Limit]:
        """The limits that the zone file names."""
        return {name: limit for name in LIMIT_NAMES if (limit := getattr(self, f"{name}_")) is not None}


class Scheduler(Enum):
    """The scheduling policies of sched(7) that a zone can have; `INHERIT` is that of zonectl's caller."""

    OTHER = "other"
    BATCH = "batch"
    IDLE = "idle"
    INHERIT = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessConfig:
    """`[process]`: what every process of the zone starts with. `affinity` None is all processors."""

    umask: int = 0o022
    nice: int | None = None
    oom_score_adj: int | None = None
    affinity: str | None = None
    scheduler: Scheduler = Scheduler.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """`[budget]`: what isolation may cost at most. Nothing but `zonectl bench --check` looks at it; None is no budget.

    Of workloads and their groups it is what they may take more than on bare metal; of verbs, how long they may take.
    """

    cpu_percent: float | None = None
    memory_percent: float | None = None
    syscalls_percent: float | None = None
    processes_percent: float | None = None
    files_percent: float | None = None
    network_percent: float | None = None
    composite_percent: float | None = None
    workload_percent: tuple[tuple[str, float], ...] = ()
    create_us: int | None = None
    start_us: int | None = None
    run_us: int | None = None
    exec_us: int | None = None
    stop_us: int | None = None
    delete_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneConfig:
    """A whole zone file."""

    name: ZoneName
    command: tuple[str, ...] = ("/bin/sh",)
    env: tuple[tuple[str, str], ...] = ()
    user: str = "root"
    workdir: str = "/"
    hostname: str = ""
    init: bool = False
    stop_signal: str = "SIGTERM"
    stop_timeout_s: float = 10.0
    autostart: bool = False
    restart: Restart = Restart.NO
    depends_on: tuple[ZoneName, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    root: RootConfig = field(default_factory=RootConfig)
    namespaces: NamespacesConfig = field(default_factory=NamespacesConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    mounts: tuple[MountConfig, ...] = ()
    devices: tuple[DeviceConfig, ...] = ()
    sysctl: tuple[tuple[str, str], ...] = ()
    security: SecurityConfig = field(default_factory=SecurityConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    process: ProcessConfig = field(default_factory=ProcessConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)

    @property
    def granted(self) -> Grant:
        """The capabilities of the zone's processes; `default` is `system` where `manages_system`."""
        return grant(self.security.capabilities, manages=self.manages_system)

    @property
    def manages_system(self) -> bool:
        """Whether the zone's program is the manager of a system of its own ids."""
        return self.namespaces.user and bool(self.command) and self.command[0].rpartition("/")[2] in MANAGERS
