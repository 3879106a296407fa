"""What files of system calls mean, as rules, and compiled."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.security.seccomp import bpf
from zonectl.config.profile_file import read_oci, read_toml
from zonectl.model.capabilities import DEFAULT, mask
from zonectl.security.seccomp import builtin
from zonectl.security.seccomp.architectures import AARCH64, X86_64, Architecture, every_name
from zonectl.security.seccomp.compiler import compile_profile
from zonectl.security.seccomp.files import Setting, needed_and_refused, of_file, of_oci
from zonectl.security.seccomp.profile import ALLOW, ENOSYS, EPERM, KILL, Action, Profile, Verdict, fails

HERE = Setting(capabilities=DEFAULT, architecture=X86_64, kernel=(6, 12))


def own(text: str) -> Profile:
    return of_file(read_toml(text, file="p.toml", known=every_name()), "p")


def oci(document: dict[str, Any], setting: Setting = HERE) -> Profile:
    known = every_name()
    machine = "SCMP_ARCH_X86_64" if setting.architecture is X86_64 else "SCMP_ARCH_AARCH64"
    file = read_oci(json.dumps(document), file="p.json", known=known, architecture=machine)
    return of_oci(file, "p", setting=setting, known=known)


def answer(profile: Profile, name: str, *arguments: int, architecture: Architecture = X86_64) -> int:
    """What the compiled program says."""
    code = bpf.decode(compile_profile(profile, architecture))
    bpf.check(code)
    six = (*arguments, *(0,) * (6 - len(arguments)))
    return bpf.run(code, number=architecture.numbers[name], arch=architecture.audit, arguments=six)[0]


def test_a_file_says_who_is_allowed_and_the_rest_is_refused() -> None:
    profile = own('allow = ["read"]\n')
    assert answer(profile, "read") == ALLOW.value
    assert answer(profile, "write") == EPERM.value
    code = bpf.decode(compile_profile(profile, X86_64))
    assert bpf.run(code, number=1000, arch=X86_64.audit)[0] == ENOSYS.value


def test_a_file_decides_before_its_base() -> None:
    profile = own(
        """
