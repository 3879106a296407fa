"""A root put together for real: a child in new namespaces does the steps of a plan, then whatever a test asks of it."""

from __future__ import annotations

import json
import os
import stat
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zonectl.kernel import proc, process, sockets
from zonectl.model.config import (
    NamespacesConfig,
    NetworkConfig,
    NetworkMode,
    RootConfig,
    RootMode,
    ZoneConfig,
)
from zonectl.model.facts import HostFacts
from zonectl.model.names import ZoneName
from zonectl.model.steps import Binding
from zonectl.namespaces import clocks, entering, idmap, nodes, rootfs, sysctls, trees
from zonectl.namespaces.steps import born_kinds, id_map_steps, inside_steps, switch_steps, tree_steps
from zonectl.namespaces.steps.nodes import MakeNodes
from zonectl.namespaces.steps.process import BecomeRoot, SetHostname, ShiftClocks, clone_flag
from zonectl.namespaces.steps.sysctls import WriteSysctls, sysctl_steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zonectl.kernel.proc import MountEntry
    from zonectl.model.config import MountConfig

FIRST_ID = 3_000_000_000
FILES = (
    ("/etc/hostname", "web\n"),
    ("/etc/hosts", "127.0.0.1 web\n"),
    ("/etc/resolv.conf", "nameserver 192.0.2.1\n"),
)
WEB = ZoneConfig(
    name=ZoneName("web"),
    root=RootConfig(path="/nowhere"),
    network=NetworkConfig(mode=NetworkMode.NONE),
)


@dataclass(frozen=True)
class Outcome:
    """What came of it: `error` is empty where the root was put together and the test's function returned `value`.

    `leaked` are descriptors that the assembly has not given back, `mounts` those that the process could reach in the
    end, as the host sees it.
    """

    value: Any
    error: str
    leaked: list[int]
    mounts: list[MountEntry]


@dataclass
class Ground:
    """A root, a zone's folder and a piece of the host that nothing may touch, all below `folder`."""

    folder: Path

    def __post_init__(self) -> None:
        """Make them."""
        for name in ("root", "zone/upper", "zone/work", "host/folder"):
            (self.folder / name).mkdir(parents=True)
        for name in ("dev", "etc", "proc", "sys", "tmp", "mnt", "srv"):
            (self.root / name).mkdir()
        (self.root / "srv/file").touch()
        (self.host / "canary").write_text("untouched")
        (self.host / "folder/inner").write_text("untouched")

    @property
    def root(self) -> Path:
        """The layer that the zone stands on."""
        return self.folder / "root"

    @property
    def host(self) -> Path:
        """What belongs to the host."""
        return self.folder / "host"

    @property
    def upper(self) -> Path:
        """What the zone writes to."""
        return self.folder / "zone/upper"

    def binding(self) -> Binding:
        """As a record would say."""
        return Binding(
            zone_id="0a1b2c3d",
            first_id=str(FIRST_ID),
            address="",
            gateway="",
            zone_dir=str(self.folder / "zone"),
            layers=(str(self.root),),
        )

    def enter(
        self,
        body: Callable[[], object] = lambda: None,
        *,
        config: ZoneConfig = WEB,
        mounts: tuple[MountConfig, ...] = (),
        facts: HostFacts | None = None,
    ) -> Outcome:
        """Put the root together and run `body` in it; what it returns comes back as JSON."""
        return _enter(self, replace(config, mounts=mounts), facts or HostFacts(mqueue=True), body=body)


def _enter(ground: Ground, config: ZoneConfig, facts: HostFacts, *, body: Callable[[], object]) -> Outcome:
    flags = 0
    for kind in born_kinds(config):
        flags |= getattr(process, clone_flag(kind))
    ours, theirs = sockets.pair()
    pid, pidfd = process.clone(flags)
    if pid == 0:
        ours.close()
        _inside(ground, config, facts, end=theirs, body=body)
    theirs.close()
    with ExitStack() as held, ours:
        held.callback(os.close, pidfd)
        held.callback(process.kill_and_reap, pidfd)
        for step in id_map_steps(config, ground.binding()):
            idmap.apply(step, pid=pid)
        userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        held.callback(os.close, userns)
        passed = []
        for tree in tree_steps(config, ground.binding(), facts):
            made = nodes.make(tree) if isinstance(tree, MakeNodes) else trees.apply(tree, userns=userns)
            passed.append(made)
            held.callback(os.close, passed[-1])
        sockets.send(ours, b"trees", passed)
        answer, _ = sockets.receive(ours, 1 << 20)
        return Outcome(**json.loads(answer), mounts=proc.mountinfo(pid))


def _inside(
    ground: Ground, config: ZoneConfig, facts: HostFacts, *, end: Any, body: Callable[[], object]
) -> None:
    answer: dict[str, object] = {"value": None, "error": "died", "leaked": []}
    try:
        before = _descriptors()
        _, passed = sockets.receive(end, 16, 64)
        assembly = rootfs.Assembly(passed)
        inside = inside_steps(config, ground.binding(), facts, files=FILES, volatile=False)
        for step in (*inside, *sysctl_steps(config.sysctl), *switch_steps(config)):
            _apply(step, assembly)
        assembly.close()
        answer |= {"value": body(), "error": "", "leaked": sorted(_descriptors() - before)}
    except Exception as error:  # noqa: BLE001 - the process ends here
        answer["error"] = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    finally:
        sockets.send(end, json.dumps(answer).encode())
        sockets.receive(end, 1)  # to be looked at, until it is killed
        os._exit(0)


def _apply(step: object, assembly: rootfs.Assembly) -> None:
    match step:
        case BecomeRoot():
            entering.become_root()
        case SetHostname():
            process.sethostname(step.hostname)
        case ShiftClocks():
            clocks.apply(step)
        case WriteSysctls():
            sysctls.apply(step)
        case _:
            assembly.apply(step)  # type: ignore[arg-type]


def _descriptors() -> set[int]:
    return {fd for fd in range(256) if _is_open(fd)}


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything about everything below a folder, save when it was read."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path.relative_to(folder))] = (
            *(status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_size),
            *(
                status.st_mtime_ns,
                status.st_ctime_ns,
                content,
                os.readlink(path) if path.is_symlink() else "",
            ),
        )
    return found


def mounts() -> list[list[str]]:
    """The mounts that this process sees: target, type, source, options."""
    return [[m.target, m.fstype, m.root, ",".join(m.options)] for m in proc.mountinfo()]


def with_root(**wishes: Any) -> ZoneConfig:
    """A zone whose root is otherwise."""
    return replace(WEB, root=replace(WEB.root, **wishes))


def with_namespaces(**wishes: Any) -> ZoneConfig:
    """A zone whose namespaces are otherwise."""
    network = NetworkConfig(mode=NetworkMode.NONE if wishes.get("net", True) else NetworkMode.HOST)
    return replace(WEB, namespaces=NamespacesConfig(**wishes), network=network)


COPY = with_root(mode=RootMode.COPY)
