"""What a run says of its machine, read from made-up trees of /proc and /sys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import zonectl
from zonectl.bench import machine

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
1 1 8:1 / / rw - ext4 /dev/vda rw
2 1 0:5 / /proc rw - proc proc rw
3 1 8:2 / /srv rw - btrfs /dev/vdb rw
4 3 8:3 / /srv/zones\\040here rw - xfs /dev/vdc rw
5 3 0:9 / /srv rw - tmpfs none rw
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    plant(tmp_path, "proc/sys/kernel/osrelease", "6.12.1-amd64\n")
    plant(
        tmp_path,
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: A Processor @ 3 GHz\nflags\t\t: fpu hypervisor lm\n",
    )
    plant(tmp_path, "proc/stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n")
    plant(tmp_path, "proc/meminfo", "MemTotal:        2048 kB\nMemFree:  1 kB\n")
    plant(tmp_path, "proc/self/mountinfo", MOUNTS)
    return tmp_path


def plant(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


def test_a_host(tree: Path) -> None:
    found = machine.host("/srv/x", root=str(tree))
    assert found.kernel == "6.12.1-amd64"
    assert found.processor == "A Processor @ 3 GHz"
    assert found.processors == 2
    assert found.memory_bytes == 2 * 1024**2
    assert found.virtualization == "unknown"
    assert found.versions["zonectl"] == zonectl.__version__


def test_nothing_is_known_of_an_empty_tree(tmp_path: Path) -> None:
    found = machine.host("/", root=str(tmp_path))
    assert (found.processors, found.memory_bytes, found.virtualization) == (0, 0, None)
    assert found.file_system == "unknown"
    assert found.kernel


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/x", "ext4"),
        ("/srv/www", "tmpfs"),
        ("/srv/zones here/a", "xfs"),
        ("/srvx", "ext4"),
    ],
)
def test_file_systems(tree: Path, folder: str, kind: str) -> None:
    assert machine.host(folder, root=str(tree)).file_system == kind


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc kvm-clock \n", "kvm"),
        ("sys/hypervisor/type", "xen\n", "xen"),
        ("sys/class/dmi/id/sys_vendor", "QEMU\n", "qemu"),
        ("sys/class/dmi/id/product_name", "VMware7,1\n", "vmware"),
    ],
)
def test_virtualization(tree: Path, path: str, content: str, kind: str) -> None:
    plant(tree, path, content)
    assert machine.host("/", root=str(tree)).virtualization == kind


def test_bare_metal(tree: Path) -> None:
    plant(tree, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm\n")
    plant(tree, "sys/class/dmi/id/sys_vendor", "LENOVO\n")
    assert machine.host("/", root=str(tree)).virtualization is None


def test_versions_of_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in (
        ("good", "echo; echo 'good 1.2'; echo more"),
        ("loud", "echo 'loud 3' >&2"),
        ("bad", "exit 1"),
        ("mute", ":"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = machine.host("/", programs=("good", "loud", "bad", "mute", "missing")).versions
    assert {name: found[name] for name in found.keys() - {"zonectl", "python"}} == {
        "good": "good 1.2",
        "loud": "loud 3",
    }
