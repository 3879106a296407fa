"""run and exec: what comes back, what is in the zone, what is left."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, Caller, World, ruleset_names, unwatched
from tests.patience import eventually
from zonectl.errors import ProgramError, StepError, SyscallError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.kernel.process import ExitStatus
from zonectl.runtime import freeze
from zonectl.runtime.run import run
from zonectl.runtime.status import statuses
from zonectl.runtime.stop import stop
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Runs = Callable[..., ExitStatus]

pytestmark = pytest.mark.requires(*REQUIRED)


@pytest.fixture(params=["run", "exec"])
def runs(request: pytest.FixtureRequest, world: World) -> Iterator[Runs]:
    """A program in a zone of its own, and one in a running zone."""
    if request.param == "run":
        yield lambda *argv: world.run(*argv).exit_status
    else:
        world.started()
        yield lambda *argv: world.execute(*argv).exit_status


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255)],
)
def test_the_programs_status_comes_back(runs: Runs, script: str, code: int) -> None:
    assert runs("/bin/sh", "-c", script) == ExitStatus(status=code)


def test_a_program_that_a_signal_ends_in_a_zone_of_its_own(world: World) -> None:
    world.started("/bin/sleep", "300")
    exit_status = world.execute("sh", "-c", "kill -9 $$").exit_status
    assert (exit_status.signal, exit_status.code) == (signal.SIGKILL, 137)


def test_an_init_that_is_killed_says_128_and_the_signal(world: World) -> None:
    def killed(pidfd: int) -> None:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)

    caller = Caller(world.folder, impatient=killed)
    exit_status = run(world.context, world.parse(world.text("/bin/sleep", "300")), caller)
    assert exit_status.code == 137


def test_a_program_that_is_not_there(runs: Runs) -> None:
    for argv in (("nosuch",), ("/nosuch",), ("/etc/passwd/x",)):
        with pytest.raises(ProgramError) as raised:
            runs(*argv)
        assert raised.value.errno in {errno.ENOENT, errno.ENOTDIR}
        assert raised.value.program == argv[0]


def test_a_program_that_cannot_be_executed(runs: Runs) -> None:
    for argv in (("/etc/passwd",), ("/etc",)):
        with pytest.raises(ProgramError) as raised:
            runs(*argv)
        assert raised.value.errno == errno.EACCES


def test_a_program_that_is_none_is_said_to_be_so(world: World) -> None:
    world.started()
    world.execute("sh", "-c", "echo '#!/nowhere' >/tmp/x; echo garbage >/tmp/y; chmod 755 /tmp/x /tmp/y")
    world.execute("busybox", "chmod", "755", "/tmp/x", "/tmp/y")
    for path, number in (("/tmp/x", errno.ENOENT), ("/tmp/y", errno.ENOEXEC)):
        with pytest.raises(ProgramError) as raised:
            world.execute(path)
        assert raised.value.errno == number


@pytest.mark.parametrize("extra", ['user = "nobody"', 'workdir = "/nowhere"', 'user = "70000"'])
def test_who_or_where_that_is_not_in_the_zone_is_said(world: World, extra: str) -> None:
    before = world.footprint()
    with pytest.raises(StepError) as raised:
        world.run("/bin/true", extra=extra)
    assert any(word in str(raised.value) for word in ("nobody", "/nowhere", "become"))
    world.becomes(before)


def test_nothing_of_a_run_is_left(world: World) -> None:
    before = world.footprint()
    assert world.run("/bin/true", net=True).exit_status.code == 0
    world.becomes(before)


@pytest.mark.requires("veth", "bridge", "nft")
def test_without_a_warden_a_run_takes_what_is_shared_with_it(world: World) -> None:
    context = unwatched(world)
    caller = Caller(world.folder)
    assert run(context, world.parse(world.text("/bin/true", net=True)), caller).code == 0
    assert not Path(f"/sys/class/net/{world.bridge}").exists()
    assert context.instance.table not in ruleset_names()
    group = Path(context.facts.cgroup.mount or "", context.facts.cgroup.base, context.instance.cgroup)
    assert not group.exists()


def test_exactly_three_descriptors_are_open(world: World) -> None:
    listed = "ls /proc/self/fd | grep -v 3"  # 3 is ls's own, of the folder
    assert world.sh(listed).out.split() == ["0", "1", "2"]
    assert world.sh("exec readlink /proc/self/fd/0").out == "/dev/null\n"
    world.started()
    assert world.execute("sh", "-c", listed).out.split() == ["0", "1", "2"]
    assert world.execute("ls", "/proc/1/fd").out.split() == ["0", "1", "2"]


def test_a_closed_stream_is_the_zones_own_null(world: World) -> None:
    found = world.sh("stat -L -c '%t:%T %d' /proc/self/fd/0 /dev/null; ls -ld /proc/self/fd/0")
    stream, null, *_ = found.out.splitlines()
    assert stream == null
    assert stream.startswith("1:3 ")


def test_signals_are_as_programs_expect_them(world: World) -> None:
    lines = dict(
        line.split(":\t")
        for line in world.run("/bin/cat", "/proc/self/status").out.splitlines()
        if line.startswith("Sig")
    )
    assert {int(lines[name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")} == {0}


def test_the_environment_is_the_zone_files_and_little_else(world: World) -> None:
    extra = 'env = { TZ = "UTC", HOME = "/mine" }\nuser = "web"'
    words = set(world.run("/bin/env", extra=extra).out.splitlines())
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert words == {path, "TZ=UTC", "HOME=/mine", "USER=web", "LOGNAME=web", "container=zonectl"}


def test_an_umask_of_the_callers_changes_nothing(world: World) -> None:
    script = (
        "umask; stat -c '%a %n' /etc/hosts /etc/resolv.conf /dev /dev/pts /dev/shm /dev/mqueue /proc /tmp"
    )
    usual = world.sh(script).out
    assert usual.splitlines()[:3] == ["0022", "644 /etc/hosts", "644 /etc/resolv.conf"]
    before = os.umask(0o077)
    try:
        assert world.sh(script).out == usual
    finally:
        os.umask(before)


def test_an_umask_of_the_callers_does_not_close_a_sparse_root(world: World) -> None:
    script = "find / -xdev ! -type l ! -perm -004 ! -path /root; cat /etc/passwd >/dev/null && echo read"
    before = os.umask(0o077)
    try:
        done = world.run("/bin/sh", "-c", script, root="host = true", extra='user = "65534:65534"')
    finally:
        os.umask(before)
    assert (done.out, done.exit_status.code) == ("read\n", 0), done.err


def test_two_runs_of_one_file_at_once(world: World) -> None:
    """Both under one name but for their ids, with addresses, ids and groups of their own."""
    seen: list[str] = []

    def second(pidfd: int) -> None:
        seen.extend(found.name for found in statuses(world.context))
        inner = world.sh("ip -4 -o addr show eth0; cat /proc/self/uid_map; hostname", net=True)
        seen.append(inner.out)

    shown = "ip -4 -o addr show eth0; cat /proc/self/uid_map; hostname"
    script = f"trap 'exit 0' TERM; {shown}; while :; do sleep 0.05; done"
    folder = world.folder / "first"
    folder.mkdir()
    config = world.parse(world.text("/bin/sh", "-c", script, net=True))

    def wait_for_output_then_second(pidfd: int) -> None:
        assert eventually(lambda: "web" in (folder / "stdout").read_text().split())
        second(pidfd)

    exit_status = run(world.context, config, Caller(folder, impatient=wait_for_output_then_second))
    assert exit_status.code == 0
    first = (folder / "stdout").read_text()
    assert first.split()[-1] == seen[-1].split()[-1] == "web"
    ours, theirs = first.split(), seen[-1].split()
    assert ours[3] != theirs[3]  # the address
    assert ours[-3] != theirs[-3]  # the first id
    assert records.list_names(world.context.paths) == []


def test_a_run_can_be_paused_executed_in_and_stopped_by_others(world: World) -> None:
    def others(pidfd: int) -> None:
        (name,) = records.list_names(world.context.paths)
        assert world.execute("echo", "in", name=name).out == "in\n"
        freeze.pause(world.context, name)
        freeze.resume(world.context, name)
        stop(world.context, name, timeout_s=0)

    before = world.footprint()
    caller = Caller(world.folder, impatient=others)
    exit_status = run(world.context, world.parse(world.text("/bin/sleep", "300")), caller)
    assert exit_status.code in {137, 255}  # the stop may have reaped it
    for name in ("stdout", "stderr"):
        (world.folder / name).unlink()
    world.becomes(before)


def test_a_terminal_is_of_the_zones_own_devpts(world: World) -> None:
    caller = Caller(world.folder)
    shown: list[bytes] = []

    def read(pidfd: int) -> None:
        assert caller.master is not None
        while b"end" not in b"".join(shown):
            shown.append(os.read(caller.master, 4096))

    caller = Caller(world.folder, impatient=read)
    script = "tty; stat -c '%u:%a' $(tty); cat /proc/self/stat | cut -d' ' -f5-7; echo end; sleep 0.2"
    config = world.parse(world.text("/bin/sh", "-c", script, extra='user = "web"'))
    exit_status = run(world.context, config, caller, terminal_type="vt100")
    assert caller.master is not None
    os.close(caller.master)
    tty, mode, _process = b"".join(shown).decode().split("\r\n")[:3]
    assert (tty, mode) == ("/dev/pts/0", "33:620")
    assert exit_status.code in {0, 143}


@pytest.mark.requires("program:catatonit")
def test_with_init_an_orphan_is_reaped(world: World) -> None:
    orphan = "(sleep 0.1 & echo $! >/tmp/pid)"
    end = "i=0; while [ -e /proc/$(cat /tmp/pid) ] && [ $i -lt 200 ]; do i=$((i+1)); sleep 0.05; done"
    script = f"{orphan}; {end}; cat /proc/1/comm; grep -c Z /proc/[0-9]*/stat | grep -c ':1'"
    assert world.sh(script, extra="init = true").out.split() == ["catatonit", "0"]


def test_what_the_host_must_do_and_cannot_is_raised_as_the_callers_error(world: World) -> None:
    with pytest.raises((SyscallError, ZonectlError)) as raised:
        world.run("/bin/true", extra='[[mount]]\nsource = "/nowhere"\ntarget = "/mnt"')
    assert raised.value.zone
    assert raised.value.zone.startswith("web-")


def test_clocks_are_shifted_for_init_and_for_those_who_join(world: World) -> None:
    extra = '[namespaces]\nboottime_offset = "30d"\nmonotonic_offset = "1.5s"'
    world.started(extra=extra)
    offsets = "monotonic           1 500000000\nboottime      2592000         0\n"
    assert world.execute("cat", "/proc/1/timens_offsets").out == offsets
    host = float(Path("/proc/uptime").read_text().split()[0])
    for inside in (world.execute("cat", "/proc/uptime"), world.run("/bin/cat", "/proc/uptime", extra=extra)):
        assert abs(float(inside.out.split()[0]) - host - 30 * 86400) < 60


@pytest.mark.parametrize("kind", ["net", "uts", "ipc", "time", "user"])
def test_a_namespace_of_the_hosts_is_the_hosts_for_init_and_for_those_who_join(
    world: World, kind: str
) -> None:
    wanted = f'[namespaces]\n{kind} = "host"'
    text = world.text(extra=wanted)
    if kind == "net":
        text = text.replace('mode = "none"', 'mode = "host"')
    world.text = lambda *_command, **_wishes: text  # type: ignore[method-assign]
    world.started()
    ours, init = proc.namespace_ids("self"), proc.namespace_ids(world.live().pid)
    own = {"user", "mnt", "pid", "net", "uts", "ipc", "time", "cgroup"} - {kind}
    assert init[kind] == ours[kind]
    assert {other for other in own if init[other] == ours[other]} == set()
    joined = world.execute("sh", "-c", "for n in /proc/self/ns/*; do readlink $n; done").out
    assert {f"{name.removesuffix('_for_children')}:[{number}]" for name, number in init.items()} >= set(
        joined.split()
    )


@pytest.mark.parametrize(
    "target", ["/proc/self/status", "/proc/kmsg", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
def test_a_passwd_that_is_the_kernels_is_none(world: World, target: str) -> None:
    """Its reading could have effects, or never end: root of the zone is root all the same."""
    world.started()
    world.execute("sh", "-c", f"rm /etc/passwd; ln -s {target} /etc/passwd")
    assert world.execute("id", "-u", user="root").out == "0\n"
    with pytest.raises(ZonectlError, match="no user 'web'"):
        world.execute("id", user="web")
