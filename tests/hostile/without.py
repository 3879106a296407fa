"""zonectl with steps of its own taken away: `without.py STEP[+STEP...] --no-daemon VERB ...`.

For the third arm of probes whose protection has no key. Each entry removes exactly that step, and nothing else.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from zonectl import cli  # noqa: E402 - runs from the tree, installed or not
from zonectl.namespaces import rootfs, steps  # noqa: E402
from zonectl.runtime import entry, program  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.script import Script
    from zonectl.namespaces.steps.contents import MountFilesystem


def _remove(owner: Any, name: str, rest: Any) -> None:
    """Put what is left of a step in its place; it must be there."""
    getattr(owner, name)
    setattr(owner, name, rest)


def _own_namespace(kind: str) -> Callable[[], None]:
    def remove() -> None:
        kinds = steps.namespace_kinds
        _remove(
            steps, "namespace_kinds", lambda config: tuple(each for each in kinds(config) if each != kind)
        )

    return remove


def _own_session() -> None:
    _remove(os, "setsid", lambda: None)
    _remove(entry, "ALWAYS_AT_FIRST", entry.ALWAYS_AT_FIRST & ~entry.OWN_SESSION)


def _own_environment() -> None:
    declared, caller = program.environment, dict(os.environ)
    _remove(program, "environment", lambda *given, **options: caller | declared(*given, **options))


def _own_amounts() -> None:
    made = rootfs.new_filesystem

    def boundless(step: MountFilesystem, script: Script) -> int:
        kept = tuple(each for each in step.options if each[0] not in {"size", "nr_inodes", "max"})
        return made(replace(step, options=kept), script)

    _remove(rootfs, "new_filesystem", boundless)


def _closed_descriptors() -> None:
    _remove(entry, "ALWAYS_AT_FIRST", entry.ALWAYS_AT_FIRST & ~entry.CLOSED_AT_FIRST)
    _remove(entry, "ALWAYS", entry.ALWAYS & ~entry.CLOSED_DESCRIPTORS)


def _verified_folder() -> None:
    _remove(entry, "ALWAYS", entry.ALWAYS & ~entry.VERIFIED_FOLDER)


STEPS = {
    "own-processes": _own_namespace("pid"),
    "own-groups": _own_namespace("cgroup"),
    "own-session": _own_session,
    "own-environment": _own_environment,
    "own-amounts": _own_amounts,
    "closed-descriptors": _closed_descriptors,
    "verified-folder": _verified_folder,
}


def known(names: str) -> bool:
    """Whether each of them, joined by "+", is a step that can be taken away here."""
    return bool(names) and set(names.split("+")) <= STEPS.keys()


def main() -> int:
    """Remove the steps, and run the command."""
    names, *words = sys.argv[1:]
    for name in names.split("+"):
        STEPS[name]()
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main())
