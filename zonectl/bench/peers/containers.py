"""Peers that isolate as zones do, on the level of the operating system: how each is told to run the probe.

Each has its own defaults, as its users have them; what a zone has and it has not is said in `lacks`. None is given a
network: to wire it is its user's business, and they differ most in that.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench import hosted, site
from zonectl.bench.hosted import Hosted
from zonectl.bench.peers import bundle, programs
from zonectl.bench.peers.classes import OPERATING_SYSTEM
from zonectl.bench.peers.conversation import conversing
from zonectl.bench.results import ArmFacts, Kind
from zonectl.bench.runner import Place
from zonectl.bench.trust import careful, trusts_programs
from zonectl.errors import BenchError
from zonectl.model.instance import zone_cgroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zonectl.bench.runner import Runner
    from zonectl.bench.site import Site
    from zonectl.model.names import ZoneId

PROGRAM: Final = (site.PROBE_INSIDE, site.SERVE)
_GREETING_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a container is made from: its root, a folder of the host for `site.BIND_INSIDE`, one for itself, a name.

    `shown` are folders of the host that it sees where they are, read-only.
    `group` is a control group of its own, below the cgroup2 mount; None where the host has none.
    """

    root: str
    bind: str
    shown: tuple[str, ...]
    folder: str
    name: str
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A peer: `package` is Debian's, `argv` its command line for a ground, `lacks` what a zone has and it has not.

    `trusting`: it executes a program that it finds in the root, before the probe, or writes to the root by its paths.
    """

    name: str
    program: str
    package: str
    lacks: str
    argv: Callable[[str, Ground], list[str]]
    trusting: bool = False


def _crun(program: str, ground: Ground) -> list[str]:
    _make_bundle(program, ground, group=None)
    options = ["--cgroup-manager=disabled", "--root", f"{ground.folder}/state"]
    return [program, *options, "run", "--bundle", f"{ground.folder}/bundle", ground.name]


def _runc(program: str, ground: Ground) -> list[str]:
    _make_bundle(program, ground, group=ground.group and f"/{ground.group}")
    options = ["--root", f"{ground.folder}/state"]
    return [program, *options, "run", "--bundle", f"{ground.folder}/bundle", ground.name]


def _make_bundle(runtime: str, ground: Ground, *, group: str | None) -> None:
    mounts = [bundle.Bind(source=ground.bind, target=site.BIND_INSIDE)]
    mounts += [bundle.Bind(source=path, target=path, readonly=True) for path in ground.shown]
    made = bundle.Bundle(root=ground.root, argv=PROGRAM, binds=tuple(mounts), group=group)
    bundle.make(runtime, f"{ground.folder}/bundle", made)


def _bubblewrap(program: str, ground: Ground) -> list[str]:
    binds = ["--bind", ground.bind, site.BIND_INSIDE]
    binds += [word for path in ground.shown for word in ("--ro-bind", path, path)]
    walls = ["--unshare-all", "--die-with-parent", "--bind", ground.root, "/"]
    return [program, *walls, "--proc", "/proc", "--dev", "/dev", *binds, *PROGRAM]


def _nspawn(program: str, ground: Ground) -> list[str]:
    binds = [
        f"--bind={ground.bind}:{site.BIND_INSIDE}:idmap",
        *(f"--bind-ro={path}" for path in ground.shown),
    ]
    walls = ["--private-network", "--private-users=pick", "--private-users-ownership=map"]
    quiet = ["--quiet", "--register=no", "--keep-unit", f"--machine={ground.name}", "--pipe"]
    return [program, *quiet, *walls, *binds, "-D", ground.root, *PROGRAM]


def _podman(program: str, ground: Ground) -> list[str]:
    store = ["--root", f"{programs.SHORT}/podman", "--runroot", f"{programs.SHORT}/podman-run"]
    walls = ["--network", "none", "--cgroups", "disabled", "--runtime", "crun"]
    # Its own limits are above what a root without CAP_SYS_RESOURCE may set.
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    binds = ["-v", f"{ground.bind}:{site.BIND_INSIDE}"]
    binds += [word for path in ground.shown for word in ("-v", f"{path}:{path}:ro")]
    start = ["--cgroup-manager", "cgroupfs", "run", "-i", "--rm", "--name", ground.name]
    return [program, *store, *start, *walls, *limits, *binds, "--rootfs", ground.root, *PROGRAM]


def _lxc(program: str, ground: Ground) -> list[str]:
    lines = [
        f"lxc.rootfs.path = dir:{ground.root}",
        f"lxc.uts.name = {ground.name}",
        "lxc.net.0.type = empty",
        "lxc.mount.auto = proc:mixed sys:mixed",
        "lxc.autodev = 1",
        "lxc.console.path = none",
        # Its groups are in the one that it is started in, and not at the top, where nobody finds what is left.
        "lxc.cgroup.relative = 1",
        f"lxc.mount.entry = {ground.bind} {site.BIND_INSIDE[1:]} none bind 0 0",
        *(f"lxc.mount.entry = {path} {path[1:]} none bind,ro 0 0" for path in ground.shown),
    ]
    path = f"{ground.folder}/config"
    with site.making(path), open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return [program, "-n", ground.name, "-P", ground.folder, "-f", path, "--", *PROGRAM]


CONTAINERS: Final = (
    Container(
        name="crun",
        program="crun",
        package="crun",
        lacks="user ids of its own, overlay, network, cgroup",
        argv=_crun,
    ),
    Container(
        name="runc", program="runc", package="runc", lacks="user ids of its own, overlay, network", argv=_runc
    ),
    Container(
        name="bubblewrap",
        program="bwrap",
        package="bubblewrap",
        lacks="ids of its own, overlay, network, cgroup, system call filter",
        argv=_bubblewrap,
    ),
    Container(
        name="systemd-nspawn",
        program="systemd-nspawn",
        package="systemd-container",
        lacks="overlay, network",
        argv=_nspawn,
    ),
    Container(
        name="podman",
        program="podman",
        package="podman",
        lacks="user ids of its own, overlay, network, cgroup",
        argv=_podman,
    ),
    Container(
        name="lxc",
        program="lxc-execute",
        package="lxc",
        lacks="user ids of its own, overlay, network, system call filter",
        argv=_lxc,
        # init.lxc of the root, where it has one; else a node for its own, at /tmp/.lxc-init (lxc's execute.c).
        trusting=True,
    ),
)


class ContainerArm:
    """The probe as the program of another runtime's container, in the root `base`."""

    def __init__(self, here: Site, peer: Container, *, base: str) -> None:
        self._here = here
        self._peer = peer
        self._base = base

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        return ArmFacts(
            name=self._peer.name,
            kind=Kind.PEER,
            title=self._peer.name,
            differs=f"its own walls; a zone's that are not among them: {self._peer.lacks}",
            family=OPERATING_SYSTEM.title,
            claimed=OPERATING_SYSTEM.claimed,
        )

    @contextmanager
    def start(self) -> Iterator[Runner]:
        """A probe in a new container.

        Raises:
            BenchError: no probe comes up in it; with what the runtime said. Or it would trust a root that nobody does.
            HostLacks: it is not installed.
            StoreError: what it needs cannot be made.

        """
        here, program = self._here, programs.find(self._peer.program, self._peer.package)
        if self._peer.trusting and not trusts_programs(here.config):
            raise BenchError(f"{program} would execute what the zone's root has brought, as the host's root")
        with ExitStack() as held:
            standing = held.enter_context(site.standing(here.context, here.config))
            group = held.enter_context(hosted.groups(here.context, here.config, standing.zone_id))
            bind = site.make_folder(f"{standing.folder}/bind")
            ground = Ground(
                root=self._base,
                bind=bind,
                # A sparse root has the host's programs mounted, and so do the peers' roots, which are copies of it.
                shown=("/usr",) if here.config.root.host else (),
                folder=standing.folder,
                name=f"zonectl-bench-{standing.zone_id}",
                group=_own_group(here, standing.zone_id),
            )
            argv = programs.apart(self._peer.argv(program, ground), folder=standing.folder)
            given = Hosted(argv=argv, folder="/", config=here.config, group=group)
            place = Place(root_folder=site.INSIDE, bind_folder=site.BIND_INSIDE, server=None)
            greeting_s = here.time_up.within(_GREETING_S)
            probe = held.enter_context(
                conversing(given, place=place, scratch=standing.folder, greeting_s=greeting_s)
            )
            # What a runtime without ids of their own gives an image's programs is not what the zone's file says.
            yield careful(probe, here.config)


def _own_group(here: Site, zone_id: ZoneId) -> str | None:
    """A group beside the one that the runtime itself runs in; it goes with both."""
    facts = here.context.facts.cgroup
    if not facts.mount:
        return None
    return f"{facts.base.strip('/')}/{zone_cgroup(here.context.instance, zone_id)}/peer".strip("/")
