"""What the values of a zone file must be together: rules between keys that no schema can say.

Each rule is a function from a draft to findings. The first line of its docstring stands in the reference page.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from zonectl.config.network_rules import address, gateway, host_network, idle_network, mode_of, mtu
from zonectl.config.walker import Finding
from zonectl.model.capabilities import SETS, grant, mask
from zonectl.model.config import MountConfig, MountKind, NetworkMode, RootMode
from zonectl.model.devices import NODES
from zonectl.model.profiles import WRITABLE
from zonectl.model.sysctls import HOST_NAME, namespace_of
from zonectl.model.units import format_duration, format_size, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zonectl.model.config import ZoneConfig

_LEAST_QUOTA_US = 1000  # min_cfs_quota_period, kernel/sched/core.c
_KERNEL_MOUNTS = ("/proc", "/sys", "/dev")
_OWN_DEVICES = frozenset({*NODES, "fd", "mqueue", "ptmx", "pts", "shm", "stderr", "stdin", "stdout"})


class Draft(NamedTuple):
    """A configuration as it was read, and the document that it was read from (which keys were given)."""

    config: ZoneConfig
    document: Mapping[str, object]

    def gave(self, *path: str) -> bool:
        """Whether the document has that key."""
        here: object = self.document
        for key in path:
            if not isinstance(here, dict) or key not in here:
                return False
            here = here[key]
        return True


def dependencies(draft: Draft) -> Iterator[Finding]:
    """A zone does not depend on itself."""
    for index, name in enumerate(draft.config.depends_on):
        if name == draft.config.name:
            yield Finding(("depends_on", index), "a zone cannot depend on itself")


def host_name(draft: Draft) -> Iterator[Finding]:
    """`hostname` needs a host name of the zone's own: not `uts = "host"`."""
    if draft.config.hostname and not draft.config.namespaces.uts:
        yield Finding(("hostname",), 'cannot be set with namespaces.uts = "host"')


def root_copy(draft: Draft) -> Iterator[Finding]:
    """A sparse root (`host = true`) cannot be copied."""
    if draft.config.root.host and draft.config.root.mode is RootMode.COPY:
        yield Finding(("root", "mode"), 'cannot be "copy" with host = true: the files of the host are shared')


def root_profile(draft: Draft) -> Iterator[Finding]:
    """`readonly = true` is the profile `strict`, and contradicts `fixed` and `flexible`."""
    root = draft.config.root
    if root.readonly and WRITABLE[root.profile]:
        message = f'"{root.profile.value}" contradicts readonly = true: leave that away, or write "strict"'
        yield Finding(("root", "profile"), message, about=(("root", "readonly"),))


def clocks(draft: Draft) -> Iterator[Finding]:
    """Offsets of clocks need clocks of the zone's own: not `time = "host"`."""
    spaces = draft.config.namespaces
    for key, offset_s in (
        ("boottime_offset", spaces.boottime_offset_s),
        ("monotonic_offset", spaces.monotonic_offset_s),
    ):
        if offset_s and not spaces.time:
            yield Finding(("namespaces", key), 'cannot be set with time = "host"')


def cpu_quota(draft: Draft) -> Iterator[Finding]:
    """`cpus` × `cpu_period` is at least 1ms, the least that the kernel takes."""
    resources = draft.config.resources
    if resources.cpus is not None and round(resources.cpus * resources.cpu_period_us) < _LEAST_QUOTA_US:
        period = format_duration(resources.cpu_period_us / 1_000_000)
        message = f"{resources.cpus} of {period} is less than 1ms, the least that the kernel takes"
        yield Finding(("resources", "cpus"), message)


def memory_order(draft: Draft) -> Iterator[Finding]:
    """`memory_min` ≤ `memory_low` ≤ `memory_high` ≤ `memory`, as far as they are given."""
    resources = draft.config.resources
    sizes = {
        "memory_min": resources.memory_min_bytes,
        "memory_low": resources.memory_low_bytes,
        "memory_high": resources.memory_high_bytes,
        "memory": resources.memory_bytes,
    }
    given = [(key, size) for key, size in sizes.items() if size is not None]
    for (key, size), (larger, most) in pairwise(given):
        if size > most:
            message = f"{format_size(size)} is more than {larger}, {format_size(most)}"
            yield Finding(("resources", key), message)


def huge_pages(draft: Draft) -> Iterator[Finding]:
    """A limit of huge pages is a whole number of them."""
    for page, limit in draft.config.resources.hugetlb:
        if limit % parse_size(page.replace("B", "iB")):  # the kernel's 2MB are 2 MiB
            message = f"{format_size(limit)} is not a whole number of pages of {page}"
            yield Finding(("resources", "hugetlb", page), message)


