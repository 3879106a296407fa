"""How facts are told from what the kernel lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zonectl.kernel import host, proc
from zonectl.kernel.probe_namespaces import overlapping
from zonectl.model.facts import CgroupFacts, CgroupLayout

if TYPE_CHECKING:
    from pathlib import Path


def _mount(target: str, fstype: str, options: str, root: str = "/") -> proc.MountEntry:
    return proc.parse_mount(f"2 1 0:5 {root} {target} rw - {fstype} {fstype} {options}")


def _group(folder: Path, *, writable: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("cgroup.procs", ""),
        ("cgroup.subtree_control", ""),
        ("cgroup.controllers", "cpu pids\n"),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644 if writable else 0o444)
    return folder


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-fc", (6, 18)), ("6.1.0-18-amd64", (6, 1)), ("5.15", (5, 15)), ("nonsense", (0, 0))],
)
def test_kernel_version(release: str, version: tuple[int, int]) -> None:
    assert host.kernel_version(release) == version


@pytest.mark.parametrize(
    ("name", "size"),
    [("hugepages-2048kB", "2MB"), ("hugepages-1048576kB", "1GB"), ("hugepages-64kB", "64KB")],
)
def test_page_size(name: str, size: str) -> None:
    assert host.page_size(name) == size


def test_no_control_groups() -> None:
    assert host.cgroup_facts([], own=None) == CgroupFacts()


def test_version_1_alone() -> None:
    mounts = [
        _mount("/c/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
        _mount("/c/systemd", "cgroup", "rw,xattr,name=systemd"),
        _mount("/c/cpuset", "cgroup", "rw,cpuset,clone_children,release_agent=/x"),
    ]
    facts = host.cgroup_facts(mounts, own=None)
    assert facts.layout is CgroupLayout.LEGACY
    assert facts.v1 == (("cpu", "/c/cpu,cpuacct"), ("cpuacct", "/c/cpu,cpuacct"), ("cpuset", "/c/cpuset"))
    assert facts.mount is None


def test_unified(tmp_path: Path) -> None:
    _group(tmp_path)
    facts = host.cgroup_facts([_mount(str(tmp_path), "cgroup2", "rw,nsdelegate")], own="/")
    assert facts == CgroupFacts(
        layout=CgroupLayout.UNIFIED,
        mount=str(tmp_path),
        controllers=frozenset({"cpu", "pids"}),
        writable=True,
        nsdelegate=True,
    )


def test_hybrid(tmp_path: Path) -> None:
    _group(tmp_path)
    mounts = [_mount("/c/memory", "cgroup", "rw,memory"), _mount(str(tmp_path), "cgroup2", "rw")]
    facts = host.cgroup_facts(mounts, own="/")
    assert (facts.layout, facts.v1) == (CgroupLayout.HYBRID, (("memory", "/c/memory"),))


def test_the_mount_of_the_hierarchys_root_wins(tmp_path: Path) -> None:
    _group(tmp_path)
    mounts = [_mount("/elsewhere", "cgroup2", "rw", root="/below"), _mount(str(tmp_path), "cgroup2", "rw")]
    assert host.cgroup_facts(mounts, own="/").mount == str(tmp_path)


def test_a_covered_mount_is_passed_over(tmp_path: Path) -> None:
    _group(tmp_path)
    mounts = [_mount(str(tmp_path / "covered"), "cgroup2", "rw"), _mount(str(tmp_path), "cgroup2", "rw")]
    assert host.cgroup_facts(mounts, own="/").mount == str(tmp_path)


@pytest.fixture
def readonly_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount whose root is not ours to write, for root too, whom permissions do not bind: by what is writable."""
    _group(tmp_path, writable=False)

    def writable(folder: str) -> bool:
        return (tmp_path / folder / "cgroup.procs").stat().st_mode & 0o200 != 0

    monkeypatch.setattr(host, "_writable", writable)
    return tmp_path


def test_a_delegated_subtree(readonly_root: Path) -> None:
    _group(readonly_root / "user.slice/ours")
    facts = host.cgroup_facts([_mount(str(readonly_root), "cgroup2", "rw")], own="/user.slice/ours")
    assert (facts.base, facts.writable) == ("user.slice/ours", True)


def test_a_delegated_subtree_of_a_mount_below_the_root(readonly_root: Path) -> None:
    _group(readonly_root / "ours")
    mounts = [_mount(str(readonly_root), "cgroup2", "rw", root="/user.slice")]
    assert host.cgroup_facts(mounts, own="/user.slice/ours").base == "ours"


@pytest.mark.parametrize("own", ["/", "/../elsewhere", "/theirs", None])
def test_nothing_is_delegated(readonly_root: Path, own: str | None) -> None:
    _group(readonly_root / "theirs", writable=False)
    facts = host.cgroup_facts([_mount(str(readonly_root), "cgroup2", "rw")], own=own)
    assert (facts.base, facts.writable) == ("", False)


def test_subordinate_ids_that_overlap() -> None:
    lines = ["ann:100000:65536\n", "bob:999999999:2\n", "cy:999999999:1\n", "# no range\n", "dan:x:1\n"]
    assert overlapping(lines, "/etc/subuid") == ["/etc/subuid: bob has 999999999-1000000000"]
