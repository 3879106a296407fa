"""A zone from nothing through every state and back to nothing, over the runtime's own functions."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.runtime.world import REQUIRED, SERVICE, World, unwatched
from tests.patience import eventually
from zonectl.errors import DaemonError, NoSuchZone, StateError, StoreError, ZonectlError, ZoneExists
from zonectl.kernel import proc, process
from zonectl.kernel.process import ExitStatus
from zonectl.model.state import ALLOWED, ZoneState, allows
from zonectl.runtime import freeze
from zonectl.runtime.create import create
from zonectl.runtime.delete import delete
from zonectl.runtime.exec import Request, execute
from zonectl.runtime.settle import finish, recover, settle, survivors
from zonectl.runtime.start import ready, start
from zonectl.runtime.status import require, status, statuses
from zonectl.runtime.stop import kill, stop
from zonectl.store import records, restarts

pytestmark = pytest.mark.requires(*REQUIRED)

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done"


def is_up(world: World, name: str = "web") -> bool:
    """Whether the zone's shell has set its trap."""
    masks = proc.signal_masks(world.live(name).pid)
    return masks is not None and (masks.handles(signal.SIGTERM) or masks.ignores(signal.SIGTERM))


def test_a_zone_from_nothing_to_nothing(world: World) -> None:
    before = world.footprint()
    record = world.create()
    assert world.state() is ZoneState.INSTALLED
    installed = world.footprint()
    start(world.context, "web")
    assert world.state() is ZoneState.RUNNING
    assert world.warden.adopted == [("web", world.live().pid)]
    assert world.execute("echo", "hello").out == "hello\n"
    assert eventually(lambda: is_up(world))
    stop(world.context, "web")
    assert world.state() is ZoneState.INSTALLED
    assert not world.group(record).exists()
    last = status(world.context, "web").last
    assert last is not None
    assert (last.status, last.signal, last.by_user) == (7, None, True)
    world.becomes(installed, save="files")
    delete(world.context, "web")
    with pytest.raises(NoSuchZone):
        world.state()
    world.becomes(before)
    assert not Path(world.context.paths.zone_dir("web")).exists()
    assert not Path(world.context.paths.run_zone_dir("web")).exists()


def test_what_a_zone_writes_stays_over_a_restart_and_goes_with_delete(world: World) -> None:
    world.started()
    assert world.execute("sh", "-c", "echo kept >/root/file").exit_status.code == 0
    stop(world.context, "web", timeout_s=0)
    start(world.context, "web")
    assert world.execute("cat", "/root/file").out == "kept\n"
    delete(world.context, "web", force=True)
    world.started()
    assert world.execute("cat", "/root/file").exit_status.code == 1


def test_files_belong_on_disk_to_whom_they_belong_inside(world: World) -> None:
    world.started()
    script = "echo a >/tmp/root; touch /tmp/five; chown 5:6 /tmp/five; rm /etc/group; rm -r /var; mkdir /var"
    assert world.execute("sh", "-c", script).exit_status.code == 0
    upper = Path(world.context.paths.upper("web"))
    owners = [(upper / name).stat() for name in ("tmp/root", "tmp/five", "var")]
    assert [(found.st_uid, found.st_gid) for found in owners] == [(0, 0), (5, 6), (0, 0)]
    assert world.execute("ls", "/etc/group").exit_status.code == 1
    assert (world.root / "etc/group").exists()


def test_a_zone_made_ready_is_parked_until_it_is_started(world: World) -> None:
    world.create()
    ready(world.context, "web")
    assert world.state() is ZoneState.READY
    parked = world.live()
    with pytest.raises(StateError) as refused:
        execute(world.context, "web", Request(argv=("true",)), frontend=None)  # type: ignore[arg-type]
    assert refused.value.hint == "zonectl start web"
    start(world.context, "web")
    assert world.state() is ZoneState.RUNNING
    assert world.live().pid == parked.pid
    assert world.execute("cat", "/proc/1/comm").out == "sh\n"
    assert "init.sock" not in os.listdir(world.context.paths.run_zone_dir("web"))


def test_a_ready_zone_can_be_stopped_at_once(world: World) -> None:
    world.create()
    ready(world.context, "web")
    begun = time.monotonic()
    stop(world.context, "web")
    assert time.monotonic() - begun < 5
    assert world.state() is ZoneState.INSTALLED
    start(world.context, "web")
    assert world.state() is ZoneState.RUNNING


