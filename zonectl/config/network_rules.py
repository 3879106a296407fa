"""What the values of `[network]` must be together, and with the namespaces: rules like those of `config.rules`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from zonectl.config.walker import Finding
from zonectl.model.config import NetworkConfig, NetworkMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.config.rules import Draft

_LEAST_IPV6_MTU = 1280  # RFC 8200, 5
_IPV6 = 6


def host_network(draft: Draft) -> Iterator[Finding]:
    """`mode = "host"` in `[network]` and `net = "host"` in `[namespaces]` go together; either implies the other."""
    if not (draft.gave("network", "mode") and draft.gave("namespaces", "net")):
        return
    mode, private = draft.config.network.mode, draft.config.namespaces.net
    if (mode is NetworkMode.HOST) == private:
        net = "private" if private else "host"
        about = (("network", "mode"),)
        yield Finding(
            ("namespaces", "net"), f'"{net}" contradicts network.mode = "{mode.value}"', about=about
        )


def mode_of(draft: Draft) -> NetworkMode:
    """The mode of the network, given or implied by `net = "host"`."""
    if not draft.gave("network", "mode") and not draft.config.namespaces.net:
        return NetworkMode.HOST
    return draft.config.network.mode


def idle_network(draft: Draft) -> Iterator[Finding]:
    """Keys of the bridge and the link mean nothing without `mode = "veth"`."""
    mode = mode_of(draft)
    if mode is NetworkMode.VETH:
        return
    given, usual = draft.config.network, NetworkConfig()
    for key in ("bridge", "subnet", "address", "gateway", "isolated", "nat", "mtu"):
        if getattr(given, key) != getattr(usual, key):
            yield Finding(("network", key), f'means nothing with mode = "{mode.value}"')


def gateway(draft: Draft) -> Iterator[Finding]:
    """The gateway is an address of a host in the subnet."""
    network = draft.config.network
    if network.gateway is None:
        return
    subnet, address = ipaddress.ip_network(network.subnet), ipaddress.ip_address(network.gateway)
    path, about = ("network", "gateway"), (("network", "subnet"),)
    if address not in subnet:
        yield Finding(path, f"{address} is not inside the subnet {subnet}", about=about)
    elif address in {subnet.network_address, _broadcast(subnet)}:
        yield Finding(path, f"{address} is the network or broadcast address of {subnet}", about=about)


def address(draft: Draft) -> Iterator[Finding]:
    """The zone's address is in the subnet, is a host's and not the gateway's, and its prefix reaches the gateway."""
    network = draft.config.network
    if network.address is None:
        return
    own, subnet = network.address, ipaddress.ip_network(network.subnet)
    router = ipaddress.ip_address(network.router)
    about = (("network", "subnet"), ("network", "gateway"))
    if own.ip not in subnet:
        message = f"{own.ip} is not inside the subnet {subnet}"
    elif own.network.prefixlen < subnet.prefixlen:
        message = f"/{own.network.prefixlen} is wider than the subnet {subnet}"
    elif own.ip == router:
        message = f"{own.ip} is the gateway's"
    elif own.ip in {
        own.network.network_address,
        subnet.network_address,
        _broadcast(own.network),
        _broadcast(subnet),
    }:
        message = f"{own.ip} is the network or broadcast address of {own.network}"
    elif router in subnet and router not in own.network:
        message = f"the gateway {router} is not inside {own.network}"
    else:
        return
    yield Finding(("network", "address"), message, about=about)


def _broadcast(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> object:
    """The broadcast address; IPv6 has none (RFC 4291, 2)."""
    return subnet.broadcast_address if subnet.version != _IPV6 else None


def mtu(draft: Draft) -> Iterator[Finding]:
    """With an IPv6 subnet, the MTU is at least 1280 bytes."""
    network = draft.config.network
    narrow = network.mtu is not None and network.mtu < _LEAST_IPV6_MTU
    if narrow and ipaddress.ip_network(network.subnet).version == _IPV6:
        yield Finding(("network", "mtu"), f"must be at least {_LEAST_IPV6_MTU} with an IPv6 subnet")
