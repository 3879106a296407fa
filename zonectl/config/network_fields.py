"""The keys of `[network]`."""

from __future__ import annotations

from zonectl.config.addresses import ADDRESS, INTERFACE, SUBNET
from zonectl.config.kinds import Boolean, Choice, Whole
from zonectl.config.tables import Field, ListOf, Table
from zonectl.config.texts import LINK
from zonectl.model.config import NetworkConfig, NetworkMode

_LEAST_MTU = 68  # ETH_MIN_MTU (RFC 791)
_MOST_MTU = 65_535  # ETH_MAX_MTU
_MOST_SERVERS = 3  # MAXNS of the C library (resolv.conf(5))

NETWORK = Table(
    NetworkConfig,
    (
        Field(
            key="mode",
            kind=Choice(tuple((mode.value, mode) for mode in NetworkMode)),
            text="`veth`: a link of its own to a bridge; `host`: the host's network; `none`: loopback alone.",
            example='"none"',
        ),
        Field(
            key="bridge",
            kind=LINK,
            text="The bridge of the host, made when it is not there.",
            example='"zbr1"',
        ),
        Field(
            key="subnet",
            kind=SUBNET,
            text="The subnet of the bridge, which addresses are leased from.",
            example='"10.78.0.0/16"',
        ),
        Field(
            key="address",
            kind=INTERFACE,
            text="The zone's address and prefix length, inside the subnet; `auto`: leased by create.",
            example='"10.77.0.10/16"',
            absent='"auto"',
        ),
        Field(
            key="gateway",
            kind=ADDRESS,
            text="The address of the bridge, which the zone's default route leads to.",
            example='"10.77.0.1"',
            absent="the first address of the subnet",
        ),
        Field(
            key="isolated",
            kind=Boolean(),
            text="The zone cannot reach other zones of the bridge, nor be reached by them.",
            example="false",
        ),
        Field(
            key="nat",
            kind=Boolean(),
            text="What the zone sends beyond the bridge carries the host's address.",
            example="false",
        ),
        Field(
            key="mtu",
            kind=Whole(_LEAST_MTU, _MOST_MTU),
            text="The largest packet of the link, in bytes.",
            example="1400",
            absent="1500",
        ),
        Field(
            key="dns",
            kind=ListOf(ADDRESS, most=_MOST_SERVERS, unique=True),
            text="Name servers, for the zone's /etc/resolv.conf.",
            example='["9.9.9.9"]',
        ),
    ),
)
