"""An assembler for classic BPF, as far as seccomp(2) takes it: labels become offsets.

A conditional jump reaches 255 instructions ahead (its offsets are bytes). Where a target is farther away, the jump goes
to an unconditional one beside it, which reaches anywhere. Jumps go forward only: the kernel refuses loops.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeAlias

BPF_LD_W_ABS: Final = 0x20
BPF_ALU_AND_K: Final = 0x54
BPF_JMP_JA: Final = 0x05
BPF_JMP_JEQ_K: Final = 0x15
BPF_JMP_JGT_K: Final = 0x25
BPF_JMP_JGE_K: Final = 0x35
BPF_JMP_JSET_K: Final = 0x45
BPF_RET_K: Final = 0x06
"""Classes, sizes, modes and operations of linux/bpf_common.h, put together."""

BPF_MAXINSNS: Final = 4096
"""What the kernel takes at most (linux/bpf_common.h)."""

INSTRUCTION: Final = struct.Struct("=HBBI")
"""`struct sock_filter`: code, offset when true, offset when false, operand (linux/filter.h)."""

_FARTHEST: Final = 255

Label: TypeAlias = int


class Load(NamedTuple):
    """A = 32 bits of `struct seccomp_data` at `offset`."""

    offset: int


class And(NamedTuple):
    """A &= `mask`."""

    mask: int


class Jump(NamedTuple):
    """Go on at `true` if A `code` operand, else at `false`; None is the next instruction."""

    code: int
    operand: int
    true: Label | None = None
    false: Label | None = None


class Return(NamedTuple):
    """Answer with a SECCOMP_RET_* value."""

    value: int


class Mark(NamedTuple):
    """The place that `label` names; no instruction."""

    label: Label


Statement: TypeAlias = Load | And | Jump | Return | Mark


class TooLong(ValueError):
    """The program has more instructions than the kernel takes."""


def assemble(statements: list[Statement]) -> bytes:
    """The program, an array of `struct sock_filter`.

    Raises:
        TooLong: it has more than BPF_MAXINSNS instructions.

    """
    layout = _Layout(statements, frozenset())
    # What is moved apart by one long jump may put another out of reach, never back into it.
    while far := layout.out_of_reach():
        layout = _Layout(statements, layout.far | far)
    if layout.length > BPF_MAXINSNS:
        raise TooLong(f"{layout.length} instructions, at most {BPF_MAXINSNS}")
    return b"".join(layout.encoded(index) for index in range(len(statements)))


class _Layout:
    """Where everything is, if the branches in `far` (index of the jump, when true or when false) are long ones."""

    def __init__(self, statements: list[Statement], far: frozenset[tuple[int, bool]]) -> None:
        self.far = far
        self.length = 0
        self._statements = statements
        self._starts: list[int] = []
        self._labels: dict[Label, int] = {}
        for index, statement in enumerate(statements):
            self._starts.append(self.length)
            match statement:
                case Mark(label):
                    self._labels[label] = self.length
                case Jump():
                    self.length += 1 + sum(self._is_far(index))
                case _:
                    self.length += 1

    def out_of_reach(self) -> frozenset[tuple[int, bool]]:
        """The short branches whose target is too far away."""
        return frozenset(
            (index, when)
            for index, statement in enumerate(self._statements)
            if isinstance(statement, Jump)
            for when, label in ((True, statement.true), (False, statement.false))
            if label is not None
            and (index, when) not in self.far
            and self._labels[label] - self._starts[index] - 1 > _FARTHEST
        )

    def encoded(self, index: int) -> bytes:
        """The instructions of a statement: none, one, or those of a long jump."""
        match self._statements[index]:
            case Load(offset):
                return INSTRUCTION.pack(BPF_LD_W_ABS, 0, 0, offset)
            case And(mask):
                return INSTRUCTION.pack(BPF_ALU_AND_K, 0, 0, mask)
            case Return(value):
                return INSTRUCTION.pack(BPF_RET_K, 0, 0, value)
            case Jump() as jump:
                return self._jump(jump, index)
            case Mark():
                return b""

    def _jump(self, jump: Jump, index: int) -> bytes:
        """The jump, and beside it an unconditional one for each of its branches that is far."""
        first = self._starts[index] + 1
        after = first + sum(self._is_far(index))
        offsets, beside = [], b""
        for label, far in zip((jump.true, jump.false), self._is_far(index), strict=True):
            place = after if label is None else self._labels[label]
            if far:
                here = first + len(beside) // INSTRUCTION.size
                beside += INSTRUCTION.pack(BPF_JMP_JA, 0, 0, place - here - 1)
                place = here
            offsets.append(place - first)
        return INSTRUCTION.pack(jump.code, *offsets, jump.operand) + beside

    def _is_far(self, index: int) -> tuple[bool, bool]:
        return (index, True) in self.far, (index, False) in self.far
