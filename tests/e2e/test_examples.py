"""The examples of configs/, each brought to life."""

from __future__ import annotations

import http.client
import os
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import CONFIGS
from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

EXAMPLES = sorted(path.stem for path in CONFIGS.glob("*.toml"))


def controllers() -> set[str]:
    mount = cgroup2_mount()
    assert mount is not None
    return set((mount / "cgroup.controllers").read_text().split())


def page(address: str) -> bytes:
    connection = http.client.HTTPConnection(address, 80, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200
    body = answer.read()
    connection.close()
    return body


def answers(address: str) -> bool:
    try:
        return page(address) == b"it works\n"
    except (OSError, http.client.HTTPException):
        return False


def test_every_example_has_its_tests() -> None:
    assert EXAMPLES == ["app", "db", "hardened", "hello", "immutable", "limited", "readonly", "sparse", "web"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_sound_and_has_a_plan(shared: Zonectl, name: str) -> None:
    path = str(CONFIGS / f"{name}.toml")
    assert shared("verify", path).out == f"{path}: ok\n"
    plan = shared("plan", "--set", "resources.required=false", path).out
    assert re.search(r"^ +1  (host|inside) ", plan)
    assert "pivot_root(2)" in plan
    assert re.search(r" execve(at)?\(2\)", plan)


def test_web(z: Zonectl) -> None:
    z.create("web")
    z("start", "web")
    address = f"{z.network}.10"
    until(lambda: answers(address))
    zone = z.list()["web"]
    assert zone["address"] == f"{address}/24"
    assert z.exec("web", "pwd").out == "/srv\n"
    assert z.exec("web", "sh", "-c", "echo $TZ").out == "UTC\n"
    assert z.show("web")["config"]["labels"] == {"role": "frontend"}
    # The root is as the image has it: the page is in memory.
    assert not (z.root / "zones/web/upper/srv/index.html").exists()
    # As a crash: restarted, since it was not a user's stop.
    httpd = next(pid for pid in z.show("web")["pids"] if Path(f"/proc/{pid}/comm").read_text() == "httpd\n")
    os.kill(httpd, 9)
    until(lambda: z.list()["web"]["pid"] not in {None, zone["pid"]})
    until(lambda: answers(address))
    assert z.list()["web"]["last_exit"] == "status 137"
    # From within, too: the small init passes the signal on.
    second = z.list()["web"]["pid"]
    z.exec("web", "kill", "-TERM", "1", options=("-u", "root"), code=None)
    until(lambda: z.list()["web"]["pid"] not in {None, second})
    z("stop", "web")
    time.sleep(0.5)
    assert z.state("web") == "installed"
    assert z.list()["web"]["last_exit"].endswith(", stopped")


@pytest.mark.skipif(
    controllers() >= {"cpu", "memory", "pids"} if cgroup2_mount() else False, reason="it can limit"
)
def test_limited_is_refused_where_the_host_cannot_limit(z: Zonectl) -> None:
    done = z("create", z.file("limited"), code=1)
    for controller in ("cpu", "memory", "pids"):
        assert re.search(rf"\b{controller}: bound to cgroup v1 at /\S*{controller}", done.err), done.err
    assert done.err.splitlines()[1] == "  set resources.required = false to start without"
    assert z.list() == {}
    done = z("run", z.file("limited"), code=125)
    assert "limits cannot be enforced" in done.err
    z("zoned", "stop")
    z.host.check()
    done = z("create", "--set", "resources.required=false", z.file("limited"))
    assert len(done.err.splitlines()) == 3
    z("start", "limited")
    shown = z.show("limited")
    assert len(shown["warnings"]) == 3
    assert "resources.memory" in z("show", "limited").out
    assert z.state("limited") == "running"


def test_readonly(z: Zonectl) -> None:
    z.create("readonly")
    z("start", "readonly")
    assert z.exec("readonly", "id", "-u").out == "65534\n"
    until(lambda: z.exec("readonly", "ls", "/tmp").out == "works\n")
    for user in ("root", "65534"):
        for path in ("/x", "/etc/x", "/root/x"):
            done = z.exec("readonly", "touch", path, options=("-u", user), code=1)
            assert "Read-only file system" in done.err or (user != "root" and "Permission denied" in done.err)
    script = "cp /bin/busybox /tmp/ls && /tmp/ls"
    assert "Permission denied" in z.exec("readonly", "sh", "-c", script, code=126).err
    assert z.exec("readonly", "sh", "-c", "grep NoNewPrivs /proc/self/status").out.split()[1] == "1"
    links = z.exec("readonly", "ls", "/sys/class/net").out.split()
    assert links == ["lo"]
    full = z.exec("readonly", "dd", "if=/dev/zero", "of=/tmp/fill", "bs=1M", "count=9", code=1)
    assert "No space left" in full.err


@pytest.mark.parametrize("mode", ["overlay", "copy"])
def test_readonly_is_so_for_root_too(z: Zonectl, tmp_path: Path, mode: str) -> None:
    """The zone's root may remount what init has mounted: what is read-only must have nothing to write to."""
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "file").write_text("as it was")
    mounts = "".join(
        f'[[mount]]\nsource = "{source}"\ntarget = "{target}"\nreadonly = true\n'
        for source, target in ((shown, "/shown"), (shown / "file", "/single"))
    )
    top = 'name = "locked"\ncommand = ["/bin/sleep", "1000"]\n[network]\nmode = "none"\n'
    root = f'[root]\nimage = "busybox"\nreadonly = true\nmode = "{mode}"\n'
    z("create", z.write("locked", f"{top}{root}{mounts}"))
    z("start", "locked")
    script = (
        "for at in / /shown /single; do mount -o remount,rw $at; mount -o remount,rw,bind $at; done; "
        "touch /x; echo changed >/shown/file; echo changed >/single; ls /x; cat /shown/file"
    )
    assert z.exec("locked", "sh", "-c", script, code=None).out == "as it was"
    assert (shown / "file").read_text() == "as it was"
    assert not list(z.root.glob("zones/locked/*/x"))


def test_sparse(z: Zonectl) -> None:
    z.create("sparse")
    z("start", "sparse")
    assert z.exec("sparse", "/usr/bin/python3", "-c", "print(6 * 7)").out == "42\n"
    assert z.exec("sparse", "perl", "-e", 'print "from perl\\n"').out == "from perl\n"
    assert z.exec("sparse", "id", "-un").out == "root\n"
    top = set(z.exec("sparse", "ls", "/").out.split())
    assert top <= {"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "mnt", "opt", "proc", "root", "run",
                   "sbin", "srv", "sys", "tmp", "usr", "var"}  # fmt: skip
    for hidden in ("/etc/shadow", "/etc/ssh", "/etc/hosts.allow", "/var/lib/dpkg", str(z.root), "/boot"):
        assert z.exec("sparse", "ls", hidden, code=2).out == "", hidden
    for empty in ("/root", "/home", "/mnt", "/srv", "/opt", "/run"):
        assert z.exec("sparse", "ls", "-A", empty).out == "", empty
    z.exec("sparse", "touch", "/usr/bin/intruder")
    assert not Path("/usr/bin/intruder").exists()
    assert (z.root / "zones/sparse/upper-usr/bin/intruder").exists(), "what it changes stays in its own layer"
    z.exec("sparse", "sh", "-c", "echo mine >/etc/mine; echo mine >/root/mine; mkdir /var/lib/mine")
    assert not Path("/etc/mine").exists()
    assert not Path("/root/mine").exists()
    upper = z.root / "zones/sparse/upper"
    assert (upper / "etc/mine").read_text() == "mine\n"
    assert (upper / "etc/mine").stat().st_uid == 0
    z("restart", "sparse")
    assert z.exec("sparse", "cat", "/etc/mine").out == "mine\n"


def test_db_and_app(z: Zonectl) -> None:
    done = z("create", z.file("app"), code=2)
    assert "db" in done.err
    paths = [z.file("db"), z.file("app")]
    z("create", "--set", "resources.required=false", paths[0])
    z("create", paths[1])
    z("start", "app")
    assert {name: zone["state"] for name, zone in z.list().items()} == {"app": "running", "db": "running"}
    assert z.list()["db"]["address"] == f"{z.network}.20/24"
    until(lambda: "db says 42" in z("logs", "app").lines)
    started = {name: z.show(name)["uptime_s"] for name in ("app", "db")}
    assert started["db"] >= started["app"]
    # A stranger without isolated = false reaches neither.
    done = z.run("nc", "-w", "1", f"{z.network}.20", "5432", code=None)
    assert done.code != 0
    assert done.out == ""
    app, db = (z.list()[name]["pid"] for name in ("app", "db"))
    with subprocess.Popen(["sleep", "0"]) as nothing:
        nothing.wait()
    z("stop", "app", "db")
    ended = {name: z.show(name)["last"]["ended_at"] for name in ("app", "db")}
    assert ended["app"] <= ended["db"]
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in (app, db)))
    z("start", "--all")
    assert z.state("app") == z.state("db") == "running"
    z("delete", "-f", "db", "app")


