"""Walking the groups below one, which a hostile zone makes, names and removes meanwhile.

By descriptor, with two open at a time whatever the depth; no recursion; entries that vanish are passed over. There
are no links in cgroup2, and no rename (EPERM): `..` of a group is the group it was found in.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.cgroups import files

if TYPE_CHECKING:
    from collections.abc import Generator

MOST_GROUPS = 20_000
"""After so many a walk ends: a zone that makes groups as fast as they are listed cannot hold it up."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def below(top: int) -> Generator[tuple[int, str], None, None]:
    """Every group below the open group `top`, those inside before those around them: (descriptor of parent, name).

    The descriptor is the walk's own, and good until the next is asked for. Names are as os.fsdecode gives them.
    """
    here = os.dup(top)
    path: list[str] = []
    pending = [names(here)]
    left = MOST_GROUPS
    try:
        while left:
            if pending[-1]:
                name = pending[-1].pop()
                with suppress(FileNotFoundError):
                    here = _move(here, name)
                    path.append(name)
                    pending.append(names(here))
            elif path:
                here = _move(here, "..")
                pending.pop()
                left -= 1
                yield here, path.pop()
            else:
                return
    except FileNotFoundError:
        return  # the group that the walk stands in was removed: what is above it is for the next walk
    finally:
        os.close(here)


def names(fd: int) -> list[str]:
    """The names of the groups in the open group `fd`; none where it has been removed."""
    with suppress(FileNotFoundError), os.scandir(fd) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def prune(top: int) -> None:
    """Remove every group below the open group `top` that has no processes; others stay, and so do those around."""
    for parent, name in below(top):
        with suppress(OSError):
            os.rmdir(name, dir_fd=parent)


def processes(top: int, *, recursive: bool) -> list[int]:
    """The pids in the open group `top`, sorted; with `recursive` those below as well.

    A threaded group's are listed by the nearest group above that is none (cgroups(7), "Threaded").
    """
    found = _pids(files.read("cgroup.procs", dir_fd=top))
    for parent, name in below(top) if recursive else ():
        found |= _pids(files.read(f"{name}/cgroup.procs", dir_fd=parent))
    return sorted(found)


def _pids(text: str | None) -> set[int]:
    # 0: a process of another pid namespace, which has no number here.
    return {int(line) for line in (text or "").split()} - {0}


def _move(here: int, name: str) -> int:
    there = os.open(name, _FOLDER, dir_fd=here)
    os.close(here)
    return there
