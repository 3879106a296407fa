"""Filters of system calls, from outside: who has one, what it refuses, profiles from files, and how they are shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl

SECCOMP = ["sh", "-c", "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status"]
FILTERED, UNFILTERED = "NoNewPrivs:\t0\nSeccomp:\t2\n", "NoNewPrivs:\t0\nSeccomp:\t0\n"
PROFILE = """\
base = "default"
refuse = ["mkdir", "mkdirat"]
[[rule]]
calls = ["unlink", "unlinkat"]
action = "EBUSY"
"""


@pytest.fixture(scope="module")
def zone(shared: Zonectl) -> Iterator[Zonectl]:
    shared.define("plain")
    shared("start", "plain")
    yield shared
    shared("delete", "-f", "plain")


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_init_and_every_exec_have_it(zone: Zonectl, *, cold: bool) -> None:
    call = zone.cold if cold else zone
    assert zone.exec("plain", "grep", "Seccomp:", "/proc/1/status").out == "Seccomp:\t2\n"
    assert call("exec", "plain", *SECCOMP).out == FILTERED
    assert call("exec", "--user", "nobody", "plain", *SECCOMP).out == FILTERED
    assert call("run", *zone.sets, "busybox", "--", *SECCOMP).out == FILTERED
    with zone.terminal("exec", "-t", "plain", *SECCOMP) as terminal:
        terminal.expect("Seccomp:\t2")
        assert terminal.wait() == 0


def test_off_is_none_and_strict_is_for_good(zone: Zonectl) -> None:
    assert zone.run(*SECCOMP, options=("--set", "security.seccomp=off")).out == UNFILTERED
    found = zone.run(*SECCOMP, options=("--set", "security.seccomp=strict")).out
    assert found == "NoNewPrivs:\t1\nSeccomp:\t2\n"


def test_namespaces_need_nesting(zone: Zonectl) -> None:
    refused = zone.run("unshare", "-U", "true", code=1)
    assert "Operation not permitted" in refused.err
    zone.run("unshare", "-U", "true", options=("--set", "security.nesting=true"))
    zone.run("unshare", "-U", "true", options=("--set", "security.seccomp=off"))


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_file_is_kept_with_the_zone(z: Zonectl, suffix: str) -> None:
    path = z.folder / f"profile.{suffix}"
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    busy = {"names": ["unlink", "unlinkat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 16}
    oci = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused, busy]})
    path.write_text(PROFILE if suffix == "toml" else oci)
    z.define("filed", more=f'[security]\nseccomp = "profile.{suffix}"\n')
    path.write_text("what it says now is of no interest")
    path.unlink()
    z("start", "filed")
    for words, error in ((("mkdir", "/tmp/x"), "not permitted"), (("rm", "/bin/ls"), "busy")):
        assert error in z.exec("filed", *words, code=1).err
    z.exec("filed", "unshare", "-U", "true", code=1)
    z("restart", "filed")
    z.exec("filed", "mkdir", "/tmp/x", code=1)
    assert json.loads(z("seccomp", "show", "--json", "filed").out)["profile"] == str(path)


def test_a_file_with_problems_stops_create_and_leaves_nothing(z: Zonectl) -> None:
    path = z.folder / "profile.toml"
    path.write_text('allow = ["raed"]\nunknown = "EPREM"\n')
    zone = z.write(
        "web", 'name = "web"\nroot = { image = "busybox" }\nsecurity = { seccomp = "profile.toml" }\n'
    )
    refused = z("create", zone, code=2)
    assert f"{path}:1: allow[0]: there is no system call 'raed' (did you mean read?)" in refused.err
    assert f"{path}:2: unknown: 'EPREM' is neither" in refused.err
    assert z.list() == {}
    assert "No such file" in z("create", "--set", "security.seccomp=gone.json", zone, code=2).err


def test_profiles_are_shown(zone: Zonectl) -> None:
    names = [line.split()[0] for line in zone("seccomp", "list", "--no-headers").lines]
    assert names == zone("seccomp", "list", "-q").lines == ["default", "strict"]
    text = zone("seccomp", "show", "default").out
    assert "EPERM where argument 1 (32 bits) is 0x5412" in text
    shown = json.loads(zone("seccomp", "show", "--json", "--bpf", "plain").out)
    assert shown["profile"] == "default"
    assert shown["digest"] in text
    assert shown["program_digest"] in text
    assert len(shown["bpf"]) == shown["instructions"]
    assert "bpf" in shown["answers"]["EPERM"]
    other = json.loads(zone("seccomp", "show", "--json", "--arch", "aarch64", "default").out)
    assert (other["architecture"], other["digest"]) == ("aarch64", shown["digest"])
    assert "neither a profile nor" in zone("seccomp", "show", "No Such", code=2).err
    zone("seccomp", "show", "nowhere", code=4)


def test_a_compiled_filter_is_kept_and_made_anew_when_damaged(z: Zonectl) -> None:
    assert z.cold("run", *z.sets, "busybox", "--", *SECCOMP).out == FILTERED
    (entry,) = (z.run_root / "filters").iterdir()
    whole = entry.read_bytes()
    # An answer of EPERM becomes one of "allowed", as whoever could write there might wish.
    entry.write_bytes(whole.replace(b"0600000001000500", b"060000000000ff7f"))
    assert entry.read_bytes() != whole
    z.cold("run", *z.sets, "busybox", "--", "unshare", "-U", "true", code=1)
    assert entry.read_bytes() == whole
