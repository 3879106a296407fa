"""Which mounts stand where, and with which flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.namespaces.steps.contents import MakeDevices, MountFilesystem
from zonectl.namespaces.steps.mounts import MountOverlay, PlaceStaged, PlaceTree, UseTree
from zonectl.planning.audit.comparison import ordered, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed, Standing
    from zonectl.model.config import MountConfig, ZoneConfig
    from zonectl.planning.plan import ZonePlan

AREA = "mounts"
_FLAGS = ("ro", "nosuid", "nodev", "noexec")


@dataclass(frozen=True, slots=True)
class Mount:
    """What is to stand somewhere: a file system, "" for whichever, with flags."""

    fstype: str
    flags: frozenset[str]

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.fstype} {_words(self.flags)}".strip()


def paths(config: ZoneConfig, plan: ZonePlan) -> tuple[str, ...]:
    """What `findings` wants to know of."""
    return tuple(expected(config, plan))


def findings(config: ZoneConfig, plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """Every planned mount with its flags."""
    standings = {standing.path: standing for standing in observed.standings}
    for path, wanted in expected(config, plan).items():
        yield _mount(path, wanted, standings[path])


def _mount(path: str, wanted: Mount, standing: Standing) -> Finding:
    declared = wanted.words
    if not standing.mounted:
        return same(AREA, path, declared=declared, found=standing.reason)
    found = Mount(fstype=standing.fstype, flags=standing.options & frozenset(_FLAGS))
    kind = wanted.fstype in {"", found.fstype}
    words = declared, found.words if wanted.fstype else _words(found.flags)
    return ordered(
        AREA,
        path,
        words=words,
        equal=kind and found.flags == wanted.flags,
        less=kind and found.flags > wanted.flags,
    )


def _words(flags: frozenset[str]) -> str:
    return ",".join(flag for flag in _FLAGS if flag in flags) or "rw"


def expected(config: ZoneConfig, plan: ZonePlan) -> dict[str, Mount]:
    """What is to stand where; what comes later covers what came before."""
    return dict(_mounts(config, plan))


def _mounts(config: ZoneConfig, plan: ZonePlan) -> Iterator[tuple[str, Mount]]:
    declared = {mount.target: _declared(mount) for mount in config.mounts}
    overlays: dict[str, Mount] = {}
    for step in plan.inside:
        match step:
            case MountOverlay():
                readonly = ("rdonly",) if step.readonly else ()
                overlays[step.name] = Mount("overlay", _named(("nodev", *readonly)))
                if step.name == "root":
                    yield "/", overlays[step.name]
            case UseTree():
                yield "/", Mount("", _named(plan.trees[step.slot].attributes))
            case PlaceStaged():
                yield step.target, overlays[step.name]
            case MakeDevices():
                yield "/dev", Mount(step.filesystem.fstype, _named(step.filesystem.attributes))
            case MountFilesystem():
                yield step.target, Mount(step.fstype, _named(step.attributes))
            case PlaceTree():
                flags = _named(plan.trees[step.slot].attributes)
                yield step.target, Mount("", declared.get(step.target, flags))


def _declared(mount: MountConfig) -> frozenset[str]:
    wanted = (
        ("ro", mount.readonly),
        ("nosuid", not mount.suid),
        ("nodev", not mount.dev),
        ("noexec", not mount.exec),
    )
    return frozenset(flag for flag, holds in wanted if holds)


def _named(attributes: tuple[str, ...]) -> frozenset[str]:
    """By the words of mountinfo, which calls "rdonly" "ro"."""
    return frozenset("ro" if name == "rdonly" else name for name in attributes) & frozenset(_FLAGS)
