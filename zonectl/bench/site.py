"""What the arms of a run have in common: the zone that is measured, the probe, the processor, the server on the host.

A bench has folders like those of runs (`runtime.run`): named `bench-ID`, with the mode of a run's, below the same root
as the zones', and locked while it lives. So what a killed bench leaves is what a killed run leaves: gc and the next
recovery find it by its name and end what is in its control group, and a new bench clears it away first.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zonectl import config as zone_files
from zonectl.bench.deadline import NEVER
from zonectl.errors import StoreError
from zonectl.model.config import MountConfig, NetworkMode, Restart
from zonectl.model.names import ZoneName
from zonectl.runtime import settle, zones
from zonectl.runtime.create import begin
from zonectl.runtime.remains import discard
from zonectl.runtime.undo import Undo
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.deadline import Deadline
    from zonectl.model.config import NetworkConfig, ZoneConfig
    from zonectl.model.names import ZoneId
    from zonectl.runtime.context import Context

NAME: Final = ZoneName("bench")
"""What the names of a bench's zones and folders begin with."""

INSIDE: Final = "/zonectl-bench"
"""The folder of the zone's own root in which it works; below it, what is bound from the host."""

PROBE_INSIDE: Final = f"{INSIDE}/probe"
BIND_INSIDE: Final = f"{INSIDE}/bind"
SERVE: Final = "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a run takes place.

    `config` is the zone as it is measured (`fitted`), `probe` the program on the host, `bind` a folder of the host on
    the same file system as zones' roots, which arms with a bind mount have at `BIND_INSIDE`; `server` the echo server,
    "ADDRESS:PORT", None where the zone has no network. Everything that is measured runs on `processor` alone, until
    `time_up`.
    """

    context: Context
    config: ZoneConfig
    probe: str
    bind: str
    processor: int
    server: str | None = None
    time_up: Deadline = NEVER


def fitted(config: ZoneConfig, *, probe: str, bind: str, processor: int) -> ZoneConfig:
    """The zone with the probe as its program, run by root on one processor: its walls are as its file says.

    An address of its own would be the zone's that may be running; one is leased instead.

    Raises:
        ConfigError: it is no good zone any more.

    """
    mounts = (
        MountConfig(source=probe, target=PROBE_INSIDE, readonly=True),
        MountConfig(source=bind, target=BIND_INSIDE),
    )
    changed = replace(
        config,
        name=NAME,
        hostname=config.hostname or config.name,
        command=(PROBE_INSIDE, SERVE),
        user="root",
        workdir="/",
        init=False,
        autostart=False,
        restart=Restart.NO,
        depends_on=(),
        network=leased(config.network),
        mounts=(*config.mounts, *mounts),
        process=replace(config.process, affinity=str(processor)),
    )
    return zone_files.parse(zone_files.dumps(changed), file=f"{config.name}, as it is measured", folder="/")


def leased(network: NetworkConfig) -> NetworkConfig:
    """The network of a zone that has no address of its own yet."""
    return replace(network, address=None) if network.mode is NetworkMode.VETH else network


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A folder of a bench's, and the id that it and its control group bear."""

    zone_id: ZoneId
    folder: str


@contextmanager
def standing(context: Context, config: ZoneConfig) -> Iterator[Standing]:
    """A folder on the file system of zones' roots, as a run of `config` has one, gone in the end with its group.

    While it is there, what zones share on the network stays too.

    Raises:
        StoreError: it cannot be made.

    """
    context.paths.ensure()
    record = begin(config, ephemeral=True)
    record = replace(record, name=zones.derived_name(NAME, record.id))
    with Undo() as undo, zones.locked(context, record.name, "bench", known=False):
        undo.callback(discard, context, record)
        undo.callback(settle.sweep, context, record)
        records.make_folder(context.paths, record.name)
        yield Standing(zone_id=record.id, folder=context.paths.zone_dir(record.name))


def make_folder(path: str) -> str:
    """Make a folder that root alone may enter.

    Raises:
        StoreError: it cannot be made.

    """
    with making(path):
        os.mkdir(path, 0o700)
    return path


@contextmanager
def making(path: str) -> Iterator[None]:
    """Make the file or the folder `path` in the block.

    Raises:
        StoreError: it cannot be made, or written to.

    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror or error}") from error


def clear(context: Context) -> list[str]:
    """Remove what killed benches have left; gives the names. One that lives is left alone."""
    found = []
    for name in settle.names(context):
        if not name.startswith(f"{NAME}-") or zones.derived_id(name) is None:
            continue
        with suppress(StoreError):
            if settle.left_behind(context, name):
                settle.clean_up(context, name)
                found.append(name)
    return found
