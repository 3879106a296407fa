"""The order that must hold (docs: ARCHITECTURE.md), one test a rule, seen by strace and in /proc."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime import trace
from tests.kernel.runtime.world import REQUIRED, World
from tests.patience import eventually
from zonectl.cgroups import devices
from zonectl.cgroups.tree import Tree
from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import bpf, proc
from zonectl.model.devices import USUAL
from zonectl.model.instance import zone_cgroup
from zonectl.runtime.start import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.runtime.trace import Raw, Trace

pytestmark = pytest.mark.requires(*REQUIRED, "program:strace")

EVERYTHING = (
    "%file",
    "%desc",
    "close_range",
    "%process",
    "%net",
    "%creds",
    "prctl",
    "setns",
    "unshare",
    "pivot_root",
    "fchdir",
    "bpf",
)
SETNS = re.compile(r"CLONE_\w+")


@dataclass(frozen=True)
class Followed:
    """A traced start or exec."""

    trace: Trace
    world: World

    @property
    def init(self) -> list[Raw]:
        """What init did as zonectl-entry, up to and with its execve of the zone's program."""
        calls = self.trace.of(self.trace.init)
        executed = next(
            at for at, raw in enumerate(calls) if raw.name in {"execve", "execveat"} and raw.result == 0
        )
        return calls[: executed + 1]


def _index(calls: list[Raw], name: str, matches: Callable[[Raw], bool] = lambda _raw: True) -> int:
    return next(at for at, raw in enumerate(calls) if raw.name == name and matches(raw))


@pytest.fixture
def followed(world: World) -> Followed:
    """A start of /bin/true."""
    world.create("/bin/true")
    argv = [str(world.folder), str(world.number), "start", "web"]
    return Followed(trace.record(argv, world.folder / "trace", calls=EVERYTHING), world)


@pytest.fixture
def joined(world: World) -> Followed:
    """An exec of true in a running zone."""
    world.started()
    argv = [str(world.folder), str(world.number), "exec", "web", "true"]
    return Followed(trace.record(argv, world.folder / "trace", calls=EVERYTHING), world)


# 1 ---------------------------------------------------------------------------------------------------------------


def test_init_is_born_in_its_group_and_nobody_is_ever_moved(followed: Followed) -> None:
    maker = followed.trace.of(followed.trace.maker)
    clone = maker[_index(maker, "clone3", lambda raw: "CLONE_NEWPID" in raw.arguments[0])]
    assert "CLONE_INTO_CGROUP" in clone.arguments[0]
    assert "CLONE_NEWCGROUP" in clone.arguments[0]
    written = [raw.arguments[0] for raw in followed.trace.raw if raw.name == "write"]
    assert not any("cgroup.procs" in path for path in written)


def test_limits_stand_on_the_group_above_the_one_that_processes_live_in(world: World) -> None:
    record = world.started("/bin/sh", "-c", "cat /proc/self/cgroup >/tmp/seen; while :; do sleep 0.05; done")
    group = zone_cgroup(world.context.instance, record.id)
    assert proc.cgroup_of(world.live().pid) == f"/{group}/payload"
    seen = Path(world.context.paths.upper("web"), "tmp/seen")
    assert eventually(lambda: seen.exists() and bool(seen.read_text()))
    assert "0::/\n" in seen.read_text()
    assert world.group(record).joinpath("cgroup.max.depth").read_text() == "16\n"
    owners = [(world.group(record) / name).stat().st_uid for name in (".", "cgroup.procs", "payload")]
    assert record.ids
    assert owners == [0, 0, record.ids.first]
    assert world.execute("mkdir", "/sys/fs/cgroup/own").exit_status.code == 0


def test_an_exec_enters_the_group_that_init_is_in_now(world: World) -> None:
    record = world.started(
        "/bin/sh", "-c", "cd /sys/fs/cgroup; mkdir init; echo 1 >init/cgroup.procs; sleep 300"
    )
    pid = world.live().pid
    assert eventually(lambda: (proc.cgroup_of(pid) or "").endswith("/payload/init"))
    assert world.execute("cat", "/proc/self/cgroup").out.endswith("0::/init\n")
    assert world.group(record).exists()


# 2 ---------------------------------------------------------------------------------------------------------------


