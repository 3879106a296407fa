"""Probes of the network: a neighbour that takes part in all of them runs a server, and listens for frames."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.hostile.arms import ExecArm
from tests.hostile.groups.keys import HOST_NET, POWERFUL, UNMASKED
from tests.hostile.probe import Group, Outcome, Probe, Removal, Verdict, broke, held, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.arms import Arm

OPEN = "network.isolated=false"
_RAW = (OPEN,)
"""A zone that neighbours hear at all, so that nothing but the pinned addresses is in its way."""

_PINS = "the port's and the firewall's pinned addresses"


def _heard(text: str, program: str, *words: str) -> Callable[[Arm], Outcome]:
    """Whether the neighbour hears a frame that holds `text` (hex) when the program sends it."""

    def attempt(arm: Arm) -> Outcome:
        scene = arm.scene
        if isinstance(arm, ExecArm) and arm.without == "pinned-addresses":
            scene.unpin(arm.zone)
        argv = [
            "exec",
            "--no-tty",
            scene.neighbour,
            "--",
            "/probe/network",
            "listen",
            "1",
            text.format_map(arm.values),
        ]
        with scene.z.popen(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listener:
            assert listener.stdin is not None
            assert listener.stdout is not None
            assert listener.stdout.readline().startswith(b"ready")
            sent = arm.probe(program, *words)
            listener.stdin.close()
            said = listener.stdout.read().decode()
        if sent.verdict is not Verdict.BROKE:
            return sent
        return (
            broke("the neighbour heard it")
            if "broke" in said
            else held("", "sent, and the neighbour did not hear it")
        )

    return attempt


def _reach_host(arm: Arm) -> Outcome:
    with arm.scene.listening("127.0.0.1") as port:
        return arm.probe("network", "reach", "127.0.0.1", str(port))


def _take_down(arm: Arm) -> Outcome:
    with arm.scene.link() as link:
        return arm.probe("network", "down", link)


def _see(arm: Arm) -> Outcome:
    with arm.scene.link() as link:
        return arm.probe("proc", "read", f"/sys/class/net/{link}/ifindex")


def _probe(name: str, source: str, *words: str, attempt: Callable[[Arm], Outcome] | None = None, protection: str,
           keys: tuple[str, ...] = (), given: tuple[str, ...] = (), errnos: frozenset[str] | None = None,
           harnessed: str = "") -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.NETWORK,
        source=source,
        words=words,
        attempt=attempt,
        errnos=errnos if errnos is not None else named(),
        protection=protection,
        given=given,
        removal=Removal(keys=keys, harnessed=harnessed),
    )


def _frame(name: str, source: str, text: str, *words: str) -> Probe:
    return _probe(name, source, attempt=_heard(text, "network", *words), protection=_PINS, given=_RAW,
                  errnos=named(""), keys=(OPEN, "hostname=unpinned"), harnessed="pinned-addresses")  # fmt: skip


PROBES = (
    _probe("neighbour", "a service of the neighbour's", "reach", "{neighbour}", "7000",
           protection="isolated ports", keys=(OPEN,), errnos=named("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH")),
    _probe("host-loopback", "services that only the host is meant to reach", attempt=_reach_host,
           protection="the zone's own network", keys=(HOST_NET,), errnos=named("ECONNREFUSED", "ETIMEDOUT")),
    _frame("arp-spoof", "the gateway's address taken over", "{claimed}", "arp", "{link}", "{gateway}"),
    _frame("tagged-arp-spoof", "the same inside of a tag of a virtual LAN", "{claimed}", "tagged", "{link}",
           "{gateway}"),
    _frame("mac-spoof", "the link address of another", "686f7374696c652d70726f6265", "mac", "{link}"),
    _frame("source-spoof", "datagrams that come from somebody else", "686f7374696c652d70726f6265",
           "source", "{foreign}", "{neighbour}", "7001"),
    _frame("router-advertisement", "CVE-2020-10749: a router of one's own", "{advertised}", "advertise", "{link}"),
    _probe("host-link", "a link of the host's taken down", attempt=_take_down, protection="the zone's own network",
           keys=(HOST_NET, *POWERFUL), errnos=named("ENODEV")),
    _probe("host-link-in-sight", "the links that the host has", attempt=_see, protection="the zone's own network",
           keys=(HOST_NET,), errnos=named("ENOENT")),
    _probe("host-sysctl", "how the host's network behaves", protection="the zone's own network",
           keys=(HOST_NET, *POWERFUL, UNMASKED), errnos=named("ENOENT", "EROFS"),
           attempt=lambda arm: arm.probe("proc", "write", "/proc/sys/net/core/netdev_budget")),
)  # fmt: skip
