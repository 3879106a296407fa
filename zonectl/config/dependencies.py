"""The order in which zones start: after those that they depend on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.config.locator import key_text, locate
from zonectl.config.nearest import nearest
from zonectl.errors import ConfigError
from zonectl.model.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from zonectl.config.locator import Path
    from zonectl.model.config import ZoneConfig
    from zonectl.model.names import ZoneName


def check_dependencies(
    configs: Mapping[str, ZoneConfig],
    known: Collection[str],
    *,
    texts: Mapping[str, str] | None = None,
) -> list[Problem]:
    """What is wrong with the `depends_on` of several zones: names that nobody has, and circles.

    `configs` maps the file that problems name to its zone; `known` are the zones that exist besides these; `texts`
    maps the files to their texts, from which the problems get their lines.
    """
    names = {config.name: file for file, config in configs.items()}
    return [
        *_missing(configs, {*known, *names}, texts or {}),
        *_circular({config.name: config for config in configs.values()}, names, texts or {}),
    ]


def start_order(configs: Mapping[str, ZoneConfig]) -> list[list[ZoneName]]:
    """Levels of zones, each sorted: all of a level can start at once when those before are up.

    Dependencies on zones that are not among `configs` are taken to be up.

    Raises:
        ConfigError: zones depend on each other in a circle.

    """
    waiting = {config.name: set(config.depends_on) for config in configs.values()}
    levels: list[list[ZoneName]] = []
    while waiting:
        level = sorted(name for name, needed in waiting.items() if not needed & waiting.keys())
        if not level:
            raise ConfigError(
                check_dependencies(configs, {name for needed in waiting.values() for name in needed})
            )
        levels.append(level)
        for name in level:
            del waiting[name]
    return levels


def _missing(
    configs: Mapping[str, ZoneConfig], known: Collection[str], texts: Mapping[str, str]
) -> Iterator[Problem]:
    for file, config in configs.items():
        for index, name in enumerate(config.depends_on):
            if name not in known:
                path = ("depends_on", index)
                yield Problem(
                    file=file,
                    line=_line(texts, file, path),
                    key=key_text(path),
                    message=f"no zone is named {name}",
                    suggestion=nearest(name, known),
                )


def _circular(
    zones: Mapping[ZoneName, ZoneConfig], files: Mapping[ZoneName, str], texts: Mapping[str, str]
) -> Iterator[Problem]:
    for circle in _circles(zones):
        file = files[circle[0]]
        path = ("depends_on", zones[circle[0]].depends_on.index(circle[1]))
        message = f"zones depend on each other in a circle: {' → '.join(circle)}"
        yield Problem(file=file, line=_line(texts, file, path), key=key_text(path), message=message)


def _circles(zones: Mapping[ZoneName, ZoneConfig]) -> Iterator[list[ZoneName]]:
    """Each circle once, from its first name in alphabetical order and back to it; of entangled ones, some."""
    done: set[ZoneName] = set()
    for name in sorted(zones):
        way = _way_back(zones, name) if name not in done else None
        if way:
            done.update(way)
            yield way


def _way_back(zones: Mapping[ZoneName, ZoneConfig], start: ZoneName) -> list[ZoneName] | None:
    """The shortest way along dependencies from a zone to itself."""
    ways = [[start]]
    seen: set[ZoneName] = set()
    while ways:
        way = ways.pop(0)
        for name in zones[way[-1]].depends_on if way[-1] in zones else ():
            if name == start:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return None


def _line(texts: Mapping[str, str], file: str, path: Path) -> int | None:
    return locate(texts[file]).get(path) if file in texts else None
