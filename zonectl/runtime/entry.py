"""zonectl-entry, the program that init and an exec's process are until they are the zone's: how it starts, its order.

native/entry.c is the other half; order.c and restrictions.c beside it say what it does with the order. It waits for
that when it has said READY, with a descriptor of its root: only then can it be known who the user is, and that is
looked up by this process, not by one that the zone could fool or hold up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import zonectl
from zonectl.errors import HostLacks, StepError, SyscallError, ZonectlError
from zonectl.kernel import proc
from zonectl.kernel.memfd import memory_file
from zonectl.kernel.signals import held_back
from zonectl.model.capabilities import NAMES, SYS_ADMIN
from zonectl.model.config import HOME
from zonectl.model.script import FORMAT, MAGIC
from zonectl.runtime import program
from zonectl.runtime.handshake import close_all
from zonectl.security import accounts
from zonectl.security.seccomp import verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.model.seccomp import Filter
    from zonectl.runtime.handshake import Channel
    from zonectl.runtime.siblings import Siblings
    from zonectl.security.accounts import Account
    from zonectl.security.steps import Restrict

PROGRAM: Final = os.path.join(os.path.dirname(zonectl.__file__), "libexec", "zonectl-entry")
NAME: Final = "zonectl:entry"
"""What it calls itself (PR_SET_NAME): a process of that name has not become the zone's program yet."""

(
    NO_NEW_PRIVS,
    BOUND_TO_PARENT,
    WATCHED,
    FILTERED,
    TO_HOME,
    VERIFIED_FOLDER,
    CLOSED_DESCRIPTORS,
    FILTERED_AT_ONCE,
) = (1 << bit for bit in range(8))
OWN_SESSION, CLOSED_AT_FIRST = 1 << 3, 1 << 4
"""Flags of what it does with its streams. Bits 0 to 2: that stream is the zone's /dev/null."""

ALWAYS = VERIFIED_FOLDER | CLOSED_DESCRIPTORS
ALWAYS_AT_FIRST = OWN_SESSION | CLOSED_AT_FIRST
"""Only tests/hostile/without.py takes one of them away."""

