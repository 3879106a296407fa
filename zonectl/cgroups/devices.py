"""Which devices the processes of a group may open: a BPF program attached to it (cgroups(7), device controller).

The program is asked at each open(2) and mknod(2) of a device node, wherever the node lies. It belongs to the group:
it stays when zonectl's processes go, and goes with the group.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import bpf
from zonectl.model.devices import MKNOD, READ, USUAL, WRITE, DeviceRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cgroups.steps.kinds import FilterDevices

NAME: Final = "zonectl_devices"

# linux/bpf.h: the access asked for, and instructions (Documentation/bpf/standardization of the kernel).
_MKNOD, _READ, _WRITE = 1, 2, 4
_ACCESS: Final = {MKNOD: _MKNOD, READ: _READ, WRITE: _WRITE}
_KINDS: Final = {"b": 1, "c": 2}
_LOAD_WORD: Final = 0x61
_MOVE: Final = 0xB4
_COPY: Final = 0xBC
_AND: Final = 0x54
_SHIFT_RIGHT: Final = 0x74
_JUMP_NOT_EQUAL: Final = 0x56
_EXIT: Final = 0x95
_INSTRUCTION: Final = struct.Struct("=BBhi")

# Registers: the result, the context, then what is made of it.
_R0, _CONTEXT, _ASKED, _KIND, _MAJOR, _MINOR, _REST = range(7)


def program(rules: Iterable[DeviceRule]) -> bytes:
    """The instructions of a program that allows what a rule allows as a whole, and nothing else.

    The context is struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor.
    """
    begin = (
        _instruction(_LOAD_WORD, _ASKED, _CONTEXT, offset=0),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, offset=4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, offset=8),
        _instruction(_COPY, _KIND, _ASKED),
        _instruction(_AND, _KIND, value=0xFFFF),
        _instruction(_SHIFT_RIGHT, _ASKED, value=16),
    )
    return b"".join((*begin, *(_of_rule(rule) for rule in rules), _answer(allowed=False)))


def _of_rule(rule: DeviceRule) -> bytes:
    wanted = [(_KIND, _KINDS[rule.kind]), (_MAJOR, rule.major)]
    if rule.minor is not None:
        wanted.append((_MINOR, rule.minor))
    missing = ~sum(_ACCESS[letter] for letter in rule.access) & 0xFFFF
    # What is asked for beyond the rule's access must be nothing.
    last = (_instruction(_COPY, _REST, _ASKED), _instruction(_AND, _REST, value=missing))
    answer = _answer(allowed=True)
    length = len(wanted) + len(last) + 1 + len(answer) // _INSTRUCTION.size
    tests = [
        _instruction(_JUMP_NOT_EQUAL, register, offset=length - 1 - at, value=value)
        for at, (register, value) in enumerate(wanted)
    ]
    none = _instruction(_JUMP_NOT_EQUAL, _REST, offset=len(answer) // _INSTRUCTION.size, value=0)
    return b"".join((*tests, *last, none, answer))


def _answer(*, allowed: bool) -> bytes:
    return _instruction(_MOVE, _R0, value=int(allowed)) + _instruction(_EXIT)


def _instruction(code: int, to: int = 0, source: int = 0, *, offset: int = 0, value: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, to | source << 4, offset, value)


class Prepared:
    """The program of zones without devices of their own, loaded before it is wanted: that takes 0.2 ms.

    A process that has prepared it keeps the descriptor to its end; others, and forks of it that have closed what they
    do not need, load it when they want it.
    """

    __slots__ = ("_program",)

    def __init__(self) -> None:
        self._program: int | None = None

    def prepare(self) -> None:
        """Load it, once.

        Raises:
            SyscallError: bpf.

        """
        if self._program is None:
            self._program = bpf.load_device_program(program(USUAL), NAME)

    def take(self, rules: tuple[DeviceRule, ...]) -> int:
        """A descriptor of the program for `rules`, which the caller owns.

        Raises:
            SyscallError: bpf.

        """
        if self._program is not None and rules == USUAL:
            return os.dup(self._program)
        return bpf.load_device_program(program(rules), NAME)


PREPARED: Final = Prepared()
"""That of this process."""


def attach(step: FilterDevices) -> None:
    """Let the processes of the step's group open the usual devices, those of the step, and no others.

    Raises:
        SyscallError: bpf: this host cannot do it.
        ZonectlError: what is at the path of a device is none.

    """
    loaded = PREPARED.take(rules(step))
    try:
        group = os.open(step.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            bpf.attach_device_program(group, loaded)
        finally:
            os.close(group)
    finally:
        os.close(loaded)


def rules(step: FilterDevices) -> tuple[DeviceRule, ...]:
    """The usual rules, and one for each device of the step, whose numbers are read now.

    Raises:
        ZonectlError: what is at the path of a device is none.

    """
    return (*USUAL, *(_rule(path, access) for path, access in step.devices))


def _rule(path: str, access: str) -> DeviceRule:
    try:
        found = os.stat(path)
    except OSError as error:
        raise SyscallError("stat", error.errno or 0, path) from error
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b"
    if not stat.S_ISCHR(found.st_mode) and not stat.S_ISBLK(found.st_mode):
        msg = f"{path} is not a device"
        raise ZonectlError(msg)
    return DeviceRule(kind, os.major(found.st_rdev), os.minor(found.st_rdev), access)
