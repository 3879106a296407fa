"""What zoned's workers do without a client: settle a zone that has ended, start it again, adopt what is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zonectl.daemon.handover import ZonedWarden, hand_over
from zonectl.daemon.restart import decide
from zonectl.errors import Busy, DaemonError, NoSuchZone, StateError, ZonectlError
from zonectl.kernel import proc
from zonectl.kernel.process import ExitStatus
from zonectl.model.config import Restart
from zonectl.store import restarts

if TYPE_CHECKING:
    from zonectl.daemon.worker import Setting

_BUSY_ATTEMPTS = 30
_START_FAILED = ExitStatus(status=1)


def finish(setting: Setting, name: str, ended: ExitStatus, *, started_s: float) -> int:
    """Settle the zone, whose run from `started_s` on has ended, and have it started again if its policy says so.

    A user may have started it again meanwhile: then there is another run, and nothing to do about this one.
    """
    ran_s = time.monotonic() - started_s
    if not _settle(setting, name, ended):
        return 0
    note = restarts.load(setting.paths, name)
    if note is None:
        return 0
    if note.due_s is not None:
        _remind(setting, name, note.due_s)
    elif note.started_s == started_s:
        _reschedule(setting, name, ended, failures=note.failures, ran_s=ran_s)
    return 0


def start_again(setting: Setting, name: str) -> int:
    """Start a zone whose time has come, unless a user has stopped or deleted it meanwhile."""
    note = restarts.load(setting.paths, name)
    if note is None or note.due_s is None:
        return 0
    if setting.jobs.stopped_by_user(name):
        restarts.remove(setting.paths, name)
        return 0

    def is_called_off() -> bool:
        """Whether a stop was under way, and has ended."""
        return restarts.load(setting.paths, name) != note or setting.jobs.stopped_by_user(name)

    warden = ZonedWarden(setting.channel, setting.paths, again=True)
    try:
        setting.jobs.start(name, warden=warden, unless=is_called_off)
    except (StateError, NoSuchZone):  # started by somebody else, or gone
        return 0
    except ZonectlError as error:
        setting.complain(f"{name}: not started again: {error}")
        _reschedule(setting, name, _START_FAILED, failures=note.failures, ran_s=0)
        return 0
    later = restarts.load(setting.paths, name)
    if later is not None and later.due_s is not None and later != note:
        _remind(setting, name, later.due_s)
    return 0


def adopt(setting: Setting) -> int:
    """At zoned's start: watch the zones that run, settle those that ended while nobody watched."""
    setting.jobs.recover()
    alive = set()
    for survivor in setting.jobs.survivors():
        alive.add(survivor.name)
        note = restarts.load(setting.paths, survivor.name)
        started_s = note.started_s if note else time.monotonic()
        hand_over(
            setting.channel,
            setting.paths,
            survivor.name,
            pid=survivor.pid,
            pidfd=survivor.pidfd,
            started_s=started_s,
            is_parent=False,
        )
    for name in restarts.names(setting.paths):
        if name not in alive:
            _catch_up(setting, name)
    return 0


def _catch_up(setting: Setting, name: str) -> None:
    note = restarts.load(setting.paths, name)
    if note is None:
        restarts.remove(setting.paths, name)
    elif note.due_s is not None:
        _remind(setting, name, note.due_s)
    else:
        finish(setting, name, ExitStatus(), started_s=note.started_s)


def _remind(setting: Setting, name: str, due_s: float) -> None:
    """Tell zoned when to start the zone again, by the note that is there; twice is fine.

    The note may be from a worker of a zoned that was killed, which could tell nobody when it wrote it.
    """
    setting.channel.start_again(name, delay_s=max(0.0, due_s - time.monotonic()))


def _settle(setting: Setting, name: str, ended: ExitStatus) -> bool:
    """Whether the zone is over, as far as anybody knows: False when it runs (again)."""
    for _attempt in range(_BUSY_ATTEMPTS):
        try:
            return setting.jobs.finish(name, ended)
        except Busy:  # a stop, most likely, that waits for this very end
            continue
        except ZonectlError as error:
            setting.complain(f"{name}: not settled: {error}")
            return True
    setting.complain(f"{name}: not settled: another command has held it all the time")
    return True


def _reschedule(setting: Setting, name: str, ended: ExitStatus, *, failures: int, ran_s: float) -> None:
    by_user = setting.jobs.stopped_by_user(name)
    decision = decide(_policy(setting, name), ended, by_user=by_user, ran_s=ran_s, failures=failures)
    if decision is None:
        restarts.remove(setting.paths, name)
        return
    due_s = time.monotonic() + decision.delay_s
    restarts.save(
        setting.paths, name, restarts.Note(boot_id=proc.boot_id(), failures=decision.failures, due_s=due_s)
    )
    try:
        setting.channel.start_again(name, delay_s=decision.delay_s)
    except DaemonError as error:  # the next zoned reads the note
        setting.complain(f"{name}: {error}")


def _policy(setting: Setting, name: str) -> Restart:
    try:
        return setting.jobs.policy(name)
    except ZonectlError:
        return Restart.NO