def test_nothing_is_imported_after_the_root_has_been_left(followed: Followed) -> None:
    calls = followed.init
    left = _index(calls, "pivot_root")
    opened = [raw for raw in calls[left:] if raw.name in {"open", "openat", "openat2"}]
    names = [trace.words(raw.arguments[1]) for raw in opened if raw.name != "open"]
    assert not [name for name in names if name.endswith((".py", ".pyc", ".so")) or "/lib/" in name]
    assert set(names) <= {"/", "/dev/null"}


def test_an_exec_loads_nothing_once_it_is_in_the_zone(joined: Followed) -> None:
    (joiner,) = {raw.pid for raw in joined.trace.raw if raw.name == "setns"}
    program = _program(joined)
    inside = joined.trace.of(joiner)
    entered = _index(inside, "setns")
    calls = joined.trace.of(program)
    calls = inside[entered:] + calls[: _index(calls, "execve")]
    names = [trace.words(raw.arguments[1]) for raw in calls if raw.name in {"openat", "openat2"}]
    assert set(names) <= {"/", "/dev/null"}


def _program(joined: Followed) -> int:
    (found,) = {
        raw.pid
        for raw in joined.trace.raw
        if raw.name == "execve" and trace.words(raw.arguments[0]) == "/bin/true"
    }
    return found


# 3 ---------------------------------------------------------------------------------------------------------------


MOUNTING = ("mount", "move_mount", "umount2", "pivot_root")


def test_the_tree_is_another_user_namespaces_before_the_first_mount_in_it(followed: Followed) -> None:
    """What is mounted on the scaffold is no more seen by the host than what is mounted in a private tree."""
    calls = followed.init
    entered = _index(calls, "setns", lambda raw: "CLONE_NEWNS" in raw.arguments[1])
    assert not [raw for raw in calls[:entered] if raw.name in MOUNTING]
    first = next(raw for raw in calls[entered:] if raw.name in MOUNTING)
    assert first.arguments[1] == '"/tmp"'


def test_the_tree_is_private_before_the_first_mount_in_it(world: World) -> None:
    """For a zone of the host's ids, which has no scaffold."""
    world.create("/bin/true", extra='\n[namespaces]\nuser = "host"\n')
    argv = [str(world.folder), str(world.number), "start", "web"]
    followed = Followed(trace.record(argv, world.folder / "trace", calls=EVERYTHING), world)
    first = next(raw for raw in followed.init if raw.name in MOUNTING)
    assert first.name == "mount"
    assert first.arguments[1:4:2] == ('"/"', "MS_REC|MS_PRIVATE")


def test_every_descriptor_is_closed_on_exec(followed: Followed) -> None:
    calls = followed.init
    marked = _index(calls, "close_range", lambda raw: "CLOSE_RANGE_CLOEXEC" in raw.arguments[2])
    assert calls[marked].arguments[0] == "3"
    assert not [
        raw for raw in calls[marked:] if raw.name in {"openat", "openat2", "dup", "dup2", "pipe2", "socket"}
    ]
    opened = [
        raw for raw in calls if raw.name in {"openat", "openat2", "open_tree", "fsopen", "fsmount", "socket"}
    ]
    assert opened
    assert not [raw for raw in opened if raw.result >= 0 and "CLOEXEC" not in " ".join(raw.arguments)]


# 4 ---------------------------------------------------------------------------------------------------------------


def test_every_path_inside_the_root_is_resolved_in_it(followed: Followed) -> None:
    """Only single names are given to other calls, below descriptors that openat2 gave."""
    calls = followed.init
    pivot = _index(calls, "pivot_root")
    root = re.compile(r"\d+</tmp/root(/[^>]*)?>")
    for raw in calls[:pivot]:
        at = next((word for word in raw.arguments if root.fullmatch(word)), None)
        if at is None or raw.name in {
            "close",
            "newfstatat",
            "fstat",
            "move_mount",
            "fchdir",
            "mount_setattr",
        }:
            continue
        name = trace.words(next((word for word in raw.arguments if word.startswith('"')), '""'))
        if raw.name == "openat2":
            assert "RESOLVE_IN_ROOT" in raw.arguments[2] or "RESOLVE_BENEATH" in raw.arguments[2]
            # No link at all, which is more (openat2(2)), or no magic one.
            assert "RESOLVE_NO_SYMLINKS" in raw.arguments[2] or "RESOLVE_NO_MAGICLINKS" in raw.arguments[2]
        else:
            assert "/" not in name or raw.name == "symlinkat", raw
    placed = [raw for raw in calls[:pivot] if raw.name == "move_mount" and root.fullmatch(raw.arguments[2])]
    assert len(placed) > 10
    assert all(raw.arguments[3] == '""' for raw in placed)