base = "default"
otherwise = "EACCES"
allow = ["keyctl"]
refuse = ["ptrace"]
[[rule]]
calls = ["socket"]
action = "kill"
when = [{ argument = 0, bits = 32, equals = 17 }]
"""
    )
    assert answer(profile, "keyctl", 0) == ALLOW.value
    assert answer(profile, "ptrace") == fails(errno.EACCES).value
    assert answer(profile, "bpf") == fails(errno.EACCES).value
    assert answer(profile, "socket", 17) == KILL.value
    assert answer(profile, "socket", 16) == ALLOW.value
    assert answer(profile, "socket", 38) == fails(errno.EAFNOSUPPORT).value
    assert answer(profile, "read") == ALLOW.value


def test_strict_as_a_base_brings_no_new_privs() -> None:
    assert own('base = "strict"').no_new_privs
    assert own("no_new_privs = true").no_new_privs
    assert not own('base = "default"').no_new_privs


@pytest.mark.parametrize(
    ("condition", "holds", "fails_for"),
    [
        ("bits = 32, equals = 5", [5, 5 | 1 << 32], [4, 6]),
        ("bits = 64, equals = 5", [5], [4, 5 | 1 << 32]),
        ("bits = 32, differs = 5", [4, 6 | 1 << 63], [5, 5 | 1 << 32]),
        ("bits = 64, differs = 5", [5 | 1 << 32, 4], [5]),
        ("bits = 32, mask = 0xf0, equals = 0x50", [0x50, 0x5F, 0xF5F | 1 << 40], [0x60, 0xF0]),
        ("bits = 32, least = 3, most = 9", [3, 9, 5 | 1 << 32], [2, 10, 10 | 1 << 32]),
        ("bits = 64, least = 0x100000000", [1 << 32, 1 << 63], [0xFFFFFFFF, 0]),
        ("bits = 64, most = 0x100000005", [1 << 32 | 5, 9], [1 << 32 | 6, 2 << 32]),
    ],
)
def test_conditions(condition: str, holds: list[int], fails_for: list[int]) -> None:
    profile = own(
        f'[[rule]]\ncalls = ["getpgid"]\naction = "allow"\nwhen = [{{ argument = 0, {condition} }}]\n'
    )
    for value in holds:
        assert answer(profile, "getpgid", value) == ALLOW.value, hex(value)
    for value in fails_for:
        assert answer(profile, "getpgid", value) == EPERM.value, hex(value)


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("allow", ALLOW),
        ("kill", KILL),
        ("kill_thread", Action(Verdict.KILL_THREAD)),
        ("trap", Action(Verdict.TRAP)),
        ("log", Action(Verdict.LOG)),
        ("ENOTTY", fails(errno.ENOTTY)),
        ("errno 4095", fails(4095)),
    ],
)
def test_actions(word: str, action: Action) -> None:
    assert answer(own(f'otherwise = "{word}"'), "getpgid") == action.value


def test_a_profile_that_starts_nothing_is_found() -> None:
    assert needed_and_refused(own('allow = ["read"]')) == ("execve",)
    assert needed_and_refused(own('allow = ["execve"]')) == ()
    assert needed_and_refused(own('otherwise = "allow"\nrefuse = ["read"]')) == ()
    for name in builtin.NAMES:
        assert needed_and_refused(builtin.named(name, nesting=False)) == ()


def test_no_file_makes_namespaces_without_nesting() -> None:
    everything = own('otherwise = "allow"\nunknown = "allow"')
    for profile in (everything, own('allow = ["clone", "clone3", "unshare", "setns"]')):
        guarded = builtin.guarded(profile)
        for architecture in (X86_64, AARCH64):
            for name, flags in (("clone", 0x10000011), ("unshare", 0x20000), ("unshare", 0x80), ("setns", 0)):
                assert answer(profile, name, flags, architecture=architecture) == ALLOW.value
                assert answer(guarded, name, flags, architecture=architecture) == EPERM.value
            assert answer(guarded, "clone3", architecture=architecture) == ENOSYS.value
            assert answer(guarded, "clone", 0x3D0F00, architecture=architecture) == ALLOW.value
    assert answer(builtin.guarded(own('allow = ["read"]')), "clone", 0x11) == EPERM.value


def test_the_example_of_the_manual() -> None:
    manual = Path(__file__).parents[4] / "docs" / "manual" / "seccomp.md"
    (example,) = re.findall(r"```toml\n(base = .*?)```", manual.read_text(encoding="utf-8"), re.DOTALL)
    profile = own(example)
    assert answer(profile, "keyctl") == ALLOW.value
    assert answer(profile, "symlink") == EPERM.value
    assert answer(profile, "socket", 16) == fails(errno.EACCES).value
    assert answer(profile, "socket", 2) == ALLOW.value
    assert profile.no_new_privs


# --------------------------------------------------------------------------------------------------------------- OCI


def allowing(*names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", **more}


def test_a_profile_as_podman_writes_it() -> None:
    """The forms that its default profile has: sub-architectures, errnos by name and number, includes and excludes."""
    profile = oci(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "defaultErrno": "ENOSYS",
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}
            ],
            "syscalls": [
                {"names": ["bdflush", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EPERM"},
                allowing("_llseek", "read", "execve", args=[], comment="", includes={}, excludes={}),
                allowing("personality", args=[{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]),
                allowing("personality", args=[{"index": 0, "value": 0, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]),
                allowing("arch_prctl", includes={"arches": ["amd64", "x32"]}),
                allowing("sync_file_range2", includes={"arches": ["ppc64le"]}),
                allowing("getpgid", includes={"arches": ["arm64"]}),
                allowing("chroot", includes={"caps": ["CAP_SYS_CHROOT"]}),
                allowing("reboot", includes={"caps": ["CAP_SYS_BOOT"]}),
                allowing("ptrace", includes={"minKernel": "4.8"}),
                allowing("kcmp", includes={"minKernel": "9.8"}),
                allowing(
                    "clone",
                    args=[{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
                    excludes={"caps": ["CAP_SYS_ADMIN"], "arches": ["s390", "s390x"]},
                ),
                {
                    "names": ["clone3"],
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": 38,
                    "excludes": {"caps": ["CAP_SYS_ADMIN"]},
                },
                {
                    "names": ["socket"],
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": 22,
                    "args": [
                        {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
                        {"index": 2, "value": 9, "op": "SCMP_CMP_EQ"},
                    ],
                    "excludes": {"caps": ["CAP_AUDIT_WRITE"]},
                },
                allowing("socket", args=[{"index": 2, "value": 9, "op": "SCMP_CMP_NE"}]),
                allowing("socket", args=[{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]),
            ],
        }
    )
    allowed = ["read", "execve", "arch_prctl", "chroot", "ptrace"]
    assert {name: answer(profile, name) for name in allowed} == dict.fromkeys(allowed, ALLOW.value)
    assert answer(profile, "bpf") == EPERM.value
    for refused in ("write", "getpgid", "reboot", "kcmp", "clone3"):
        assert answer(profile, refused) == ENOSYS.value
    assert [answer(profile, "personality", value) for value in (0, 8, 9)] == [
        ALLOW.value,
        ALLOW.value,
        ENOSYS.value,
    ]
    assert answer(profile, "clone", 0x11) == ALLOW.value
    assert answer(profile, "clone", 0x10000011) == ENOSYS.value
    assert answer(profile, "socket", 16, 3, 9) == fails(errno.EINVAL).value
    assert answer(profile, "socket", 16, 3, 0) == ALLOW.value
    assert answer(profile, "socket", 1, 1, 9) == ALLOW.value
    assert profile.passed_over == ("_llseek", "bdflush")


def test_capabilities_of_the_zone_decide_what_is_included() -> None:
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            allowing("mount", includes={"caps": ["CAP_SYS_ADMIN"]}),
            allowing("setns", excludes={"caps": ["CAP_SYS_ADMIN"]}),
        ],
    }
    for granted, included in ((DEFAULT, False), (mask(("sys_admin",)), True)):
        profile = oci(document, Setting(capabilities=granted, architecture=X86_64, kernel=(6, 1)))
        assert (answer(profile, "mount") == ALLOW.value) == included
        assert (answer(profile, "setns") == ALLOW.value) != included


def test_what_is_newer_than_all_that_the_file_names_is_not_there() -> None:
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [allowing("read", "statx")]}
    for architecture in (X86_64, AARCH64):
        profile = oci(document, Setting(capabilities=0, architecture=architecture, kernel=(6, 1)))
        assert answer(profile, "write", architecture=architecture) == EPERM.value
        assert answer(profile, "faccessat2", architecture=architecture) == ENOSYS.value
    kills = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [allowing("read")]}
    assert answer(oci(kills), "faccessat2") == KILL.value


def test_one_argument_compared_twice_is_either() -> None:
    twice = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (3, 5)]
    profile = oci({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [allowing("getpgid", args=twice)]})
    allowed = {value for value in range(8) if answer(profile, "getpgid", value) == ALLOW.value}
    assert allowed == {3, 5}


def test_a_rule_without_conditions_decides() -> None:
    condition = [{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]
    refuse = {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": condition}
    for rules in ([refuse, allowing("getpgid")], [allowing("getpgid"), refuse]):
        profile = oci({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})
        assert answer(profile, "getpgid", 3) == ALLOW.value
