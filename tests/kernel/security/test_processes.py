"""What every process of a zone starts with, as init and by exec: limits, rank, umask, environment."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, Result, World
from tests.patience import eventually
from zonectl.errors import HostLacks, ProgramError
from zonectl.kernel import proc, process
from zonectl.model.limits import DEFAULTS, NAMES, UNLIMITED, Limit
from zonectl.model.state import ZoneState
from zonectl.security import ceilings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires(*REQUIRED)

WORDS = {
    "cpu": "Max cpu time",
    "fsize": "Max file size",
    "data": "Max data size",
    "stack": "Max stack size",
    "core": "Max core file size",
    "rss": "Max resident set",
    "nproc": "Max processes",
    "nofile": "Max open files",
    "memlock": "Max locked memory",
    "as": "Max address space",
    "locks": "Max file locks",
    "sigpending": "Max pending signals",
    "msgqueue": "Max msgqueue size",
    "nice": "Max nice priority",
    "rtprio": "Max realtime priority",
    "rttime": "Max realtime timeout",
}
"""The kernel's words in /proc/PID/limits."""


def limits(text: str) -> dict[str, Limit]:
    """What /proc/PID/limits says, by our names."""
    found = {}
    for name, word in WORDS.items():
        line = re.search(rf"^{word}  +(\S+) +(\S+)", text, re.MULTILINE)
        assert line, word
        soft, hard = (UNLIMITED if part == "unlimited" else int(part) for part in line.groups())
        found[name] = Limit(soft, hard)
    return found


def usual() -> dict[str, Limit]:
    """The defaults, as far as the hard limits of this process reach; it cannot raise them."""
    found = {}
    for name, limit in DEFAULTS.items():
        most = ceilings.current(NAMES.index(name)).hard
        found[name] = Limit(min(limit.soft, most), min(limit.hard, most))
    return found


def printed(world: World, verb: str, *argv: str, extra: str = "", user: str | None = None) -> Result:
    """What a program prints, as init of a zone or by exec into one."""
    if verb == "run":
        head = f'user = "{user}"\n' if user else ""
        return world.run(*argv, extra=head + extra)
    world.started("/bin/sleep", "1000", extra=extra)
    return world.execute(*argv, user=user)


RANK = "cut -d' ' -f18,19,40,41 /proc/self/stat; cat /proc/self/oom_score_adj; grep Cpus_allowed: /proc/self/status"
"""Priority, niceness, real-time priority and policy; the OOM score; the processors as a mask."""

VERBS = pytest.mark.parametrize("verb", ["run", "exec"])


@VERBS
def test_limits_that_the_zone_file_does_not_name_are_the_kernels(world: World, verb: str) -> None:
    assert limits(printed(world, verb, "cat", "/proc/self/limits").out) == usual()


@VERBS
@pytest.mark.parametrize("user", ["root", "web"])
def test_limits_of_the_zone_file_hold_exactly(world: World, verb: str, user: str) -> None:
    extra = """
[limits]
cpu = 100
fsize = "1MiB"
data = "200MiB:300MiB"
stack = "1MiB"
core = "0"
rss = "unlimited"
nproc = "50:60"
nofile = "100:200"
memlock = "4KiB"
as = "300MiB"
locks = 10
sigpending = 20
msgqueue = "100:200"
nice = 0
rtprio = 0
rttime = "1000:2000"
"""
    mib = 1 << 20
    assert limits(printed(world, verb, "cat", "/proc/self/limits", extra=extra, user=user).out) == {
        "cpu": (100, 100),
        "fsize": (mib, mib),
        "data": (200 * mib, 300 * mib),
        "stack": (mib, mib),
        "core": (0, 0),
        "rss": (UNLIMITED, UNLIMITED),
        "nproc": (50, 60),
        "nofile": (100, 200),
        "memlock": (4096, 4096),
        "as": (300 * mib, 300 * mib),
        "locks": (10, 10),
        "sigpending": (20, 20),
        "msgqueue": (100, 200),
        "nice": (0, 0),
        "rtprio": (0, 0),
        "rttime": (1000, 2000),
    }


@VERBS
@pytest.mark.parametrize(
    "limit", ["nofile = 3", 'as = "8MiB"', 'data = "2MiB"', "nproc = 1", "sigpending = 0"]
)
def test_a_limit_lower_than_zonectl_itself_needs_is_not_in_the_way(
    world: World, verb: str, limit: str
) -> None:
    # nofile: the program's three streams, which busybox needs no more than.
    result = printed(world, verb, "/bin/echo", "there", extra=f"[limits]\n{limit}")
    assert (result.exit_status.code, result.out) == (0, "there\n"), result.err


