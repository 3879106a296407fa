"""Whether a difference is found, and only where there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.observations import as_declared
from tests.unit.planning.plans import CONFIGS, plan_of
from zonectl.model import capabilities, seccomp
from zonectl.model.audit import Connection, DeviceFilter, Filter, Verdict
from zonectl.model.config import ResourcesConfig
from zonectl.model.limits import UNLIMITED, Limit
from zonectl.planning import audit
from zonectl.planning.audit import limits, sysctls

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.audit import Finding, Observed
    from zonectl.model.config import ZoneConfig

    Change = Callable[[Observed], Observed]


def _audited(config: ZoneConfig, change: Change = lambda observed: observed) -> tuple[Finding, ...]:
    made = plan_of(config)
    return audit.findings(config, made, change(as_declared(config, made)))


def _differing(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(each.area, each.name) for each in findings if not each.verdict.good]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_zone_as_declared(name: str) -> None:
    findings = _audited(CONFIGS[name])
    assert {each.verdict for each in findings} == {Verdict.HOLDS}
    assert len({(each.area, each.name) for each in findings}) == len(findings)


def _credential(**changes: object) -> Change:
    def change(observed: Observed) -> Observed:
        return replace(observed, credentials=replace(observed.credentials, **changes))  # type: ignore[arg-type]

    return change


def _standing(path: str, **changes: object) -> Change:
    def change(observed: Observed) -> Observed:
        altered = [
            replace(each, **changes) if each.path == path else each  # type: ignore[arg-type]
            for each in observed.standings
        ]
        return replace(observed, standings=tuple(altered))

    return change


def _setting(file: str, text: str | None) -> Change:
    def change(observed: Observed) -> Observed:
        assert file in dict(observed.settings)
        return replace(observed, settings=tuple({**dict(observed.settings), file: text}.items()))

    return change


def _shared(kind: str) -> Change:
    return lambda observed: replace(observed, shared=observed.shared | {kind})


def _connected(**changes: object) -> Change:
    return lambda observed: replace(
        observed,
        connection=replace(Connection(guarded=True, isolated=True), **changes),  # type: ignore[arg-type]
    )


def _attribute(**changes: object) -> Change:
    def change(observed: Observed) -> Observed:
        return replace(observed, attributes=replace(observed.attributes, **changes))  # type: ignore[arg-type]

    return change


def _limit(name: str, soft: int, hard: int) -> Change:
    def change(observed: Observed) -> Observed:
        limits = {**dict(observed.attributes.limits), name: Limit(soft, hard)}
        return _attribute(limits=tuple(limits.items()))(observed)

    return change


def _sysctl(name: str, text: str | None) -> Change:
    def change(observed: Observed) -> Observed:
        assert name in dict(observed.sysctls)
        return replace(observed, sysctls=tuple({**dict(observed.sysctls), name: text}.items()))

    return change


SYS_ADMIN = capabilities.SYS_ADMIN
DIFFERENCES: list[tuple[str, Change, str, str]] = [
    *(("default", _shared(kind), "namespaces", kind) for kind in audit.namespaces.KINDS),
    ("default", lambda seen: replace(seen, kinds=seen.kinds - {"net"}), "namespaces", "net"),
    ("default", _credential(uid_map="0 0 4294967295"), "namespaces", "uid map"),
    ("default", _credential(gid_map=""), "namespaces", "gid map"),
    ("default", _credential(uids=(1_000_033, 0, 1_000_033, 1_000_033)), "privileges", "user ids"),
    ("default", _credential(gids=(1_065_536,) * 4), "privileges", "group ids"),
    ("default", _credential(bounding=capabilities.DEFAULT | SYS_ADMIN), "privileges", "bounding"),
    ("default", _credential(permitted=capabilities.ALL), "privileges", "permitted"),
    ("default", _credential(effective=1 << 60), "privileges", "effective"),
    ("default", _credential(inheritable=1), "privileges", "inheritable"),
    ("default", _credential(ambient=1), "privileges", "ambient"),
    ("host-ids", _credential(permitted=1), "privileges", "permitted"),
    ("reaper", _credential(no_new_privs=False), "privileges", "no_new_privs"),
    ("default", _standing("/proc", mounted=False, reason="not a mount"), "mounts", "/proc"),
    ("default", _standing("/proc", fstype="tmpfs"), "mounts", "/proc"),
    ("default", _standing("/sys", options=frozenset({"nosuid", "nodev", "noexec"})), "mounts", "/sys"),
    ("readonly", _standing("/", options=frozenset({"nodev"})), "mounts", "/"),
    ("fixed", _standing("/", options=frozenset({"nodev"})), "mounts", "/"),
    ("fixed", _standing("/var/lib/dpkg", options=frozenset({"nodev"})), "mounts", "/var/lib/dpkg"),
    ("fixed", _standing("/var/lib/dpkg", mounted=False, reason="not a mount"), "mounts", "/var/lib/dpkg"),
    ("mounts", _standing("/etc/web.conf", options=frozenset({"nodev", "nosuid"})), "mounts", "/etc/web.conf"),
    ("default", _standing("/dev/null", kind="device 8:0"), "devices", "/dev/null"),
    ("default", _standing("/dev/tty", kind="", reason="no such file"), "devices", "/dev/tty"),
    ("default", _standing("/proc/kcore", mounted=False, reason="not a mount"), "masks", "/proc/kcore"),
    ("default", _standing("/proc/keys", kind="file"), "masks", "/proc/keys"),
    ("default", _standing("/proc/keys", options=frozenset()), "masks", "/proc/keys"),
    ("default", _standing("/sys/firmware", kind="folder"), "masks", "/sys/firmware"),
    ("default", _standing("/proc/sys", options=frozenset({"nodev"})), "masks", "/proc/sys"),
    ("default", _attribute(nice=-5), "process", "nice"),
    ("default", _attribute(oom_score_adj=-1), "process", "oom_score_adj"),
    ("default", _attribute(policy=1), "process", "scheduler"),
    ("default", _attribute(policy=77), "process", "scheduler"),
    ("default", _limit("nofile", 1024, 1 << 20), "process", "limits.nofile"),
    ("default", _limit("core", 0, UNLIMITED), "process", "limits.core"),
    (
        "default",
        lambda seen: replace(seen, devices=DeviceFilter(attached=(), wanted="a")),
        "devices",
        "filter",
    ),
    (
        "default",
        lambda seen: replace(seen, devices=DeviceFilter(attached=("b",), wanted="a")),
        "devices",
        "filter",
    ),
    ("default", lambda seen: replace(seen, devices=None), "devices", "filter"),
    ("limits", _setting("memory.max", "max\n"), "limits", "memory.max"),
    ("limits", _setting("memory.max", f"{(512 << 20) + 4096}\n"), "limits", "memory.max"),
    ("limits", _setting("memory.max", f"{256 << 20}\n"), "limits", "memory.max"),
    ("limits", _setting("cpu.max", "max 100000\n"), "limits", "cpu.max"),
    ("limits", _setting("pids.max", None), "limits", "pids.max"),
    ("limits", _setting("cgroup.max.depth", "max\n"), "limits", "cgroup.max.depth"),
    ("default", lambda seen: replace(seen, group="/"), "limits", "group"),
    ("default", lambda seen: replace(seen, group=seen.group + "x"), "limits", "group"),
    ("default", _connected(problems=("its link is gone",)), "network", "link"),
    ("default", _connected(guarded=False), "network", "port"),
    ("default", _connected(isolated=False), "network", "neighbours"),
    ("flexible-copy", _sysctl("net.ipv4.ip_forward", "0\n"), "sysctl", "net.ipv4.ip_forward"),
    ("flexible-copy", _sysctl("net.ipv4.ip_forward", None), "sysctl", "net.ipv4.ip_forward"),
    ("flexible-copy", _sysctl("kernel.domainname", "(none)\n"), "sysctl", "kernel.domainname"),
]


@pytest.mark.parametrize(("name", "change", "area", "what"), DIFFERENCES)
def test_one_difference_is_one_line(name: str, change: Change, area: str, what: str) -> None:
    assert _differing(_audited(CONFIGS[name], change)) == [(area, what)]


NARROWER: list[tuple[str, Change, str]] = [
    ("default", _credential(bounding=0), "bounding"),
    ("default", _credential(effective=0), "effective"),
    ("default", _credential(no_new_privs=True), "no_new_privs"),
    ("default", _standing("/scratch", mounted=True), ""),
    ("default", _standing("/dev/shm", options=frozenset({"ro", "nosuid", "nodev"})), "/dev/shm"),
    ("default", _attribute(umask=0), "umask"),
    ("default", _attribute(nice=19), "nice"),
    ("default", _attribute(oom_score_adj=1000), "oom_score_adj"),
    ("default", _limit("nofile", 524_288, 524_288), "limits.nofile"),
    ("default", _limit("nofile", 64, 64), "limits.nofile"),
]


@pytest.mark.parametrize(("name", "change", "what"), NARROWER)
def test_less_than_declared_is_said_and_fine(name: str, change: Change, what: str) -> None:
    findings = _audited(CONFIGS[name], change)
    assert _differing(findings) == []
    assert [each.name for each in findings if each.verdict is Verdict.NARROWER] == ([what] if what else [])


def test_what_the_root_does_not_have_is_not_kept() -> None:
    absent = _standing("/var/lib/dpkg", mounted=False, kind="", reason="no such file or directory")
    assert _differing(_audited(CONFIGS["fixed"], absent)) == []


def test_what_the_kernel_does_not_have_needs_no_mask() -> None:
    absent = _standing("/proc/kcore", mounted=False, kind="", reason="no such file or directory")
    assert _differing(_audited(CONFIGS["default"], absent)) == []


def test_a_group_of_the_zones_own_is_in_its_group() -> None:
    findings = _audited(CONFIGS["default"], lambda seen: replace(seen, group=seen.group + "/init.scope"))
    assert _differing(findings) == []


def test_limits_that_are_not_enforced_are_not_declared() -> None:
    config = replace(
        CONFIGS["default"], resources=ResourcesConfig(hugetlb=(("2MB", 4 << 20),), required=False)
    )
    assert "limits" in {each.area for each in _audited(config)}
    assert not any(each.name.startswith("hugetlb") for each in _audited(config))


@pytest.mark.parametrize(
    ("file", "declared", "found", "agree"),
    [
        ("memory.max", "1000000", "999424\n", True),
        ("memory.max", "1000000", "1003520\n", False),
        ("memory.max", "1000000", "max\n", False),
        ("memory.oom.group", "1", "1\n", True),
        ("memory.oom.group", "1", "0\n", False),
        ("hugetlb.2MB.max", str(5 << 20), f"{4 << 20}\n", True),
        ("hugetlb.1GB.rsvd.max", str(3 << 29), f"{1 << 30}\n", True),
        ("hugetlb.2MB.max", str(5 << 20), f"{6 << 20}\n", False),
        ("cpuset.cpus", "0,1,2", "0-2\n", True),
        ("cpuset.cpus", "0,1,2", "0-3\n", False),
        ("io.max", "rbps=50000000 wiops=100", "rbps=50000000 wbps=max riops=max wiops=100\n", True),
        ("io.max", "rbps=50000000", "rbps=max wbps=max riops=max wiops=max\n", False),
        ("cpu.max", "150000 100000", "150000 100000\n", True),
        ("io.weight", "default 50", "default 50\n8:0 200\n", True),
    ],
)
def test_what_the_kernel_rounds_and_respells(file: str, declared: str, found: str, agree: bool) -> None:
    assert limits.agrees(file, declared=declared, found=found) is agree


@pytest.mark.parametrize(
    ("name", "declared", "found", "agree"),
    [
        ("net.ipv4.tcp_rmem", "4096 87380 6291456", "4096\t87380\t6291456\n", True),
        ("net.ipv4.tcp_rmem", "4096", "4096\t87380\t6291456\n", True),
        ("net.ipv4.tcp_rmem", "4096 87380 6291456", "4096\t87380\t6291457\n", False),
        ("net.ipv4.tcp_rmem", "4096 87380 6291456", "4096\n", False),
        ("net.ipv4.ip_default_ttl", "0x40", "64\n", True),
        ("net.ipv4.ip_default_ttl", "0100", "64\n", True),
        ("net.ipv4.ip_default_ttl", "100", "64\n", False),
        ("net.ipv6.conf.all.accept_ra", "-1", "-1\n", True),
        ("net.ipv6.conf.all.accept_ra", "-1", "1\n", False),
        ("net.ipv4.neigh.eth0.retrans_time_ms", "1005", "1008\n", True),
        ("net.ipv4.neigh.eth0.retrans_time_ms", "1005", "1015\n", False),
        ("net.ipv4.neigh.eth0.retrans_time_ms", "1005", "1004\n", False),
        ("net.ipv4.neigh.eth0.gc_stale_time", "60", "61\n", False),
        ("net.ipv4.ip_local_reserved_ports", "1,2,3,80", "1-3,80\n", True),
        ("net.ipv4.ip_local_reserved_ports", "1-4", "1-3,80\n", False),
        ("net.ipv4.ip_local_reserved_ports", "80", "\n", False),
        ("net.ipv4.ip_local_reserved_ports", "", "\n", True),
        ("net.ipv4.ip_local_reserved_ports", "", "80\n", False),
        ("net.ipv4.tcp_congestion_control", "reno", "reno\n", True),
        ("net.ipv4.tcp_allowed_congestion_control", "reno", "reno cubic\n", False),
        ("kernel.domainname", "example.org", "example.org\n", True),
        ("kernel.domainname", "08", "8\n", False),
        ("kernel.domainname", "1-3", "1-99999999999\n", False),
    ],
)
def test_a_setting_as_the_kernel_spells_it(name: str, declared: str, found: str, agree: bool) -> None:
    assert sysctls.agrees(name, declared=declared, found=found) is agree


@given(st.text(), st.text())
def test_any_text_of_a_setting_can_be_compared(declared: str, found: str) -> None:
    assert sysctls.agrees("kernel.domainname", declared=declared, found=declared)
    assert sysctls.agrees("kernel.domainname", declared=declared, found=found) in {True, False}


PROFILE = seccomp.Filter(name="mine", digest="0" * 64, program=b"\6\0\0\0\0\0\xff\x7f")


@pytest.mark.parametrize(
    ("wanted", "found", "wrong"),
    [
        (None, Filter(mode=0, count=0), []),
        (None, Filter(mode=2, count=1), []),
        (PROFILE, Filter(mode=2, count=1, program=PROFILE.program), []),
        (PROFILE, Filter(mode=2, count=3, program=PROFILE.program), []),
        (PROFILE, Filter(mode=0, count=0), ["mode"]),
        (PROFILE, Filter(mode=1, count=0), ["mode"]),
        (PROFILE, Filter(mode=2, count=1, program=PROFILE.program * 2), ["profile"]),
        (PROFILE, Filter(mode=2, count=1, reason="ptrace: Operation not permitted"), ["profile"]),
    ],
)
def test_the_filter_is_compared_instruction_for_instruction(
    wanted: seccomp.Filter | None, found: Filter, wrong: list[str]
) -> None:
    made = plan_of(CONFIGS["default"])
    made = replace(made, restrict=replace(made.restrict, seccomp=wanted))
    observed = replace(as_declared(CONFIGS["default"], made), filter=found)
    findings = audit.findings(CONFIGS["default"], made, observed)
    assert _differing(findings) == [("seccomp", name) for name in wrong]


@given(st.integers(0, capabilities.ALL), st.integers(0, (1 << 64) - 1))
def test_no_capability_comes_unseen(declared: int, found: int) -> None:
    finding = audit.identity._set("bounding", declared, found)
    assert finding.verdict.good == (found & ~declared == 0)
    assert (finding.verdict is Verdict.HOLDS) == (found == declared)
