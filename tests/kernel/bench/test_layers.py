"""Each rung of the ladder has what the one below has, and exactly the layer that it names."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench.portrait import Portrait, portray
from tests.kernel.forked import spawn
from tests.kernel.runtime.world import BUSYBOX, make_root
from zonectl import config as zone_files
from zonectl.bench import layers, serving, site
from zonectl.bench.arms import HostArm
from zonectl.errors import BenchError, HostLacks, ZonectlError
from zonectl.kernel import host, proc, process
from zonectl.model import capabilities
from zonectl.model.instance import Instance
from zonectl.network import shared
from zonectl.runtime import garbage, settle
from zonectl.runtime.context import Context
from zonectl.runtime.remains import teardown_when_last
from zonectl.store import records
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zonectl.bench.runner import Arm, Runner
    from zonectl.bench.site import Site
    from zonectl.model.config import ZoneConfig

pytestmark = pytest.mark.requires("root", "overlay", "userns", "cgroup2", "nft", "veth", "program:cc")

BRIDGE = f"zl{os.getpid() % 100_000}"
TABLES = f'[network]\nbridge = "{BRIDGE}"\nsubnet = "10.212.{os.getpid() % 250}.0/24"\n'
CHANGES = {
    "host": {"group"},
    "chroot": {"changed_root"},
    "mnt": {"namespaces", "changed_root", "root_fstype", "kernel_mounts"},
    "pid": {"namespaces"},
    "uts-ipc": {"namespaces"},
    "user": {"namespaces", "uid_map", "root_idmapped"},
    "overlay": {"root_fstype", "root_idmapped"},
    "cgroup": {"group"},
    "net": {"namespaces", "links", "sysfs_of_its_own"},
    "seccomp": {"seccomp"},
    "capabilities": {"capabilities"},
    "masks": {"masked"},
    "zone": {"namespaces", "kernel_mounts", "device_programs", "locked"},
}
"""What the kernel shows otherwise than of the rung below."""

NAMESPACES = {
    "mnt": {"mnt"},
    "pid": {"pid"},
    "uts-ipc": {"uts", "ipc"},
    "user": {"user"},
    "net": {"net"},
    "zone": {"cgroup", "time"},
}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("ladder")
    where = Instance(root=str(folder / "state"), run=str(folder / "run"))
    context = Context(instance=where, paths=Paths(where), facts=host.host_facts())
    yield context
    teardown_when_last(context)
    assert garbage.find(context) == []
    assert records.list_names(context.paths) == []


def _site(
    context: Context, probe: str, bind: Path, root: str = "host = true", *, tables: str = TABLES
) -> Site:
    bind.mkdir(exist_ok=True)
    config = zone_files.parse(f'name = "web"\n[root]\n{root}\n{tables}', file="test.toml", folder="/")
    fitted = site.fitted(config, probe=probe, bind=str(bind), processor=0)
    return site.Site(context=context, config=fitted, probe=probe, bind=str(bind), processor=0)


@pytest.fixture(scope="module")
def here(instance: Context, probe_program: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return _site(instance, probe_program, tmp_path_factory.mktemp("bind"))


@pytest.fixture(scope="module")
def arms(here: Site) -> Iterator[dict[str, Arm]]:
    with layers.rungs(here) as found:
        yield {arm.facts.name: arm for arm in (HostArm(here), *found)}


def _portray(arm: Arm) -> Portrait:
    before = set(proc.children(os.getpid()))
    with arm.start() as runner:
        _works(runner)
        (pid,) = set(proc.children(os.getpid())) - before
        return portray(pid)


def _works(runner: Runner) -> None:
    """The probe does its work there, on the folders that the arm names."""
    assert runner.sample("exec", 2, {}) > 0
    for folder in (runner.place.root_folder, runner.place.bind_folder):
        assert folder
        for workload in ("create", "stat", "pwrite"):
            assert runner.sample(workload, 10, {"folder": folder}) > 0


@pytest.fixture(scope="module")
def portraits(arms: dict[str, Arm]) -> Mapping[str, Portrait]:
    """Of every arm that this host can have, in the order of the ladder."""
    return {name: _portray(arm) for name, arm in arms.items() if name != "limits"}


def test_the_ladder_stands_on_bare_metal_and_ends_with_the_zone(arms: dict[str, Arm]) -> None:
    assert set(arms) == {"bare", "limits", *CHANGES}
    chain, name = [], "zone"
    while below := arms[name].facts.after:
        chain.append(name)
        name = below
    assert name == "bare"
    assert chain[::-1] == list(CHANGES)
    assert arms["limits"].facts.after == "cgroup"


@pytest.mark.parametrize("name", CHANGES)
def test_a_rung_has_the_layer_that_it_names_and_nothing_else(
    name: str, arms: dict[str, Arm], portraits: Mapping[str, Portrait]
) -> None:
    rung, below = portraits[name], portraits[arms[name].facts.after or ""]
    assert rung.differs_from(below) == CHANGES[name]
    assert set(rung.namespaces) - set(below.namespaces) == NAMESPACES.get(name, set())
    assert set(below.namespaces) <= set(rung.namespaces)


def test_what_the_layers_are(portraits: Mapping[str, Portrait]) -> None:
    bare, zone = portraits["bare"], portraits["zone"]
    assert portraits["overlay"].root_fstype == "overlay"
    assert portraits["user"].uid_map == portraits["zone"].uid_map == "65536"
    assert portraits["net"].links == ("eth0", "lo")
    assert (bare.seccomp, portraits["seccomp"].seccomp) == ("0", "2")
    assert portraits["seccomp"].capabilities == bare.capabilities == "all"
    assert int(zone.capabilities, 16) == capabilities.DEFAULT
    assert len(zone.namespaces) == 8
    assert (portraits["masks"].locked, zone.locked) == (False, True)
    assert zone.device_programs == 1
    assert zone.syncs
    assert zone.masked


def test_the_rung_that_the_host_cannot_have_says_why(here: Site, arms: dict[str, Arm]) -> None:
    if {"cpu", "memory", "pids"} <= here.context.facts.cgroup.controllers:
        assert _portray(arms["limits"]).limits == ("200000 100000", str(1 << 30), "4096")
    else:
        with pytest.raises(HostLacks, match="limits cannot be enforced"), arms["limits"].start():
            pass


def _names(context: Context) -> set[str]:
    return {*records.list_names(context.paths), *settle.names(context)}


@pytest.mark.parametrize("name", ["host", "pid", "masks"])
def test_a_rung_that_is_broken_off_leaves_nothing(name: str, here: Site, arms: dict[str, Arm]) -> None:
    before, children = _names(here.context), proc.children(os.getpid())
    with pytest.raises(KeyboardInterrupt), arms[name].start():
        raise KeyboardInterrupt
    assert (_names(here.context), proc.children(os.getpid())) == (before, children)


@pytest.mark.parametrize("name", ["host", "chroot", "zone"])
def test_a_probe_that_ends_at_once_leaves_nothing(name: str, here: Site, arms: dict[str, Arm]) -> None:
    children = proc.children(os.getpid())
    with layers.rungs(replace(here, probe=BUSYBOX, config=_executing(here, "/bin/false"))) as found:
        before = _names(here.context)
        (arm,) = [arm for arm in found if arm.facts.name == name]
        with pytest.raises(ZonectlError), arm.start():
            pass
        assert (_names(here.context), proc.children(os.getpid())) == (before, children)


def _executing(here: Site, program: str) -> ZoneConfig:
    return replace(here.config, command=(program,))


@pytest.mark.parametrize("name", ["chroot", "pid", "net"])
def test_what_a_killed_ladder_leaves_is_found(name: str, here: Site) -> None:
    before = _names(here.context)
    said, saying = os.pipe()

    def climb() -> int:
        with layers.rungs(here) as found:
            (arm,) = [arm for arm in found if arm.facts.name == name]
            with arm.start():
                (pid,) = proc.children(os.getpid())
                os.write(saying, str(pid).encode())
                signal.pause()
        return 1

    climber = spawn(climb)
    os.close(saying)
    probe = process.pidfd_open(int(os.read(said, 32)))
    os.close(said)
    assert len(_names(here.context) - before) == 2  # the rung, and what its root is a copy of
    process.pidfd_send_signal(climber, signal.SIGKILL)
    process.wait_pidfd(climber)
    assert select.select([probe], [], [], 60)[0], "the probe has outlived its bench"
    os.close(probe)
    assert len(site.clear(here.context)) == 2
    assert _names(here.context) == before
    assert garbage.find(here.context) == []


@pytest.mark.parametrize("mode", ["overlay", "copy"])
def test_the_ladder_of_a_zone_with_a_root_of_its_own(
    mode: str, instance: Context, probe_program: str, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    root = make_root(tmp_path / "root")
    own = _site(instance, probe_program, tmp_path / "bind", f'path = "{root}"\nmode = "{mode}"')
    with layers.rungs(own) as found:
        arms = {arm.facts.name: arm for arm in found}
        assert ("overlay" in arms) == (mode == "overlay")
        for name in ("chroot", "mnt", "masks", "zone"):
            with arms[name].start() as runner:
                assert runner.sample("getpid", 100, {}) > 0
    assert not (root / site.INSIDE.lstrip("/")).exists()


BELOW_THE_OVERLAY = ("chroot", "mnt", "pid", "uts-ipc", "user")


def _root_of(held: ExitStack, arm: Arm) -> tuple[Runner, Path]:
    """A probe that runs until the end, and its root."""
    before = set(proc.children(os.getpid()))
    runner = held.enter_context(arm.start())
    (pid,) = set(proc.children(os.getpid())) - before
    return runner, Path(f"/proc/{pid}/root")


def test_the_rungs_below_the_overlay_share_one_copy_and_no_folder(arms: dict[str, Arm]) -> None:
    with ExitStack() as held:
        found = [_root_of(held, arms[name]) for name in BELOW_THE_OVERLAY]
        _, root = found[0]
        assert {path.stat().st_ino for _, path in found} == {root.stat().st_ino}
        assert _root_of(held, arms["overlay"])[1].stat().st_dev != root.stat().st_dev
        folders = [Path(runner.place.root_folder or "").name for runner, _ in found]
        assert folders == list(BELOW_THE_OVERLAY)
        for runner, _ in found:
            assert runner.sample("pread", 10, {"folder": runner.place.root_folder or ""}) > 0
        work = root / site.INSIDE.lstrip("/")
        (work / "pid/left").touch()
        assert set(BELOW_THE_OVERLAY) <= {path.name for path in work.iterdir()}
    with arms["pid"].start(), ExitStack() as again:
        _, root = _root_of(again, arms["chroot"])
        work = root / site.INSIDE.lstrip("/")
        assert {path.name for path in work.iterdir()} == {"bind", "probe", "pid", "chroot"}
        assert list((work / "pid").iterdir()) == []


def test_rungs_of_a_zone_that_is_a_copy_are_copies_as_it_is(
    instance: Context, probe_program: str, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    root = make_root(tmp_path / "root")
    own = _site(instance, probe_program, tmp_path / "bind", f'path = "{root}"\nmode = "copy"')
    with layers.rungs(own) as found, ExitStack() as held:
        arms = {arm.facts.name: arm for arm in found}
        roots = [_root_of(held, arms[name])[1].stat().st_ino for name in ("mnt", "user", "zone")]
        assert len(set(roots)) == 3


def test_the_hosts_programs_are_missing_where_nothing_is_mounted_and_that_is_said(
    arms: dict[str, Arm],
) -> None:
    settings = {"argv": "/usr/bin/true"}
    with arms["chroot"].start() as runner:
        with pytest.raises(BenchError, match="nothing is mounted where only the root is changed"):
            runner.sample("spawn", 1, settings)
        assert runner.sample("exec", 1, {}) > 0
    for name in ("host", "mnt"):
        with arms[name].start() as runner:
            assert runner.sample("spawn", 1, settings | {"folder": runner.place.root_folder or ""}) > 0


def test_the_server_on_the_host_is_reached_from_below_the_network_and_through_it(here: Site) -> None:
    """By the bridge's address, which is there as long as one of them has a link to it."""
    with (
        serving.server(here.config, probe=here.probe, processor=0) as address,
        layers.rungs(replace(here, server=address)) as found,
        ExitStack() as held,
    ):
        assert address
        assert address.startswith(here.config.network.router)
        arms = {arm.facts.name: arm for arm in found}
        runners = [held.enter_context(arms[name].start()) for name in ("chroot", "cgroup", "net", "zone")]
        for runner in runners:
            assert runner.place.server == address
            for workload in ("tcp", "udp", "connect"):
                assert runner.sample(workload, 10, {"server": address}) > 0


