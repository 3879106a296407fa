"""zonectl-entry as an init on the host, and our end of its conversation."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.kernel import forked
from zonectl.kernel import process
from zonectl.model.script import Script
from zonectl.runtime import entry
from zonectl.runtime.handshake import Channel, close_all, failure
from zonectl.runtime.siblings import Siblings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zonectl.errors import ZonectlError

NOT_EXECUTED = process.ExitStatus(status=125)


@dataclass
class Talk:
    """An init that has heard its script, and our end of its conversation."""

    pidfd: int
    channel: Channel

    def tell(self, sent: bytes) -> None:
        """Send an order."""
        entry.send(self.channel, "ORDER", sent)

    def begin(self) -> None:
        """Hear that it is ready."""
        close_all(self.channel.expect("READY"))

    def refusal(self) -> ZonectlError:
        """What it says that it failed with; it has ended with 125."""
        message, fds = self.channel.hear()
        assert fds == []
        assert message
        assert self.end() == NOT_EXECUTED
        return failure(message)

    def execute(self, sent: bytes) -> process.ExitStatus | None:
        """Have it execute what an order says; how that ends."""
        self.begin()
        self.tell(sent)
        self.channel.say("EXEC")
        self.channel.expect_end()
        return self.end()

    def end(self) -> process.ExitStatus | None:
        """How it ends."""
        return process.wait_pidfd(self.pidfd, timeout_s=20)


@contextmanager
def talking(
    first: Callable[[], object] = lambda: None,
    *,
    script: bytes | None = None,
    trees: Sequence[int] = (),
    namespaces: int = 0,
) -> Iterator[Talk]:
    """Start one; `first` is done before its execve. Without a script it has nothing to put together."""
    ours, theirs = Channel.pair()
    siblings = Siblings.begin()

    try:
        maker = forked.spawn(lambda: _become(first, [theirs.fileno(), siblings.noted], namespaces))
        theirs.close()
        _, pidfd = siblings.after(maker, ours, number=0)
        try:
            ours.say("IDS")
            entry.send(ours, "SCRIPT", Script().packed() if script is None else script)
            if trees:
                ours.send_trees(trees)
            yield Talk(pidfd, ours)
        finally:
            process.kill_and_reap(pidfd)
            os.close(pidfd)
    finally:
        siblings.close()
        ours.close()


def _become(first: Callable[[], object], given: Sequence[int], namespaces: int) -> int:
    first()
    for fd in given:
        os.set_inheritable(fd, True)
    words = ["init", str(namespaces), "-1", *map(str, given), "-1", "-1", "-1"]
    os.execve(entry.PROGRAM, ["zonectl-entry", *words, *entry.stream_words((0, 1, 2), None)], {})
