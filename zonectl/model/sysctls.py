"""Which settings of /proc/sys belong to which namespace; those that belong to none are the host's."""

from __future__ import annotations

from typing import Final

HOST_NAME: Final = "kernel.hostname"
DOMAIN_NAME: Final = "kernel.domainname"

_IPC: Final = frozenset(
    {
        "kernel.auto_msgmni",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shm_rmid_forced",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
    }
)
_NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_USER: Final = frozenset(
    {
        *(f"user.max_{kind}_namespaces" for kind in _NAMESPACES),
        "user.max_fanotify_groups",
        "user.max_fanotify_marks",
        "user.max_inotify_instances",
        "user.max_inotify_watches",
    }
)


def namespace_of(name: str) -> str | None:
    """The kind of namespace ("net", "ipc", "uts", "user") whose setting `name` is; None for the host's.

    network_namespaces(7), ipc_namespaces(7), uts_namespaces(7), namespaces(7) (/proc/sys/user).
    """
    if name.startswith("net."):
        return "net"
    if name in _IPC or name.startswith("fs.mqueue."):
        return "ipc"
    if name in {DOMAIN_NAME, HOST_NAME}:
        return "uts"
    return "user" if name in _USER else None
