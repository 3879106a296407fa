"""Roots of all kinds: Debian by mmdebstrap, copies, folders, archives."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import COMMAND

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

SUITE = "bookworm"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zonectl-tests"


@pytest.fixture(scope="session")
def debian() -> Path:
    """A store with the image debian:12, kept for later runs outside of the repository; made under a lock."""
    store = CACHE / f"store-{SUITE}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{SUITE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        words = [COMMAND, "--no-daemon", "--root", str(store), "--run", f"{store}-run"]
        subprocess.run(
            [*words, "image", "build", "debian", "--suite", SUITE],
            check=True,
            timeout=900,
            capture_output=True,
        )
    return store / "images"


@pytest.fixture
def with_debian(z: Zonectl, debian: Path) -> Zonectl:
    """An instance with that image; its files are the cache's own, by hard links where they may be."""
    shutil.rmtree(z.root / "images")
    linked = subprocess.run(["cp", "-al", debian, z.root / "images"], check=False, capture_output=True)
    if linked.returncode:  # another file system
        shutil.rmtree(z.root / "images", ignore_errors=True)
        subprocess.run(["cp", "-a", debian, z.root / "images"], check=True)
    return z


@pytest.mark.timeout(1000)
@pytest.mark.requires("program:mmdebstrap", "program:dpkg")
def test_a_whole_debian(with_debian: Zonectl) -> None:
    z = with_debian
    text = 'name = "deb"\ncommand = ["sleep", "infinity"]\nstop_timeout = "0s"\n[root]\nimage = "debian:12"\n'
    z("create", z.write("deb", text))
    z("start", "deb")
    listed = [line for line in z.exec("deb", "dpkg", "-l").lines if line.startswith("ii ")]
    assert len(listed) > 50
    assert z.exec("deb", "perl", "-e", 'print "from perl $^V\\n"').out.startswith("from perl v5")
    assert z.exec("deb", "apt-get", "--version").out.startswith("apt ")
    assert z.exec("deb", "cat", "/etc/os-release").out.startswith('PRETTY_NAME="Debian')
    # Set-user-ID programs work in it: nobody becomes root, of the zone alone.
    assert z.exec("deb", "su", "-s", "/bin/sh", "nobody", "-c", "id -u").out == "65534\n"
    z.exec("deb", "sh", "-c", "useradd --create-home anna && su anna -c 'id -un; pwd; touch ~/x'")
    assert z.exec("deb", "stat", "-c", "%U %u", "/home/anna/x").out == "anna 1000\n"
    assert (z.root / "zones/deb/upper/home/anna/x").stat().st_uid == 1000
    z.exec("deb", "dpkg", "--verify", "base-files")
    with z.terminal("shell", "deb") as terminal:
        terminal.expect("root@deb:")
        terminal.type("tty; exit 4\n")
        terminal.expect("/dev/pts/0")
        assert terminal.wait() == 4
    assert (
        z(
            "run",
            *z.sets,
            "debian:12",
            "--",
            "sh",
            "-c",
            "grep -c . /var/lib/dpkg/status >/dev/null && id -u",
        ).out
        == "0\n"
    )


def test_a_copy_is_the_zone_s_own(z: Zonectl) -> None:
    text = 'name = "own"\ncommand = ["sh", "-c", "trap exit TERM; while :; do sleep 1 & wait $!; done"]\n'
    z("create", z.write("own", f'{text}[root]\nimage = "busybox"\nmode = "copy"\n'))
    z("start", "own")
    (line,) = z.exec("own", "awk", '$5 == "/"', "/proc/self/mountinfo").lines
    assert " overlay " not in line
    z.exec("own", "sh", "-c", "echo mine >/etc/motd; rm /bin/ls")
    z("restart", "own")
    assert z.exec("own", "cat", "/etc/motd").out == "mine\n"
    z.exec("own", "/bin/ls", code=127)
    assert z.run("ls", "/etc/motd", code=1).out == "", "the image is as it was"


def test_an_image_that_a_zone_stands_on_stays(z: Zonectl) -> None:
    z.define("stands")
    assert "busybox" in z("image", "remove", "-f", "busybox", code=1).err
    z("delete", "-f", "stands")
    z("image", "remove", "-f", "busybox")
    assert z("image", "list", "-q").out == ""


def test_folders_and_archives(z: Zonectl, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    for name in ("dev", "proc", "sys", "etc", "tmp"):
        (root / name).mkdir()
    shutil.copy("/bin/busybox", root / "bin/sh")
    with tarfile.open(tmp_path / "root.tar.gz", "w:gz") as archive:
        archive.add(root, arcname=".")
    loop = 'command = ["/bin/sh", "-c", "trap exit TERM; while :; do read -t 1 x </dev/zero; done"]\n'
    for kind, where in (("path", root.name), ("tar", "root.tar.gz")):
        name = f"of-{kind}"
        path = tmp_path / f"{name}.toml"
        path.write_text(f'name = "{name}"\n{loop}[root]\n{kind} = "{where}"\n[network]\nmode = "none"\n')
        z("create", str(path))
        z("start", name)
        z.exec(name, "sh", "-c", "echo x >/written")
        assert z.exec(name, "sh", "-c", "read a </written; echo $a").out == "x\n"
        z("stop", "-t", "0", name)
    assert not (root / "written").exists(), "what a folder holds is shared, and never written to"
    z("image", "import", str(root), "team/folder:1")
    z("image", "import", str(tmp_path / "root.tar.gz"), "archive")
    names = z("image", "list", "-q").lines
    assert names == ["archive:latest", "busybox:latest", "team/folder:1"]
    assert z("run", *z.sets, "archive", "--", "sh", "-c", "echo in an archive").out == "in an archive\n"
