"""Masks, devices, settings and immutable roots, of zones that run: through the command, as init and by exec."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.patience import until
from zonectl.model import masks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.instance import Zonectl

ALL = 'security = { capabilities = ["all"], seccomp = "off", nesting = true }\n'
"""With this the zone's root may call mount(2) and umount(2): only the kernel's locks stand against it."""

HERE = [path for path in masks.KEPT if os.path.exists(path)]
FILES = [path for path in masks.MASKED_FILES if path in HERE]
FOLDERS = [path for path in masks.MASKED_FOLDERS if path in HERE]


def shell(z: Zonectl, name: str, script: str, *, code: int | None = 0) -> str:
    return z.exec(name, "sh", "-c", script, code=code).out


def test_masked_paths_are_empty_for_init_and_for_exec(z: Zonectl) -> None:
    reads = " ".join(FILES)
    lists = " ".join(FOLDERS)
    look = f"cat {reads} | wc -c; for d in {lists}; do ls -A $d | wc -l; done"
    wanted = ["0"] * (1 + len(FOLDERS))
    assert z.run("sh", "-c", look).out.split() == wanted
    z.define("box")
    z("start", "box")
    assert shell(z, "box", look).split() == wanted
    assert z.exec("box", "sh", "-c", look, options=("-u", "65534")).out.split() == wanted
    # A probe of the probe.
    assert z.run("sh", "-c", look, options=("--set", 'security.unmask=["all"]')).out.split() != wanted


def test_a_root_that_may_do_all_cannot_undo_its_mounts(z: Zonectl) -> None:
    z.define("box", more=ALL)
    z("start", "box")
    for path in HERE:
        assert "umount" in z.exec("box", "umount", path, code=1).err
        assert z.exec("box", "umount", "-l", path, code=1).err
    for target in ("/proc", "/sys", "/dev", "/dev/shm", "/etc/hosts"):
        z.exec("box", "umount", "-l", target, code=1)
    z.exec("box", "mount", "-o", "remount,bind,rw", "/proc/sys", code=1)
    z.exec("box", "mount", "-o", "remount,bind,rw,dev,suid,exec", "/sys", code=1)
    z.exec("box", "mount", "-t", "proc", "proc", "/mnt", code=1)
    # And yet it can mount: the calls above were refused for what they ask.
    assert shell(z, "box", "mkdir -p /mnt && mount -t tmpfs none /mnt && umount /mnt && echo yes") == "yes\n"


def test_settings_of_the_zone_file_hold_and_others_cannot_be_changed(z: Zonectl) -> None:
    more = 'sysctl = { "net.ipv4.ip_forward" = 1, "kernel.shmmax" = 1234567, "kernel.domainname" = "example.org" }\n'
    z.define("box", more=f'{more}security = {{ capabilities = ["default", "net_admin"] }}\n')
    z("start", "box")
    paths = "/proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/kernel/domainname"
    assert shell(z, "box", f"cat {paths}").split() == ["1", "1234567", "example.org"]
    assert "Read-only" in z.exec("box", "sh", "-c", "echo 1 > /proc/sys/vm/swappiness", code=1).err
    assert "Read-only" in z.exec("box", "sh", "-c", "echo 1 > /proc/sys/kernel/shmmax", code=1).err
    assert shell(z, "box", "f=/proc/sys/net/ipv4/ip_default_ttl; echo 65 > $f; cat $f") == "65\n"
    refused = z(
        "create",
        z.write("no", 'name = "no"\n[root]\nimage = "busybox"\n[sysctl]\n"vm.swappiness" = 1\n'),
        code=2,
    )
    assert refused.err.endswith(
        "is the host's: it belongs to none of the namespaces that a zone has of its own\n"
    )
    z.run("true", options=("--set", 'sysctl={"net.ipv4.no_such"=1}'), code=125)


def test_devices_of_the_zone_file_and_no_others(z: Zonectl) -> None:
    own = '[[device]]\npath = "/dev/zero"\ntarget = "/dev/own"\nmode = "0640"\naccess = "r"\n'
    text = f'name = "box"\ncommand = ["sleep", "1000"]\nstop_signal = "SIGKILL"\n[root]\nimage = "busybox"\n{own}'
    z("create", z.write("box", text))
    z("start", "box")
    assert shell(z, "box", "ls -ln /dev/own").split()[:4] == ["crw-r-----", "1", "0", "0"]
    assert shell(
        z, "box", "head -c 3 /dev/own | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/null"
    ).split() == ["3", "3"]
    # Who may open it for what is the program's to say, not only its mode's: root of the zone owns the node.
    z.exec("box", "mknod", "/tmp/kmsg", "c", "1", "11", code=1)


def test_a_device_that_comes_by_a_bind_mount_is_of_no_use(z: Zonectl, tmp_path: Path) -> None:
    """Even with dev = true, in a zone of the host's ids: the program on the group forbids it."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    os.mknod(folder / "kmsg", 0o20666, os.makedev(1, 11))
    os.mknod(folder / "zero", 0o20666, os.makedev(1, 5))
    text = f"""
name = "box"
command = ["sleep", "1000"]
stop_signal = "SIGKILL"
[root]
image = "busybox"
[namespaces]
user = "host"
[[mount]]
source = "{folder}"
target = "/mnt"
dev = true
"""
    z("create", z.write("box", text))
    z("start", "box")
    assert shell(z, "box", "head -c 2 /mnt/zero | wc -c") == "2\n"
    assert "Operation not permitted" in z.exec("box", "sh", "-c", "exec 3> /mnt/kmsg", code=None).err
    z("stop", "box")
    z("delete", "-f", "box")
    z("create", "--set", 'security.devices="unfiltered"', z.write("box", text))
    z("start", "box")
    # A probe of the probe: without the program it can be opened (for writing: reading asks for a capability).
    z.exec("box", "sh", "-c", "exec 3> /mnt/kmsg")


