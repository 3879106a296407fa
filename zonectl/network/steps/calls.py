"""How the room's steps say which system calls they make."""

from __future__ import annotations

from typing import Final

from zonectl.model.steps import Call

ZONE_LINK: Final = "eth0"
"""The name of a zone's link inside the zone."""

_RTNETLINK: Final = "rtnetlink(7)"


def sysctl_path(family: str, link: str, key: str) -> str:
    """The file of a link's setting. `/` instead of `.`: a link may be named "br0.5"."""
    return f"/proc/sys/net/{family}/conf/{link}/{key}"


def netlink(message: str, detail: str, *, when: str = "") -> Call:
    """A message sent to the kernel."""
    return Call(name="sendto", target=f"NETLINK_ROUTE {message}", man=_RTNETLINK, detail=detail, when=when)


def sysctl(path: str, value: str, *, when: str = "") -> tuple[Call, ...]:
    """A setting written."""
    return (
        Call(name="openat", target=path, man="open(2)", detail="O_WRONLY", when=when),
        Call(name="write", target=path, man="proc_sys_net(5)", detail=value, when=when),
    )
