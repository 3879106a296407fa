"""Making a root read-only but for some folders, by init, before the mounts are locked.

No link is followed: the zone may have put one where a writable folder was, when it last ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.model.script import Script
    from zonectl.namespaces.steps.profiles import ProtectRoot


def write(step: ProtectRoot, script: Script) -> None:
    """Add the calls of `step` to the script."""
    above = {folder: script.condition() for folder in step.above(step.kept)}
    for kept in step.kept:
        for folder in step.above((kept,)):
            # Of a kept folder that is there, those above it become mounts.
            found = script.descriptor()
            script.find(found, _relative(kept), notes=above[folder])
            script.close(found)
    for folder in step.writable:
        _bind(folder, script)
    for folder, wanted in above.items():
        _bind(folder, script, when=wanted)
    for folder in step.kept:
        _bind(folder, script, readonly=True)
    script.seal(script.root())


def _bind(folder: str, script: Script, *, readonly: bool = False, when: int = 0) -> None:
    place, tree, there = script.descriptor(), script.descriptor(), script.condition()
    script.find(place, _relative(folder), notes=there, when=when)
    script.clone(tree, place, when=there)
    if readonly:
        script.seal(tree, when=there)
    script.move(tree, place, when=there)
    script.close(tree, place)


def _relative(folder: str) -> str:
    return folder.lstrip("/")
