"""The keys of `[[mount]]` and `[[device]]`: what of the host a zone finds in its root."""

from __future__ import annotations

from zonectl.config.kinds import Boolean, Choice
from zonectl.config.paths import HostPath, ZonePath
from zonectl.config.quantities import FileMode, Size
from zonectl.config.tables import Field, Table, Variant
from zonectl.config.texts import DEVICE_ACCESS
from zonectl.model.config import DeviceConfig, MountConfig, MountKind

MOUNT = Table(
    MountConfig,
    (
        Field(
            key="type",
            name="kind",
            kind=Choice(tuple((kind.value, kind) for kind in MountKind)),
            text="`bind`: a file or folder of the host; `tmpfs`: an empty one in memory.",
            example='"tmpfs"',
        ),
        Field(
            key="source",
            kind=HostPath(),
            text="What of the host is shown. Only for `bind`, which needs it.",
            example='"/srv/www"',
        ),
        Field(key="target", kind=ZonePath(), text="Where in the zone.", example='"/var/www"', required=True),
        Field(key="readonly", kind=Boolean(), text="Nothing in it can be written.", example="true"),
        Field(key="exec", kind=Boolean(), text="Programs in it can be executed.", example="false"),
        Field(key="suid", kind=Boolean(), text="Set-user-ID programs in it take effect.", example="true"),
        Field(key="dev", kind=Boolean(), text="Device nodes in it can be opened.", example="true"),
        Field(
            key="recursive",
            kind=Boolean(),
            text="What is mounted below the source comes along. Only for `bind`.",
            example="false",
        ),
        Field(
            key="size",
            name="size_bytes",
            kind=Size(4096),
            text="How much fits in. Only for `tmpfs`.",
            example='"64MiB"',
            absent="half of the memory",
        ),
        Field(
            key="mode",
            kind=FileMode(),
            text="The permissions of its top folder. Only for `tmpfs`.",
            example='"1777"',
        ),
    ),
    (
        Variant(
            key="type", value="tmpfs", other="bind", only=("size",), others=("source",), needs=("source",)
        ),
    ),
)

DEVICE = Table(
    DeviceConfig,
    (
        Field(
            key="path",
            kind=ZonePath(),
            text="The device node of the host.",
            example='"/dev/fuse"',
            required=True,
        ),
        Field(
            key="target",
            kind=ZonePath(),
            text="Where in the zone's /dev.",
            example='"/dev/fuse"',
            absent="the same path",
        ),
        Field(
            key="mode",
            kind=FileMode(),
            text="The permissions of the zone's node, which belongs to its root.",
            example='"0666"',
            absent="those of the host's node",
        ),
        Field(
            key="access",
            kind=DEVICE_ACCESS,
            text="What the zone may do to it: `r`ead, `w`rite, `m`ake nodes.",
            example='"r"',
        ),
    ),
)
