"""Every key of a zone file, described once."""

from __future__ import annotations

from zonectl.config import texts
from zonectl.config.budget_fields import BUDGET
from zonectl.config.kinds import Boolean, Choice, Setting
from zonectl.config.mount_fields import DEVICE, MOUNT
from zonectl.config.network_fields import NETWORK
from zonectl.config.paths import HostPath, WorkFolder
from zonectl.config.process_fields import LIMITS, PROCESS
from zonectl.config.quantities import Duration
from zonectl.config.resource_fields import RESOURCES
from zonectl.config.security_fields import SECURITY
from zonectl.config.tables import ExactlyOne, Field, ListOf, MapOf, Table, Tables
from zonectl.model.config import NamespacesConfig, Restart, RootConfig, RootMode, RootSwitch, ZoneConfig
from zonectl.model.profiles import RootProfile

_DAY_S = 86_400
_MOST_OFFSET_S = 4_611_686_018
"""KTIME_SEC_MAX / 2, which no clock of a time namespace may pass (time_namespaces(7))."""

_OWN = Choice((("private", True), ("host", False)))

_ROOT = Table(
    RootConfig,
    (
        Field(
            key="image",
            kind=texts.IMAGE,
            text="An image of the store.",
            example='"debian:12"',
        ),
        Field(
            key="path",
            kind=HostPath(),
            text="A folder of the host that holds a whole root.",
            example='"/srv/roots/web"',
        ),
        Field(
            key="tar",
            kind=HostPath(),
            text="A tar archive of a whole root, unpacked by create.",
            example='"root.tar"',
        ),
        Field(
            key="host",
            kind=Boolean(),
            text="A sparse root: the host's own programs and libraries, read-only, below an /etc that is made up.",
            example="true",
        ),
        Field(
            key="mode",
            kind=Choice(tuple((mode.value, mode) for mode in RootMode)),
            text="`overlay`: a thin layer over files that zones share; `copy`: the zone's own copy of all of them.",
            example='"copy"',
        ),
        Field(key="readonly", kind=Boolean(), text="Nothing in the root can be written.", example="true"),
        Field(
            key="profile",
            kind=Choice(tuple((profile.value, profile) for profile in RootProfile)),
            text="What stays as it was installed: `strict` all, `fixed` all but data, `flexible` but data and /etc.",
            example='"fixed"',
        ),
        Field(
            key="switch",
            kind=Choice(tuple((switch.value, switch) for switch in RootSwitch)),
            text="How init changes into its root. `chroot` is weaker: a way out exists for root of the zone.",
            example='"chroot"',
        ),
    ),
    (ExactlyOne(("image", "path", "tar", "host"), flags=("host",)),),
)

_NAMESPACES = Table(
    NamespacesConfig,
    (
        Field(
            key="user",
            kind=Choice((("auto", True), ("host", False))),
            text="`auto`: 65536 ids of the zone's own; `host`: the host's ids, no security boundary.",
            example='"host"',
        ),
        Field(
            key="net",
            kind=_OWN,
            text='The network. `host` is the same as `mode = "host"` in `[network]`.',
            example='"host"',
        ),
        Field(key="uts", kind=_OWN, text="The host name.", example='"host"'),
        Field(key="ipc", kind=_OWN, text="System V IPC and POSIX message queues.", example='"host"'),
        Field(key="time", kind=_OWN, text="The boot-time and monotonic clocks.", example='"host"'),
        Field(
            key="boottime_offset",
            name="boottime_offset_s",
            kind=Duration(least_s=-_MOST_OFFSET_S, most_s=_MOST_OFFSET_S),
            text="What is added to the time since boot (CLOCK_BOOTTIME).",
            example='"7d"',
        ),
        Field(
            key="monotonic_offset",
            name="monotonic_offset_s",
            kind=Duration(least_s=-_MOST_OFFSET_S, most_s=_MOST_OFFSET_S),
            text="What is added to the monotonic clock (CLOCK_MONOTONIC).",
            example='"-1h"',
        ),
    ),
)