# 5 ---------------------------------------------------------------------------------------------------------------


def test_who_enters_a_zone_cannot_be_traced_from_it(joined: Followed) -> None:
    (joiner,) = {raw.pid for raw in joined.trace.raw if raw.name == "setns"}
    calls = joined.trace.of(joiner)
    # Who made it was not dumpable, which a child inherits.
    (maker,) = {raw.pid for raw in joined.trace.raw if raw.name == "clone3" and raw.result == joiner}
    made_it = joined.trace.of(maker)
    undumpable = _index(
        made_it, "prctl", lambda raw: raw.arguments[:2] == ("PR_SET_DUMPABLE", "SUID_DUMP_DISABLE")
    )
    entered = [at for at, raw in enumerate(calls) if raw.name == "setns"]
    assert undumpable < _index(made_it, "clone3")
    kinds = [set(SETNS.findall(calls[at].arguments[1])) for at in entered]
    # All at once: nothing can change between two of them.
    assert len(kinds) == 1
    assert {"CLONE_NEWUSER", "CLONE_NEWNS", "CLONE_NEWPID"} <= kinds[0]
    made = _index(calls, "clone3")
    assert entered[-1] < made
    # And nothing has made it dumpable again until it executes.
    again = [
        raw
        for raw in (*made_it, *calls)
        if raw.name == "prctl" and raw.arguments[:2] == ("PR_SET_DUMPABLE", "SUID_DUMP_USER")
    ]
    assert not again


def test_a_change_of_ids_makes_nobody_traceable(joined: Followed) -> None:
    """Whatever fs.suid_dumpable is: the change gives the process that."""
    (program,) = {
        raw.pid for raw in joined.trace.raw if raw.name == "execve" and raw.arguments[1] == '["true"]'
    }
    calls = joined.trace.of(program)
    last = max(at for at, raw in enumerate(calls) if raw.name == "setresuid")
    assert calls[last + 1].name == "prctl"
    assert calls[last + 1].arguments[:2] == ("PR_SET_DUMPABLE", "SUID_DUMP_DISABLE")


def test_a_zone_sees_nothing_of_who_enters_it_but_the_program(world: World) -> None:
    script = "while :; do for p in /proc/[0-9]*; do readlink $p/exe >>/tmp/seen; cat $p/cmdline >>/tmp/cmd; done; done"
    world.started("/bin/sh", "-c", f"{script} 2>/dev/null")
    for _ in range(10):
        assert world.execute("true").exit_status.code == 0
    seen = Path(world.context.paths.upper("web"), "tmp/seen")
    assert eventually(lambda: seen.exists() and bool(seen.read_text()))
    assert set(seen.read_text().split()) == {"/bin/busybox"}


# 6 ---------------------------------------------------------------------------------------------------------------

SHOWN = (
    "Uid",
    "Gid",
    "Groups",
    "Umask",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
)


@pytest.mark.parametrize("own_ids", [True, False], ids=["own ids", "the host's ids"])
@pytest.mark.parametrize("user", ["root", "web", "33:4"])
@pytest.mark.parametrize("no_new_privs", [False, True])
def test_an_exec_is_what_init_is(world: World, own_ids: bool, user: str, no_new_privs: bool) -> None:
    extra = f'user = "{user}"\n[namespaces]\nuser = "{"auto" if own_ids else "host"}"'
    extra += f"\n[security]\nno_new_privs = {str(no_new_privs).lower()}"
    world.started("/bin/sh", "-c", "while :; do sleep 0.05; done", extra=extra)
    init = proc.status_fields(world.live().pid)
    script = "cat /proc/self/status"
    lines = (line.partition(":") for line in world.execute("sh", "-c", script).out.splitlines())
    inside = {name: value.strip() for name, _, value in lines}
    same = [name for name in SHOWN if name not in {"Uid", "Gid", "Groups"}]
    assert {name: inside[name] for name in same} == {name: init[name] for name in same}
    assert world.execute("id").out == world.execute("sh", "-c", "id").out
    one = world.execute("cat", "/proc/1/status").out
    for name in ("Uid", "Gid", "Groups"):
        assert [line for line in one.splitlines() if line.startswith(f"{name}:")] == [
            line
            for line in world.execute("cat", "/proc/self/status").out.splitlines()
            if line.startswith(f"{name}:")
        ]
    assert inside["Umask"] == "0022"
    assert inside["NoNewPrivs"] == str(int(no_new_privs))
    assert int(inside["CapInh"], 16) == int(inside["CapAmb"], 16) == 0
    if user != "root":
        assert int(inside["CapEff"], 16) == int(inside["CapPrm"], 16) == 0


