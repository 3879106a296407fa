"""The arms that every run has: what they have in common, and what they have not."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.forked import spawn
from tests.kernel.runtime.world import REQUIRED, unwatched
from zonectl.bench import arms, site
from zonectl.bench.sampling import Effort, measure
from zonectl.bench.workloads import named
from zonectl.cgroups.tree import Tree
from zonectl.errors import Busy
from zonectl.kernel import proc, process
from zonectl.runtime import garbage
from zonectl.runtime.delete import delete
from zonectl.runtime.remains import teardown_when_last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.bench.conftest import Sites
    from tests.kernel.runtime.world import World
    from zonectl.bench.runner import Arm, Runner
    from zonectl.bench.site import Site
    from zonectl.runtime.context import Context

pytestmark = pytest.mark.requires(*REQUIRED, "program:cc")

EFFORT = Effort(rounds=2, young=1, sample_s=0.0001)
LIMITED = (
    "[resources]\nrequired = false\npids = 100\nmemory = '1GiB'\ncpus = 1.5\nhugetlb = { '2MB' = '64MiB' }"
)


class Probed:
    """A probe that runs in an arm, as the kernel shows it."""

    def __init__(self, here: Site, runner: Runner) -> None:
        self.runner = runner
        self._tree = Tree(here.context.facts.cgroup)
        self._here = here
        (self.group,) = self._tree.children(here.context.instance.cgroup)
        (self.pid,) = self._tree.processes(f"{here.context.instance.cgroup}/{self.group}")

    def read(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text(encoding="utf-8", errors="replace")

    def status(self, *keys: str) -> dict[str, str]:
        lines = dict(line.split(":", 1) for line in self.read("status").splitlines())
        return {key: lines[key].strip() for key in keys}

    def limits(self, below: str = "") -> dict[str, str]:
        """What the files of its group say that may be written to."""
        folder = Path(self._tree.path(f"{self._here.context.instance.cgroup}/{self.group}{below}"))
        return {
            path.name: path.read_text(encoding="ascii")
            for path in sorted(folder.iterdir())
            if path.is_file()
            and path.stat().st_mode & 0o200
            and path.stat().st_mode & 0o400
            and not path.name.endswith((".pressure", ".procs", ".threads", "memory.peak"))
        }


@contextmanager
def probed(here: Site, arm: Arm) -> Iterator[Probed]:
    with arm.start() as runner:
        yield Probed(here, runner)


def test_two_rounds_of_all_arms(sites: Sites, world: World) -> None:
    with sites() as here:
        three: list[Arm] = [arms.HostArm(here), arms.HostArm(here, arms.CONTROL), arms.ZoneArm(here)]
        before = world.footprint()
        measured = measure(three, named("getpid"), EFFORT)
        world.becomes(before)
    assert measured.complete
    assert not measured.missing
    assert [series.arm for series in measured.series] == ["bare", "control", "zone"]
    assert all(
        len(samples) == 2 and min(samples) > 0 for series in measured.series for samples in series.rounds
    )


def test_the_bare_probe_is_on_the_host_and_the_zones_is_inside(sites: Sites) -> None:
    ours = proc.namespace_ids(os.getpid())
    with sites() as here:
        with probed(here, arms.HostArm(here)) as bare:
            assert proc.namespace_ids(bare.pid) == ours
            assert bare.status("Uid", "Seccomp", "NSpid") == {
                "Uid": "0\t0\t0\t0",
                "Seccomp": "0",
                "NSpid": str(bare.pid),
            }
            assert Path(bare.runner.place.root_folder or "").samefile(f"/proc/{bare.pid}/cwd")
        with probed(here, arms.ZoneArm(here)) as zone:
            theirs = proc.namespace_ids(zone.pid)
            for kind in ("mnt", "pid", "user", "net", "uts", "ipc", "cgroup"):
                assert theirs[kind] != ours[kind], kind
            told = zone.status("Uid", "Seccomp", "NSpid")
            assert told["Seccomp"] == "2"
            assert told["NSpid"] == f"{zone.pid}\t1"
            assert int(told["Uid"].split()[0]) == int(zone.read("uid_map").split()[1]) > 0


def test_both_run_the_same_program_on_the_same_file_system(sites: Sites, probe_program: str) -> None:
    program, disks = [], []
    with sites() as here:
        for arm in (arms.HostArm(here), arms.ZoneArm(here)):
            with probed(here, arm) as one:
                found = os.stat(f"/proc/{one.pid}/exe")
                program.append((found.st_ino, found.st_size))
                name = f"{site.NAME}-{one.group}"
                disks.append(os.stat(here.context.paths.zone_dir(name)).st_dev)
                assert one.runner.place.bind_folder
                where = f"/proc/{one.pid}/root{one.runner.place.bind_folder}"
                disks.append(os.stat(where).st_dev)
                folder = os.stat(f"/proc/{one.pid}/root{one.runner.place.root_folder}")
                assert folder.st_uid == int(one.status("Uid")["Uid"].split()[0])
    assert len(set(program)) == 1
    assert program[0][1] == os.stat(probe_program).st_size
    assert len(set(disks)) == 1


def test_what_is_no_wall_is_the_same(sites: Sites) -> None:
    extra = "[process]\nnice = 3\numask = '027'\n[limits]\nnofile = 4096\n[env]\nCOLOUR = 'blue'"
    found: list[dict[str, Any]] = []
    with sites(extra=extra) as here:
        for arm in (arms.HostArm(here), arms.ZoneArm(here)):
            with probed(here, arm) as one:
                assert os.sched_getaffinity(one.pid) == {here.processor}
                known = one.status("Umask", "SigBlk", "SigIgn", "SigCgt", "Groups", "Threads")
                found.append(
                    {
                        **known,
                        "limits": one.read("limits"),
                        "environ": sorted(one.read("environ").split("\0")),
                        "arguments": one.read("cmdline").split("\0")[1:],
                        "nice": os.getpriority(os.PRIO_PROCESS, one.pid),
                        "policy": os.sched_getscheduler(one.pid),
                        "oom": one.read("oom_score_adj"),
                        "session": os.getsid(one.pid) == one.pid,
                        "personality": one.read("personality"),
                    }
                )
    bare, zone = found
    assert bare == zone
    assert bare["nice"] == 3
    assert "COLOUR=blue" in bare["environ"]


def test_both_groups_have_the_same_limits(sites: Sites) -> None:
    found = []
    with sites(extra=LIMITED) as here:
        for arm in (arms.HostArm(here), arms.HostArm(here, arms.CONTROL), arms.ZoneArm(here)):
            with probed(here, arm) as one:
                found.append((one.limits(), one.limits("/payload")))
    assert found[0] == found[1] == found[2]
    assert found[0][0]["cgroup.max.depth"] == "16\n"


def test_a_planted_loss_is_told_to_the_probe(sites: Sites) -> None:
    with sites() as here, arms.PlantedArm(here, 400).start() as runner:
        planted = min(runner.sample("spin", 20_000, {}) for _ in range(5))
    with sites() as here, arms.HostArm(here).start() as runner:
        bare = min(runner.sample("spin", 20_000, {}) for _ in range(5))
    assert planted > 2 * bare  # five times the work


def test_a_zone_without_a_network_has_no_server(sites: Sites) -> None:
    with sites() as here, arms.ZoneArm(here).start() as runner:
        assert runner.place.server is None


def test_the_zone_keeps_its_walls(sites: Sites, world: World) -> None:
    extra = "user = 'web'\nrestart = 'always'\n[security]\nseccomp = 'strict'"
    given = world.parse(world.text(extra=extra))
    with sites(extra=extra) as here:
        assert here.config.security == given.security
        assert here.config.root == given.root
        assert here.config.namespaces == given.namespaces
        assert here.config.resources == given.resources
        assert here.config.user == "root"


# ------------------------------------------------------------------------------------------------- a bench that lives


def test_a_bench_that_lives_is_left_alone(sites: Sites) -> None:
    with sites() as here, arms.HostArm(here).start() as bare, arms.ZoneArm(here).start() as zone:
        assert garbage.find(here.context) == []
        assert site.clear(here.context) == []
        (name,) = [each for each in os.listdir(here.context.paths.zones_dir) if each in here.bind]
        with pytest.raises(Busy, match=f"bench \\(pid {os.getpid()}\\)"):
            delete(_impatient(here), name, force=True)
        assert bare.sample("getpid", 10, {}) > 0
        assert zone.sample("getpid", 10, {}) > 0


def _impatient(here: Site) -> Context:
    return replace(here.context, lock_timeout_s=0.0)


# ---------------------------------------------------------------------------------------------- a bench that is killed


def killed(sites: Sites) -> list[int]:
    """Start both arms in a child, and kill it; gives the pids of the probes, which die with it."""
    reader, writer = os.pipe()

    def bench() -> int:
        with sites(net=True) as here, arms.HostArm(here).start(), arms.ZoneArm(here).start():
            tree = Tree(here.context.facts.cgroup)
            os.write(writer, " ".join(map(str, tree.processes(here.context.instance.cgroup))).encode())
            signal.pause()
        return 0

    pidfd = spawn(bench)
    os.close(writer)
    pids = [int(pid) for pid in os.read(reader, 4096).split()]
    os.close(reader)
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    assert len(pids) == 2
    return pids


def test_gc_finds_all_that_a_killed_bench_has_left(sites: Sites, world: World) -> None:
    before = world.footprint()
    killed(sites)
    context = unwatched(world)
    found = garbage.find(context)
    assert {each.kind for each in found if each.name.startswith("bench-")} == {"killed run"}
    assert len([each for each in found if each.name.startswith("bench-")]) == 3
    for each in found:
        each.remove()
    teardown_when_last(context)
    assert garbage.find(context) == []
    world.becomes(before)
    assert world.shared() == []


def test_the_next_bench_clears_away_what_a_killed_one_has_left(sites: Sites, world: World) -> None:
    before = world.footprint()
    pids = killed(sites)
    context = unwatched(world)
    assert len(site.clear(context)) == 3
    assert not [pid for pid in pids if proc.has_memory(pid)]  # a zombie has none
    teardown_when_last(context)
    world.becomes(before)
    assert world.shared() == []
