"""A protection that turns out not to be there stops the start: named, with the key that would waive it, nothing left.

The calls are made to fail for real, by a filter of the test's own, as a container around zonectl would have one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import TYPE_CHECKING

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.instance import Zonectl

pytestmark = pytest.mark.requires("seccomp", "capability:sys_admin")

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
NUMBERS = {
    "x86_64": {"seccomp": 317, "pivot_root": 155, "bpf": 321, "sethostname": 170},
    "aarch64": {"seccomp": 277, "pivot_root": 41, "bpf": 280, "sethostname": 161},
}.get(platform.machine(), {})

KEYS = {
    "seccomp": 'security.seccomp = "off"',
    "pivot_root": 'root.switch = "chroot"',
    "sethostname": 'namespaces.uts = "host"',
    "bpf": 'security.devices = "unfiltered"',
}
"""Calls that fail, and the key that the command then names."""


def refusing(call: str) -> Callable[[], None]:
    """What a child does to be refused `call` from then on, with EPERM, and all that it starts."""
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (LOAD_NUMBER, 0, 0, 0),
            (JUMP_EQUAL, 0, 1, NUMBERS[call]),
            (RETURN, 0, 0, RET_ERRNO | errno.EPERM),
            (RETURN, 0, 0, RET_ALLOW),
        )
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def confine() -> None:
        assert instructions
        if prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0):
            os._exit(99)

    return confine


@pytest.mark.parametrize("call", KEYS)
def test_a_command_that_is_confined_itself(z: Zonectl, call: str) -> None:
    assert z.cold("run", *z.sets, "busybox", "--", "true").code == 0
    refused = z.cold("run", *z.sets, "busybox", "--", "true", code=125, preexec_fn=refusing(call))
    said, hint = refused.err.splitlines()
    assert f"{call}" in said
    assert "Operation not permitted" in said
    assert hint == f"  to do without: {KEYS[call]}"
    # With the key, the zone starts: nothing else stood in the way.
    key = KEYS[call].replace(" = ", "=").replace('"', "")
    z.cold("run", *z.sets, "--set", key, "busybox", "--", "true", preexec_fn=refusing(call))


def _made(z: Zonectl) -> tuple[frozenset[str], ...]:
    """What a start makes outside of namespaces."""
    now = z.host.snapshot()
    return now.mounts, now.links, now.firewall, now.groups


@pytest.mark.parametrize("call", KEYS)
def test_a_start_that_is_refused_leaves_nothing(z: Zonectl, call: str) -> None:
    text = """name = "a"\ncommand = ["/bin/sleep", "60"]\nroot = { image = "busybox" }\n"""
    z.cold("create", z.write("a", text))
    before = _made(z)
    # The filter is inherited by the zoned that the command starts.
    refused = z("start", "a", code=1, preexec_fn=refusing(call))
    said, hint = refused.err.splitlines()
    assert said.startswith("zonectl: a: ")
    assert f"{call}" in said
    assert "Operation not permitted" in said
    assert hint == f"  to do without: {KEYS[call]}"
    assert z.state("a") == "installed"
    z("delete", "-f", "a")
    until(lambda: _made(z) == before)
