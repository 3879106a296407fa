"""A root put together for real: a child in new namespaces does the steps of a plan, then whatever a test asks of it."""

from __future__ import annotations

import json
import os
import stat
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.patience import eventually
from zonectl.errors import ZonectlError
from zonectl.kernel import proc, process
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
from zonectl.namespaces import entering, idmap, nodes, trees
from zonectl.namespaces.steps import (
    born_kinds,
    first_steps,
    id_map_steps,
    inside_steps,
    switch_steps,
    tree_steps,
)
from zonectl.namespaces.steps.nodes import MakeNodes
from zonectl.namespaces.steps.process import clone_flag
from zonectl.namespaces.steps.sysctls import sysctl_steps
from zonectl.runtime import entry, initial
from zonectl.runtime.handshake import Channel, close_all, failure
from zonectl.runtime.siblings import Siblings, pidfd_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zonectl.kernel.proc import MountEntry
    from zonectl.model.config import MountConfig
    from zonectl.planning import ZonePlan

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
    end, as the host sees it, `clocks` the time namespace that its program would be in.
    """

    value: Any
    error: str
    leaked: list[int]
    mounts: list[MountEntry]
    clocks: str


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
    plan = _plan(ground, config, facts)
    ours, theirs = Channel.pair()
    with ExitStack() as held:
        held.callback(ours.close)
        siblings = Siblings.begin()
        held.callback(siblings.close)
        first = _spawn(config, theirs, siblings)
        theirs.close()
        pid, pidfd = siblings.after(pidfd_of(first), ours, number=0)
        held.callback(os.close, pidfd)
        held.callback(process.kill_and_reap, pidfd)
        error = _put_together(ground, config, plan, ours, pid=pid, held=held)
        if error:
            return Outcome(value=None, error=error, leaked=[], mounts=proc.mountinfo(pid), clocks="")
        clocks = os.readlink(f"/proc/{pid}/ns/time")
        answer = _look(pidfd, pid, body)
        # What it has sent with its word it closes after that.
        eventually(lambda: not _leaked(pid))
        return Outcome(**answer, leaked=_leaked(pid), mounts=proc.mountinfo(pid), clocks=clocks)


def _spawn(config: ZoneConfig, channel: Channel, siblings: Siblings) -> int:
    flags = 0
    for kind in born_kinds(config):
        flags |= getattr(process, clone_flag(kind))
    birth = entry.Birth(namespaces=flags, owner=None, group=None, door=None, reaper=None)
    streams = (None, None, None)
    words = entry.stream_words(streams, None)
    return entry.spawn_init(streams, birth, channel=channel.fileno(), siblings=siblings, first=words)


def _leaked(init: int) -> list[int]:
    """What init has open besides its streams, which are the zone's /dev/null by now, and its channel."""
    opened = {int(name): _reading(init, name) for name in os.listdir(f"/proc/{init}/fd")}
    return sorted(fd for fd, where in opened.items() if fd != 3 and (fd > 3 or where != "/dev/null"))


def _reading(init: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{init}/fd/{name}")
    except FileNotFoundError:
        return ""


def _plan(ground: Ground, config: ZoneConfig, facts: HostFacts) -> ZonePlan:
    """What init looks at of a plan."""
    inside = inside_steps(config, ground.binding(), facts, files=FILES, volatile=False)
    steps = (*first_steps(config), *inside, *sysctl_steps(config.sysctl), *switch_steps(config))
    trees = tree_steps(config, ground.binding(), facts)
    return cast("ZonePlan", SimpleNamespace(inside=steps, trees=trees))


def _put_together(
    ground: Ground, config: ZoneConfig, plan: ZonePlan, channel: Channel, *, pid: int, held: ExitStack
) -> str:
    """The worker's part; what init has failed with."""
    for step in id_map_steps(config, ground.binding()):
        idmap.apply(step, pid=pid)
    channel.say("IDS")
    userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    held.callback(os.close, userns)
    passed = []
    for tree in plan.trees:
        made = nodes.make(tree) if isinstance(tree, MakeNodes) else trees.apply(tree, userns=userns)
        passed.append(made)
        held.callback(os.close, passed[-1])
    try:
        entry.send(channel, "SCRIPT", initial.script(plan))
        channel.send_trees(passed)
        channel.say("LINKS")
    except ZonectlError:  # init has failed meanwhile, and says why
        pass
    message, fds = channel.hear()
    close_all(fds)
    return (
        ""
        if message.get("word") == "READY"
        else f"{message['kind']}: {message.get('message') or failure(message)}"
    )


def _look(init: int, pid: int, body: Callable[[], object]) -> dict[str, Any]:
    """What `body` finds in the zone of `init`; a child of ours joins it."""
    reading, writing = os.pipe()

    def join() -> int:
        os.close(reading)
        entering.enter(init, pid=pid)
        joined, ended = process.fork()
        if joined:
            process.wait_pidfd(ended)
            return 0
        _answer(body, writing)
        return 0

    _, joining = process.spawn(join)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        text = file.read()
    process.wait_pidfd(joining)
    os.close(joining)
    found: dict[str, Any] = json.loads(text) if text else {"value": None, "error": "died"}
    return found


def _answer(body: Callable[[], object], writing: int) -> None:
    answer: dict[str, object] = {"value": None, "error": "died"}
    try:
        answer = {"value": body(), "error": ""}
    except Exception as error:  # noqa: BLE001 - the process ends here
        answer["error"] = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    finally:
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)


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
