from __future__ import annotations

from pathlib import Path

from tests.vm.lane import confinement
from tests.vm.lane.confinement import Programs

MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
/dev/vdb /mnt/two\040words xfs rw,noatime 0 0
/dev/vdc /mnt/readonly ext4 ro,errors=remount-rw 0 0
/dev/vdd /devices btrfs rw 0 0
""".lstrip()


def test_mounts_with_the_hosts_data_are_found() -> None:
    found = list(confinement.writable_mounts(MOUNTS))
    assert found == [Path("/"), Path("/tmp"), Path("/mnt/two words"), Path("/devices")]


def test_shared_folders_are_bound_before_the_rest_becomes_read_only() -> None:
    programs = Programs(daemons=[["virtiofsd"]], machine=["qemu"], writable=[Path("/srv/a b")], pass_fds=[])
    lines = confinement.launch_script(programs, MOUNTS).splitlines()
    assert lines.index("mount --bind '/srv/a b' '/srv/a b'") < lines.index("mount -o remount,bind,ro / || :")


def test_only_the_watch_holds_the_leash() -> None:
    programs = Programs(daemons=[["virtiofsd"], ["virtiofsd"]], machine=["qemu"], writable=[], pass_fds=[])
    lines = confinement.launch_script(programs, "").splitlines()
    started = [line for line in lines if line.startswith(("virtiofsd", "qemu"))]
    assert len(started) == 3
    assert all("3<&-" in line for line in started)
