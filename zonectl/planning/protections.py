"""Which protections a zone has unless its file waives them, and by which key. Pure.

Nothing is weakened silently: where the host lacks one that the file does not waive, the start is refused, and told
which key would waive it; one that is waived is told by `show --security` and `list -v`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks
from zonectl.model import capabilities, seccomp
from zonectl.model.config import NetworkMode, RootSwitch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A `key` of a zone file, with its value, and the `protection` that the zone goes without."""

    key: str
    protection: str

    @property
    def name(self) -> str:
        """The key without its value."""
        return self.key.partition(" ")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What holds unless `waiver` stands in the zone file, which `waived` tells; `lack` says why a host has it not.

    An empty `waiver`: no zone can do without. `calls` are the system calls that fail where the host turns out not to
    have it, each a name, or a name and the beginning of what it is about ("prctl PR_CAPBSET_DROP").
    """

    name: str
    waiver: str
    waived: Callable[[ZoneConfig], bool]
    lack: Callable[[HostFacts], str] = lambda _: ""
    calls: tuple[str, ...] = ()


_SHARABLE = ("user", "net", "uts", "ipc", "time")


def _namespace(kind: str, name: str, *calls: str) -> Protection:
    def waived(config: ZoneConfig) -> bool:
        shared = kind == "net" and config.network.mode is NetworkMode.HOST
        return shared or not getattr(config.namespaces, kind, True)

    def lack(facts: HostFacts) -> str:
        return "" if kind in facts.namespaces else f"there are no {kind} namespaces here"

    waiver = f'namespaces.{kind} = "host"' if kind in _SHARABLE else ""
    return Protection(name=name, waiver=waiver, waived=waived, lack=lack, calls=calls)


PROTECTIONS: tuple[Protection, ...] = (
    _namespace("user", "user and group ids of its own", "write /proc/", "mount_setattr"),
    _namespace("mnt", "mounts of its own"),
    _namespace("pid", "processes of its own"),
    _namespace("cgroup", "a view of its own control group alone"),
    _namespace("net", "a network of its own"),
    _namespace("uts", "a host name of its own", "sethostname"),
    _namespace("ipc", "System V IPC and message queues of its own"),
    _namespace("time", "clocks of its own", "unshare flags 0x80"),
    Protection(
        name="a root from which no path leads back",
        waiver='root.switch = "chroot"',
        waived=lambda config: config.root.switch is RootSwitch.CHROOT,
        calls=("pivot_root",),
    ),
    Protection(
        name="a filter of its system calls",
        waiver='security.seccomp = "off"',
        waived=lambda config: config.security.seccomp == seccomp.OFF,
        lack=lambda facts: "" if facts.seccomp else "this kernel has no seccomp filters",
        calls=("seccomp",),
    ),
    Protection(
        name="a filter of the devices that it opens",
        waiver='security.devices = "unfiltered"',
        waived=lambda config: not config.security.filter_devices,
        calls=("bpf",),
    ),
    Protection(
        name="no namespaces of its own making",
        waiver="security.nesting = true",
        waived=lambda config: config.security.nesting and config.security.seccomp != seccomp.OFF,
    ),
    Protection(
        name="distance from other zones of its bridge",
        waiver="network.isolated = false",
        waived=lambda config: config.network.mode is NetworkMode.VETH and not config.network.isolated,
    ),
)
"""In the order in which they are told."""


def waivers(config: ZoneConfig, warnings: Iterable[str] = ()) -> tuple[Waiver, ...]:
    """What the zone file waives; `warnings` are those of its plan, of limits that this host does not enforce."""
    return (
        *(
            Waiver(key=each.waiver, protection=each.name)
            for each in PROTECTIONS
            if each.waiver and each.waived(config)
        ),
        *_granted(config),
        *_shown(config),
        *_trusted(config),
        *(Waiver(key="resources.required = false", protection=warning) for warning in warnings),
    )


def _granted(config: ZoneConfig) -> Iterator[Waiver]:
    """Capabilities beyond those that a zone has without being told."""
    usual = capabilities.grant(("default",), manages=config.manages_system).granted
    if more := capabilities.names(config.granted.granted & ~usual):
        words = ", ".join(f'"{word}"' for word in config.security.capabilities)
        yield Waiver(key=f"security.capabilities = [{words}]", protection=f"lack of {', '.join(more)}")


def _shown(config: ZoneConfig) -> Iterator[Waiver]:
    if config.security.unmask:
        words = ", ".join(f'"{path}"' for path in config.security.unmask)
        yield Waiver(
            key=f"security.unmask = [{words}]", protection="masks over the host's own of /proc and /sys"
        )


def _trusted(config: ZoneConfig) -> Iterator[Waiver]:
    for device in config.devices:
        yield Waiver(key=f'device.path = "{device.path}"', protection=f"no access to {device.path}")
    for mount in config.mounts:
        if mount.dev:
            yield Waiver(key="mount.dev = true", protection=f"nodev at {mount.target}")
        if mount.suid:
            yield Waiver(key="mount.suid = true", protection=f"nosuid at {mount.target}")


def require(config: ZoneConfig, facts: HostFacts) -> None:
    """Refuse a start that would be weaker than the zone file says.

    Raises:
        HostLacks: the host lacks protections that the file does not waive; names each, and the keys that would.

    """
    lacks = [(each, each.lack(facts)) for each in PROTECTIONS if not each.waived(config)]
    lacking = [(each, why) for each, why in lacks if why]
    if not lacking:
        return
    said = "; ".join(f"no {each.name}: {why}" for each, why in lacking)
    raise HostLacks(said, hint=_hint([each.waiver for each, _ in lacking]))


def remedy(call: str, subject: str) -> str | None:
    """What to do where the system call `call` about `subject` failed at a start; None where no key waives it."""
    if call == "clone3":  # which does not say which kind of namespace it could not make
        return "zonectl doctor"
    for protection in PROTECTIONS:
        if protection.waiver and any(_is_meant(each, call, subject) for each in protection.calls):
            return _hint([protection.waiver])
    return None


def _is_meant(known: str, call: str, subject: str) -> bool:
    name, _, about = known.partition(" ")
    return name == call and subject.startswith(about)


def _hint(waivers: list[str]) -> str:
    if not all(waivers):
        return "zonectl doctor"
    return f"to do without: {', '.join(waivers)}"
