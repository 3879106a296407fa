"""What init does to the network namespace that it is in."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, assert_never

from zonectl.errors import SyscallError
from zonectl.network import rtnetlink, sysctl
from zonectl.network.channel import open_channel
from zonectl.network.steps import DefaultRoute, DisableIpv6, FixIpv6, LinkUp, LoopbackUp, SetAddress

if TYPE_CHECKING:
    from zonectl.network.steps import InsideStep
    from zonectl.network.wire import Request


def apply(step: InsideStep) -> None:
    """Carry the step out in the calling thread's network namespace. Needs /proc of the host still mounted.

    Raises:
        SyscallError: what was refused, in the kernel's words.

    """
    match step:
        case DisableIpv6():
            _disable_ipv6(step)
        case FixIpv6():
            for path, value in step.sysctls:
                sysctl.write(path, value)
        case LoopbackUp() | SetAddress() | LinkUp() | DefaultRoute():
            with open_channel() as channel:
                channel.ask(_request(step))
        case _:
            assert_never(step)


def _request(step: LoopbackUp | SetAddress | LinkUp | DefaultRoute) -> Request:
    match step:
        case LoopbackUp():
            return rtnetlink.bring_up(rtnetlink.LOOPBACK_INDEX, subject="lo")
        case SetAddress():
            return rtnetlink.add_address(_index(step.link), step.address, subject=step.link)
        case LinkUp():
            return rtnetlink.bring_up(_index(step.link), subject=step.link)
        case DefaultRoute():
            return rtnetlink.default_route(step.gateway)
        case _:
            assert_never(step)


def _disable_ipv6(step: DisableIpv6) -> None:
    try:
        for path, value in step.sysctls:
            sysctl.write(path, value)
    except SyscallError as error:
        if error.errno != errno.ENOENT or sysctl.has_ipv6():
            raise


def _index(link: str) -> int:
    try:
        return socket.if_nametoindex(link)
    except OSError as error:
        raise SyscallError("if_nametoindex", error.errno or errno.ENODEV, link) from error
