"""Probes of control groups."""

from __future__ import annotations

from tests.hostile.groups.keys import ALL_CAPABILITIES, HOST_IDS, NO_FILTER, POWERFUL
from tests.hostile.probe import Group, Probe, Removal, named

_VIEW = "the zone's own view of groups"
_MINE = "root of the zone does not own what limits it"


def _probe(name: str, source: str, *words: str, protection: str, keys: tuple[str, ...],
           errnos: frozenset[str] | None = None, harnessed: str = "") -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.CGROUP,
        source=source,
        words=words,
        errnos=errnos if errnos is not None else named(),
        protection=protection,
        removal=Removal(keys=keys, harnessed=harnessed),
    )


PROBES = (
    _probe("groups-of-version-1", "the groups of all of the host, with what runs in them", "version1", "{hierarchy}",
           protection="no mounts by root of the zone", keys=(ALL_CAPABILITIES, NO_FILTER)),
    _probe("release-agent", "CVE-2022-0492: a program that the host's kernel runs", "release-agent", "{hierarchy}",
           protection="no mounts by root of the zone; and its own ids", keys=POWERFUL),
    _probe("groups-anew", "a view of groups of one's own making", "anew",
           protection="no mounts by root of the zone", keys=(ALL_CAPABILITIES, NO_FILTER)),
    _probe("own-limit", "the limits that the zone is held to", "limit", "{groups}/cgroup.max.descendants",
           protection=_MINE, keys=(HOST_IDS,)),
    _probe("freeze", "a group stopped that is not the zone's", "set", "{groups}/cgroup.freeze", "0",
           protection=_MINE, keys=(HOST_IDS,)),
    _probe("neighbours-group", "the groups of others in sight", "neighbour", "{group}", errnos=named("ENOENT"),
           protection="the zone's own view of groups", keys=POWERFUL, harnessed="own-groups"),
    *(
        _probe(name, source, "reach", path, errnos=named("ENOENT"), protection=_VIEW, keys=POWERFUL,
               harnessed="own-groups")
        for name, source, path in (
            ("neighbours-group-of-processes", "processes moved into it", "{there}/{group}/payload/cgroup.procs"),
            ("neighbours-end", "all of a neighbour's processes killed", "{there}/{group}/cgroup.kill"),
            ("end-of-all", "all zones' processes killed, by the group above", "{there}/cgroup.kill"),
        )
    ),
)  # fmt: skip

# On a kernel of their own alone: the controllers are of version 2 there.
LANE_PROBES = (
    *(
        _probe(f"neighbours-{name}", "a limit taken away, of a neighbour's or of the zone's own", "limit",
               f"{{there}}/{{group}}/{name}.max", errnos=named("ENOENT"), protection=_VIEW, keys=POWERFUL,
               harnessed="own-groups")
        for name in ("memory", "pids")
    ),
)  # fmt: skip