def test_a_parked_program_that_is_not_there_is_said_by_start(world: World) -> None:
    world.create("/nowhere")
    ready(world.context, "web")
    with pytest.raises(ZonectlError, match="/nowhere: No such file"):
        start(world.context, "web")
    assert eventually(lambda: world.state() is ZoneState.INSTALLED)
    recover(world.context)
    ready(world.context, "web")


def test_a_paused_zone_stands_still(world: World) -> None:
    record = world.started("/bin/sh", "-c", "while :; do echo x >>/tmp/ticks; done")
    freeze.pause(world.context, "web")
    assert world.state() is ZoneState.PAUSED
    ticks = Path(world.context.paths.upper("web"), "tmp/ticks")
    size = ticks.stat().st_size if ticks.exists() else 0
    time.sleep(0.1)
    assert (ticks.stat().st_size if ticks.exists() else 0) == size
    assert (world.group(record) / "cgroup.freeze").read_text() == "1\n"
    with pytest.raises(StateError) as refused:
        world.execute("true")
    assert (refused.value.state, refused.value.hint) == ("paused", "zonectl resume web")
    freeze.resume(world.context, "web")
    assert world.state() is ZoneState.RUNNING
    assert eventually(lambda: ticks.exists() and ticks.stat().st_size > size)


def test_a_paused_zone_is_stopped_without_being_waited_for(world: World) -> None:
    world.started()
    freeze.pause(world.context, "web")
    begun = time.monotonic()
    stop(world.context, "web")
    assert time.monotonic() - begun < 5
    assert world.state() is ZoneState.INSTALLED


@pytest.mark.parametrize("command", [("/bin/sh", "-c", STUBBORN), ("/bin/sleep", "300")])
def test_an_init_that_ignores_the_signal_is_not_waited_for(world: World, command: tuple[str, ...]) -> None:
    world.started(*command, extra='stop_timeout = "60s"')
    if "trap" in command[-1]:
        assert eventually(lambda: is_up(world))
    begun = time.monotonic()
    stop(world.context, "web")
    assert time.monotonic() - begun < 10
    last = status(world.context, "web").last
    assert last
    assert last.signal == signal.SIGKILL


@pytest.mark.fault("init heeds its stop signal and goes on", "it is killed after the time-out")
def test_an_init_that_heeds_the_signal_but_goes_on_is_killed_after_the_timeout(world: World) -> None:
    record = world.started("/bin/sh", "-c", "trap 'echo no' TERM; while :; do sleep 0.05; done")
    assert eventually(lambda: is_up(world))
    begun = time.monotonic()
    stop(world.context, "web", timeout_s=0.5)
    assert 0.4 < time.monotonic() - begun < 8
    assert world.state() is ZoneState.INSTALLED
    assert not world.group(record).exists()


def test_the_stop_signal_is_the_zone_files(world: World) -> None:
    script = "trap 'exit 3' USR1; while :; do sleep 0.05; done"
    world.started("/bin/sh", "-c", script, extra='stop_signal = "SIGUSR1"')
    usr1 = signal.SIGUSR1
    assert eventually(lambda: bool((m := proc.signal_masks(world.live().pid)) and m.handles(usr1)))
    stop(world.context, "web")
    last = status(world.context, "web").last
    assert last
    assert last.status == 3


def test_processes_that_init_leaves_behind_end_with_it(world: World) -> None:
    record = world.started("/bin/sh", "-c", "(trap '' TERM; while :; do sleep 0.05; done) & " + SERVICE)
    assert eventually(lambda: is_up(world))
    stop(world.context, "web")
    assert not world.group(record).exists()


def test_kill_reaches_init_alone(world: World) -> None:
    world.started()
    assert eventually(lambda: is_up(world))
    pidfd = process.pidfd_open(world.live().pid)
    kill(world.context, "web", signal.SIGTERM)
    ended = process.wait_pidfd(pidfd, timeout_s=10)
    os.close(pidfd)
    assert ended == ExitStatus(status=7)
    finish(world.context, "web", ExitStatus(status=7))
    last = status(world.context, "web").last
    assert last
    assert (last.status, last.by_user) == (7, False)


