"""Where init puts the root together, so that the zone's root cannot take it apart (see `steps.scaffold`)."""

from __future__ import annotations

import os
import signal

from zonectl.errors import SyscallError
from zonectl.kernel import process
from zonectl.kernel.idle import IdleProcess


class Scaffold:
    """A mount namespace of a user namespace below this process's, which this process has entered.

    The process must have ids in its user namespace and CAP_SYS_ADMIN over it, and nothing else may run there yet.

    Raises:
        SyscallError: it cannot be made.

    """

    def __init__(self) -> None:
        # setns by a pidfd asks for the right to trace, which taking new ids has forbidden; there is nobody to use it.
        process.set_dumpable(True)
        self._idle = IdleProcess(process.CLONE_NEWUSER | process.CLONE_NEWNS)
        try:
            process.setns(self._idle.pidfd, process.CLONE_NEWNS)
        finally:
            process.set_dumpable(False)
            process.pidfd_send_signal(self._idle.pidfd, signal.SIGKILL)

    def leave(self) -> None:
        """Take a copy of the mounts as a namespace of this process's own user namespace: all of them are locked.

        Raises:
            SyscallError: unshare.

        """
        # By now it is gone; before, it was not worth waiting for.
        try:
            os.waitid(os.P_PIDFD, self._idle.pidfd, os.WEXITED)
        except OSError as error:
            raise SyscallError("waitid", error.errno or 0, "the scaffold") from error
        os.close(self._idle.pidfd)
        process.unshare(process.CLONE_NEWNS)
