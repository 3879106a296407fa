"""What the verbs know of whoever called them: a caller's streams and terminal, and who watches a started zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.kernel.process import ExitStatus


class Frontend(Protocol):
    """The caller of a foreground verb (`run`, `exec`, `shell`, `console`).

    A host terminal never enters a zone. Where the caller has one, either a pty is made inside the zone and its master
    goes to `attach`, or (`streams`) a pipe stands in for the stream and the front end copies.

    From `keep_signals` or `attach` on, all of the caller's signals are kept for the program: `wait` delivers them. A
    program may have begun, and asked for a signal, before the runtime gets round to waiting for it. Until then those
    that end a command end the verb; the others are kept.
    """

    @property
    def interactive(self) -> bool:
        """Whether standard input and output are both terminals."""

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the caller's terminal; (24, 80) where it has none."""

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """Descriptors for the zone's 0, 1 and 2; None means the zone's own /dev/null. The front end owns them.

        Raises:
            UsageError: a stream is a directory or a device other than a terminal or /dev/null.

        """

    def keep_signals(self) -> None:
        """Keep the caller's signals for the program from now on; twice is fine."""

    def attach(self, master: int) -> None:
        """Take over `master`, the host's side of a pty made in the zone, and pump it until its end."""

    def wait(self, pidfd: int, deliver: Callable[[int], None]) -> ExitStatus:
        """Wait until the process of `pidfd` has ended, passing the caller's signals to `deliver`.

        When the caller itself goes away, SIGKILL is delivered. What the process wrote has been copied on return.
        The status is unknown where the process is not a child of this one and the kernel cannot tell.
        """


class Warden(Protocol):
    """Who watches a zone after the command that started it has ended: zoned."""

    def adopt(self, *, zone: str, pid: int, pidfd: int) -> None:
        """Take over the running init `pid` of `zone`, as a child once this process has exited.

        Raises:
            DaemonError: the warden cannot be reached; the caller must end the zone again.

        """
