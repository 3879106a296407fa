"""The zones that a bench creates for its commands, and how those of a killed one are found again.

`ROOT/bench/zones-TOKEN` holds a lock file, which the bench holds while it lives, the names of its zones, each written
there before there is such a zone, and their zone files. A zone is a bench's if its name is there and its own file has
the token as a label: somebody's zone of a like name is left alone.

A command may outlive the bench that was killed, and create a zone yet; it has a zone file of the folder among its
arguments. The folder stays for as long as there is such a process. (A lock that commands inherit would go on to zoned.)
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zonectl import config as zone_files
from zonectl.bench import site
from zonectl.errors import BenchError, Busy, ConfigError, NoSuchZone, StoreError
from zonectl.kernel import proc
from zonectl.model.config import Restart
from zonectl.model.names import zone_name
from zonectl.runtime import zones
from zonectl.runtime.delete import delete
from zonectl.store import documents, folders
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zonectl.bench.commands import Client
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

LABEL: Final = "zonectl.bench"
IDLE: Final = ("/bin/sleep", "infinity")
"""What their zones run: the program of the zone that is measured is not started twice over its own files."""

_FOLDER: Final = "zones-"
_NAMES: Final = "names"
_LOCK: Final = "lock"
_PATIENCE_S: Final = 5.0
_AT_ONCE: Final = 50
_MOST_WORDS: Final = 1 << 14
"""Bytes of a command line: as many as the words of ours have at most, a path among them."""


class Guests:
    """The zones of a bench that lives; all are made after `config`."""

    def __init__(self, context: Context, config: ZoneConfig, *, token: str) -> None:
        self._context = context
        self._config = config
        self._token = token
        self._names: list[str] = []

    @property
    def names(self) -> frozenset[str]:
        """All that have been announced."""
        return frozenset(self._names)

    def announce(self, word: str) -> tuple[str, str]:
        """The name of a zone that is going to be created, and its zone file.

        Raises:
            ConfigError: no zone file can be made of it.
            StoreError: it cannot be written.

        """
        name = f"{site.NAME}-{self._token}-{word}"
        folder = _folder(self._context, self._token)
        if name not in self._names:
            self._names.append(name)
            documents.write_text(f"{folder}/{_NAMES}", "".join(f"{each}\n" for each in self._names))
        path = f"{folder}/{name}.toml"
        documents.write_text(path, zone_files.dumps(self._made(name)), volatile=True)
        return name, path

    def _made(self, name: str) -> ZoneConfig:
        """The zone with nothing to do, and with an address of its own."""
        given = self._config
        changed = replace(
            given,
            name=zone_name(name),
            hostname=given.hostname or given.name,
            command=IDLE,
            autostart=False,
            restart=Restart.NO,
            depends_on=(),
            labels=(*given.labels, (LABEL, self._token)),
            network=site.leased(given.network),
        )
        return zone_files.parse(
            zone_files.dumps(changed), file=f"{given.name}, as it is measured", folder="/"
        )

    def delete(self, client: Client) -> None:
        """Delete those that there are: by the command, and where that fails in place."""
        there = [name for name in self._names if _is_ours(self._context, name, self._token)]
        for first in range(0, len(there), _AT_ONCE):
            with suppress(BenchError):
                client.time("delete", "-f", *there[first : first + _AT_ONCE])
        _delete(self._context, there)


@contextmanager
def guests(context: Context, config: ZoneConfig, client: Client) -> Iterator[Guests]:
    """A bench's zones, all of which are deleted in the end.

    Raises:
        StoreError: there can be no journal of them.

    """
    token = secrets.token_hex(4)
    folder = _folder(context, token)
    with lock(f"{folder}/{_LOCK}", verb="bench", zone="bench", timeout_s=_PATIENCE_S):
        made = Guests(context, config, token=token)
        try:
            yield made
        finally:
            made.delete(client)
            folders.remove(folder)


def clear(context: Context) -> list[str]:
    """Delete the zones that killed benches have left, and give their names.

    Those of one that lives are left alone, and for the next time those of one of whose commands one still lives.
    """
    found: list[str] = []
    for token in _tokens(context):
        folder = _folder(context, token)
        with suppress(Busy), lock(f"{folder}/{_LOCK}", verb="bench", zone="bench", timeout_s=0):
            if _is_in_use(token):
                continue
            announced = (documents.read_text(f"{folder}/{_NAMES}") or "").splitlines()
            there = [name for name in announced if _is_ours(context, name, token)]
            _delete(context, there)
            folders.remove(folder)
            found += there
    return found


def _is_in_use(token: str) -> bool:
    """Whether a process of ours, not one in a zone, has a file of the folder among its arguments."""
    mark, ours = f"/{_FOLDER}{token}/", proc.namespace_id("self", "pid")
    pids = filter(str.isdecimal, os.listdir("/proc"))
    named = (pid for pid in pids if mark in (proc.read(pid, "cmdline", limit_bytes=_MOST_WORDS) or ""))
    return any(proc.namespace_id(pid, "pid") == ours for pid in named)


def _tokens(context: Context) -> list[str]:
    with suppress(FileNotFoundError):
        entries = sorted(os.listdir(f"{context.paths.root}/bench"))
        return [entry.removeprefix(_FOLDER) for entry in entries if entry.startswith(_FOLDER)]
    return []


def _folder(context: Context, token: str) -> str:
    return f"{context.paths.root}/bench/{_FOLDER}{token}"


def _is_ours(context: Context, name: str, token: str) -> bool:
    """Whether there is a zone of that name that the bench has created. What create has not finished is for gc."""
    with suppress(ConfigError, StoreError):
        return (LABEL, token) in zones.load_config(context, name).labels
    return False


def _delete(context: Context, names: Iterable[str]) -> None:
    for name in names:
        with suppress(NoSuchZone):
            delete(context, name, force=True)
