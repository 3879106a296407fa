"""Zone files and configurations, made up from the descriptions: a new key is tried without a new strategy.

What does not depend on a draw is made once, at import: making a strategy costs more than drawing from it. And what is
not wanted is not drawn rather than filtered out: a third of all draws went into examples that were given up.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from zonectl.config.fields import ZONE
from zonectl.config.kinds import Boolean, Choice, Number, Setting, Text, Whole
from zonectl.config.paths import HostPath, WorkFolder, ZonePath
from zonectl.config.process_fields import ResourceLimit, Umask
from zonectl.config.quantities import Duration, FileMode, Percent, Period, Size
from zonectl.config.seccomp_fields import ProfilePath
from zonectl.config.tables import Field, Kind, ListOf, MapOf, Table, Tables
from zonectl.config.texts import CPU_LIST, DEVICE_ACCESS, STOP_SIGNAL, USER
from zonectl.model.config import (
    DeviceConfig,
    IoLimit,
    MountConfig,
    MountKind,
    NetworkConfig,
    NetworkMode,
    RootConfig,
    RootMode,
    ZoneConfig,
)
from zonectl.model.limits import UNLIMITED, Limit
from zonectl.model.names import ZoneName, unprintable
from zonectl.model.profiles import WRITABLE
from zonectl.model.signals import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Those that `names.unprintable` names.
shown_text = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"]), max_size=12
)
any_text = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20)
components = st.text("abcXYZ019._-é ", min_size=1, max_size=8).map(
    lambda text: f"{text}~" if text in {".", ".."} else text
)
paths = st.lists(components, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
profiles = st.sampled_from(["default", "strict", "off"]) | paths.map(lambda path: f"{path}.toml")


def value(kind: Kind) -> st.SearchStrategy[Any]:
    """Typed values of a kind that is not a table."""
    match kind:
        case ListOf():
            return st.lists(
                value(kind.item), min_size=kind.least, max_size=kind.most or 4, unique=kind.unique
            ).map(tuple)
        case MapOf():
            pairs = st.dictionaries(value(kind.key), value(kind.value), max_size=3)
            return pairs.map(lambda mapping: tuple(mapping.items()))
        case Text():
            return _text(kind)
        case Choice():
            return st.sampled_from([meaning for _, meaning in kind.options])
        case HostPath() | ZonePath():
            return profiles if isinstance(kind, ProfilePath) else paths
    return _number(kind)


def _text(kind: Text) -> st.SearchStrategy[Any]:
    if kind is STOP_SIGNAL:
        return st.sampled_from([*STOP_SIGNALS, "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-1"])
    if kind is CPU_LIST:
        ordered = st.tuples(st.integers(0, 99), st.integers(100, 8191)).map(
            lambda pair: f"{pair[0]}-{pair[1]}"
        )
        return st.lists(ordered | st.integers(0, 8191).map(str), min_size=1, max_size=3).map(",".join)
    if kind is USER:
        return st.sampled_from(["root", "1000", "0:0", "www-data:adm", "_apt", "4294967294"])
    if kind is DEVICE_ACCESS:
        return st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
    if not kind.pattern:
        return any_text if kind.free else shown_text
    matching = st.from_regex(kind.pattern, fullmatch=True)
    return matching.filter(lambda text: unprintable(text) is None and len(text) <= (kind.most or len(text)))


def _number(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Boolean():
            return st.booleans()
        case Whole(least, most):
            return st.integers(least, most)
        case Setting():
            return st.integers(-(2**63), 2**63 - 1).map(str) | shown_text
        case Number():
            return st.floats(kind.least, kind.most)
        case Percent():
            return st.integers(0, 99_999_999).map(lambda thousandths: thousandths / 1000)
    return _quantity(kind)


def _quantity(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Size(least):
            return st.integers(least, 2**63 - 1) | st.integers(least, 2**63 - 1).map(
                lambda size: size | 0xFFFFF ^ 0xFFFFF
            )
        case Duration():
            return st.integers(kind.least_s * 1000, kind.most_s * 1000).map(
                lambda milliseconds: milliseconds / 1000
            )
        case Period():
            return st.integers(kind.least_us, kind.most_us)
        case WorkFolder():
            return paths | st.just("~")
        case FileMode():
            return st.integers(0, 0o777 if isinstance(kind, Umask) else 0o7777)
        case ResourceLimit():
            parts = st.integers(0, 2**63 - 1) | st.integers(0, 99) | st.just(UNLIMITED)
            return st.tuples(parts, parts).map(lambda pair: Limit(min(pair), max(pair)))
    raise AssertionError(kind)


def part(table: Table, *keep: str, least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Some attributes of a table's model, `least` at the least, but for those in `keep`."""
    fields: list[Field] = [
        field
        for field in table.fields
        if not isinstance(field.kind, Table | Tables) and field.attribute not in keep
    ]
    values = {field.attribute: value(field.kind) for field in fields}
    chosen = st.lists(st.sampled_from(list(values)), min_size=least, unique=True) if values else st.just([])
    return _values(chosen, values, [field.attribute for field in fields if field.required])


