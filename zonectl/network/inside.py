"""What init does to the network namespace that it is in."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, assert_never

from zonectl.errors import SyscallError
from zonectl.network import rtnetlink, sysctl
from zonectl.network.channel import open_channel
from zonectl.network.steps import DefaultRoute, DisableIpv6, FixIpv6, LinkUp, LoopbackUp, SetAddress

if TYPE_CHECKING:
    from zonectl.model.script import Script
    from zonectl.network.channel import Channel
    from zonectl.network.steps import InsideStep
    from zonectl.network.wire import Request


class Wiring:
    """Carries steps out in the calling thread's network namespace, over one channel. Needs /proc of the host still."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def apply(self, step: InsideStep) -> None:
        """Carry one step out.

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
                self._open().ask(_request(step))
            case _:
                assert_never(step)

    def _open(self) -> Channel:
        if self._channel is None:
            self._channel = self._held.enter_context(open_channel())
        return self._channel


def write(step: InsideStep, script: Script) -> None:
    """Add the calls of a step to the script of a zone's init, which is in its network namespace already."""
    match step:
        case DisableIpv6():
            for path, value in step.sysctls:
                script.write(path, value, unless_without=sysctl.IPV6)
        case FixIpv6():
            for path, value in step.sysctls:
                script.write(path, value)
        case LoopbackUp() | DefaultRoute():
            _ask(_request(step), script)
        case SetAddress() | LinkUp():
            _ask(_request(step, index=0), script, link=step.link)
        case _:
            assert_never(step)


def _ask(request: Request, script: Script, *, link: str = "") -> None:
    script.ask(request.call, request.subject, request.pack(0), link=link)


def apply(step: InsideStep) -> None:
    """Carry out a single step, as `Wiring.apply`."""
    with Wiring() as wires:
        wires.apply(step)


def _request(step: LoopbackUp | SetAddress | LinkUp | DefaultRoute, *, index: int | None = None) -> Request:
    """The message that `step` sends; `index` is its link's number, asked of the kernel if it is not given."""
    match step:
        case LoopbackUp():
            return rtnetlink.bring_up(rtnetlink.LOOPBACK_INDEX, subject="lo")
        case SetAddress():
            return rtnetlink.add_address(
                _index(step.link) if index is None else index, step.address, subject=step.link
            )
        case LinkUp():
            return rtnetlink.bring_up(_index(step.link) if index is None else index, subject=step.link)
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