def test_bridge_and_firewall_come_with_the_network(probe_program: str, tmp_path: Path) -> None:
    """In an instance of its own: what zones share stays as long as there is one of them."""
    where = Instance(root=str(tmp_path / "state"), run=str(tmp_path / "run"))
    context = Context(instance=where, paths=Paths(where), facts=host.host_facts())
    tables = TABLES.replace(BRIDGE, f"{BRIDGE}n").replace("10.212.", "10.213.")
    own = _site(context, probe_program, tmp_path / "bind", tables=tables)
    with layers.rungs(own) as found:
        arms = {arm.facts.name: arm for arm in found}
        with arms["cgroup"].start():
            assert shared.left(where) == []
        with arms["net"].start():
            assert {("bridge", f"{BRIDGE}n"), ("nft table", where.table)} <= set(shared.left(where))
    teardown_when_last(context)
    assert shared.left(where) == []


def test_nothing_of_a_root_is_executed_with_less_than_the_zones_walls(
    instance: Context, probe_program: str, tmp_path: Path
) -> None:
    root = make_root(tmp_path / "root")
    own = _site(instance, probe_program, tmp_path / "bind", f'path = "{root}"')
    with layers.rungs(own) as found, ExitStack() as held:
        runners = {arm.facts.name: held.enter_context(arm.start()) for arm in found if arm.facts.name in _FEW}
        settings = {"argv": "/bin/true", "folder": site.INSIDE}
        assert runners.pop("zone").sample("spawn", 1, settings) > 0
        for runner in runners.values():
            for workload in ("spawn", "getpid"):
                with pytest.raises(BenchError, match="within all of its walls"):
                    runner.sample(workload, 1, settings)
            assert runner.sample("getpid", 1, {}) > 0


