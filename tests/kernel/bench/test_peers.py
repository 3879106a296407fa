from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.forked import spawn
from tests.kernel.runtime.world import unwatched
from tests.vm.lane import kernel_package, options
from zonectl.bench import sampling, serving, site
from zonectl.bench.arms import HostArm
from zonectl.bench.hosted import Hosted
from zonectl.bench.peers import catalogue, clock, initramfs
from zonectl.bench.peers.containers import CONTAINERS, ContainerArm, Ground
from zonectl.bench.peers.conversation import conversing
from zonectl.bench.runner import Place
from zonectl.bench.sampling import Effort
from zonectl.bench.workload import Extent
from zonectl.bench.workloads import chosen, named
from zonectl.errors import BenchError, StoreError
from zonectl.kernel import proc, process
from zonectl.model.config import NetworkMode
from zonectl.runtime.program import DEFAULT_PATH
from zonectl.runtime.remains import teardown_when_last

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.kernel.bench.conftest import Sites
    from tests.kernel.runtime.world import World
    from zonectl.bench.runner import Arm
    from zonectl.bench.site import Site

PROGRAMS = tuple(f"program:{peer.program}" for peer in CONTAINERS)
FOREIGN = "[env]\nPATH = '/nowhere'\nLD_LIBRARY_PATH = '/nowhere'\nTMPDIR = '/nowhere'\nCOLOUR = 'blue'\n"
GETPID = chosen(["getpid"], extent=Extent.FULL)


def probe_in(here: Site) -> int:
    """The one probe that runs from a container's root: podman's is nobody's child of ours."""
    program = next(Path(here.context.paths.zones_dir).glob(f"*/base{site.PROBE_INSIDE}"))
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            if Path(f"/proc/{name}/exe").samefile(program):
                found.append(int(name))
    assert len(found) == 1
    return found[0]


def group_of(pid: int) -> str:
    """The path of its group of version 2."""
    lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    (found,) = [line.removeprefix("0::") for line in lines if line.startswith("0::")]
    return found


@pytest.mark.requires(*PROGRAMS)
@pytest.mark.parametrize("name", [peer.name for peer in CONTAINERS])
def test_a_container_runs_the_probe_in_walls_of_its_own(sites: Sites, name: str) -> None:
    ours = proc.namespace_ids(os.getpid())
    # lxc takes no root that is not to be trusted.
    root = "host = true" if name == "lxc" else ""
    with (
        sites(root=root) as here,
        catalogue.arms(here, (name,), kernel=None) as (arm,),
        arm.start() as runner,
    ):
        pid = probe_in(here)
        theirs = proc.namespace_ids(pid)
        (runtime,) = proc.children(os.getpid())
        for path in ("run", "dev/shm"):
            assert os.stat(f"/proc/{runtime}/root/{path}").st_dev != os.stat(f"/{path}").st_dev
        for each in (runtime, pid):
            assert f"/{here.context.instance.cgroup}/" in group_of(each)
        assert all(theirs[kind] != ours[kind] for kind in ("mnt", "pid", "net"))
        assert os.sched_getaffinity(pid) == {here.processor}
        assert runner.sample("getpid", 1000, {}) > 0
        for folder in (runner.place.root_folder, runner.place.bind_folder):
            assert folder is not None
            assert runner.sample("create", 10, {"folder": folder}) > 0
        assert runner.place.server is None


def test_what_is_missing_is_left_out_with_the_reason(sites: Sites, world: World) -> None:
    none = replace(CONTAINERS[0], name="none", program="zonectl-no-such-program", package="none")
    with sites() as here:
        before = world.footprint()
        found: list[Arm] = [HostArm(here), ContainerArm(here, none, base="/")]
        measured = sampling.measure(found, GETPID, Effort(rounds=2, young=1, sample_s=0.001))
        world.becomes(before)
    assert [series.arm for series in measured.series] == ["bare"]
    assert [(each.name, each.reason) for each in measured.missing] == [
        ("none", "zonectl-no-such-program is not installed")
    ]


@pytest.mark.requires("program:crun")
def test_a_runtime_that_fails_is_quoted(sites: Sites) -> None:
    with sites() as here, catalogue.arms(here, ("crun",), kernel=None) as (arm,):
        inside = next(Path(here.context.paths.zones_dir).glob(f"*/base{site.PROBE_INSIDE}"))
        inside.unlink()
        with pytest.raises(BenchError, match=r"ended: .*probe.*No such file"), arm.start():
            pass