def test_settling_twice_is_fine_and_keeps_what_was_known(world: World) -> None:
    record = world.started("/bin/true")
    process.wait_pidfd(pidfd := process.pidfd_open(world.warden.adopted[0][1]), timeout_s=10)
    os.close(pidfd)
    settle(world.context, record)
    unseen = status(world.context, "web").last
    assert unseen
    assert (unseen.status, unseen.signal) == (None, None)
    settle(world.context, record, ExitStatus(status=0))
    settle(world.context, record)
    last = status(world.context, "web").last
    assert last
    assert (last.status, last.ended_at) == (0, unseen.ended_at)
    finish(world.context, "nobody", ExitStatus(status=0))


def test_a_running_zone_is_not_settled(world: World) -> None:
    record = world.started()
    finish(world.context, "web", ExitStatus(status=1))
    assert recover(world.context) == []
    assert world.state() is ZoneState.RUNNING
    assert world.group(record).exists()


def test_survivors_are_running_zones_with_a_descriptor_of_their_init(world: World) -> None:
    world.started(name="web")
    world.create(name="db")
    (only,) = survivors(world.context)
    assert (only.name, only.pid) == ("web", world.live().pid)
    assert not process.pidfd_exited(only.pidfd)
    os.close(only.pidfd)


def test_nobody_to_watch_the_zone_is_said_before_anything_is_made(world: World) -> None:
    world.create()
    before = world.footprint()
    with pytest.raises(ZonectlError, match="zoned"):
        start(unwatched(world), "web")
    world.becomes(before)


def test_a_warden_that_refuses_ends_the_zone_again(world: World) -> None:
    world.create()
    before = world.footprint()
    world.warden.refusal = DaemonError("zoned has gone")
    with pytest.raises(DaemonError):
        start(world.context, "web")
    assert world.state() is ZoneState.INSTALLED
    world.becomes(before, save="files")


def test_a_name_is_given_once(world: World) -> None:
    world.create()
    before = world.footprint()
    with pytest.raises(ZoneExists):
        world.create()
    world.becomes(before)


@pytest.mark.fault("a create was interrupted", "the next create takes it up")
def test_what_an_interrupted_create_left_is_taken_up(world: World) -> None:
    record = world.create()
    records.save_record(world.context.paths, replace(record, installed=False))
    Path(world.context.paths.upper("web"), "old").touch()
    assert world.state() is ZoneState.INCOMPLETE
    for verb in (start, ready, stop):
        with pytest.raises(StateError) as refused:
            verb(world.context, "web")
        assert refused.value.state == "incomplete"
    again = world.create()
    assert world.state() is ZoneState.INSTALLED
    assert again.id != record.id
    assert not Path(world.context.paths.upper("web"), "old").exists()


@pytest.mark.parametrize("left", [(), (".tmp-1-abcdef01",)])
def test_a_folder_that_was_made_and_no_more_is_nobodys_zone(world: World, left: tuple[str, ...]) -> None:
    folder = Path(world.context.paths.zone_dir("web"))
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    assert recover(world.context) == []
    assert not folder.exists()
    folder.mkdir()
    world.create()
    assert world.state() is ZoneState.INSTALLED


@pytest.mark.fault(
    "a zone's record is removed", "create and delete are refused; its files stay until `delete -f`"
)
def test_a_zone_whose_record_is_lost_keeps_its_files_until_it_is_deleted_by_force(world: World) -> None:
    world.create()
    Path(world.context.paths.upper("web"), "precious").touch()
    Path(world.context.paths.record_file("web")).unlink()
    assert [type(error) for error in recover(world.context)] == [StoreError]
    assert Path(world.context.paths.upper("web"), "precious").exists()
    with pytest.raises(StoreError):
        world.create()
    with pytest.raises(StoreError):
        delete(world.context, "web")
    (only,) = statuses(world.context)
    assert only.damaged
    delete(world.context, "web", force=True)
    assert statuses(world.context) == []


@pytest.mark.fault(
    "the record of a running zone is damaged", "`delete -f` ends it and takes its group, ids and files back"
)
def test_a_running_zone_whose_record_is_lost_is_ended_by_force(world: World) -> None:
    """What its lost id held is found by nobody else's having it."""
    world.create(name="other")
    before = world.footprint()
    record = world.started()
    live = world.live()
    Path(world.context.paths.record_file("web")).write_text("{")
    delete(world.context, "web", force=True)
    assert proc.read(live.pid, "comm") is None
    assert not world.group(record).exists()
    world.becomes(before)
    start(world.context, "other")