_FEW = ("host", "chroot", "mnt", "overlay", "masks", "zone")


@pytest.fixture
def asked_for_iperf() -> Iterator[str]:
    """The address of a server that says to everybody that iperf3's is on port 1."""

    def serve() -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(b"z")
                    connection.recv(1)
                    connection.sendall(b"\0\1")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.requires("program:busybox")
@pytest.mark.parametrize("name", ["chroot", "mnt", "cgroup"])
def test_the_iperf3_of_a_root_is_not_executed_either(
    name: str, instance: Context, probe_program: str, tmp_path: Path, asked_for_iperf: str
) -> None:
    """It is executed by the probe's own workload, which is told a server alone."""
    root = make_root(tmp_path / "root")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/iperf3").symlink_to("/bin/true")
    own = _site(instance, probe_program, tmp_path / "bind", f'path = "{root}"')
    with layers.rungs(own) as found:
        (arm,) = [arm for arm in found if arm.facts.name == name]
        with arm.start() as runner:
            with pytest.raises(BenchError, match="within all of its walls"):
                runner.sample("iperf", 1, {"server": asked_for_iperf})
            assert runner.sample("getpid", 1, {}) > 0


@pytest.mark.parametrize("kind", ["link", "file", "fifo", "folder"])
def test_a_root_cannot_lead_the_probe_astray(
    kind: str, instance: Context, probe_program: str, tmp_path: Path
) -> None:
    root, victim = make_root(tmp_path / "root"), tmp_path / "victim"
    victim.mkdir()
    place = root / site.INSIDE.lstrip("/")
    match kind:
        case "link":
            place.symlink_to(victim)
        case "file":
            place.touch()
        case "fifo":
            os.mkfifo(place)
        case _:
            place.mkdir()
            (place / "probe").symlink_to(victim / "probe")
    own = _site(instance, probe_program, tmp_path / "bind", f'path = "{root}"')
    with pytest.raises(BenchError, match="of its own"), layers.rungs(own):
        pass
    assert list(victim.iterdir()) == []
