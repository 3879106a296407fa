"""Made-up runs, as a machine with a little noise might have measured them. The same each time."""

from __future__ import annotations

import dataclasses
import functools
import random
from typing import TYPE_CHECKING

from zonectl.bench.results import ArmFacts, DensityPoint, Host, Kind, Missing, Run, Series, WorkloadFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUNDS = 16
NOISE = 0.006

HOST = Host(
    kernel="6.18.2",
    processor="AMD EPYC 7B13",
    processors=2,
    memory_bytes=24 * 1024**3,
    virtualization="kvm",
    file_system="ext4",
    versions={
        "zonectl": "0.1.0",
        "python": "3.11.2",
        "cc": "cc (Debian) 12.2.0",
        "crun": "1.8.1",
        "qemu": "7.2.15",
    },
)
ZONE_FILE = """\
name = "web"
command = ["/usr/sbin/nginx", "-g", "daemon off;"]

[root]
image = "debian:12"

[network]
publish = ["127.0.0.1:8080:80/tcp"]
"""

BARE = ArmFacts(name="bare", kind=Kind.BARE, title="bare metal", differs="the reference")
CONTROL = ArmFacts(name="control", kind=Kind.CONTROL, title="bare metal, once more", differs="nothing")
ZONE = ArmFacts(name="zone", kind=Kind.ZONE, title="zone", differs="everything that the zone file says")

RUNGS = {
    "chroot": "another root folder",
    "mount": "a mount namespace of its own",
    "pid": "a pid namespace of its own",
    "uts+ipc": "a host name and System V IPC of its own",
    "user": "a user namespace with mapped ids",
    "overlay": "an overlay as its root",
    "cgroup": "a control group without limits",
    "limits": "limits on that group",
    "net": "a network namespace, a veth link, NAT",
    "seccomp": "the default filter",
    "capabilities": "twelve capabilities instead of all",
    "masks": "masked paths in /proc and /sys",
}


def layer_arms() -> list[ArmFacts]:
    """The ladder, from the bottom."""
    names = list(RUNGS)
    below = [None, *names]
    return [
        ArmFacts(name=name, kind=Kind.LAYER, title=name, differs=RUNGS[name], after=after)
        for name, after in zip(names, below, strict=False)
    ]


OS_LEVEL, MACHINE = "operating system", "hardware virtualization"
PEERS: dict[str, tuple[str, str, str | None, float]] = {
    "crun": ("crun", OS_LEVEL, "1..3 %", 1.0),
    "bubblewrap": ("bubblewrap", OS_LEVEL, "1..3 %", 0.7),
    "uml": ("user-mode-linux", "modified guest kernel", "5..10 %", 9.0),
    "tcg": ("QEMU, emulated", "hardware emulation", None, 60.0),
}


def peer_arms() -> list[ArmFacts]:
    """Other kinds of isolation."""
    return [
        ArmFacts(
            name=name, kind=Kind.PEER, title=title, differs=f"runs in {title}", family=family, claimed=claimed
        )
        for name, (title, family, claimed, _) in PEERS.items()
    ]


# name, group, what it stresses, operation, nanoseconds on bare metal, what rungs add (as shares)
WORKLOADS: list[tuple[str, str, str, str, float, dict[str, float]]] = [
    ("integer", "cpu", "arithmetic in registers", "step", 0.31, {}),
    ("float", "cpu", "multiplications of doubles", "step", 1.24, {}),
    ("bandwidth", "memory", "copies of what no cache holds", "MiB", 84_000, {}),
    ("latency", "memory", "a chain of pointers through 64 MiB", "load", 88.5, {}),
    ("page-fault", "memory", "first touches of anonymous pages", "4 KiB page", 610, {"limits": 0.021}),
    ("getpid", "system calls", "the shortest call", "call", 118, {"pid": 0.006, "seccomp": 0.29}),
    ("stat", "system calls", "a path looked up", "call", 640, {"overlay": 0.21, "seccomp": 0.05}),
    ("open", "system calls", "open and close", "pair", 1480, {"overlay": 0.68, "seccomp": 0.06, "mount": 0.02}),
    ("pipe", "system calls", "a byte through a pipe", "pair", 720, {"seccomp": 0.11}),
    ("fork-exec", "processes", "fork, exec, wait", "process", 412_000, {"pid": 0.012, "cgroup": 0.018}),
    ("thread", "processes", "a thread made and joined", "thread", 21_400, {"seccomp": 0.02}),
    ("switch", "processes", "two processes by turns", "round trip", 3_900, {"seccomp": 0.035}),
    ("create-unlink", "files", "create and unlink", "file", 9_800, {"overlay": 0.83, "seccomp": 0.01}),
    ("read-root", "files", "4 KiB at a time, cached", "4 KiB page", 430, {"overlay": 0.04, "seccomp": 0.09}),
    ("read-bind", "files", "the same on a bind mount", "4 KiB page", 430, {"seccomp": 0.09}),
    ("tcp-latency", "network", "a byte there and back", "round trip", 14_600, {"net": 0.11}),
    ("tcp-stream", "network", "a connection filled", "MiB", 271_000, {"net": 0.54}),
    ("udp-latency", "network", "a datagram there and back", "round trip", 12_900, {"net": 0.19}),
    ("compile", "composite", "cc of a small file", "file", 38_000_000, {"overlay": 0.024, "seccomp": 0.008}),
    ("python", "composite", "an interpreter's start", "start", 8_700_000, {"overlay": 0.05, "seccomp": 0.01}),
    ("sqlite", "composite", "transactions", "commit", 96_000, {"overlay": 0.03}),
    ("sysbench-cpu", "witness", "sysbench's primes", "event", 981_000, {}),
]  # fmt: skip
PEERS_RUN = ("integer", "latency", "getpid", "open", "fork-exec", "create-unlink")
LIFE = [("create", 9.1e6), ("start", 11.4e6), ("start, cold", 171e6), ("exec", 7.9e6), ("stop", 4.2e6)]
LIFE_GROUP = "life cycle"