def test_what_a_damaged_neighbour_may_hold_is_not_taken_from_it(world: World) -> None:
    world.create(name="db")
    world.create(name="web")
    for name in ("db", "web"):
        Path(world.context.paths.record_file(name)).write_text("{")
    held = world.footprint()["ids"]
    delete(world.context, "web", force=True)
    assert world.footprint()["ids"] == held


def test_a_failed_create_leaves_nothing(world: World) -> None:
    before = world.footprint()
    with pytest.raises(ZonectlError, match="not a folder"):
        world.create(root='path = "/nowhere"')
    world.becomes(before)
    tar = world.folder / "broken.tar"
    tar.write_bytes(b"\x1f\x8bno")
    with pytest.raises(ZonectlError):
        world.create(root=f'tar = "{tar}"')
    assert world.footprint()["ids"] == before["ids"]
    assert records.list_names(world.context.paths) == []


def test_deleting_by_force_ends_a_running_zone(world: World) -> None:
    record = world.started()
    with pytest.raises(StateError) as refused:
        delete(world.context, "web")
    assert (refused.value.state, refused.value.hint) == ("running", "zonectl stop web")
    delete(world.context, "web", force=True)
    assert not world.group(record).exists()
    assert statuses(world.context) == []


def bring(world: World, state: ZoneState) -> None:
    """Make a zone that is in `state`."""
    world.create()
    match state:
        case ZoneState.READY:
            ready(world.context, "web")
        case ZoneState.RUNNING:
            start(world.context, "web")
        case ZoneState.PAUSED:
            start(world.context, "web")
            freeze.pause(world.context, "web")


STATES = (ZoneState.INSTALLED, ZoneState.READY, ZoneState.RUNNING, ZoneState.PAUSED)


@pytest.mark.parametrize("state", STATES)
def test_a_refused_transition_names_both_states_and_the_helpful_verb(world: World, state: ZoneState) -> None:
    bring(world, state)
    assert world.state() is state
    for verb in ALLOWED:
        if allows(state, verb):
            assert require(world.context, "web", verb).state is state
            continue
        with pytest.raises(StateError) as refused:
            require(world.context, "web", verb)
        assert (refused.value.zone, refused.value.state, refused.value.verb) == ("web", state.value, verb)
        if refused.value.hint:
            helpful = refused.value.hint.split()[1]
            assert helpful == "wait" or allows(state, helpful)


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(
            "pid",
            marks=pytest.mark.fault(
                "a zone's note names the pid of another process",
                "the zone is `installed`; stop and kill touch nobody; it starts again",
            ),
        ),
        pytest.param(
            "boot",
            marks=pytest.mark.fault(
                "a zone's note is from before a reboot (another boot id)",
                "the zone is `installed`, whatever has its pid now; it starts again",
            ),
        ),
        pytest.param(
            "ticks",
            marks=pytest.mark.fault(
                "the pid of a zone's init is used again by a later process",
                "the zone is `installed`; that process is not signalled; it starts again",
            ),
        ),
    ],
)
def test_a_note_of_another_process_says_installed(world: World, what: str) -> None:
    record = world.started()
    live = world.live()
    match what:
        case "pid":
            other = replace(live, pid=os.getpid())
        case "boot":
            other = replace(live, boot_id="00000000-0000-0000-0000-000000000000")
        case _:
            other = replace(live, start_ticks=live.start_ticks + 1)
    records.save_live(world.context.paths, "web", other)
    assert world.state() is ZoneState.INSTALLED
    with pytest.raises(StateError):
        stop(world.context, "web")
    with pytest.raises(StateError):
        kill(world.context, "web", signal.SIGKILL)
    # What the lost init left is removed by the next start, by the zone's names.
    start(world.context, "web")
    assert world.live().pid not in {live.pid, os.getpid()}
    assert world.group(record).exists()
    os.waitpid(live.pid, 0)