ZONE = Table(
    ZoneConfig,
    (
        Field(
            key="name",
            kind=texts.ZONE,
            text="The zone's name.",
            example='"web"',
            required=True,
        ),
        Field(
            key="command",
            kind=ListOf(texts.ARGUMENT, least=1),
            text="The program that the zone runs, and its arguments; no shell is involved.",
            example='["/bin/httpd", "-f"]',
        ),
        Field(
            key="env",
            kind=MapOf(texts.ENV_NAME, texts.ARGUMENT),
            text="Environment variables, over those of the image.",
            example='{ TZ = "UTC" }',
        ),
        Field(
            key="user",
            kind=texts.USER,
            text="Who runs the command: `name`, `uid`, `name:group` or `uid:gid`, by the zone's own /etc/passwd.",
            example='"1000:1000"',
        ),
        Field(
            key="workdir",
            kind=WorkFolder(),
            text="The folder that the command, and what exec runs, starts in; `~` is the home of the user.",
            example='"/srv"',
        ),
        Field(
            key="hostname",
            kind=texts.HOSTNAME,
            text="The zone's host name.",
            example='"web.example.org"',
            absent="the zone's name",
        ),
        Field(
            key="init",
            kind=Boolean(),
            text="A small init as process 1, which reaps orphans and passes signals on.",
            example="true",
        ),
        Field(
            key="stop_signal",
            kind=texts.STOP_SIGNAL,
            text="The signal that asks the zone to stop; systemd inside needs `SIGRTMIN+3`.",
            example='"SIGRTMIN+3"',
        ),
        Field(
            key="stop_timeout",
            name="stop_timeout_s",
            kind=Duration(most_s=_DAY_S),
            text="How long the zone may take to stop before it is killed.",
            example='"90s"',
        ),
        Field(key="autostart", kind=Boolean(), text="Started when the host boots.", example="true"),
        Field(
            key="restart",
            kind=Choice(tuple((restart.value, restart) for restart in Restart)),
            text="Whether the zone is started again when it has ended by itself.",
            example='"on-failure"',
        ),
        Field(
            key="depends_on",
            kind=ListOf(texts.ZONE, unique=True),
            text="Zones that are started before this one, and stopped after it.",
            example='["db"]',
        ),
        Field(
            key="labels",
            kind=MapOf(texts.LABEL_NAME, texts.LABEL_VALUE),
            text="Notes for people and programs, which zonectl only keeps.",
            example='{ team = "shop" }',
        ),
        Field(key="root", kind=_ROOT, text="Where the zone's files come from.", required=True),
        Field(key="namespaces", kind=_NAMESPACES, text="What of the kernel the zone has for itself."),
        Field(key="resources", kind=RESOURCES, text="Limits and shares, by the host's control groups."),
        Field(key="network", kind=NETWORK, text="How the zone is connected."),
        Field(
            key="mount", name="mounts", kind=Tables(MOUNT), text="More of the host, or memory, in the zone."
        ),
        Field(
            key="sysctl",
            kind=MapOf(texts.SYSCTL_NAME, Setting()),
            text="Settings of /proc/sys that belong to a namespace of the zone's own, such as `net.*`.",
            example='{ "net.ipv4.ip_forward" = 1 }',
        ),
        Field(key="device", name="devices", kind=Tables(DEVICE), text="Devices of the host in the zone."),
        Field(key="security", kind=SECURITY, text="What the zone's processes may do."),
        Field(
            key="limits",
            kind=LIMITS,
            text="Limits of each process (getrlimit(2)); `[resources]` limits the zone.",
        ),
        Field(key="process", kind=PROCESS, text="What the zone's processes start with."),
        Field(
            key="budget",
            kind=BUDGET,
            text="What isolation may cost: `zonectl bench ZONE --check` fails when that is certainly exceeded.",
        ),
    ),
)
"""A whole zone file."""