MISSING = (
    Missing(name="tcp-stream in bubblewrap", reason="it has no network"),
    Missing(name="kvm", reason="/dev/kvm: No such file or directory"),
)
WARNINGS = ("other programs kept the processors busy: cpu pressure 12 %", "steal: 1.4 % of the time")


def facts(name: str, group: str, stresses: str, operation: str) -> WorkloadFacts:
    return WorkloadFacts(name=name, group=group, stresses=stresses, operation=operation)


class Samples:
    """Draws samples whose drift is shared by the arms of a round, and whose outliers are rare and large."""

    def __init__(self, seed: str, rounds: int) -> None:
        self._random = random.Random(seed)
        self._drift = [1 + 0.02 * self._random.gauss(0, 1) for _ in range(rounds)]

    def series(self, workload: str, arm: str, nanoseconds: float) -> Series:
        rounds = tuple(
            tuple(float(f"{nanoseconds * drift * self._noise():.6g}") for _ in range(2))
            for drift in self._drift
        )
        return Series(workload=workload, arm=arm, loops=max(1, int(2e7 / nanoseconds)), rounds=rounds)

    def _noise(self) -> float:
        noise = 1 + abs(self._random.gauss(0, NOISE))
        return noise * (1.6 if self._random.random() < 0.02 else 1.0)


def _samples(rounds: int, arms: Iterable[str]) -> list[Series]:
    made = []
    wanted = set(arms)
    for name, _group, _stresses, _operation, bare_ns, adds in WORKLOADS:
        samples = Samples(name, rounds)
        total = bare_ns
        steps = {"bare": bare_ns, "control": bare_ns}
        for rung in RUNGS:
            total += bare_ns * adds.get(rung, 0.0)
            steps[rung] = total
        steps["zone"] = total
        if name in PEERS_RUN:
            steps |= {
                peer: bare_ns + (total - bare_ns) * of[3] + _slower(peer, bare_ns)
                for peer, of in PEERS.items()
            }
        made += [samples.series(name, arm, value) for arm, value in steps.items() if arm in wanted]
    return made


def _slower(peer: str, bare_ns: float) -> float:
    return bare_ns * {"tcg": 11.0, "uml": 0.04}.get(peer, 0.0)


def _life(rounds: int) -> list[Series]:
    return [Samples(name, rounds).series(name, "zone", value) for name, value in LIFE]


def density() -> tuple[DensityPoint, ...]:
    """Starts that grow a little with the number of zones."""
    return tuple(
        DensityPoint(
            zones=zones,
            create_ns=9.0e6 + 4e3 * zones,
            start_ns=11.2e6 + 21e3 * zones,
            exec_ns=7.8e6 + 2e3 * zones,
            list_ns=2.1e6 + 95e3 * zones,
            kernel_bytes=540e3 + 90 * zones,
            user_bytes=212e3 - 150 * zones,
        )
        for zones in (1, 2, 5, 10, 20, 50, 100, 200)
    )


@functools.cache
def rich() -> Run:
    """All that a run can have."""
    zone = dataclasses.replace(ZONE, after=list(RUNGS)[-1], differs="device program, locked mounts")
    arms = [BARE, CONTROL, *layer_arms(), zone, *peer_arms()]
    workloads = [facts(*row[:4]) for row in WORKLOADS]
    return Run(
        started_at="2026-11-23T06:12:44Z",
        duration_s=1418.2,
        complete=True,
        zone="web",
        zone_file=ZONE_FILE,
        processor=1,
        host=HOST,
        arms=tuple(arms),
        workloads=(*workloads, *(facts(name, LIFE_GROUP, f"zonectl {name}", "zone") for name, _ in LIFE)),
        series=(*_samples(ROUNDS, [arm.name for arm in arms]), *_life(ROUNDS)),
        density=density(),
        missing=MISSING,
        warnings=WARNINGS,
        budget={"cpu": "3%", "start": "50ms"},
    )