def test_app_waits_for_a_db_that_cannot_start(z: Zonectl) -> None:
    z("create", "--set", "resources.required=false", "--set", 'command=["/no/such"]', "--set", "init=false",
      z.file("db"))  # fmt: skip
    z("create", z.file("app"))
    done = z("start", "app", code=1)
    assert "/no/such" in done.err
    assert "zonectl: app: not started: it depends on db, which has not started" in done.err.splitlines()
    assert z.state("app") == z.state("db") == "installed"


def test_the_files_of_a_zone_belong_to_root_on_disk(z: Zonectl) -> None:
    """Roots without chown: inside, and on disk, they are root's; the processes are not the host's root."""
    z.create("hello")
    z("start", "hello")
    z.exec("hello", "sh", "-c", "echo x >/new; touch /changed; chown 5:6 /changed; rm /usr/sbin/chroot")
    upper = z.root / "zones/hello/upper"
    assert (upper / "new").stat().st_uid == 0
    assert ((upper / "changed").stat().st_uid, (upper / "changed").stat().st_gid) == (5, 6)
    assert stat.S_ISCHR((upper / "usr/sbin/chroot").lstat().st_mode), "a whiteout"
    init = z.list()["hello"]["pid"]
    assert Path(f"/proc/{init}").stat().st_uid >= 65536
    z("stop", "hello")
    z("start", "hello")
    assert z.exec("hello", "cat", "/new").out == "x\n"