@st.composite
def _values(
    draw: st.DrawFn,
    chosen: st.SearchStrategy[list[str]],
    values: Mapping[str, st.SearchStrategy[Any]],
    needed: list[str],
) -> dict[str, Any]:
    return {attribute: draw(values[attribute]) for attribute in dict.fromkeys([*draw(chosen), *needed])}


def _inner(key: str, outer: Table = ZONE) -> Table:
    field = outer.field(key)
    assert field
    kind = field.kind.item if isinstance(field.kind, Tables) else field.kind
    assert isinstance(kind, Table)
    return kind


_root_parts = part(_inner("root"), "image", "path", "tar", "host")
_root_sources = st.one_of(
    *(
        st.tuples(st.just(field.key), st.just(value=True) if field.key == "host" else value(field.kind))
        for field in _inner("root").fields
        if field.key in {"image", "path", "tar", "host"}
    )
)


@st.composite
def _root(draw: st.DrawFn) -> RootConfig:
    values = draw(_root_parts)
    source, place = draw(_root_sources)
    values[source] = place
    root = RootConfig(**values)
    if root.readonly and WRITABLE[root.profile]:
        root = replace(root, readonly=False)
    return replace(root, mode=RootMode.OVERLAY) if root.host else root


_modes = st.sampled_from(NetworkMode)
_name_servers = st.lists(st.ip_addresses(network="192.0.2.0/24").map(str), max_size=3, unique=True)
_subnets = st.sampled_from(["10.77.0.0/16", "192.168.7.0/24", "fd77::/64"])
_mtus = st.none() | st.integers(1280, 65535)
_network_parts = part(_inner("network"), "mode", "subnet", "address", "gateway", "dns", "mtu").filter(
    lambda values: values.get("bridge") not in {"all", "default"}
)


@st.composite
def _network(draw: st.DrawFn) -> NetworkConfig:
    mode, dns = draw(_modes), draw(_name_servers)
    if mode is not NetworkMode.VETH:
        return NetworkConfig(mode=mode, dns=tuple(dns))
    network = draw(_subnets)
    subnet = ipaddress.ip_network(network)
    places = st.integers(2, min(subnet.num_addresses, 2**20) - 2)
    host = draw(places)
    return NetworkConfig(
        subnet=network,
        address=draw(st.none() | st.just(ipaddress.ip_interface(f"{subnet[host]}/{subnet.prefixlen}"))),
        gateway=draw(
            st.none() | places.filter(lambda place: place != host).map(lambda place: str(subnet[place]))
        ),
        mtu=draw(_mtus),
        dns=tuple(dns),
        **draw(_network_parts),
    )


_mount_targets = st.lists(paths, max_size=3, unique=True)
_mount_kinds = st.sampled_from(MountKind)
_bind_parts = part(_inner("mount"), "kind", "target", "source", "size_bytes", "mode")
_tmpfs_parts = part(_inner("mount"), "kind", "target", "source", "recursive")


@st.composite
def _mounts(draw: st.DrawFn) -> tuple[MountConfig, ...]:
    places = sorted(f"/mnt{target}" for target in draw(_mount_targets))
    return tuple([draw(_mount(place)) for place in places])


@st.composite
def _mount(draw: st.DrawFn, target: str) -> MountConfig:
    kind = draw(_mount_kinds)
    if kind is MountKind.BIND:
        return MountConfig(target=target, kind=kind, source=draw(paths), **draw(_bind_parts))
    return MountConfig(target=target, kind=kind, **draw(_tmpfs_parts))


