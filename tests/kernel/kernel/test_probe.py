"""Facts and trials of this host."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.requirements import cgroup2_mount, holds
from zonectl.errors import SyscallError
from zonectl.kernel import (
    attributes,
    host,
    idmap,
    mount,
    probe,
    probe_mounts,
    probe_process,
    proc,
    process,
    trial,
)
from zonectl.model.facts import NAMESPACES, CgroupLayout
from zonectl.model.ids import IdRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    InChild = Callable[[Callable[[], object]], None]


def test_facts_are_cheap() -> None:
    host.host_facts()
    fastest = min(_duration_s() for _ in range(20))
    assert fastest < 0.005


def _duration_s() -> float:
    start = time.perf_counter()
    host.host_facts()
    return time.perf_counter() - start


def test_facts_agree_with_the_host(open_fds: object) -> None:
    facts = probe.host_facts()
    assert facts.release == os.uname().release
    assert facts.euid == os.geteuid()
    assert {"mnt", "user", "pid"} <= facts.namespaces
    assert "proc" in facts.filesystems
    mounted = cgroup2_mount()
    assert facts.cgroup.mount == (str(mounted) if mounted else None)
    assert (facts.cgroup.layout is CgroupLayout.LEGACY) == (mounted is None)
    assert all(os.path.isdir(place) for _controller, place in facts.cgroup.v1)
    assert not {name for name, _place in facts.cgroup.v1} & facts.cgroup.controllers


@pytest.mark.requires("userns", "namespace:time")
def test_a_kind_of_namespace_that_is_forbidden_is_not_there(in_child: InChild) -> None:
    def body() -> None:
        idmap.become_root_of_new_namespaces(0)
        before = host.host_facts().namespaces
        for kind in ("time", "ipc"):
            with open(f"/proc/sys/user/max_{kind}_namespaces", "w", encoding="ascii") as limit:
                limit.write("0")
        assert before == NAMESPACES
        assert host.host_facts().namespaces == NAMESPACES - {"time", "ipc"}
        with pytest.raises(SyscallError):
            process.unshare(process.CLONE_NEWIPC)

    in_child(body)


@pytest.mark.requires("root")
def test_facts_without_root(in_child: InChild) -> None:
    def body() -> None:
        attributes.setgroups([])
        attributes.setresgid(65534, 65534, 65534)
        attributes.setresuid(65534, 65534, 65534)
        facts = host.host_facts()
        assert facts.euid == 65534
        assert not facts.cgroup.writable
        failed = [p.name for p in probe.probes(facts) if not p.ok]
        assert "id map" in failed
        assert "openat2" not in failed

    in_child(body)


def _state() -> tuple[object, ...]:
    mounted = cgroup2_mount()
    groups = (
        sorted(entry.name for entry in mounted.iterdir() if "zonectl-probe" in entry.name) if mounted else []
    )
    return (
        proc.mountinfo(),
        groups,
        proc.namespace_ids("self"),
        proc.children(os.getpid()),
    )


@pytest.mark.requires("root", "kernel:6.1", "userns", "overlay", "veth", "bridge", "nft", "cgroup2")
def test_probes_of_a_host_that_has_everything(tmp_path: Path, open_fds: object) -> None:
    before, links = _state(), set(os.listdir("/sys/class/net"))
    found = probe.probes(probe.host_facts(), root=str(tmp_path / "not" / "there"))
    assert _state() == before
    # Those of an earlier test may be going still.
    assert set(os.listdir("/sys/class/net")) <= links
    assert list(tmp_path.iterdir()) == []
    assert len({p.name for p in found}) == len(found)
    by_name = {p.name: p for p in found}
    # The lane's root is an overlay, which has no id maps.
    lacking = [
        p for p in found if p.needed and not p.ok and not (p.name == "idmapped mounts" and holds("vm"))
    ]
    assert lacking == []
    assert all(p.seen for p in found)
    assert all(bool(p.remedy) != p.ok for p in found)
    assert by_name["controller hugetlb"].ok == holds("controller:hugetlb")


@pytest.mark.requires("root")
def test_the_trial_of_idmapped_mounts_can_fail(in_mount_namespace: InChild) -> None:
    """A probe counts only if it fails where the thing is missing: sysfs has no id maps."""

    def body() -> None:
        folder = os.open("/sys", os.O_PATH)
        assert mount.fs_magic(folder) == mount.SYSFS_MAGIC

        def attempt() -> str:
            probe_mounts.map_mount("/sys", IdRange(first=1_900_000_000))
            return "mapped"

        mapped = trial.here(attempt)
        assert (mapped.ok, mapped.seen) == (False, "mount_setattr: Invalid argument")

    in_mount_namespace(body)


@pytest.mark.requires("root")
@pytest.mark.parametrize(("value", "ok"), [("0", True), ("1", False), ("2", True)])
def test_a_host_where_who_changes_its_user_can_be_traced(
    tmp_path: Path, in_mount_namespace: InChild, value: str, *, ok: bool
) -> None:
    def body() -> None:
        (tmp_path / "value").write_text(f"{value}\n")
        mount.mount(tmp_path / "value", "/proc/sys/fs/suid_dumpable", flags=mount.MS_BIND)
        (found,) = (each for each in probe_process.probes() if each.name == "fs.suid_dumpable")
        assert (found.ok, bool(found.remedy), found.needed) == (ok, not ok, False)

    in_mount_namespace(body)


def test_what_a_trial_says() -> None:
    def fails() -> str:
        os.stat("/nonexistent/file")
        return "never"

    assert trial.in_child(lambda: "seen") == trial.Trial(ok=True, seen="seen")
    assert trial.in_child(fails) == trial.Trial(ok=False, seen="/nonexistent/file: No such file or directory")
    assert trial.here(fails).probe("it", needed=True, remedy="mend it").remedy == "mend it"
    assert not trial.here(lambda: "x").probe("it", needed=True, remedy="mend it").remedy


def test_a_trial_that_dies(capfd: pytest.CaptureFixture[str]) -> None:
    def kills_itself() -> str:
        os.kill(os.getpid(), 9)
        return ""

    assert trial.in_child(kills_itself) == trial.Trial(ok=False, seen="the trial ended with status 137")
    capfd.readouterr()
