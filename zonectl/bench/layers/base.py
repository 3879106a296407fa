"""The root of the rungs below the overlay: a copy of what the overlay shows, made once for all of them.

A zone that is a copy itself is copied at each start, and so are its rungs, of this.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from zonectl.bench import site
from zonectl.errors import BenchError, StoreError
from zonectl.images import copy, sparse, storage
from zonectl.runtime import roots

if TYPE_CHECKING:
    from zonectl.bench.site import Site

_NAME = "base"


def make(here: Site, folder: str) -> str:
    """The zone's root as a folder in `folder`, with the probe in it for who has nothing mounted; gives its path.

    A sparse root lacks the host's programs: those are mounted, where something is. The root may be hostile: nothing is
    written to what it has brought.

    Raises:
        BenchError: it has a folder of that name itself.
        ImageError: there is no such image, or it cannot be copied.
        StoreError: the disk is full.

    """
    base = f"{folder}/{_NAME}"
    try:
        if here.config.root.host:
            os.mkdir(base)
            os.chmod(base, storage.ROOT_MODE)  # whatever the umask
            sparse.fill(base)
        else:
            _copy(here, base)
        _furnish(here, base)
    except OSError as error:
        raise StoreError(f"cannot make {base}: {error.strerror or error}") from error
    return base


def _furnish(here: Site, base: str) -> None:
    own = f"{base}{site.INSIDE}"
    try:
        # It follows no link in its last name, and all before that is ours: from here on nothing is the root's.
        os.mkdir(own, 0o755)
    except FileExistsError as error:
        raise BenchError(f"the zone's root has a {site.INSIDE} of its own") from error
    os.mkdir(f"{base}{site.BIND_INSIDE}", 0o755)
    shutil.copyfile(here.probe, f"{base}{site.PROBE_INSIDE}")
    shutil.copymode(here.probe, f"{base}{site.PROBE_INSIDE}")


def _copy(here: Site, base: str) -> None:
    below = roots.below(here.context, here.config)
    with roots.kept(here.context, below):
        copy.copy_tree(below, base)
    found = os.stat(below[0])
    os.chmod(base, found.st_mode & 0o7777)
    os.chown(base, found.st_uid, found.st_gid)
