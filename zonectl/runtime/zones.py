"""Zones on disk as the verbs see them: record, configuration, and what binds the two to a plan."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zonectl import config as zone_files
from zonectl.errors import ConfigError, NoSuchZone, StoreError, ZonectlError
from zonectl.model.config import NetworkMode
from zonectl.model.names import ZONE_ID, ZONE_NAME, ZoneId, ZoneName
from zonectl.model.profiles import RootProfile
from zonectl.model.steps import Binding
from zonectl.planning import plan
from zonectl.runtime import filters
from zonectl.store import documents, folders, records
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.config import ZoneConfig
    from zonectl.model.record import ZoneRecord
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context

RESOLV_CONF = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A zone that has been created: what is kept of it and how it is configured."""

    record: ZoneRecord
    config: ZoneConfig


def load(context: Context, name: str) -> Zone:
    """The zone `name`.

    Raises:
        NoSuchZone: there is none.
        StoreError: its record is damaged.
        ConfigError: its stored zone file is.

    """
    record = records.load_record(context.paths, name)
    return Zone(record=record, config=load_config(context, name))


def load_config(context: Context, name: str) -> ZoneConfig:
    """The configuration of the zone `name`, from the copy that create stored."""
    path = context.paths.zone_file(name)
    text = documents.read_text(path)
    if text is None:
        raise StoreError(f"{path} is missing", zone=name, hint=f"zonectl delete {name}")
    return zone_files.parse(text, file=path, folder=context.paths.zone_dir(name))


def binding(context: Context, zone: Zone) -> Binding:
    """What the zone's record says that its plan needs."""
    record = zone.record
    return Binding(
        zone_id=record.id,
        first_id=str(record.ids.first) if record.ids else "",
        address=record.address or "",
        gateway=record.gateway or "",
        zone_dir=context.paths.zone_dir(record.name),
        layers=record.layers,
    )


def plan_of(context: Context, zone: Zone) -> ZonePlan:
    """The plan of the zone's next start.

    Raises:
        HostLacks: the host cannot do what the zone file asks for.

    """
    return plan(
        zone.config,
        context.facts,
        context.instance,
        binding=binding(context, zone),
        resolv_conf=host_resolv_conf(),
        volatile=zone.record.ephemeral,
        seccomp=filters.of_zone(context, zone.config, zone.record.name),
    )


def for_maintenance(zone: Zone) -> Zone:
    """The zone with all of its root writable, whatever its profile.

    Raises:
        ZonectlError: it has no profile, so that this would change nothing.

    """
    root = zone.config.root
    if root.profile is RootProfile.NONE:
        message = (
            "its root is read-only by its file" if root.readonly else "all of its root is writable as it is"
        )
        hint = '--writable is for zones with root.profile = "fixed", "flexible" or "strict"'
        raise ZonectlError(message, zone=zone.record.name, hint=hint)
    opened = replace(root, profile=RootProfile.NONE, readonly=False)
    return replace(zone, config=replace(zone.config, root=opened))


@contextmanager
def locked(context: Context, name: str, verb: str, *, known: bool = True) -> Iterator[None]:
    """Hold the zone's lock for `verb`. `known` zones must be there, also after the lock has been waited for.

    Raises:
        NoSuchZone: it is not there.
        Busy: another command has held the lock for too long.

    """
    if known and not _is_there(context, name):
        raise NoSuchZone(name)
    path = context.paths.lock_file(name)
    with lock(path, verb=verb, zone=name, timeout_s=context.lock_timeout_s):
        if known and not _is_there(context, name):
            # It was deleted while the lock was waited for, and waiting has made the lock's folder again.
            folders.remove(context.paths.run_zone_dir(name))
            raise NoSuchZone(name)
        yield


def derived_name(name: ZoneName, zone_id: ZoneId) -> ZoneName:
    """A name for one of many zones of the same file: at most 63 characters, ending in the zone's id."""
    return ZoneName(f"{name[: 62 - len(zone_id)]}-{zone_id}")


def run_id(context: Context, name: str) -> ZoneId | None:
    """The id of the run that the folder of `name` was made for, also before its record is there; None for no run's."""
    return derived_id(name) if records.is_of_a_run(context.paths, name) else None


def derived_id(name: str) -> ZoneId | None:
    """The id that a derived name ends in, if it is one; a zone file may bear such a name as well."""
    tail = name.rpartition("-")[2]
    return ZoneId(tail) if ZONE_ID.match(tail) and tail != name else None


def _is_there(context: Context, name: str) -> bool:
    return bool(ZONE_NAME.match(name)) and os.path.isdir(context.paths.zone_dir(name))


def gateway(config: ZoneConfig) -> str | None:
    """The address at which the zone finds the way out; None without a veth."""
    if config.network.mode is not NetworkMode.VETH:
        return None
    return config.network.router


def shared_folders(context: Context) -> Iterator[str]:
    """The folders of the host to which zones of the instance may write, as the host's root where ids are mapped."""
    yield context.paths.zones_dir
    for name in records.list_names(context.paths):
        # Of a zone without a file that can be read nothing is known, and none of it is mounted.
        with suppress(ConfigError, StoreError):
            mounts = load_config(context, name).mounts
            yield from (mount.source for mount in mounts if mount.source and not mount.readonly)


def host_resolv_conf() -> str:
    """The text of the host's resolv.conf(5), empty where it has none."""
    try:
        with open(RESOLV_CONF, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def make_run_dir(context: Context, name: str) -> str:
    """The zone's folder in the run root, made when missing."""
    path = context.paths.run_zone_dir(name)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}") from error
    return path