@pytest.mark.parametrize("watched", [False, True], ids=["zoned has seen it", "zoned has yet to see it"])
@pytest.mark.parametrize("what", ["ended", "boot"])
@pytest.mark.fault(
    "stop of a zone that has ended, or whose note is from before a reboot, as zoned is about to settle it",
    "`cannot stop: the zone is installed`, whether or not zoned came first; a pending restart is called off",
)
def test_a_stop_says_the_same_before_and_after_zoned_has_settled(
    world: World, what: str, *, watched: bool
) -> None:
    world.started()
    live = world.live()
    os.kill(live.pid, signal.SIGKILL)
    os.waitpid(live.pid, 0)
    if what == "boot":
        stale = replace(live, pid=os.getpid(), boot_id="00000000-0000-0000-0000-000000000000")
        records.save_live(world.context.paths, "web", stale)
    if watched:
        restarts.save(world.context.paths, "web", restarts.Note(boot_id=proc.boot_id()))
    with pytest.raises(StateError):
        stop(world.context, "web")
    start(world.context, "web")
    stop(world.context, "web")


def test_a_stop_calls_off_a_restart_that_zoned_thinks_about(world: World) -> None:
    world.started(extra='restart = "always"')
    live = world.live()
    os.kill(live.pid, signal.SIGKILL)
    os.waitpid(live.pid, 0)
    restarts.save(world.context.paths, "web", restarts.Note(boot_id=proc.boot_id()))
    stop(world.context, "web")
    assert restarts.load(world.context.paths, "web") is None
    with pytest.raises(StateError):
        stop(world.context, "web")


def test_a_stop_calls_off_a_restart_where_the_zone_ends_just_before_it_looks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.started(extra='restart = "always"')

    def ends_first(*given: Any) -> Any:
        monkeypatch.undo()
        process.kill_and_reap(pidfd := process.pidfd_open(world.live().pid))
        os.close(pidfd)
        return require(*given)

    restarts.save(
        world.context.paths, "web", restarts.Note(boot_id=proc.boot_id(), started_s=time.monotonic())
    )
    monkeypatch.setattr("zonectl.runtime.stop.require", ends_first)
    stop(world.context, "web")
    assert restarts.load(world.context.paths, "web") is None
    last = records.load_last(world.context.paths, "web")
    assert last is not None
    assert last.by_user


def test_a_stop_that_fails_leaves_no_zone_that_seems_to_be_shutting_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.started()

    def fail(*_: object, **__: object) -> None:
        raise ZonectlError("its init does not end")

    monkeypatch.setattr("zonectl.runtime.stop.end_init", fail)
    with pytest.raises(ZonectlError, match="its init does not end"):
        stop(world.context, "web")
    assert world.state() is ZoneState.RUNNING
    assert world.execute("true").exit_status.code == 0
    process.kill_and_reap(pidfd := process.pidfd_open(world.live().pid))
    os.close(pidfd)
    assert finish(world.context, "web", ExitStatus(signal=signal.SIGKILL))
    last = records.load_last(world.context.paths, "web")
    assert last is not None
    assert last.by_user, "a user wanted it to end, and is not asked again"


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_who_wants_it_at_once_does_not_wait_for_a_stop_that_waits(world: World, verb: str) -> None:
    world.started("/bin/sh", "-c", "trap 'echo no' TERM; while :; do sleep 0.05; done")
    assert eventually(lambda: is_up(world))

    def worker() -> int:
        stop(world.context, "web", timeout_s=60)
        return 0

    _, pidfd = process.spawn(worker)
    assert eventually(lambda: world.state() is ZoneState.SHUTTING_DOWN)
    if verb == "stop":
        stop(world.context, "web", timeout_s=0)
        assert world.state() is ZoneState.INSTALLED
    else:
        delete(world.context, "web", force=True)
        assert records.list_names(world.context.paths) == []
    assert process.wait_pidfd(pidfd, timeout_s=30) == ExitStatus(status=0)
    os.close(pidfd)


def test_a_start_that_is_called_off_meanwhile_is_none(world: World) -> None:
    world.create()
    start(world.context, "web", unless=lambda: True)
    assert world.state() is ZoneState.INSTALLED
    start(world.context, "web", unless=lambda: False)
    assert world.state() is ZoneState.RUNNING
    world.stop()


def test_a_second_create_of_the_same_folder_does_not_touch_the_first(world: World) -> None:
    text = world.text()
    create(world.context, world.parse(text), text)
    other = world.text(name="db")
    create(world.context, world.parse(other), other)
    assert [found.name for found in statuses(world.context)] == ["db", "web"]
    delete(world.context, "db")
    assert world.state() is ZoneState.INSTALLED
