from __future__ import annotations

import os
import signal

from tests.patience import until
from zonectl.daemon.handover import Adopt
from zonectl.daemon.watch import Watch, Watched
from zonectl.kernel import process
from zonectl.kernel.process import ExitStatus
from zonectl.kernel.pump import Loop


def _adopt(pid: int, *, parent: int, started_s: float) -> Adopt:
    return Adopt(zone="web", pid=pid, parent=parent, started_s=started_s, pidfd=os.pidfd_open(pid), fifos=())


def test_a_run_found_before_its_parent_tells_of_it_is_one_run() -> None:
    ended: list[tuple[Watched, ExitStatus]] = []
    watch = Watch(Loop(), lambda run, status: ended.append((run, status)))
    pid, pidfd = process.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        watch.add(_adopt(pid, parent=0, started_s=1.0))
        watch.add(_adopt(pid, parent=os.getpid(), started_s=2.0))
        assert watch.running == 1
    finally:
        os.kill(pid, signal.SIGKILL)
        process.wait_pidfd(pidfd)
        os.close(pidfd)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert watch.child_ended(pid, ExitStatus(signal=signal.SIGKILL))
    assert [(run.parent, run.started_s) for run, _status in ended] == [(os.getpid(), 2.0)]
