"""Probes of the kernel's surface: system calls that a zone has no business to make."""

from __future__ import annotations

from tests.hostile.groups.keys import ALL_CAPABILITIES, HOST_IDS, NESTING, NO_FILTER, POWERFUL
from tests.hostile.probe import Group, Probe, Removal, named

_FILTER = "the filter of system calls"
_IDS = "the zone's own ids: its capabilities are over itself"


def _call(name: str, source: str, *words: str, keys: tuple[str, ...] = (NO_FILTER,), lane: bool = False,
          errnos: frozenset[str] | None = None, protection: str = _FILTER) -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.SURFACE,
        source=source,
        words=words or (name,),
        errnos=errnos if errnos is not None else named("ENOSYS"),
        protection=protection,
        removal=Removal(keys=keys),
        lane=lane,
    )


def _host(
    name: str, source: str, *words: str, lane: bool = False, errnos: frozenset[str] | None = None
) -> Probe:
    both = f"{_IDS}; and {_FILTER}"
    return _call(name, source, *words, keys=POWERFUL, lane=lane, errnos=errnos, protection=both)


PROBES = (
    _call("io-uring", "CVE-2022-29582, CVE-2023-2598"),
    _host("bpf", "CVE-2020-8835, CVE-2021-3490"),
    _call("userfaultfd", "the pause in the middle of a race"),
    _call("perf-self", "CVE-2013-2094, CVE-2023-5717"),
    _host("perf-all", "what others do on a processor"),
    _call("add-key", "CVE-2016-0728, CVE-2017-7472"),
    _call("alg", "CVE-2017-17805, CVE-2018-14619", lane=True, errnos=named("EAFNOSUPPORT")),
    _call("vsock", "CVE-2021-26708", errnos=named("EAFNOSUPPORT")),
    _host("kexec", "another kernel", lane=True),
    _host("init-module", "code of one's own in the kernel", lane=True),
    _host("delete-module", "as init-module", lane=True),
    _call("clone-user", "CVE-2022-0185: capabilities over what is new", keys=(NESTING,)),
    _call("clone-net", "as clone-user", keys=(NESTING, ALL_CAPABILITIES)),
    _call("clone3-user", "flags that no filter can see", keys=(NESTING,)),
    _call("unshare-user", "as clone-user", keys=(NESTING,)),
    _call(
        "unshare-mount",
        "a mount namespace in which masks could be taken off",
        keys=(NESTING, ALL_CAPABILITIES),
    ),
    _call(
        "nested-network", "CVE-2023-32233, CVE-2024-1086: netfilter below a user namespace", keys=(NESTING,)
    ),
    _call("personality", "addresses that are no longer random"),
    _call("x32", "CVE-2014-0038: another table of calls", lane=True),
    _call("i386", "CVE-2016-4997: another table of calls", errnos=named("SIGSYS", "ENOSYS")),
    _host("settimeofday", "the time of the whole host"),
    _host("adjtimex", "as settimeofday"),
    _host("swapon", "swap on a disk of the zone's choice"),
    _host("swapoff", "as swapon"),
    _host("klog", "addresses and secrets in the kernel's log"),
    _host("acct", "a log of every process of the host"),
    _call("quota", "file systems that are not the zone's"),
    _host("iopl", "the hardware's ports", lane=True),
    _host("fanotify", "every access to a file system, the host's too"),
    _host("realtime", "a processor that nobody else gets"),
    _host("nice", "as realtime"),
    _host("ioprio", "as realtime, on disks"),
    _host("vhangup", "the terminals of others"),
    _call(
        "foreign-id",
        "an id of the host's or of a neighbour's",
        errnos=named("EINVAL"),
        keys=(HOST_IDS,),
        protection="the zone's map of ids, which has no other",
    ),
)
