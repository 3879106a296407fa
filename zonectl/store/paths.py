"""Where an instance keeps what: one method or property for each file and folder."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import StoreError

if TYPE_CHECKING:
    from zonectl.model.instance import Instance

FOLDER_MODE = 0o700
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one instance, all absolute; nothing is created but by `ensure`."""

    instance: Instance

    @property
    def root(self) -> str:
        """The root of what outlives a boot."""
        return self.instance.root

    @property
    def run_dir(self) -> str:
        """The root of what does not."""
        return self.instance.run

    @property
    def zones_dir(self) -> str:
        """One folder for each zone."""
        return f"{self.root}/zones"

    @property
    def run_zones_dir(self) -> str:
        """One folder for each zone that has volatile files."""
        return f"{self.run_dir}/zones"

    @property
    def images_dir(self) -> str:
        """The image store."""
        return f"{self.root}/images"

    @property
    def filters_dir(self) -> str:
        """Compiled system call filters; any may be removed at any time."""
        return f"{self.run_dir}/filters"

    @property
    def leases_file(self) -> str:
        """Leased addresses of created zones."""
        return f"{self.root}/leases.json"

    @property
    def ids_file(self) -> str:
        """Id ranges of created zones."""
        return f"{self.root}/ids.json"

    @property
    def run_leases_file(self) -> str:
        """Leased addresses of zones of `run`."""
        return f"{self.run_dir}/leases.json"

    @property
    def run_ids_file(self) -> str:
        """Id ranges of zones of `run`."""
        return f"{self.run_dir}/ids.json"

    @property
    def leases_lock(self) -> str:
        """Taken for any change of the leases."""
        return f"{self.run_dir}/leases.lock"

    @property
    def ids_lock(self) -> str:
        """Taken for any change of the id ranges."""
        return f"{self.run_dir}/ids.lock"

    @property
    def images_lock(self) -> str:
        """Taken for any change of the image store's references and layers."""
        return f"{self.run_dir}/images.lock"

    @property
    def shared_lock(self) -> str:
        """Taken while what zones share (bridge, nft table) is made or removed."""
        return f"{self.run_dir}/shared.lock"

    @property
    def socket(self) -> str:
        """Where zoned listens."""
        return f"{self.run_dir}/zoned.sock"

    @property
    def daemon_lock(self) -> str:
        """Held by the one zoned of the instance."""
        return f"{self.run_dir}/zoned.lock"

    def zone_dir(self, name: str) -> str:
        """The zone's folder."""
        return f"{self.zones_dir}/{name}"

    def zone_file(self, name: str) -> str:
        """The zone's description, as it was at create."""
        return f"{self.zone_dir(name)}/zone.toml"

    def profile_file(self, name: str, ending: str) -> str:
        """The zone's profile of system calls, as its file was at create; `ending` is the file's."""
        return f"{self.zone_dir(name)}/seccomp{ending}"

    def record_file(self, name: str) -> str:
        """What create found and leased."""
        return f"{self.zone_dir(name)}/record.json"

    def last_file(self, name: str) -> str:
        """How the zone ended last."""
        return f"{self.zone_dir(name)}/last.json"

    def upper(self, name: str) -> str:
        """The zone's own files: overlay's upperdir, or the whole root in copy mode."""
        return f"{self.zone_dir(name)}/upper"

    def work(self, name: str) -> str:
        """Overlay's workdir."""
        return f"{self.zone_dir(name)}/work"

    def log_dir(self, name: str) -> str:
        """What the zone has written."""
        return f"{self.zone_dir(name)}/log"

    def run_zone_dir(self, name: str) -> str:
        """The zone's volatile folder."""
        return f"{self.run_zones_dir}/{name}"

    def lock_file(self, name: str) -> str:
        """Held by the command that changes the zone."""
        return f"{self.run_zone_dir(name)}/lock"

    def caller_lock(self, name: str) -> str:
        """Held by a run for as long as its zone may live."""
        return f"{self.run_zone_dir(name)}/caller.lock"

    def live_file(self, name: str) -> str:
        """Which process is the zone's init."""
        return f"{self.run_zone_dir(name)}/live.json"

    def journal_file(self, name: str) -> str:
        """What has been done to the host for the zone, for recovery to undo."""
        return f"{self.run_zone_dir(name)}/journal.jsonl"

    def stop_request(self, name: str) -> str:
        """There while a user's stop is under way."""
        return f"{self.run_zone_dir(name)}/stop"

    def ensure(self) -> None:
        """Create both roots and their fixed folders, mode 0700.

        Raises:
            StoreError: one cannot be made, is somebody else's, or can be written by others.

        """
        for root in (self.root, self.run_dir):
            _make(root, parents=True)
            _check(root)
        for folder in (self.zones_dir, self.images_dir, self.run_zones_dir, self.filters_dir):
            _make(folder)
            _check(folder)


def _make(path: str, *, parents: bool = False) -> None:
    try:
        if parents:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}") from error


def _check(path: str) -> None:
    # Both the name and what it leads to: a link is fine if root made it (state moved to another disk).
    try:
        own, target = os.lstat(path), os.stat(path)
    except OSError as error:
        raise StoreError(f"cannot use {path}: {error.strerror}") from error
    if not stat.S_ISDIR(target.st_mode):
        raise StoreError(f"{path} is not a folder")
    if {own.st_uid, target.st_uid} - {os.geteuid()}:
        raise StoreError(f"{path} belongs to somebody else (uid {target.st_uid})", hint=f"chown root {path}")
    if target.st_mode & _WRITABLE_BY_OTHERS:
        raise StoreError(f"{path} can be written by others", hint=f"chmod go-w {path}")
