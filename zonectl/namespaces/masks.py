"""Covering parts of /proc and /sys, by init, in mounts that it has just made: nothing of the zone's runs yet.

Paths are relative to the mount's own descriptor, and lead through nothing but names of the kernel's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.kernel import mount
from zonectl.model.script import HERE
from zonectl.namespaces.steps.masks import COVERS, KERNEL_MOUNTS, NO_FILE, NO_FOLDER, MaskPaths
from zonectl.namespaces.steps.mounts import STAGING

if TYPE_CHECKING:
    from zonectl.model.script import Script

_READ_ONLY = (
    mount.MS_REMOUNT | mount.MS_BIND | mount.MS_RDONLY | mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
)


def write(step: MaskPaths, script: Script) -> None:
    """Add the calls of `step` to the script; the working folder is the staging folder."""
    script.make_folder(HERE, COVERS, 0o755)
    script.make_folder(HERE, f"{COVERS}/{NO_FOLDER}", 0o555)
    script.make_file(HERE, f"{COVERS}/{NO_FILE}", "", 0o444)
    # Before they are used: a bind mount takes the flags of its source.
    script.mount(COVERS, COVERS, None, mount.MS_BIND)
    script.mount(None, COVERS, None, _READ_ONLY)
    for place in KERNEL_MOUNTS:
        _write_in(step, place, script)
    script.change_folder(STAGING)


def _write_in(step: MaskPaths, place: str, script: Script) -> None:
    files, folders = step.within(place, step.files), step.within(place, step.folders)
    readonly, writable = step.within(place, step.readonly), step.within(place, step.writable)
    if not files and not folders and not readonly:
        return
    script.enter(script.kernel_mounts[place])
    for name in files:
        _cover(f"{STAGING}/{COVERS}/{NO_FILE}", name, script)
    for name in folders:
        _cover(f"{STAGING}/{COVERS}/{NO_FOLDER}", name, script)
    # What stays writable gets its mount while its surroundings are: a bind mount takes the flags of its source.
    there = {name: _cover(name, name, script) for name in (*readonly, *writable)}
    for name in readonly:
        script.mount(None, name, None, _READ_ONLY, when=there[name])


def _cover(source: str, name: str, script: Script) -> int:
    """Mount `source` over `name`; the condition that the kernel has that still."""
    there = script.condition()
    script.mount(source, name, None, mount.MS_BIND, notes=there)
    return there