@pytest.mark.parametrize("profile", ["fixed", "flexible", "strict"])
def test_an_immutable_zone(z: Zonectl, profile: str) -> None:
    z("create", "--set", f'root.profile="{profile}"', z.file("immutable"))
    z("start", "immutable")
    places = {"/var/x": profile != "strict", "/tmp/x": profile != "strict", "/etc/x": profile == "flexible"}
    for place, writable in {**places, "/bin/x": False, "/x": False}.items():
        done = z.exec("immutable", "touch", place, code=None)
        assert (done.code == 0) == writable, (place, done.err)
        assert writable or "Read-only file system" in done.err


def test_maintaining_an_immutable_zone(z: Zonectl) -> None:
    z.create("immutable")
    z("start", "immutable")
    assert shell(z, "immutable", "cat /proc/sys/kernel/shmmax") == "67108864\n"
    assert "Read-only" in z.exec("immutable", "touch", "/bin/new", code=1).err
    until(lambda: starts(z) == 1)
    z("stop", "immutable")
    z("start", "--writable", "immutable")
    assert "writable until it stops" in z("show", "immutable").out
    assert "--writable" in z("list", "-v", "immutable").out
    assert z.show("immutable")["writable"] is True
    z.exec("immutable", "touch", "/bin/new")
    until(lambda: starts(z) == 2)
    z("restart", "immutable")
    assert "writable until it stops" not in z("show", "immutable").out
    assert "--writable" not in z("list", "-v", "immutable").out
    assert "Read-only" in z.exec("immutable", "rm", "/bin/new", code=1).err
    until(lambda: starts(z) == 3)
    assert json.loads(z("show", "--security", "--json", "immutable").out)["holds"] is True


def starts(z: Zonectl) -> int:
    """How often the immutable zone has noted that it was started; the note comes when it is up already."""
    return shell(z, "immutable", "cat /var/log/starts", code=None).count("\n")


def test_only_immutable_zones_are_maintained(z: Zonectl) -> None:
    z.define("box")
    done = z("start", "--writable", "box", code=1)
    assert done.err.splitlines()[0].endswith("all of its root is writable as it is")
    assert z.state("box") == "installed"
    z.create("immutable")
    z("ready", "immutable")
    done = z("start", "--writable", "immutable", code=1)
    assert "its platform is up with an immutable root" in done.err
    z("start", "immutable")
    assert "Read-only" in z.exec("immutable", "touch", "/bin/new", code=1).err