def io_devices(draft: Draft) -> Iterator[Finding]:
    """A device stands in one `[[resources.io]]` only."""
    seen: dict[str, int] = {}
    for index, limit in enumerate(draft.config.resources.io):
        if limit.device in seen:
            first = f"resources.io[{seen[limit.device]}]"
            yield Finding(("resources", "io", index, "device"), f"{limit.device} has its limits in {first}")
        seen.setdefault(limit.device, index)


def mount_targets(draft: Draft) -> Iterator[Finding]:
    """A mount's target is not `/`, and not in `/proc`, `/sys` or `/dev`, which the zone gets from zonectl."""
    for index, mount in enumerate(draft.config.mounts):
        if mount.target == "/":
            yield Finding(("mount", index, "target"), "cannot be /: that is [root]")
        for kernel in _KERNEL_MOUNTS:
            if _covers(kernel, mount.target):
                yield Finding(("mount", index, "target"), f"{mount.target} cannot be in {kernel}")


def mount_order(draft: Draft) -> Iterator[Finding]:
    """No mount hides one before it: targets differ, and what lies above comes first."""
    for index, mount in enumerate(draft.config.mounts):
        for before, hidden in enumerate(draft.config.mounts[:index]):
            if not mount.target or not _covers(mount.target, hidden.target):
                continue
            same = mount.target == hidden.target
            message = (
                f"is the target of mount[{before}] already"
                if same
                else f"hides mount[{before}]: put it first"
            )
            yield Finding(("mount", index, "target"), f"{mount.target} {message}")


def idle_mount(draft: Draft) -> Iterator[Finding]:
    """`mode` means nothing with a bind mount, `recursive` nothing with a tmpfs."""
    usual = MountConfig(target="")
    for index, mount in enumerate(draft.config.mounts):
        key = "mode" if mount.kind is MountKind.BIND else "recursive"
        if getattr(mount, key) != getattr(usual, key):
            yield Finding(("mount", index, key), f'means nothing with type = "{mount.kind.value}"')


def capability_words(draft: Draft) -> Iterator[Finding]:
    """`capabilities` start from at most one named set; what `!` removes is there, and is not also added."""
    words = draft.config.security.capabilities
    kept = (word for word in words if not word.startswith("!"))
    there = grant(kept, manages=draft.config.manages_system).granted
    about = (("command",), ("namespaces", "user"))
    for index, word in enumerate(words):
        path = ("security", "capabilities", index)
        earlier = next((other for other in words[:index] if other in SETS), None)
        if word in SETS and earlier:
            yield Finding(
                path, f'"{word}" cannot stand beside "{earlier}": one set is where the others start'
            )
        elif word[1:] in words:
            yield Finding(path, f'contradicts "{word[1:]}"')
        elif word.startswith("!") and not mask((word[1:],)) & there:
            yield Finding(path, f"there is no {word[1:]} to remove", about=about)


def device_targets(draft: Draft) -> Iterator[Finding]:
    """A device's target is below `/dev`, once, and not what every zone has there."""
    seen: dict[str, int] = {}
    for index, device in enumerate(draft.config.devices):
        target = device.target or device.path
        key = "target" if device.target else "path"
        if not _covers("/dev", target) or target == "/dev":
            yield Finding(("device", index, key), f"{target} is not below /dev: name a target that is")
        elif target.split("/")[2] in _OWN_DEVICES:
            yield Finding(("device", index, key), f"{target} is what every zone has of its own")
        elif target in seen:
            yield Finding(("device", index, key), f"{target} is device[{seen[target]}] already")
        seen.setdefault(target, index)


def settings(draft: Draft) -> Iterator[Finding]:
    """A setting in `[sysctl]` belongs to a namespace that the zone has of its own, and has no key of its own."""
    for name, _ in draft.config.sysctl:
        path = ("sysctl", name)
        kind = namespace_of(name)
        if kind is None:
            yield Finding(
                path, "is the host's: it belongs to none of the namespaces that a zone has of its own"
            )
        elif name == HOST_NAME:
            yield Finding(path, "is set by the key hostname")
        elif not _is_own(draft, kind):
            yield Finding(
                path, f'needs a {kind} namespace of the zone\'s own: not namespaces.{kind} = "host"'
            )


def _is_own(draft: Draft, kind: str) -> bool:
    if kind == "net" and mode_of(draft) is NetworkMode.HOST:
        return False
    return bool(getattr(draft.config.namespaces, kind))


def _covers(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


RULES = (
    dependencies,
    host_name,
    root_copy,
    root_profile,
    clocks,
    host_network,
    idle_network,
    gateway,
    address,
    mtu,
    cpu_quota,
    memory_order,
    huge_pages,
    io_devices,
    mount_targets,
    mount_order,
    idle_mount,
    capability_words,
    device_targets,
    settings,
)


def judge(draft: Draft) -> Iterator[Finding]:
    """What all rules find."""
    for rule in RULES:
        yield from rule(draft)
