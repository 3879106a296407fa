"""What the probes share: an instance, its zones, the programs, and the host's canaries."""

from __future__ import annotations

import ctypes
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.instance import COMMAND, REPOSITORY
from tests.hostile import without as harness
from tests.hostile.arms import ExecArm
from tests.hostile.groups.keys import HOST_NET
from tests.patience import until
from tests.requirements import cgroup2_mount, holds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from tests.e2e.instance import Zonectl

PROGRAMS = Path(__file__).parent / "programs"
MARK = "canary:"
PLAIN_USER = 1000
SERVICE_PORT = 7000
_ASLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
_FLAGS = ("-static", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")


@dataclass
class Scene:
    """Everything below `folder`; zones are made when they are first asked for, and shared by probes."""

    z: Zonectl
    folder: Path
    held: ExitStack
    programs: frozenset[str] = frozenset()
    values: dict[str, str] = field(default_factory=dict)
    neighbour: str = ""
    _zones: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """Build the programs, the zones' root and the canaries."""
        os.chmod(self.folder, 0o755)
        build(self.folder / "programs", only=self.programs)
        make_root(self.folder / "root-of-zones", self.folder / "programs")
        secret = f"{MARK}{secrets.token_hex(8)}\n"
        for name in ("outside", "share", "work"):
            (self.folder / name).mkdir(mode=0o755)
            (self.folder / name / "canary").write_text(secret)
        self._arm_work(self.folder / "work")
        (self.folder / "shared").mkdir()
        self._values()

    def _arm_work(self, work: Path) -> None:
        """What a folder of the host's may hold, and a zone that sees it must not gain by."""
        shutil.copy(self.folder / "programs" / "filesystem", work / "suid")
        os.chmod(work / "suid", 0o4755)
        os.mknod(work / "node", 0o20666, os.makedev(10, 237))
        os.chmod(work / "node", 0o666)  # whatever the umask
        (work / "folder").mkdir(mode=0o777)

    def _values(self) -> None:
        canary = self.folder / "outside" / "canary"
        kind, handle = handle_of(canary)
        folder_kind, folder_handle = handle_of(canary.parent)
        sleeper = self._sleeper()
        maps = Path(f"/proc/{sleeper.pid}/maps").read_text()
        self.values |= {
            "canary": str(canary),
            "handle": handle,
            "handle_kind": str(kind),
            "folder_handle": folder_handle,
            "folder_handle_kind": str(folder_kind),
            "pid": str(sleeper.pid),
            "runtime": str(sleeper.pid),
            "address": maps.partition("-")[0],
            "token": secrets.token_hex(6),
            "hierarchy": _hierarchy(),
        }
        self._have_neighbour()

    def _have_neighbour(self) -> None:
        """A zone that all attacks are also on: it runs a server, and is open to others where they are."""
        self.neighbour = "neighbour"
        path = self.folder / "neighbour.toml"
        limited = holds("controller:memory") and holds("controller:pids")
        limits = '[resources]\nmemory = "256MiB"\npids = 200\n' if limited else ""
        text = (
            f'name = "{self.neighbour}"\ncommand = ["httpd", "-f", "-p", "{SERVICE_PORT}", "-h", "/etc"]\n'
            f'[root]\npath = "{self.folder}/root-of-zones"\n'
            f'[network]\nisolated = false\n[security]\ncapabilities = ["all"]\nseccomp = "off"\n{limits}'
        )
        path.write_text(self.z.adapted(text))
        self.z("create", str(path))
        self.z("start", self.neighbour)
        shown = self.z.show(self.neighbour)
        address = shown["address"].partition("/")[0]
        gateway, foreign = f"{self.z.network}.1", f"{self.z.network}.99"
        claimed = socket.inet_aton(gateway).hex()
        self.values |= {
            "neighbour": address,
            "gateway": gateway,
            "foreign": foreign,
            "claimed": f"{claimed}ffffffffffff{claimed}",
            "advertised": f"fe80{'00' * 13}66ff02{'00' * 13}0186",
            "group": str(shown["id"]),
        }

    def neighbour_answers(self) -> bool:
        """Whether the neighbour's service still does its work."""
        try:
            with socket.create_connection((self.values["neighbour"], SERVICE_PORT), timeout=30) as connection:
                connection.sendall(b"GET /passwd HTTP/1.0\r\n\r\n")
                answer = b""
                while more := connection.recv(4096):
                    answer += more
        except OSError:
            return False
        return b"root:x:0:0" in answer

    def arm_in(self, zone: str) -> ExecArm:
        """Root, by exec in that zone."""
        return ExecArm(self, zone)

    def unpin(self, zone: str) -> None:
        """Take away what pins a zone's addresses: what guards its port, and the mark by which the rules know it."""
        port = f"z{self.z.show(zone)['id']}a"
        words = ["locked", "off", "isolated", "off", "learning", "on"]
        subprocess.run(["ip", "link", "set", "dev", port, "group", "0"], check=True)
        subprocess.run(["ip", "link", "set", "dev", port, "type", "bridge_slave", *words], check=True)

    @contextmanager
    def sharing(self) -> Iterator[Path]:
        """A mount of the host's that passes on what is mounted in it; the base `shared` shows it."""
        folder = self.folder / "shared"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], check=True)
        try:
            subprocess.run(["mount", "--make-shared", str(folder)], check=True)
            (folder / "point").mkdir(mode=0o777)
            yield folder / "point"
        finally:
            subprocess.run(["umount", "--recursive", str(folder)], check=True)

    @contextmanager
    def anew(self, base: str, keys: tuple[str, ...]) -> Iterator[str]:
        """The name of a zone that runs for a while only, and that nobody else has seen."""
        known = self._zones.pop((base, keys), None)
        name = self.zone(base, keys)
        try:
            yield name
        finally:
            del self._zones[base, keys]
            if known is not None:
                self._zones[base, keys] = known
            self.z("delete", "-f", name)

    @contextmanager
    def listening(self, address: str) -> Iterator[int]:
        """A service of the host's; its port."""
        with socket.create_server((address, 0)) as server:
            yield server.getsockname()[1]

    @contextmanager
    def link(self) -> Iterator[str]:
        """A link of the host's, which is up."""
        name = f"{self.z.bridge}h"
        subprocess.run(["ip", "link", "add", name, "up", "type", "veth", "peer", f"{name}p"], check=True)
        try:
            yield name
        finally:
            subprocess.run(["ip", "link", "del", name], check=True)

    def resolved(self, program: str) -> str:
        """The path of a program of the host's."""
        return shutil.which(program, path=self.z.environment["PATH"]) or program

    def _sleeper(self) -> subprocess.Popen[bytes]:
        """A process of the host's to attack, whose working directory is the canary's."""
        process = subprocess.Popen(
            ["sleep", "1000000"],
            cwd=self.folder / "outside",
            env={"SECRET": "of-the-host"},
            start_new_session=True,
        )
        self.held.callback(process.wait)
        self.held.callback(process.kill)
        return process

    @property
    def host_values(self) -> dict[str, str]:
        """What stands for what on the host."""
        names = {name: str(self.folder / name) for name in ("programs", "share", "work", "shared")}
        there = f"{cgroup2_mount()}/zonectl-{self.z.mark}"
        own = f"{there}/{self.values['group']}"
        return {
            **names,
            "scratch": str(self.folder / "outside"),
            "link": self.z.bridge,
            "groups": own,
            "there": there,
        }

    @property
    def zone_values(self) -> dict[str, str]:
        """What stands for what in a zone."""
        return {
            "programs": "/probe",
            "runtime": "1",
            "share": "/share",
            "work": "/work",
            "shared": "/shared",
            "scratch": "/tmp",
            "link": "eth0",
            "groups": "/sys/fs/cgroup",
            "there": f"/sys/fs/cgroup/zonectl-{self.z.mark}",
        }

    def file(self, base: str, keys: tuple[str, ...] = ()) -> str:
        """The path of the zone file `base`: the smallest, with folders of the host's in `binds` and `shared`."""
        name = f"{base}-on-the-host" if HOST_NET in keys else base
        path = self.folder / f"{name}.toml"
        if path.exists():
            return str(path)
        shown = {"binds": [("share", True), ("work", False)], "shared": [("shared", False)]}.get(base, [])
        mounts = "".join(
            f'[[mount]]\nsource = "{self.folder}/{folder}"\ntarget = "/{folder}"\nreadonly = {str(readonly).lower()}\n'
            for folder, readonly in shown
        )
        root = f'[root]\npath = "{self.folder}/root-of-zones"\n'
        init = "init = true\n" if base == "reaper" else ""
        network = '[network]\nmode = "host"\n' if HOST_NET in keys else ""
        return self.z.write(name, f'name = "{base}"\ncommand = {_ASLEEP}\n{init}{root}{mounts}{network}')

    def zone(self, base: str, keys: tuple[str, ...] = ()) -> str:
        """The name of a zone that runs, of the zone file `base` changed by `keys`."""
        if (base, keys) not in self._zones:
            name = f"{base}-{next(self._numbers)}"
            sets = [word for key in (f"name={name}", *keys) for word in ("--set", key)]
            self.z("create", *sets, self.file(base, keys))
            self.z("start", name)
            self._zones[base, keys] = name
        return self._zones[base, keys]

    def running(self, base: str) -> str:
        """The name of the zone of `run` that is running; it is named after the file and an id."""
        known = {*self._zones.values(), self.neighbour}

        def found() -> str:
            running = (name for name, zone in self.z.list().items() if zone["state"] == "running")
            return next((name for name in running if name not in known), "")

        return until(found, what=base)

    def command(self, without: str = "") -> list[str]:
        """The words that run zonectl, with a step of its own taken away where one is named."""
        if not harness.known(without):
            return [COMMAND]
        return [sys.executable, str(REPOSITORY / "tests" / "hostile" / "without.py"), without, "--no-daemon"]