@contextmanager
def lowered(name: str) -> Iterator[int]:
    """This process's soft limit of 10 below its hard one, put back in the end."""
    number = NAMES.index(name)
    soft, hard = resource.getrlimit(number)
    resource.setrlimit(number, (hard - 10, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(number, (soft, hard))


@VERBS
def test_the_callers_soft_limits_stay_outside(world: World, verb: str) -> None:
    with lowered("nofile"), lowered("sigpending"):
        result = printed(world, verb, "cat", "/proc/self/limits")
    assert limits(result.out) == usual()


def test_a_limit_that_cannot_be_raised_is_refused_before_anything_is_made(world: World) -> None:
    hard = ceilings.current(NAMES.index("sigpending")).hard
    before = world.footprint()
    asked = f"[limits]\nsigpending = {hard + 1}"
    with pytest.raises(
        HostLacks, match=rf"limits\.sigpending: {hard + 1} is above the hard limit, {hard}, and raising"
    ):
        world.run("/bin/true", extra=asked)
    world.becomes(before, save="files")  # the compiled filter is kept
    assert world.shared() == []


@VERBS
def test_the_callers_rank_stays_outside(world: World, verb: str) -> None:
    script = RANK
    plain = printed(world, verb, "/bin/sh", "-c", script)

    def ranked() -> int:
        os.sched_setaffinity(0, {0})
        os.setpriority(os.PRIO_PROCESS, 0, 7)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("300")
        again = world.run if verb == "run" else world.execute
        assert again("/bin/sh", "-c", script).out == plain.out
        return 0

    _, pidfd = process.spawn(ranked)
    assert process.wait_pidfd(pidfd, timeout_s=60) == process.ExitStatus(status=0)
    os.close(pidfd)
    priority, nice, rt, policy = plain.out.split("\n")[0].split()
    assert (priority, nice, rt, policy) == ("20", "0", "0", "0")
    assert plain.out.split("\n")[1] == "0"


@VERBS
def test_the_zone_file_ranks(world: World, verb: str) -> None:
    extra = '[process]\nnice = 5\noom_score_adj = 400\naffinity = "0"\nscheduler = "batch"\numask = "0027"\n'
    result = printed(world, verb, "/bin/sh", "-c", f"{RANK}; umask", extra=extra)
    assert result.out == f"25 5 0 {os.SCHED_BATCH}\n400\nCpus_allowed:\t1\n0027\n"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ('affinity = "0,4000"', r"process\.affinity: this host has no processor 4000"),
        ("oom_score_adj = -999", r"process\.oom_score_adj: -999 is below"),
    ],
)
def test_a_rank_that_cannot_be_had_is_refused_before_anything_is_made(
    world: World, key: str, words: str
) -> None:
    before = world.footprint()
    with pytest.raises(HostLacks, match=words):
        world.run("/bin/true", extra=f"[process]\n{key}")
    world.becomes(before, save="files")  # the compiled filter is kept


@VERBS
@pytest.mark.parametrize("user", ["root", "web"])
def test_the_environment_is_what_is_declared(world: World, verb: str, user: str) -> None:
    os.environ["ZONECTL_TEST_SECRET"] = "caller's"
    try:
        result = printed(world, verb, "env", extra='env = { TZ = "UTC", PATH = "/bin" }\n', user=user)
    finally:
        del os.environ["ZONECTL_TEST_SECRET"]
    home = "/root" if user == "root" else "/var"
    assert dict(line.split("=", 1) for line in result.out.splitlines()) == {
        "PATH": "/bin",
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "container": "zonectl",
        "TZ": "UTC",
    }


@pytest.mark.requires("program:catatonit")
@pytest.mark.parametrize(
    ("program", "number"),
    [
        ("/bin/no-such", errno.ENOENT),
        ("no-such", errno.ENOENT),
        ("/etc/passwd", errno.EACCES),
        ("/bin", errno.EACCES),
    ],
)
def test_a_reaper_is_not_started_for_a_program_that_is_not_there(
    world: World, program: str, number: int
) -> None:
    with pytest.raises(ProgramError) as caught:
        world.started(program, extra="init = true")
    assert (caught.value.program, caught.value.errno) == (program, number)
    assert world.state() is ZoneState.INSTALLED


@pytest.mark.requires("program:catatonit")
def test_a_reaper_runs_what_path_finds_and_the_user_may_execute(world: World) -> None:
    assert world.run("echo", "there", extra="init = true").out == "there\n"
    with pytest.raises(ProgramError):
        world.run("/root/secret", extra='init = true\nuser = "web"')


def test_a_program_of_exec_dies_with_the_command(world: World) -> None:
    """The worker is killed: the program in the zone goes, and the zone stays."""
    world.started()
    init = world.live().pid

    def worker() -> int:
        world.execute("sleep", "1000")
        return 0

    pid, pidfd = process.spawn(worker)
    eventually(
        lambda: any("sleep\0001000" in (proc.read(child, "cmdline") or "") for child in proc.children(pid))
    )
    (program,) = [c for c in proc.children(pid) if "sleep\0001000" in (proc.read(c, "cmdline") or "")]
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    eventually(lambda: (proc.process_state(program) or "Z") == "Z")
    assert proc.process_state(init) not in {None, "Z"}