_ABOVE_ALL: Final = 16
"""Above the descriptors that an init or an exec is born with."""
_INSTRUCTION_BYTES: Final = 8
_POINTER_BYTES: Final = struct.calcsize("@P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process becomes, and the restrictions that hold for it; `step` is what that is called in an error.

    `env` is what was declared. An empty `argv` is a login shell of the user's. `reaper`: catatonit is process 1, and
    runs it. `bound_to_parent`: it dies with this process. `watched`: its system calls are recorded.
    """

    restrict: Restrict
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    step: str
    terminal_type: str | None = None
    bound_to_parent: bool = False
    watched: bool = False
    reaper: bool = False


def _missing(error: OSError) -> HostLacks:
    hint = "install zonectl by `make install`, or `make venv` in its folder"
    return HostLacks(f"{PROGRAM}: {error.strerror}", hint=hint)


def stream_words(streams: Sequence[int | None], window: tuple[int, int] | None) -> list[str]:
    """The arguments that say what becomes of the streams: None is the zone's /dev/null; with `window` all are a pty."""
    absent = sum(1 << number for number, fd in enumerate(streams) if fd is None)
    rows, columns = window or (0, 0)
    return [str(ALWAYS_AT_FIRST | absent), str(rows), str(columns)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What an init is born with: `namespaces` (CLONE_NEW*), of which that of its ids belongs to the user `owner`.

    `group` is a descriptor of its control group; for the rest see `runtime.initial.Equipment`.
    """

    namespaces: int
    owner: int | None
    group: int | None
    door: int | None
    reaper: int | None


def spawn_init(
    streams: Sequence[int | None], birth: Birth, *, channel: int, siblings: Siblings, first: Sequence[str]
) -> int:
    """The pid of a new process that makes an init, the first of `siblings`, and ends.

    Raises:
        HostLacks: the program is not installed.
        SyscallError: there can be no such process.

    """
    given = [channel, siblings.noted]
    numbers = ["3", "4"]
    for fd in (birth.group, birth.door, birth.reaper):
        numbers.append("-1" if fd is None else str(3 + len(given)))
        given += [] if fd is None else [fd]
    owner = "-1" if birth.owner is None else str(birth.owner)
    return _spawn(["init", str(birth.namespaces), owner, *numbers, *first], streams, given)


def spawn_exec(
    streams: Sequence[int | None],
    *,
    channel: int,
    init: int,
    siblings: Siblings,
    group: int | None,
    namespaces: int,
    first: Sequence[str],
) -> int:
    """The pid of a new process that will join the zone of `init`, a pidfd, when it hears RANKED.

    It enters the group `group` and the `namespaces` (CLONE_NEW*), and ends when it has made the next process.

    Raises:
        HostLacks: the program is not installed.
        SyscallError: there can be no such process.

    """
    given = [channel, init, siblings.noted, *(() if group is None else (group,))]
    words = ["exec", str(namespaces), "-1" if group is None else "1", *first]
    with held_back():
        siblings.first = _spawn(words, streams, given)
    return siblings.first


def _spawn(arguments: Sequence[str], streams: Sequence[int | None], given: Sequence[int]) -> int:
    """Start the program with these streams, and with `given` as its descriptors from 3 on."""
    moved: list[int] = []
    try:
        moved.append(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))
        wanted = [*(moved[0] if fd is None else fd for fd in streams), *given]
        # Moved up first: one may have a number that another is about to get.
        for fd in wanted:
            moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL))  # noqa: PERF401 - what is open is closed
        return os.posix_spawn(
            PROGRAM,
            ["zonectl-entry", *arguments],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(moved[1:])],
            # What a terminal sends to its foreground is for this process, which passes it on.
            setsid=bool(ALWAYS_AT_FIRST & OWN_SESSION),
            setsigmask=signal.valid_signals(),
        )
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise _missing(error) from error
        raise SyscallError("posix_spawn", error.errno or 0, "zonectl-entry") from error
    finally:
        for fd in moved:
            os.close(fd)


def answer(channel: Channel, order: Order, *, pid: int) -> int | None:
    """Wait for a process to be ready, and tell it what it becomes; returns its pty's master, for the caller to own.

    `pid` is a process of the same user namespace.

    Raises:
        StepError: there is no such user in the zone.
        ZonectlError: what the process has failed with, or that it has gone.

    """
    # While it gets ready.
    known, owner = _known(order), proc.root_of(pid)
    root, *masters = channel.expect("READY")
    try:
        send(channel, "ORDER", known + _of_account(order, _account(order, root, owner), at=len(known)))
    except BaseException:
        close_all(masters)
        raise
    finally:
        os.close(root)
    return masters[0] if masters else None


def _account(order: Order, root: int, owner: int | None) -> Account:
    if owner is None:
        raise ZonectlError("the zone has ended, or has no root")
    try:
        return accounts.look_up(order.restrict.user, root, owner=owner)
    except ZonectlError as error:
        step = f"become {order.restrict.user}" if order.step == order.restrict.summary else order.step
        raise StepError(error.message, step=step, hint=error.hint) from error


def send(channel: Channel, word: str, packed: bytes) -> None:
    """Say `word` with a memfd that holds `packed`.

    Raises:
        ZonectlError: the other side has gone.

    """
    memory = memory_file(word.lower(), packed)
    try:
        channel.say(word, [memory])
    finally:
        os.close(memory)


def packed(order: Order, account: Account) -> bytes:
    """The whole order, as `read_order` of native/order.c takes it."""
    known = _known(order)
    return known + _of_account(order, account, at=len(known))


def _known(order: Order) -> bytes:
    """What of the order is known before the user is, as `read_order` of native/order.c takes it."""
    restrict = order.restrict
    fields = (MAGIC, FORMAT, _flags(order), restrict.umask, restrict.capabilities)
    until_execve = 0 if restrict.no_new_privs else SYS_ADMIN
    packed = struct.pack("=4I2QI", *fields, until_execve, len(NAMES)) + _text(order.step)
    packed += struct.pack("=I", len(restrict.limits))
    for each in restrict.limits:
        packed += struct.pack("=2I2Q", each.number, each.declared, *each.limit) + _text(each.name)
    instructions = restrict.seccomp.program if restrict.seccomp else b""
    return packed + struct.pack("=I", len(instructions) // _INSTRUCTION_BYTES) + instructions


def _of_account(order: Order, account: Account, *, at: int) -> bytes:
    """What follows, of which the first byte is number `at` of the order."""
    restrict = order.restrict
    env = program.environment(order.env, account, terminal_type=order.terminal_type)
    argv = order.argv or (account.shell or "/bin/sh",)
    held, ambient = (restrict.ambient, restrict.ambient) if account.uid else (restrict.capabilities, 0)
    ids = (account.uid, account.gid, len(account.groups), *account.groups)
    packed = struct.pack(f"=2Q{len(ids)}I", held, ambient, *ids)
    packed += _text(account.home if restrict.workdir == HOME else restrict.workdir) + _text(argv[0])
    executed = ("catatonit", "--", *argv) if order.reaper else argv
    for words in (executed, [f"{key}={value}" for key, value in env.items()], program.places(argv[0], env)):
        packed += _words(words, at=at + len(packed))
    return packed


def _flags(order: Order) -> int:
    seccomp = order.restrict.seccomp
    chosen = (
        (NO_NEW_PRIVS, order.restrict.no_new_privs),
        (BOUND_TO_PARENT, order.bound_to_parent),
        (WATCHED, order.watched),
        (FILTERED, seccomp is not None),
        # Before it hears the word to execute, while this process has other things to do.
        (FILTERED_AT_ONCE, seccomp is not None and not order.watched and _lets_talk(seccomp)),
        (TO_HOME, order.restrict.workdir == HOME),
    )
    return ALWAYS | sum(flag for flag, holds in chosen if holds)


def _lets_talk(seccomp: Filter) -> bool:
    return all(verdict.allows(seccomp, name) for name in ("recvmsg", "sendmsg"))


def _text(text: str) -> bytes:
    raw = os.fsencode(text)
    if b"\0" in raw:
        msg = f"no program can be given a text with a NUL in it: {text!r}"
        raise ZonectlError(msg)
    return struct.pack("=I", len(raw)) + raw + b"\0"


def _words(words: Iterable[str], *, at: int) -> bytes:
    """Texts, behind room for a pointer to each, aligned, and for the NULL at their end."""
    texts = [_text(word) for word in words]
    packed = struct.pack("=I", len(texts))
    room = -(at + len(packed)) % _POINTER_BYTES + _POINTER_BYTES * (len(texts) + 1)
    return b"".join((packed, bytes(room), *texts))
