"""A netlink socket: requests sent together, answers sorted by request, refusals raised in the kernel's words."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.network.wire import NLM_F_ACK, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, outcome, replies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.network.wire import Reply, Request

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_NETLINK_GET_STRICT_CHK: Final = 12
_RECEIVE_BYTES: Final = 65536


@dataclass(slots=True, kw_only=True)
class Answer:
    """What the kernel said to one request: payloads of messages, and why it refused, if it did."""

    request: Request
    payloads: list[bytes] = field(default_factory=list)
    error: SyscallError | None = None

    def take(self, reply: Reply) -> bool:
        """Add a message to the answer; whether it was the last."""
        if reply.kind in {NLMSG_ERROR, NLMSG_DONE}:
            number, words = outcome(reply)
            if number:
                self.error = SyscallError(self.request.call, number, self.request.subject, detail=words)
            return True
        self.payloads.append(reply.payload)
        # A list ends by NLMSG_DONE, and an acknowledgement follows where one was asked for.
        return self.request.flags & (NLM_F_ACK | NLM_F_DUMP) == 0


class Channel:
    """An open netlink socket of the network namespace in which it was opened (`open_channel` makes it)."""

    __slots__ = ("_sequence", "_socket")

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._sequence = 0

    def ask(self, *requests: Request) -> list[list[bytes]]:
        """Send the requests in one call, and give the payloads of the answers to each.

        Raises:
            SyscallError: the first that was refused, with its errno and the kernel's explanation; the kernel has
                gone on with those after it.

        """
        answers = self.try_ask(*requests)
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        return [answer.payloads for answer in answers]

    def try_ask(self, *requests: Request) -> list[Answer]:
        """As `ask`, with each refusal in its answer. At most one request may be a dump.

        Each request must have NLM_F_ACK, or be of a kind that is answered. The kernel works through all of them
        before sendto(2) returns, even if the caller is killed meanwhile.

        Raises:
            SyscallError: sendto(2) or recv(2).

        """
        if not requests:
            return []
        answers = {self._sequence + index: Answer(request=one) for index, one in enumerate(requests, 1)}
        self._sequence += len(requests)
        packed = b"".join(answer.request.pack(number) for number, answer in answers.items())
        try:
            self._socket.sendto(packed, (0, 0))
            self._receive(dict(answers))
        except OSError as error:
            raise SyscallError("netlink", error.errno or 0, requests[0].subject) from error
        return list(answers.values())

    def _receive(self, waiting: dict[int, Answer]) -> None:
        while waiting:
            # Answers are there when sendto returns, and the rest of a list is made by each recv: to wait would be
            # to wait for ever.
            for reply in replies(self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)):
                answer = waiting.get(reply.sequence)
                if answer is not None and answer.take(reply):
                    del waiting[reply.sequence]


@contextmanager
def open_channel(protocol: int = NETLINK_ROUTE) -> Iterator[Channel]:
    """A channel to the kernel's networking, of the calling thread's network namespace; closed afterwards.

    Raises:
        SyscallError: socket(2).

    """
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    try:
        opened = socket.socket(socket.AF_NETLINK, kind, protocol)
    except OSError as error:
        raise SyscallError("socket", error.errno or 0, "AF_NETLINK") from error
    with opened:
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            opened.setsockopt(_SOL_NETLINK, option, 1)
        yield Channel(opened)
