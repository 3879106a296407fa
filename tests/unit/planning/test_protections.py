"""A host that lacks a protection, and a zone file that waives it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planning.plans import CONFIGS, FACTS, WEB, plan_of
from zonectl import config
from zonectl.errors import HostLacks
from zonectl.model.config import (
    DeviceConfig,
    MountConfig,
    NamespacesConfig,
    NetworkConfig,
    NetworkMode,
    RootConfig,
    RootSwitch,
    SecurityConfig,
    ZoneConfig,
)
from zonectl.model.facts import NAMESPACES, HostFacts
from zonectl.planning import protections

WAIVED = {
    **{
        f'namespaces.{kind} = "host"': replace(WEB, namespaces=NamespacesConfig(**{kind: False}))
        for kind in ("user", "net", "uts", "ipc", "time")
    },
    'root.switch = "chroot"': CONFIGS["chroot"],
    'security.seccomp = "off"': replace(WEB, security=SecurityConfig(seccomp="off")),
    "security.nesting = true": replace(WEB, security=SecurityConfig(nesting=True)),
    'security.devices = "unfiltered"': replace(WEB, security=SecurityConfig(filter_devices=False)),
    'device.path = "/dev/fuse"': replace(WEB, devices=(DeviceConfig(path="/dev/fuse"),)),
    "network.isolated = false": replace(WEB, network=NetworkConfig(isolated=False)),
    'security.unmask = ["/proc/kcore"]': replace(WEB, security=SecurityConfig(unmask=("/proc/kcore",))),
    'security.capabilities = ["all"]': replace(WEB, security=SecurityConfig(capabilities=("all",))),
    "mount.dev = true": replace(WEB, mounts=(MountConfig(target="/a", source="/a", dev=True),)),
    "mount.suid = true": replace(WEB, mounts=(MountConfig(target="/a", source="/a", suid=True),)),
}


def test_a_zone_waives_nothing_by_default() -> None:
    assert protections.waivers(WEB) == ()


@pytest.mark.parametrize("key", WAIVED)
def test_what_a_key_waives_is_told(key: str) -> None:
    waived = protections.waivers(WAIVED[key])
    assert [waiver.key for waiver in waived] == [key]
    assert all(waiver.protection for waiver in waived)
    assert waived[0].name == key.split(maxsplit=1)[0]


def test_every_waiver_of_the_table_is_a_key_of_zone_files() -> None:
    assert {each.waiver for each in protections.PROTECTIONS if each.waiver} <= WAIVED.keys()
    for each in protections.PROTECTIONS:
        if each.waiver:
            text = f'name = "web"\nroot.image = "debian:12"\n{each.waiver}\n'
            assert each.waived(config.parse(text, file="web.toml", folder="/"))


def test_a_shared_network_is_told_once_whichever_key_says_so() -> None:
    both = replace(
        WEB,
        network=NetworkConfig(mode=NetworkMode.HOST, isolated=False),
        namespaces=NamespacesConfig(net=False),
    )
    assert [waiver.name for waiver in protections.waivers(both)] == ["namespaces.net"]


def test_no_filter_at_all_waives_no_rule_of_it() -> None:
    off = replace(WEB, security=SecurityConfig(seccomp="off", nesting=True))
    assert [waiver.name for waiver in protections.waivers(off)] == ["security.seccomp"]


def test_a_system_may_have_what_a_system_needs() -> None:
    systemd = replace(WEB, command=("/sbin/init",))
    assert protections.waivers(systemd) == ()
    assert (
        protections.waivers(replace(WEB, security=SecurityConfig(capabilities=("default", "!net_raw")))) == ()
    )


def test_limits_that_are_not_enforced_are_told() -> None:
    waived = protections.waivers(WEB, ["not enforced: resources.memory (memory: bound to cgroup v1)"])
    assert [(waiver.key, waiver.protection) for waiver in waived] == [
        ("resources.required = false", "not enforced: resources.memory (memory: bound to cgroup v1)")
    ]


LACKING: dict[str, tuple[HostFacts, ZoneConfig, str]] = {
    **{
        f"{kind} namespaces": (
            replace(FACTS, namespaces=NAMESPACES - {kind}),
            replace(WEB, namespaces=NamespacesConfig(**{kind: False})),
            f'namespaces.{kind} = "host"',
        )
        for kind in ("user", "net", "uts", "ipc", "time")
    },
    "seccomp filters": (
        replace(FACTS, seccomp=False),
        replace(WEB, security=SecurityConfig(seccomp="off")),
        'security.seccomp = "off"',
    ),
}


@pytest.mark.parametrize("what", LACKING)
def test_a_protection_that_the_host_lacks_stops_the_start_unless_waived(what: str) -> None:
    facts, waiving, key = LACKING[what]
    with pytest.raises(HostLacks, match=what) as raised:
        plan_of(WEB, facts=facts)
    assert raised.value.hint == f"to do without: {key}"
    assert "\n" not in raised.value.message
    plan_of(waiving, facts=facts)


@pytest.mark.parametrize("kind", ["mnt", "pid", "cgroup"])
def test_some_protections_nobody_can_do_without(kind: str) -> None:
    with pytest.raises(HostLacks, match=f"{kind} namespaces") as raised:
        plan_of(WEB, facts=replace(FACTS, namespaces=NAMESPACES - {kind}))
    assert raised.value.hint == "zonectl doctor"


def test_all_lacks_are_told_at_once() -> None:
    with pytest.raises(HostLacks) as raised:
        plan_of(WEB, facts=replace(FACTS, namespaces=NAMESPACES - {"time", "uts"}, seccomp=False))
    assert raised.value.hint == (
        'to do without: namespaces.uts = "host", namespaces.time = "host", security.seccomp = "off"'
    )
    assert raised.value.message.count("; ") == 2


def test_doctor_tells_which_namespace_cannot_be_made() -> None:
    assert protections.remedy("clone3", "flags 0x6c020000") == "zonectl doctor"


@pytest.mark.parametrize(
    ("call", "subject", "key"),
    [
        ("seccomp", "SECCOMP_SET_MODE_FILTER", 'security.seccomp = "off"'),
        ("bpf", "BPF_CGROUP_DEVICE", 'security.devices = "unfiltered"'),
        ("pivot_root", ".", 'root.switch = "chroot"'),
        ("unshare", "flags 0x80", 'namespaces.time = "host"'),
        ("unshare", "flags 0x20000", None),
        ("sethostname", "web", 'namespaces.uts = "host"'),
        ("execve", "/bin/sh", None),
    ],
)
def test_the_key_that_a_failed_call_points_to(call: str, subject: str, key: str | None) -> None:
    assert protections.remedy(call, subject) == (f"to do without: {key}" if key else None)


def test_a_chroot_is_a_weaker_root() -> None:
    config_ = replace(WEB, root=RootConfig(image="debian:12", switch=RootSwitch.CHROOT))
    assert protections.waivers(config_)[0].protection == "a root from which no path leads back"
