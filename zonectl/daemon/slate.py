"""Between two commands of one worker: everything is as it was before the first, or the worker serves no other.

What a command changes by design (streams, folder, umask, environment, limits, names of Python's) is put back. Then the
kernel is asked what the process is like, and the answer is compared with the one from before the first command. Nobody
needs to know what a command may leave behind: whatever it is, the worker ends with it, as it used to after every one.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from zonectl.daemon import setup
from zonectl.daemon.caller import nothing
from zonectl.kernel import condition

if TYPE_CHECKING:
    from zonectl.daemon.worker import Setting

MOST_COMMANDS = 500
"""What a thousand commands leave behind in an interpreter nobody has measured."""

COLLECT_AFTER = 100_000
"""New objects, more than a start makes: nobody waits for a collection there. What is left, `wipe` collects."""

_CALLERS = (signal.SIGIO, signal.SIGALRM)
"""The signals whose handlers belong to whoever is served (`zonectl.daemon.caller`)."""

MOST_GROWTH_BYTES = 8 << 20


class Slate:
    """The state of a worker that has not served yet; `without` is a descriptor that comes and goes."""

    def __init__(self, setting: Setting, *, without: int) -> None:
        self._setting = setting
        for signum in _CALLERS:
            signal.signal(signum, nothing)
        self._names = (sys.argv, sys.stdin, sys.stdout, sys.stderr)
        self._environment = dict(os.environ)
        self._commands = 0
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        self._found = condition.look(without=(without,))
        self._memory_bytes = condition.memory_bytes()

    def wipe(self) -> bool:
        """Put back what the last command has changed; whether everything else is as it was, too."""
        self._commands += 1
        if condition.has_children() or self._commands >= MOST_COMMANDS:
            return False
        try:
            self._restore()
        except (
            OSError
        ):  # no descriptors, no space: the next worker says so if it lasts, to a client that waits
            return False
        if condition.memory_bytes() > self._memory_bytes + MOST_GROWTH_BYTES:
            return False
        found = condition.look()
        if found == self._found:
            return True
        kept = sorted(
            name for name in found.keys() | self._found.keys() if found.get(name) != self._found.get(name)
        )
        self._setting.complain(f"a worker ends: its command has left {', '.join(kept)}")
        return False

    def _restore(self) -> None:
        setup.wire_streams(self._setting.paths)
        # Only now: what they still held goes to nobody.
        sys.argv, sys.stdin, sys.stdout, sys.stderr = self._names
        os.chdir("/")
        os.umask(setup.UMASK)
        os.environ.clear()
        os.environ.update(self._environment)
        time.tzset()
        setup.raise_files_limit()
        for signum in _CALLERS:
            signal.signal(signum, nothing)
        gc.collect()
