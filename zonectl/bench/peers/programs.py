"""The programs that peers are."""

from __future__ import annotations

import shutil
from typing import Final

from zonectl.errors import HostLacks


def find(name: str, package: str) -> str:
    """The path of the program.

    Raises:
        HostLacks: it is not installed; the hint names Debian's package.

    """
    found = shutil.which(name)
    if found is None:
        raise HostLacks(f"{name} is not installed", hint=f"apt install {package}")
    return found


SHORT: Final = "/mnt"
"""What `apart` shows a peer's folder as: podman takes no path of more than 50 characters for its sockets."""


def apart(argv: list[str], *, folder: str) -> list[str]:
    """The command line, executed where nobody else sees what is mounted: `folder` at `SHORT`, and a pure cgroup2.

    What peers write to controllers of version 1, where the host still has them below /sys/fs/cgroup, would be the
    host's. Their locks and states in /run and /dev/shm go with them, however they end; nothing of the host's is there.
    """
    script = (
        "mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup "
        "&& mount -t tmpfs -o mode=0755 tmpfs /run && mount -t tmpfs -o mode=1777 tmpfs /dev/shm "
        '&& mount --bind "$1" "$2" && shift 2 && exec "$@"'
    )
    shell = ["/bin/sh", "-c", script, "sh", folder, SHORT]
    return [find("unshare", "util-linux"), "--mount", *shell, *argv]