@pytest.mark.requires("program:linux.uml")
def test_a_modified_kernel_runs_the_probe_and_keeps_time(sites: Sites, world: World) -> None:
    with sites() as here:
        before = world.footprint()
        with catalogue.arms(here, ("user-mode-linux",), kernel=None) as (arm,), arm.start() as runner:
            assert runner.sample("getpid", 100, {}) > 0
            assert runner.place == Place(root_folder=None, bind_folder=None, server=None)
        world.becomes(before)


@pytest.mark.requires("program:qemu-system-x86_64")
def test_an_emulated_machine_runs_the_probe_and_keeps_time(sites: Sites) -> None:
    kernel = str(kernel_package.cached(options.default_cache()).image)
    with sites() as here, catalogue.arms(here, ("qemu-tcg",), kernel=kernel) as (arm,), arm.start() as runner:
        assert runner.sample("getpid", 100, {}) > 0


def test_a_clock_that_runs_slow_is_found_out(sites: Sites) -> None:
    class Slow:
        """A probe whose clock runs at half the host's speed."""

        def __init__(self, runner: object) -> None:
            self.runner = runner

        def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
            return self.runner.sample(workload, loops, settings) // 2  # type: ignore[attr-defined, no-any-return]

    with sites() as here, HostArm(here).start() as runner:
        clock.require_true(runner)
        with pytest.raises(BenchError, match="its clock cannot be trusted"):
            clock.require_true(Slow(runner))  # type: ignore[arg-type]


@pytest.mark.requires("program:cpio")
def test_the_archive_is_one_that_others_read(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"content")
    archive = initramfs.archive(str(program))
    argv = ["cpio", "--extract", "--quiet", "--no-absolute-filenames"]
    (tmp_path / "out").mkdir()
    subprocess.run(argv, check=True, input=archive, cwd=tmp_path / "out")
    assert (tmp_path / "out/init").read_bytes() == b"content"
    assert (tmp_path / "out/init").stat().st_mode & 0o777 == 0o755
    assert os.stat(tmp_path / "out/dev/console").st_rdev == os.makedev(5, 1)
    assert sorted(os.listdir(tmp_path / "out")) == ["dev", "init", "proc", "tmp"]


@pytest.mark.requires("program:crun")
def test_programs_of_an_image_are_not_executed_in_other_walls_than_its_zones(sites: Sites) -> None:
    with sites() as here, catalogue.arms(here, ("crun",), kernel=None) as (arm,), arm.start() as runner:
        with pytest.raises(BenchError, match="within all of its walls"):
            runner.sample("spawn", 1, {"argv": "/bin/true", "folder": site.INSIDE})
        assert runner.sample("getpid", 1, {}) > 0


@pytest.mark.requires("program:lxc-execute")
def test_a_peer_that_executes_what_it_finds_in_a_root_gets_none_of_an_image(
    sites: Sites, world: World
) -> None:
    """Executes init.lxc of the root, unless it is refused."""
    (world.root / "sbin").mkdir()
    own = world.root / "sbin/init.lxc"
    own.write_text("#!/bin/sh\n: > /executed\n")
    own.chmod(0o755)
    with sites() as here, catalogue.arms(here, ("lxc",), kernel=None) as (arm,):
        with pytest.raises(BenchError, match="would execute what the zone's root has brought"), arm.start():
            pass
        assert not list(Path(here.context.paths.zones_dir).glob("*/base/executed"))


def environment(pid: int) -> dict[str, str]:
    variables = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
    return dict(each.split("=", 1) for each in variables if each)


def started_by(entered: ExitStack, started: AbstractContextManager[object]) -> dict[str, str]:
    """The environment of the one process that is made."""
    before = set(proc.children(os.getpid()))
    entered.enter_context(started)
    (pid,) = set(proc.children(os.getpid())) - before
    return environment(pid)


