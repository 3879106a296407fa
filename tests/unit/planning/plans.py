"""Plans of chosen configurations, and a plan as text that a reader can check line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.model.config import (
    DeviceConfig,
    MountConfig,
    MountKind,
    NamespacesConfig,
    NetworkConfig,
    NetworkMode,
    ResourcesConfig,
    RootConfig,
    RootMode,
    RootSwitch,
    SecurityConfig,
    ZoneConfig,
)
from zonectl.model.facts import CgroupFacts, CgroupLayout, HostFacts
from zonectl.model.instance import Instance
from zonectl.model.names import ZoneName
from zonectl.model.profiles import RootProfile
from zonectl.model.seccomp import OFF, STRICT, Filter
from zonectl.model.steps import Binding
from zonectl.planning import ZonePlan, plan

if TYPE_CHECKING:
    from zonectl.model.steps import Call

INSTANCE = Instance(root="/srv/zones", run="/run/zones")
RESOLV_CONF = "search example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n"
FACTS = HostFacts(
    kernel=(6, 12),
    cgroup=CgroupFacts(
        layout=CgroupLayout.UNIFIED,
        mount="/sys/fs/cgroup",
        controllers=frozenset({"cpu", "cpuset", "io", "memory", "pids"}),
        writable=True,
    ),
    online_cpus="0-3",
    mqueue=True,
)
BOUND = Binding(
    zone_id="0a1b2c3d",
    first_id="1000000",
    address="10.77.0.5/16",
    gateway="10.77.0.1",
    zone_dir="/srv/zones/zones/web",
    layers=("/srv/zones/images/layers/b", "/srv/zones/images/layers/a"),
)
WEB = ZoneConfig(
    name=ZoneName("web"),
    command=("/usr/sbin/nginx", "-g", "daemon off;"),
    root=RootConfig(image="debian:12"),
)
MOUNTS = (
    MountConfig(target="/etc/web.conf", source="/srv/web.conf", readonly=True),
    MountConfig(target="/var/cache", kind=MountKind.TMPFS, size_bytes=1 << 20, exec=False),
    MountConfig(target="/var/www", source="/srv/www", recursive=False, suid=True, dev=True),
)

CONFIGS = {
    "default": WEB,
    "host-net": replace(
        WEB, network=NetworkConfig(mode=NetworkMode.HOST), namespaces=NamespacesConfig(net=False)
    ),
    "no-net": replace(WEB, network=NetworkConfig(mode=NetworkMode.NONE)),
    "shared": replace(WEB, namespaces=NamespacesConfig(uts=False, ipc=False, time=False)),
    "host-ids": replace(WEB, namespaces=NamespacesConfig(user=False), user="www-data:adm", workdir="/srv"),
    "clocks": replace(WEB, namespaces=NamespacesConfig(boottime_offset_s=86400.5, monotonic_offset_s=-1.5)),
    "copy": replace(WEB, root=RootConfig(tar="/srv/root.tar", mode=RootMode.COPY)),
    "sparse": replace(WEB, root=RootConfig(host=True)),
    "sparse-readonly": replace(WEB, root=RootConfig(host=True, readonly=True)),
    "mounts": replace(WEB, mounts=MOUNTS),
    "chroot": replace(WEB, root=RootConfig(image="debian:12", switch=RootSwitch.CHROOT)),
    "fixed": replace(WEB, root=RootConfig(image="debian:12", profile=RootProfile.FIXED)),
    "flexible-copy": replace(
        WEB,
        root=RootConfig(tar="/srv/root.tar", mode=RootMode.COPY, profile=RootProfile.FLEXIBLE),
        devices=(DeviceConfig(path="/dev/fuse"), DeviceConfig(path="/dev/net/tun", mode=0o666, access="rwm")),
        sysctl=(("net.ipv4.ip_forward", "1"), ("kernel.domainname", "example.org")),
    ),
    "readonly": replace(WEB, root=RootConfig(image="debian:12", readonly=True)),
    "limits": replace(WEB, resources=ResourcesConfig(cpus=1.5, memory_bytes=512 << 20, pids=512)),
    "reaper": replace(WEB, init=True, security=SecurityConfig(no_new_privs=True)),
    "strict": replace(WEB, security=SecurityConfig(seccomp="strict")),
    "no-filter": replace(WEB, security=SecurityConfig(seccomp="off")),
}


def filter_of(config: ZoneConfig) -> Filter | None:
    """A filter of the name that the configuration asks for; its program is not a plan's business."""
    wanted = config.security.seccomp
    if wanted == OFF:
        return None
    return Filter(name=wanted, digest="0" * 64, program=bytes(8), no_new_privs=wanted == STRICT)


def plan_of(config: ZoneConfig, *, bound: Binding = BOUND, facts: HostFacts = FACTS) -> ZonePlan:
    """The plan of the zone's start; a sparse root stands on one folder of its own."""
    if config.root.host:
        bound = replace(bound, layers=(f"{bound.zone_dir}/base",))
    return plan(config, facts, INSTANCE, binding=bound, seccomp=filter_of(config), resolv_conf=RESOLV_CONF)


def text(made: ZonePlan) -> str:
    """Each step with its side and, below it, the calls that it makes."""
    lines = []
    for step in made.steps:
        lines.append(f"{step.side.value}: {step.summary}")
        lines += [f"    {_line(call)}" for call in step.calls]
    return "\n".join(lines) + "\n"


def _line(call: Call) -> str:
    words = [call.name, call.target, call.detail, call.when and f"[{call.when}]", call.man]
    return "  ".join(repr(word)[1:-1] for word in words if word)
