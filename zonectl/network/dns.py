"""The texts of a zone's /etc/resolv.conf and /etc/hosts. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from zonectl.model.config import NetworkMode

if TYPE_CHECKING:
    from zonectl.model.config import NetworkConfig

_COPIED = frozenset({"search", "domain", "options"})
_LOOPBACK_NAMES_IPV6 = "::1\tlocalhost ip6-localhost ip6-loopback\n"


def resolv_conf(config: NetworkConfig, host_text: str) -> str:
    """A resolv.conf(5) for the zone: the nameservers of `[network] dns`, else those of the host's `host_text`.

    Of the host's, those on loopback addresses are left out, since nobody answers there inside a zone of its own
    network; `search`, `domain` and `options` are kept. A zone that shares the host's network gets the text as it is.
    Empty, if no nameserver is left: the C library then asks 127.0.0.1.
    """
    from_host = [line.split() for line in host_text.splitlines() if line[:1].isalpha()]
    if config.dns:
        return "".join(f"nameserver {server}\n" for server in config.dns)
    if config.mode is NetworkMode.HOST:
        return host_text
    servers = [words[1] for words in from_host if words[0] == "nameserver" and len(words) > 1]
    kept = [" ".join(words) for words in from_host if words[0] in _COPIED]
    lines = kept + [f"nameserver {server}" for server in servers if not _unreachable(server)]
    return "".join(f"{line}\n" for line in lines)


def hosts(name: str, address: str | None) -> str:
    """A hosts(5) for the zone `name` with `address` (with or without prefix); None for one without a network."""
    own = f"{address.partition('/')[0]}\t{name}\n" if address else f"127.0.1.1\t{name}\n"
    return f"127.0.0.1\tlocalhost\n{_LOOPBACK_NAMES_IPV6}{own}"


def _unreachable(server: str) -> bool:
    """Whether it is on loopback, or not an address at all."""
    try:
        address = ip_address(server.partition("%")[0])
    except ValueError:
        return True
    return address.is_loopback or address.is_unspecified
