"""An instance of the test's own: state roots, a busybox root, a bridge, a warden; and what the host shows of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import eventually
from zonectl import config
from zonectl.kernel import host, proc, process
from zonectl.model.instance import Instance, zone_cgroup
from zonectl.namespaces.steps.mounts import STAGING
from zonectl.network import gate
from zonectl.runtime import exec as execution
from zonectl.runtime.context import Context
from zonectl.runtime.create import create
from zonectl.runtime.delete import delete
from zonectl.runtime.exec import Request
from zonectl.runtime.remains import teardown_when_last
from zonectl.runtime.run import run
from zonectl.runtime.start import start
from zonectl.runtime.status import status
from zonectl.runtime.stop import stop
from zonectl.store import idranges, leases, records
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.errors import ZonectlError
    from zonectl.kernel.proc import MountEntry
    from zonectl.kernel.process import ExitStatus
    from zonectl.model.config import ZoneConfig
    from zonectl.model.record import LiveNote, ZoneRecord
    from zonectl.model.state import ZoneState

BUSYBOX = "/usr/bin/busybox"
APPLETS = (
    *(
        "sh",
        "cat",
        "chown",
        "cp",
        "cut",
        "echo",
        "env",
        "false",
        "find",
        "grep",
        "head",
        "hostname",
        "id",
        "ip",
        "kill",
    ),
    *(
        "ln",
        "ls",
        "mkdir",
        "mkfifo",
        "mknod",
        "mount",
        "ping",
        "pwd",
        "readlink",
        "rm",
        "sed",
        "seq",
        "sleep",
        "sort",
    ),
    *("stat", "test", "touch", "tr", "true", "tty", "umount", "unshare", "wc"),
)
SERVICE = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
"""A zone's program that ends when it is asked to."""

UNOWNED = {"lock", "ids.lock", "leases.lock", "images.lock", "shared.lock", "ids.json", "leases.json"}
"""Files that stay, whichever zones come and go; what is in the ledgers is looked at apart."""

REQUIRED = ("root", "overlay", "userns", "cgroup2", "program:busybox")


