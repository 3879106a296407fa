"""wait: until a zone has ended."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from zonectl.cli import values
from zonectl.errors import StateError, TimedOut
from zonectl.kernel import process
from zonectl.kernel.process import ExitStatus

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.model.record import LiveNote
    from zonectl.store.paths import Paths

DESCRIPTION = """\
Wait until the init of a zone has ended, and exit with its status: 128+N for signal N, 255 where nobody knows. Of a zone
that does not run, it is the status of its last end.
"""
EXAMPLES = """\
zonectl wait build
zonectl wait --timeout 5min build
"""

_SETTLED_S = 15.0
"""How long zoned is given to write down what it has seen."""

_PAUSE_S = 0.01


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=values.seconds, help="fail when it takes longer than this"
    )
    parser.add_argument("zone", metavar="ZONE", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Wait; gives the status of the zone's last end."""
    from zonectl.runtime.settle import is_zoneds, noted
    from zonectl.runtime.status import open_init, status
    from zonectl.store import records
    from zonectl.store.locks import is_held

    found = status(setting.context(), options.zone)
    # The note of an init that has ended stays until zoned has written down how.
    live = records.load_live(setting.paths, options.zone)
    if live is None:
        last = records.load_last(setting.paths, options.zone)
        if last is None:
            hint = f"zonectl start {options.zone}"
            raise StateError(zone=options.zone, state=found.state.value, verb="wait", hint=hint)
        return ExitStatus(status=last.status, signal=last.signal).code
    pidfd = open_init(live)
    # Where nobody else can tell how it ended, zoned can, if it is the parent.
    is_told = is_held(setting.paths.daemon_lock) and (pidfd is None or is_zoneds(live))
    ended = _end(pidfd, options)
    if ended.unknown and is_told:
        ended = noted(setting.paths, options.zone, live)
    _let_settle(setting.paths, options.zone, live)
    return ended.code


def _end(pidfd: int | None, options: Namespace) -> ExitStatus:
    """How the init of `pidfd` ends; unknown where it is gone, or its parent alone can tell."""
    if pidfd is None:
        return ExitStatus()
    try:
        ended = process.wait_pidfd(pidfd, timeout_s=options.timeout)
    finally:
        os.close(pidfd)
    if ended is None:
        raise TimedOut("it has not ended", after_s=options.timeout, zone=options.zone)
    return ended


def _let_settle(paths: Paths, zone: str, live: LiveNote) -> None:
    """Give zoned, if there is one, the time to write down what this process knows: `show` is to tell the same."""
    from zonectl.store import records
    from zonectl.store.locks import is_held

    deadline = time.monotonic() + _SETTLED_S
    while is_held(paths.daemon_lock) and records.load_live(paths, zone) == live:
        if time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_S)