PLAIN = {"PATH": DEFAULT_PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root", "container": "zonectl"}


@pytest.mark.requires("program:bwrap", "program:linux.uml")
@pytest.mark.parametrize("name", ["bubblewrap", "user-mode-linux"])
def test_a_zones_environment_is_not_that_of_the_hosts_programs(sites: Sites, name: str) -> None:
    with sites(extra=FOREIGN) as here, ExitStack() as entered:
        (arm,) = entered.enter_context(catalogue.arms(here, (name,), kernel=None))
        found = started_by(entered, arm.start())
        of_the_folder = found.pop("TMPDIR", "")
        assert found.items() >= PLAIN.items()
        assert not {"COLOUR", "LD_LIBRARY_PATH"} & set(found)
        assert of_the_folder.startswith(here.context.paths.zones_dir) or name == "bubblewrap"
        assert started_by(entered, HostArm(here).start())["COLOUR"] == "blue"


def test_the_server_has_not_the_zones_environment_either(sites: Sites) -> None:
    with sites(extra=FOREIGN) as here, ExitStack() as entered:
        shared = replace(here.config, network=replace(here.config.network, mode=NetworkMode.HOST))
        server = serving.server(shared, probe=here.probe, processor=here.processor)
        assert started_by(entered, server) == PLAIN


@pytest.mark.requires("program:linux.uml")
def test_what_cannot_be_written_for_a_peer_leaves_out_that_peer(sites: Sites, world: World) -> None:
    """Its probe cannot be read, in place of a disk that is full."""
    with (
        sites() as here,
        catalogue.arms(replace(here, probe="/nowhere"), ("user-mode-linux",), kernel=None) as found,
    ):
        before = world.footprint()
        measured = sampling.measure(
            [HostArm(here), *found], GETPID, Effort(rounds=1, young=1, sample_s=0.001)
        )
        world.becomes(before)
    assert [series.arm for series in measured.series] == ["bare"]
    (missing,) = measured.missing
    assert missing.name == "user-mode-linux"
    assert missing.reason.endswith("/initramfs: No such file or directory")


def test_what_peers_write_fails_as_a_store_does(sites: Sites, tmp_path: Path) -> None:
    ground = Ground(root="/", bind="/", shown=(), folder=f"{tmp_path}/none", name="none", group=None)
    for name in ("crun", "runc", "lxc"):
        (peer,) = [each for each in CONTAINERS if each.name == name]
        with pytest.raises(StoreError, match="No such file"):
            peer.argv("/nowhere", ground)
    with sites() as here:
        given = Hosted(argv=("/nowhere",), folder="/", config=here.config)
        place = Place(root_folder=None, bind_folder=None, server=None)
        with (
            pytest.raises(StoreError, match="No such file"),
            conversing(given, place=place, scratch=f"{tmp_path}/none", greeting_s=1.0),
        ):
            pass


@pytest.mark.requires("program:crun")
@pytest.mark.parametrize("kind", ["file", "dangling link", "link", "folder"])
def test_a_root_whose_usr_is_something_else_is_measured(sites: Sites, world: World, kind: str) -> None:
    usr, outside = world.root / "usr", world.folder / "outside"
    match kind:
        case "file":
            usr.touch()
        case "dangling link":
            usr.symlink_to(outside)
        case "link":
            usr.symlink_to("/tmp")
        case _:
            usr.mkdir()
    with sites() as here, catalogue.arms(here, ("crun",), kernel=None) as (arm,), arm.start() as runner:
        assert runner.sample("getpid", 1, {}) > 0
    assert not outside.exists()


def test_iperf3_is_served_only_if_it_is_measured(sites: Sites) -> None:
    with sites() as here:
        shared = replace(here.config, network=replace(here.config.network, mode=NetworkMode.HOST))
        for tasks, last in ((GETPID, "0"), (named("iperf3"), "iperf3")):
            with serving.server(shared, probe=here.probe, processor=here.processor, tasks=tasks):
                (pid,) = proc.children(os.getpid())
                assert Path(f"/proc/{pid}/cmdline").read_text().split("\0")[-2] == last


@pytest.mark.requires(*PROGRAMS)
@pytest.mark.parametrize("name", ["systemd-nspawn", "podman", "lxc"])
def test_nothing_is_left_of_a_container_whose_bench_was_killed(sites: Sites, world: World, name: str) -> None:
    """Of those that keep something in /run, in /dev/shm, or in groups of their own."""
    before = world.footprint()
    said, saying = os.pipe()

    def bench() -> int:
        root = "host = true" if name == "lxc" else ""
        with (
            sites(root=root) as here,
            catalogue.arms(here, (name,), kernel=None) as (arm,),
            arm.start(),
        ):
            os.write(saying, str(here.context.instance.cgroup).encode())
            signal.pause()
        return 1

    killed = spawn(bench)
    os.close(saying)
    assert os.read(said, 4096), "it has come up"
    os.close(said)
    process.pidfd_send_signal(killed, signal.SIGKILL)
    process.wait_pidfd(killed)
    os.close(killed)
    assert len(site.clear(unwatched(world))) == 3
    teardown_when_last(unwatched(world))
    world.becomes(before, save="files")
    for folder in ("/run", "/dev/shm"):
        assert not [path for path in Path(folder).rglob("*") if str(world.folder) in str(path)]