def test_a_zone_of_the_hosts_ids_has_no_capability_that_reaches_past_it(world: World) -> None:
    extra = '[namespaces]\nuser = "host"'
    status = world.run("/bin/cat", "/proc/self/status", extra=extra).out
    bounding = int(re.findall(r"CapBnd:\s+(\w+)", status)[0], 16)
    sys_admin, sys_module, mknod, sys_ptrace, net_admin, sys_rawio, bpf, restore = (
        21,
        16,
        27,
        19,
        12,
        17,
        39,
        40,
    )
    for capability in (sys_admin, sys_module, mknod, sys_ptrace, net_admin, sys_rawio, bpf, restore):
        assert not bounding >> capability & 1


def test_what_the_caller_may_hand_on_to_programs_is_not_handed_to_a_zone(world: World) -> None:
    """CVE-2022-24769: the inheritable set of the runtime's caller."""
    from zonectl.kernel import attributes, process  # noqa: PLC0415

    def with_inheritable() -> int:
        held = attributes.capget()
        attributes.capset(held.effective, held.permitted, held.permitted)
        status = world.run("/bin/cat", "/proc/self/status", extra='[namespaces]\nuser = "host"').out
        found = dict(re.findall(r"(Cap\w+):\s+(\w+)", status))
        assert int(found["CapInh"], 16) == 0
        assert int(found["CapPrm"], 16) & ~int(found["CapBnd"], 16) == 0
        return 0

    _, pidfd = process.spawn(with_inheritable)
    assert process.wait_pidfd(pidfd, timeout_s=30) == process.ExitStatus(status=0)
    os.close(pidfd)


# 7 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "about"),
    [
        ('user = "4294967294"', "become"),  # not mapped in the zone: setresuid fails
        ('user = "0:65536"', "become"),
        ('workdir = "/etc/passwd"', "chdir"),
        ('[namespaces]\nmonotonic_offset = "-50000d"', "timens_offsets"),
    ],
)
def test_what_cannot_be_applied_stops_the_start(world: World, extra: str, about: str) -> None:
    world.create("/bin/true", extra=extra)
    before = world.footprint()
    with pytest.raises(ZonectlError, match=about):
        start(world.context, "web")
    assert world.warden.adopted == []
    world.becomes(before, save="files")


def test_the_program_runs_below_its_filter_of_devices(followed: Followed) -> None:
    """It is attached before init hears what it becomes."""
    worker = followed.trace.of(followed.trace.worker)
    attached = _index(worker, "bpf", lambda raw: "BPF_PROG_ATTACH" in raw.arguments[0])
    assert worker[attached].result == 0
    assert attached < _index(worker, "sendmsg", lambda raw: "ORDER" in raw.arguments[1])


def test_a_filter_of_devices_that_cannot_be_attached_stops_the_start(world: World) -> None:
    """An exclusive program above lets nobody attach another one; init has been born by then, and is not the program."""
    world.create("/bin/true")
    tree = Tree(world.context.facts.cgroup)
    base = tree.path(zone_cgroup(world.context.instance, "x").rpartition("/")[0])
    os.makedirs(base, exist_ok=True)
    before = world.footprint()
    group = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    exclusive = bpf.load_device_program(devices.program(USUAL), "exclusive")
    attributes = bpf._ATTACH.pack(group, exclusive, bpf.BPF_CGROUP_DEVICE, 0)
    bpf._call(bpf.BPF_PROG_ATTACH, attributes, subject="exclusive")
    try:
        with pytest.raises(SyscallError, match="bpf") as caught:
            start(world.context, "web")
    finally:
        bpf.detach_device_program(group, exclusive)
        os.close(exclusive)
        os.close(group)
    assert caught.value.errno == errno.EPERM
    assert "devices" in (caught.value.hint or "")
    assert world.warden.adopted == []
    world.becomes(before, save="files")


def test_a_root_that_cannot_show_the_zones_ids_is_refused(world: World) -> None:
    """Sysfs has no id maps: nothing is weakened, the start stops."""
    world.create("/bin/true", extra='[[mount]]\nsource = "/sys/kernel"\ntarget = "/mnt"')
    with pytest.raises(ZonectlError, match="cannot show the zone's ids"):
        start(world.context, "web")