_MEMORY = ("memory_min_bytes", "memory_low_bytes", "memory_high_bytes", "memory_bytes")
_sizes = st.lists(st.integers(2**20, 2**62), min_size=4, max_size=4).map(sorted)
_limited = st.sets(st.sampled_from(_MEMORY))
_io_parts = part(_inner("io", _inner("resources")), "device", least=1)
_io_devices = st.lists(paths, max_size=2, unique=True)
_resource_parts = st.fixed_dictionaries(
    {
        "cpus": st.none() | st.floats(1, 64),
        "cpu_period_us": st.integers(1000, 1_000_000),
        "hugetlb": st.sampled_from([(), (("2MB", 2**21), ("1GB", 0))]),
    }
)
_more_resource_parts = part(_inner("resources"), "hugetlb", "cpus", "cpu_period_us", *_MEMORY)


@st.composite
def _resources(draw: st.DrawFn) -> Any:
    sizes, limited = draw(_sizes), draw(_limited)
    memory = {key: size for key, size in zip(_MEMORY, sizes, strict=True) if key in limited}
    return _inner("resources").model(
        **draw(_more_resource_parts),
        **draw(_resource_parts),
        **memory,
        io=tuple([IoLimit(device=device, **draw(_io_parts)) for device in draw(_io_devices)]),
    )


_device_targets = st.lists(components.map(lambda name: f"/dev/own-{name}"), max_size=3, unique=True)
_device_parts = part(_inner("device"), "target")


@st.composite
def _devices(draw: st.DrawFn) -> tuple[DeviceConfig, ...]:
    return tuple([DeviceConfig(target=target, **draw(_device_parts)) for target in draw(_device_targets)])


_setting_values = value(Setting())


@cache
def _settings(*, net: bool, ipc: bool, uts: bool, user: bool) -> st.SearchStrategy[tuple[Any, ...]]:
    names = {
        "net.ipv4.ip_forward": net,
        "net.ipv4.conf.eth0.rp_filter": net,
        "kernel.shmmax": ipc,
        "fs.mqueue.msg_max": ipc,
        "kernel.domainname": uts,
        "user.max_user_namespaces": user,
    }
    own = sorted(name for name, there in names.items() if there)
    if not own:
        return st.just(())
    return st.dictionaries(st.sampled_from(own), _setting_values, max_size=3).map(
        lambda mapping: tuple(mapping.items())
    )


_removable = st.lists(st.sampled_from(["!chown", "!net_raw", "!kill"]), unique=True)
_addable = st.lists(st.sampled_from(["sys_nice", "sys_admin", "bpf", "setuid"]), unique=True)
capability_words = st.one_of(
    st.tuples(st.sampled_from(["default", "system", "all"]).map(lambda word: [word]), _addable, _removable),
    st.tuples(st.just(["none"]), _addable),
).map(lambda parts: tuple(word for words in parts for word in words))


_zone_parts = part(ZONE, "depends_on", "hostname", "sysctl")
_namespace_parts = part(_inner("namespaces"), "net", "boottime_offset_s", "monotonic_offset_s")
_more_namespace_parts = part(_inner("namespaces"), "net", "user", "uts", "ipc", "time")
_security_parts = part(_inner("security"), "capabilities")
_hostnames = st.sampled_from(["web", "web.example.org", "A-1"])
_needed_zones = st.lists(st.sampled_from([ZoneName("db"), ZoneName("mail")]), unique=True)
_roots, _networks, _limits, _mount_lists, _device_lists = (
    _root(),
    _network(),
    _resources(),
    _mounts(),
    _devices(),
)
_whole = {key: part(_inner(key)) for key in ("limits", "process", "budget")}


@st.composite
def configs(draw: st.DrawFn) -> ZoneConfig:
    """Configurations that obey every rule."""
    network = draw(_networks)
    namespaces = draw(_namespace_parts)
    if namespaces.get("time", True):
        namespaces |= draw(_more_namespace_parts)
    values = draw(_zone_parts)
    hostname = draw(_hostnames) if namespaces.get("uts", True) else ""
    return ZoneConfig(
        **values,
        **{key: _inner(key).model(**draw(parts)) for key, parts in _whole.items()},
        hostname=hostname,
        depends_on=tuple([name for name in draw(_needed_zones) if name != values["name"]]),
        root=draw(_roots),
        namespaces=_inner("namespaces").model(**namespaces, net=network.mode is not NetworkMode.HOST),
        resources=draw(_limits),
        network=network,
        mounts=draw(_mount_lists),
        devices=draw(_device_lists),
        sysctl=draw(
            _settings(
                net=network.mode is not NetworkMode.HOST,
                **{kind: namespaces.get(kind, True) for kind in ("ipc", "uts", "user")},
            )
        ),
        security=_inner("security").model(**draw(_security_parts), capabilities=draw(capability_words)),
    )
