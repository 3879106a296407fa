"""A zone's pair of links: made in one message, guarded before the zone can send, reaped with its namespace."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from zonectl.errors import HostLacks, SyscallError
from zonectl.network import rtnetlink, sysctl
from zonectl.network.addresses import MAC_PREFIX_IPV4
from zonectl.network.channel import open_channel
from zonectl.network.ruleset import GROUP_ISOLATED, GROUP_OPEN

if TYPE_CHECKING:
    from zonectl.network.channel import Channel
    from zonectl.network.steps import MakeVeth

_GONE: Final = frozenset({errno.ENODEV, errno.ENOENT})


def apply(step: MakeVeth, *, netns_fd: int) -> None:
    """Connect the network namespace `netns_fd` to the bridge, which must be there.

    The zone's end stays down: only when init brings it up does the port carry frames, guarded by then. A link of
    that name which a former run's namespace has not yet let go is deleted first.

    Raises:
        HostLacks: the bridge is gone, or another port of it has the same link address.
        SyscallError: a message was refused, in the kernel's words.

    """
    with open_channel() as channel:
        _make(channel, step, netns_fd)
        _quiet(step)
        _guard(channel, step)


def rejoin(step: MakeVeth) -> None:
    """Make the link a guarded port of the bridge again: its bridge was deleted, or somebody took it off.

    Raises:
        HostLacks: the bridge is gone, or another port of it has the same link address.
        SyscallError: a message was refused.

    """
    index = _index(step.link)
    join = rtnetlink.join_bridge(step.link, master=_bridge_index(step.bridge), group=_group(step))
    with open_channel() as channel:
        # Down until it is guarded: a zone that waits for this would have a moment as whoever it likes.
        channel.ask(rtnetlink.take_down(index, subject=step.link), join)
        _quiet(step)
        _guard(channel, step)
        channel.ask(rtnetlink.bring_up(index, subject=step.link))


def _group(step: MakeVeth) -> int:
    return GROUP_ISOLATED if step.isolated else GROUP_OPEN


def _guard(channel: Channel, step: MakeVeth) -> None:
    index = _index(step.link)
    admit = rtnetlink.admit_mac(
        index, step.mac, replace=step.mac.startswith(MAC_PREFIX_IPV4), subject=f"{step.mac} {step.link}"
    )
    for answer in channel.try_ask(rtnetlink.guard_port(step.link, isolated=step.isolated), admit):
        if answer.error is not None:
            raise _explained(answer.error, step) from answer.error


def undo(step: MakeVeth) -> None:
    """Delete the pair. Gone is fine. For a rollback alone: it waits 20 ms for the kernel.

    Raises:
        SyscallError: the message was refused.

    """
    remove(step.link)


def remove(link: str) -> None:
    """Delete the link of that name. Gone is fine; it waits 20 ms for the kernel.

    Raises:
        SyscallError: the message was refused.

    """
    with open_channel() as channel:
        _delete(channel, link)


def _make(channel: Channel, step: MakeVeth, netns_fd: int) -> None:
    request = rtnetlink.make_veth(
        step.link,
        master=_bridge_index(step.bridge),
        group=_group(step),
        peer=step.peer,
        mac=step.mac,
        netns_fd=netns_fd,
        mtu=step.mtu,
    )
    (answer,) = channel.try_ask(request)
    if answer.error is not None and answer.error.errno == errno.EEXIST:
        _delete(channel, step.link)
        (answer,) = channel.try_ask(request)
    if answer.error is not None:
        raise answer.error


def _delete(channel: Channel, link: str) -> None:
    (answer,) = channel.try_ask(rtnetlink.delete_link(link))
    if answer.error is not None and answer.error.errno not in _GONE:
        raise answer.error


def _quiet(step: MakeVeth) -> None:
    """No IPv6 on the host's end. Its peer being down it has no carrier yet, so that nothing was sent so far."""
    try:
        sysctl.write(step.ipv6_switch, "1")
    except SyscallError as error:
        if error.errno != errno.ENOENT or sysctl.has_ipv6():
            raise


def _bridge_index(bridge: str) -> int:
    try:
        return _index(bridge)
    except SyscallError as error:
        raise HostLacks(f"the bridge {bridge} is gone", hint="start the zone again") from error


def _index(link: str) -> int:
    try:
        return socket.if_nametoindex(link)
    except OSError as error:
        raise SyscallError("if_nametoindex", error.errno or errno.ENODEV, link) from error


def _explained(error: SyscallError, step: MakeVeth) -> SyscallError | HostLacks:
    if error.errno != errno.EEXIST:
        return error
    return HostLacks(
        f"network.address: another zone on {step.bridge} has the link address {step.mac}",
        hint="choose an IPv6 address whose last four bytes no other zone has",
    )