def make_root(folder: Path) -> Path:
    """A small root with busybox in it."""
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"):
        (folder / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    for applet in APPLETS:
        (folder / "bin" / applet).symlink_to("busybox")
    (folder / "tmp").chmod(0o1777)
    (folder / "root").chmod(0o700)
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/var:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\nweb:x:33:\nadm:x:4:web\n")
    return folder


@dataclass
class Warden:
    """Remembers whom it was given; refuses where a test wants it to."""

    adopted: list[tuple[str, int]] = field(default_factory=list)
    refusal: ZonectlError | None = None

    def adopt(self, *, zone: str, pid: int, pidfd: int) -> None:
        """As zoned does, but for the waiting."""
        # Its program may have ended by now: it is not reaped, and so still has its number.
        assert f"\nPid:\t{pid}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
        if self.refusal:
            raise self.refusal
        self.adopted.append((zone, pid))


class Caller:
    """Whoever calls a foreground verb: its output goes to a file."""

    interactive = False
    window = (24, 80)

    def __init__(self, folder: Path, *, impatient: Callable[[int], None] | None = None) -> None:
        self._folder = folder
        self._impatient = impatient
        self._streams: list[int] = []
        self.master: int | None = None

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """Nothing to read, and two files."""
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        out, err = (os.open(self._folder / name, flags) for name in ("stdout", "stderr"))
        self._streams = [out, err]
        return None, out, err

    def keep_signals(self) -> None:
        """Nobody sends signals."""

    def attach(self, master: int) -> None:
        """Keep the terminal."""
        self.master = master

    def wait(self, pidfd: int, deliver: Callable[[int], None]) -> ExitStatus:
        """Wait, for at most as long as a test may take."""
        if self._impatient:
            self._impatient(pidfd)
            deliver(signal.SIGTERM)
        exit_status = process.wait_pidfd(pidfd, timeout_s=30)
        self.close()
        assert exit_status is not None
        return exit_status

    def close(self) -> None:
        """Close the files; twice is fine."""
        while self._streams:
            os.close(self._streams.pop())


@dataclass(frozen=True)
class Result:
    """How a program in a zone ended, and what it wrote."""

    exit_status: ExitStatus
    out: str
    err: str


@dataclass
class World:
    """An instance below `folder`. `number` tells its bridge and subnet from those of others."""

    folder: Path
    number: int
    warden: Warden = field(default_factory=Warden)

    @property
    def context(self) -> Context:
        """What the verbs are given."""
        instance = Instance(root=str(self.folder / "state"), run=str(self.folder / "run"))
        return Context(
            instance=instance,
            paths=Paths(instance),
            facts=host.host_facts(),
            warden=self.warden,
            lock_timeout_s=5.0,
        )

    @property
    def root(self) -> Path:
        """The root that zones stand on."""
        return self.folder / "root"

    @property
    def bridge(self) -> str:
        """The instance's bridge."""
        return f"zt{self.number}"

    @property
    def network(self) -> str:
        """A table of the zone file for zones with a veth."""
        subnet = f"10.199.{self.number % 256}.0/24"
        return f'[network]\nbridge = "{self.bridge}"\nsubnet = "{subnet}"\n'

    def text(
        self, *command: str, name: str = "web", extra: str = "", root: str = "", net: bool = False
    ) -> str:
        """A zone file; without a network of its own, which most tests do not need."""
        argv = ", ".join(f"'''{word}'''" for word in command or ("/bin/sh", "-c", SERVICE))
        network = self.network if net else '[network]\nmode = "none"\n'
        source = root or f'path = "{self.root}"'
        head, _, tables = extra.partition("\n[")
        tables = f"[{tables}" if tables else ""
        return f'name = "{name}"\ncommand = [{argv}]\n{head}\n[root]\n{source}\n{network}{tables}\n'

    def parse(self, text: str) -> ZoneConfig:
        """The configuration of a zone file."""
        return config.parse(text, file="test.toml", folder=str(self.folder))

    def create(self, *command: str, **wishes: str | bool) -> ZoneRecord:
        """Create a zone of `text`."""
        text = self.text(*command, **wishes)  # type: ignore[arg-type]
        return create(self.context, self.parse(text), text)

    def started(self, *command: str, **wishes: str | bool) -> ZoneRecord:
        """Create and start it."""
        record = self.create(*command, **wishes)
        start(self.context, record.name)
        return record

    def run(self, *command: str, **wishes: str | bool) -> Result:
        """Run a zone of `text` to its end."""
        return self.run_text(self.text(*command, **wishes))  # type: ignore[arg-type]

    def run_text(self, text: str) -> Result:
        """Run a zone of that zone file to its end."""
        return self._called(lambda caller: run(self.context, self.parse(text), caller))

    def sh(self, script: str, **wishes: str | bool) -> Result:
        """Run a shell script in a zone to its end."""
        return self.run("/bin/sh", "-c", script, **wishes)

    def execute(
        self, *argv: str, name: str = "web", user: str | None = None, workdir: str | None = None
    ) -> Result:
        """Run a program in a running zone."""
        request = Request(argv=argv, user=user, workdir=workdir)
        return self._called(lambda caller: execution.execute(self.context, name, request, frontend=caller))

    def _called(self, verb: Callable[[Caller], ExitStatus]) -> Result:
        folder = self.folder / f"scratch-{time.monotonic_ns()}"
        folder.mkdir()
        caller = Caller(folder)
        try:
            return _result(folder, verb(caller))
        finally:
            caller.close()
            shutil.rmtree(folder)

    def stop(self, name: str = "web") -> None:
        """Stop the zone at once."""
        stop(self.context, name, timeout_s=0)

    def state(self, name: str = "web") -> ZoneState:
        """Where the zone stands."""
        return status(self.context, name).state

    def live(self, name: str = "web") -> LiveNote:
        """The note of the zone's init, which must be alive."""
        found = status(self.context, name).live
        assert found
        return found

    def group(self, record: ZoneRecord) -> Path:
        """The zone's control group."""
        facts = self.context.facts.cgroup
        return Path(facts.mount or "", facts.base, zone_cgroup(self.context.instance, record.id))

    def clean(self) -> None:
        """Delete every zone, and what they shared."""
        for name in records.list_names(self.context.paths):
            delete(self.context, name, force=True)
        teardown_when_last(self.context)
        for _, pid in self.warden.adopted:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def footprint(self) -> dict[str, object]:
        """All that the host shows of the instance, save its shared things and locks."""
        paths = self.context.paths
        return {
            "mounts": [mount.target for mount in proc.mountinfo() if self._could_be_ours(mount)],
            "links": self._ports(),
            "groups": self._groups(),
            "namespaces": _namespaces(),
            "descriptors": sorted(os.listdir("/proc/self/fd")),
            "children": proc.children(os.getpid()),
            "files": _files(paths.root) | _files(paths.run_dir),
            "leases": leases.leases(paths),
            "ids": idranges.ranges(paths),
        }

    def _could_be_ours(self, mount: MountEntry) -> bool:
        """Others use this host too: what they mount is not looked at."""
        return mount.target == STAGING or mount.target.startswith(str(self.folder))

    def _ports(self) -> list[str]:
        try:
            return sorted(os.listdir(f"/sys/class/net/{self.bridge}/brif"))
        except FileNotFoundError:
            return []

    def shared(self) -> list[str]:
        """What zones of the instance have in common, as far as it is there."""
        facts = self.context.facts.cgroup
        group = Path(facts.mount or "", facts.base, self.context.instance.cgroup)
        found = [str(path) for path in (group, Path(f"/sys/class/net/{self.bridge}")) if path.exists()]
        if shutil.which("nft"):
            found += [line for line in ruleset_names().splitlines() if self.context.instance.table in line]
        found += ["routing rules"] if gate.is_there(self.context.instance) else []
        return found

    def becomes(self, before: dict[str, object], *, save: str = "") -> None:
        """Assert that the host shows what it showed `before`; links go a moment after their namespace."""
        eventually(lambda: self.footprint()["links"] == before["links"])
        after = self.footprint()
        for what, value in before.items():
            assert what == save or after[what] == value, f"{what}: {_difference(value, after[what])}"

    def _groups(self) -> list[str]:
        facts = self.context.facts.cgroup
        top = Path(facts.mount or "", facts.base, self.context.instance.cgroup)
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_dir())


def _result(folder: Path, exit_status: ExitStatus) -> Result:
    out, err = ((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
    return Result(exit_status=exit_status, out=out, err=err)


def _namespaces() -> set[int]:
    """Those that a process of our own is in: what another test's zones do is not ours."""
    found: set[int] = set()
    for pid in (os.getpid(), *proc.descendants(os.getpid())):
        found |= set(proc.namespace_ids(pid).values())
    return found


def _difference(before: object, after: object) -> str:
    if isinstance(before, frozenset) and isinstance(after, frozenset):
        return f"new {sorted(after - before)}, gone {sorted(before - after)}"
    return f"{before!r} became {after!r}"


def _files(folder: str) -> frozenset[str]:
    # Compiled filters are a cache of the instance's.
    kept = (
        path for path in Path(folder).rglob("*") if path.name not in UNOWNED and path.parent.name != "filters"
    )
    return frozenset(f"{path}{'' if path.is_dir() else f' {path.lstat().st_size}'}" for path in kept)


def ruleset_names() -> str:
    """The tables of nft(8)."""
    return subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout


def unwatched(world: World) -> Context:
    """A context of which nobody watches the zones."""
    return replace(world.context, warden=None)
