"""Which zones a command means, and in which order it takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl import config as zone_files
from zonectl.errors import NoSuchZone, StoreError, ZonectlError
from zonectl.model.state import ZoneState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.cli.batch import Batch
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

_UP = frozenset({ZoneState.RUNNING, ZoneState.PAUSED})


def unique(names: Iterable[str]) -> list[str]:
    """The names as given, each once."""
    return list(dict.fromkeys(names))


def load(context: Context, name: str) -> ZoneConfig:
    """The configuration of an existing zone.

    Raises:
        NoSuchZone: there is none.
        StoreError: what is stored of it is damaged.

    """
    from zonectl.runtime import zones

    return zones.load(context, name).config


def load_each(context: Context, names: Iterable[str], batch: Batch) -> dict[str, ZoneConfig]:
    """The configurations of the zones that have one; the others have failed."""
    found = {}
    for name in names:
        try:
            found[name] = load(context, name)
        except (ZonectlError, OSError) as error:
            batch.note(name, error)
    return found


def is_up(context: Context, name: str) -> bool:
    """Whether the zone runs, so that others may rely on it."""
    from zonectl.runtime.status import status

    try:
        return status(context, name).state in _UP
    except (NoSuchZone, StoreError):
        return False


def with_dependencies(
    context: Context, configs: dict[str, ZoneConfig], batch: Batch
) -> dict[str, ZoneConfig]:
    """The zones of `configs` and what they depend on, directly or not, that is not up.

    A zone that depends on one that is not there fails, and so does what depends on it.
    """
    found, waiting = dict(configs), list(configs)
    while waiting:
        name = waiting.pop(0)
        for needed in found[name].depends_on if name in found else ():
            if needed in found or batch.codes.get(needed):
                continue
            try:
                if is_up(context, needed):
                    continue
                found[needed] = load(context, needed)
            except NoSuchZone:
                batch.note(name, ZonectlError(f"it depends on {needed}, which is not there", zone=name))
                found.pop(name)
                break
            except StoreError as error:
                batch.note(needed, error)
            else:
                waiting.append(needed)
    return found


def levels(configs: dict[str, ZoneConfig]) -> list[list[str]]:
    """Groups of zones, those that others depend on first.

    Raises:
        ConfigError: they depend on each other in a circle.

    """
    return [list(level) for level in zone_files.start_order(configs)]


def down_levels(
    context: Context, names: Sequence[str], batch: Batch, *, all_known: bool = False
) -> list[list[str]]:
    """Groups of zones, those that depend on others first. What cannot be read depends on nothing.

    A zone that is not there fails, unless the names are those of all that there were (`all_known`).
    """
    if len(names) == 1:
        return [list(names)]
    configs, gone = {}, set[str]()
    for name in names:
        try:
            configs[name] = load(context, name)
        except NoSuchZone as error:
            gone.add(name)
            if not all_known:
                batch.note(name, error)
        except (ZonectlError, OSError):
            continue
    known = {*configs, *gone}
    unreadable = [name for name in names if name not in known]
    return [*reversed(levels(configs)), *([unreadable] if unreadable else [])]
