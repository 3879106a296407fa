"""Which mounts stand where, and with which flags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zonectl.namespaces.steps.contents import MakeDevices, MountFilesystem
from zonectl.namespaces.steps.mounts import MountOverlay, PlaceStaged, PlaceTree, UseTree
from zonectl.namespaces.steps.profiles import ProtectRoot
from zonectl.planning.audit.comparison import ABSENT, ordered, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed, Standing
    from zonectl.model.config import MountConfig, ZoneConfig
    from zonectl.planning.plan import ZonePlan

AREA = "mounts"
_FLAGS = ("ro", "nosuid", "nodev", "noexec")


@dataclass(frozen=True, slots=True)
class Mount:
    """What is to stand somewhere: a file system, "" for whichever, with flags. `optional`: where the root has that."""

    fstype: str
    flags: frozenset[str]
    optional: bool = False

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
        found = declared if wanted.optional and standing.reason == ABSENT else standing.reason
        return same(AREA, path, declared=declared, found=found)
    seen = Mount(fstype=standing.fstype, flags=standing.options & frozenset(_FLAGS))
    kind = wanted.fstype in {"", seen.fstype}
    words = declared, seen.words if wanted.fstype else _words(seen.flags)
    return ordered(
        AREA,
        path,
        words=words,
        equal=kind and seen.flags == wanted.flags,
        less=kind and seen.flags > wanted.flags,
    )


def _words(flags: frozenset[str]) -> str:
    return ",".join(flag for flag in _FLAGS if flag in flags) or "rw"


def expected(config: ZoneConfig, plan: ZonePlan) -> dict[str, Mount]:
    """What is to stand where; what comes later covers what came before."""
    declared = {mount.target: _declared(mount) for mount in config.mounts}
    found: dict[str, Mount] = {}
    overlays: dict[str, Mount] = {}
    for step in plan.inside:
        match step:
            case MountOverlay():
                overlays[step.name] = _overlay(step)
                found["/"] = overlays["root"]
            case UseTree():
                found["/"] = Mount("", _named(plan.trees[step.slot].attributes))
            case PlaceStaged():
                found[step.target] = overlays[step.name]
            case MakeDevices():
                found["/dev"] = Mount(step.filesystem.fstype, _named(step.filesystem.attributes))
            case MountFilesystem():
                found[step.target] = Mount(step.fstype, _named(step.attributes))
            case PlaceTree():
                flags = _named(plan.trees[step.slot].attributes)
                found[step.target] = Mount("", declared.get(step.target, flags))
            case ProtectRoot():
                found["/"] = replace(found["/"], flags=found["/"].flags | {"ro"})
                found |= dict.fromkeys(step.kept, replace(found["/"], optional=True))
    return found


def _overlay(step: MountOverlay) -> Mount:
    return Mount("overlay", _named(("nodev", "rdonly") if step.readonly else ("nodev",)))


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
