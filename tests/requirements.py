"""What a test needs of the host: `@pytest.mark.requires("root", "overlay", "program:strace")`.

A requirement is a name, or a kind and what it is of (`program:nft`). Where one is missing the test is skipped, with
the reason; with CI in the environment it fails, since a test that is always skipped proves nothing. A name that is not
in PROBES is an error at collection. Probes run when the first test asks, once.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

IN_CI = bool(os.environ.get("CI"))

# Root's, whatever PATH the tests were started with.
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


class UnknownRequirementError(Exception):
    """A test asks for what no probe knows."""


def _succeeds(*argv: str) -> bool:
    if shutil.which(argv[0], path=PATH) is None:
        return False
    done = subprocess.run(
        argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, env={"PATH": PATH}, timeout=20
    )
    return done.returncode == 0


def _root(_of: str) -> bool:
    return os.geteuid() == 0


def _program(of: str) -> bool:
    return shutil.which(of, path=PATH) is not None


def _module(of: str) -> bool:
    return importlib.util.find_spec(of) is not None


def _debian_python(of: str) -> bool:
    """A module of Debian's own Python, as in `debian_python:seccomp`; not of the environment that runs the tests."""
    return _succeeds("/usr/bin/python3", "-c", f"import {of}")


def _kernel(of: str) -> bool:
    """At least that version, as in `kernel:6.9`."""
    running = os.uname().release.split("-", maxsplit=1)[0].split(".")
    return [int(n) for n in running[:2]] >= [int(n) for n in of.split(".")[:2]]


def _filesystem(of: str) -> bool:
    def known() -> bool:
        return of in Path("/proc/filesystems").read_text(encoding="ascii").split()

    return known() or (_root("") and _succeeds("modprobe", of) and known())


def _overlay(_of: str) -> bool:
    return _filesystem("overlay")


def _namespace(of: str) -> bool:
    """One of /proc/self/ns, as in `namespace:time`."""
    return Path("/proc/self/ns", of).exists()


def _userns(_of: str) -> bool:
    return _succeeds("unshare", "--user", "true")


def _link(of: str) -> bool:
    """A kind of network link, made and forgotten in a network namespace of the probe's own."""
    return _succeeds("unshare", "--net", "ip", "link", "add", "dev", "probe0", "type", of)


def _veth(_of: str) -> bool:
    return _link("veth")


def _bridge(_of: str) -> bool:
    return _link("bridge")


def _block_device(_of: str) -> bool:
    return any(Path("/dev", path.name).is_block_device() for path in Path("/sys/block").iterdir())


def _br_netfilter(_of: str) -> bool:
    """Not loaded for a test: from then on it would filter what the host's own bridges pass."""
    return Path("/proc/sys/net/bridge").exists()


def _nft(_of: str) -> bool:
    return _succeeds("unshare", "--net", "nft", "add", "table", "inet", "probe")


def cgroup2_mount() -> Path | None:
    """Where the first cgroup2 is mounted: the whole hierarchy, or beside v1 (hybrid)."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _device, target, filesystem, *_rest = line.split()
        if filesystem == "cgroup2":
            return Path(target)
    return None


def _cgroup2(_of: str) -> bool:
    mount = cgroup2_mount()
    return mount is not None and os.access(mount, os.W_OK)


def _device_program(_of: str) -> bool:
    """A BPF program that says which devices a group may open; the verifier is asked, nothing is attached."""
    from zonectl.errors import SyscallError  # noqa: PLC0415 - only tests that ask need it
    from zonectl.kernel import bpf  # noqa: PLC0415

    try:
        # "return 0" (linux/bpf.h).
        os.close(bpf.load_device_program(b"\xb4" + bytes(7) + b"\x95" + bytes(7), "probe"))
    except SyscallError:
        return False
    return True


def _controller(of: str) -> bool:
    """A controller on cgroup2, as in `controller:memory`; one bound to v1 does not count."""
    mount = cgroup2_mount()
    return mount is not None and of in (mount / "cgroup.controllers").read_text(encoding="ascii").split()


def _pressure(_of: str) -> bool:
    return Path("/proc/pressure/memory").exists()


def _loop(_of: str) -> bool:
    return Path("/dev/loop-control").exists()


def _seccomp(of: str) -> bool:
    """An action of the kernel's filters, as in `seccomp:trace`; `seccomp` alone: filters at all."""
    try:
        available = Path("/proc/sys/kernel/seccomp/actions_avail").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return False
    return (of or "kill_process") in available


def _capability(of: str) -> bool:
    """In the effective set, as in `capability:sys_resource`."""
    import prctl  # noqa: PLC0415 - only tests that ask need it

    return bool(getattr(prctl.cap_effective, of))


def _vm(_of: str) -> bool:
    """Inside the virtual machine of `make test-vm`."""
    return "ZONECTL_LANE" in os.environ


# Kinds with an argument end in a colon.
PROBES: dict[str, Callable[[str], bool]] = {
    "block_device": _block_device,
    "br_netfilter": _br_netfilter,
    "bridge": _bridge,
    "capability:": _capability,
    "cgroup2": _cgroup2,
    "controller:": _controller,
    "debian_python:": _debian_python,
    "device_program": _device_program,
    "filesystem:": _filesystem,
    "kernel:": _kernel,
    "link:": _link,
    "loop": _loop,
    "module:": _module,
    "namespace:": _namespace,
    "nft": _nft,
    "overlay": _overlay,
    "pressure": _pressure,
    "program:": _program,
    "root": _root,
    "seccomp": _seccomp,
    "seccomp:": _seccomp,
    "userns": _userns,
    "veth": _veth,
    "vm": _vm,
}


def _split(requirement: str) -> tuple[Callable[[str], bool], str]:
    kind, colon, of = requirement.partition(":")
    probe = PROBES.get(kind + colon)
    if probe is None or bool(colon) != bool(of):
        names = ", ".join(name + "NAME" * name.endswith(":") for name in PROBES)
        msg = f"unknown requirement {requirement!r}; there are: {names}"
        raise UnknownRequirementError(msg)
    return probe, of


def verify(requirements: Iterable[str]) -> None:
    """Raise UnknownRequirementError for the first that no probe knows."""
    for requirement in requirements:
        _split(requirement)


@functools.cache
def holds(requirement: str) -> bool:
    """Whether the host has it."""
    probe, of = _split(requirement)
    return probe(of)


def demand(requirements: Iterable[str]) -> None:
    """Leave the test where the host lacks one of them: skipped on a desk, failed in CI."""
    if lacking := missing(requirements):
        leave(f"this host lacks: {', '.join(lacking)}")


def leave(reason: str) -> NoReturn:
    """Leave the test for that reason. The one place that skips."""
    if IN_CI:
        pytest.fail(f"{reason} (with CI set, a missing requirement is a failure)", pytrace=False)
    pytest.skip(reason)


def missing(requirements: Iterable[str]) -> list[str]:
    """Those that the host lacks, in order."""
    return [requirement for requirement in requirements if not holds(requirement)]