@functools.cache
def plain() -> Run:
    """What `zonectl bench ZONE` measures when nothing else is asked for."""
    arms = (BARE, CONTROL, ZONE)
    return dataclasses.replace(
        rich(),
        arms=arms,
        workloads=tuple(each for each in rich().workloads if each.group != LIFE_GROUP),
        series=tuple(_samples(ROUNDS, [arm.name for arm in arms])),
        density=(),
        missing=(),
        warnings=(),
        budget={},
    )


def only(run: Run, *names: str) -> Run:
    """The run as if only these workloads had been asked for."""
    return dataclasses.replace(
        run,
        workloads=tuple(each for each in run.workloads if each.name in names),
        series=tuple(each for each in run.series if each.workload in names),
    )


@functools.cache
def small() -> Run:
    """One workload, a few rounds."""
    chosen = only(plain(), "getpid")
    series = tuple(dataclasses.replace(each, rounds=each.rounds[:7]) for each in chosen.series)
    return dataclasses.replace(chosen, series=series, duration_s=6.4)


@functools.cache
def broken_off() -> Run:
    """Ctrl-C in the third workload: one is whole, one has rounds that the last arm lacks, one has nothing."""
    names = ("integer", "getpid", "open")
    chosen = tuple(each for each in plain().workloads if each.name in names)
    series = []
    for each in plain().series:
        rounds = {"integer": 12, "getpid": 2 if each.arm == "zone" else 3}.get(each.workload, 0)
        if rounds:
            series.append(dataclasses.replace(each, rounds=each.rounds[:rounds]))
    return dataclasses.replace(
        plain(),
        complete=False,
        duration_s=31.0,
        workloads=chosen,
        series=tuple(series),
        warnings=WARNINGS[:1],
    )


def _times(series: Series, factor: float) -> Series:
    rounds = tuple(tuple(sample * factor for sample in samples) for samples in series.rounds)
    return dataclasses.replace(series, rounds=rounds)


@functools.cache
def earlier() -> Run:
    """Some workloads in every arm."""
    return only(rich(), "integer", "getpid", "open", "create-unlink", "sqlite")


@functools.cache
def later() -> Run:
    """The same on a newer kernel, which filters calls faster and has a slower overlay; one peer is gone."""
    factors = {("getpid", "zone"): 0.84, ("getpid", "seccomp"): 0.84, ("create-unlink", "zone"): 1.2}
    run = without(earlier(), arm="uml")
    return dataclasses.replace(
        run,
        started_at="2026-12-01T18:00:02Z",
        host=dataclasses.replace(run.host, kernel="6.19.0"),
        series=tuple(_times(each, factors.get((each.workload, each.arm), 1.0)) for each in run.series),
        warnings=("hot",),
    )


EVIL = "<script>alert(1)</script>\"'&\x1b[31m\u202eevil"
"""Markup, quotes, a terminal's command and a mark that turns the text around."""


@functools.cache
def hostile() -> Run:
    """All that a run can have, attacking."""
    return attacked(rich())


def attacked(run: Run) -> Run:
    """The run with attacks, and long ones, for every text that somebody else may have chosen."""
    long = EVIL + "x" * 120
    return dataclasses.replace(
        run,
        started_at=EVIL,
        zone=long,
        zone_file=f"# {EVIL}\nname = 1\n{long}",
        host=dataclasses.replace(
            run.host,
            kernel=long,
            processor=long,
            virtualization=EVIL,
            file_system=EVIL,
            versions={EVIL: long},
        ),
        arms=tuple(
            dataclasses.replace(
                arm,
                name=arm.name + EVIL,
                title=arm.title + long,
                differs=EVIL,
                after=arm.after and arm.after + EVIL,
                family=arm.family and arm.family + long,
                claimed=arm.claimed and EVIL,
            )
            for arm in run.arms
        ),
        workloads=tuple(
            dataclasses.replace(
                each, name=each.name + long, group=each.group + EVIL, stresses=long, operation=EVIL
            )
            for each in run.workloads
        ),
        series=tuple(
            dataclasses.replace(each, workload=each.workload + long, arm=each.arm + EVIL)
            for each in run.series
        ),
        missing=(Missing(name=EVIL, reason=long),),
        warnings=(long,),
        budget={EVIL: EVIL},
    )


ALL = {
    "rich": rich,
    "plain": plain,
    "small": small,
    "broken off": broken_off,
    "hostile": hostile,
}


def without(run: Run, *, arm: str) -> Run:
    """The run as if that arm could not be started; what stood on it stands on nothing."""
    arms = tuple(
        dataclasses.replace(each, after=None if each.after == arm else each.after)
        for each in run.arms
        if each.name != arm
    )
    return dataclasses.replace(run, arms=arms, series=tuple(each for each in run.series if each.arm != arm))