def build(folder: Path, *, only: frozenset[str]) -> None:
    """Compile the programs, statically; all of them if none is named."""
    folder.mkdir(mode=0o755)
    for source in sorted(PROGRAMS.glob("*.c")):
        if only and source.stem not in only:
            continue
        argv = ["gcc", *_FLAGS, "-o", str(folder / source.stem), str(source)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)


def _hierarchy() -> str:
    """What mounts a hierarchy of cgroups of version 1 that the host has; one that it lacks is made by mounting it."""
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    found = [line.split(":")[1] for line in lines]
    named = [f"none,{name}" for name in found if name.startswith("name=")]
    return next(iter((*named, *filter(None, found))), "none,name=probe")


def make_root(root: Path, programs: Path) -> None:
    """A root of busybox, with a plain user and the probes' programs."""
    for name in ("bin", "etc", "mnt", "proc", "root", "home", "sys", "dev", "tmp", "var", "usr"):
        (root / name).mkdir(mode=0o755, parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", root / "bin" / "busybox")
    applets = subprocess.run([root / "bin" / "busybox", "--list"], check=True, capture_output=True, text=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nplain:x:1000:1000::/home:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nplain:x:1000:\n")
    shutil.copytree(programs, root / "probe")
    # Root of the zone owns it; a plain user executes it.
    (root / "probe").chmod(0o755)


class _Handle(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("handle", ctypes.c_ubyte * 128))


def handle_of(path: Path) -> tuple[int, str]:
    """The type and the bytes of the handle of a file (name_to_handle_at(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle, mount = _Handle(bytes=128), ctypes.c_int()
    if libc.name_to_handle_at(-100, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    return handle.type, bytes(handle.handle[: handle.bytes]).hex()
