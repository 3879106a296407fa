"""An interpreter of classic BPF as seccomp(2) runs it, and the numbers at which a program can change its mind.

Written from the kernel's documentation (networking/filter.rst) and net/core/filter.c, apart from zonectl's assembler.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

LD_W_ABS, AND_K, RET_K = 0x20, 0x54, 0x06
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
JUMPS = {JEQ, JGT, JGE, JSET}
WORD = 0xFFFFFFFF


class Instruction(NamedTuple):
    code: int
    true: int
    false: int
    operand: int


def decode(program: bytes) -> list[Instruction]:
    assert program
    assert len(program) % 8 == 0
    return [Instruction(*fields) for fields in struct.iter_unpack("=HBBI", program)]


def check(code: list[Instruction]) -> None:
    """What the kernel checks when a filter is loaded: known instructions, jumps inside, a return at the end."""
    assert len(code) <= 4096
    for place, (operation, true, false, operand) in enumerate(code):
        assert operation in JUMPS | {LD_W_ABS, AND_K, RET_K, JA}
        if operation == LD_W_ABS:
            assert operand % 4 == 0
            assert operand < 64
        if operation in JUMPS:
            assert place + 1 + max(true, false) < len(code)
        if operation == JA:
            assert place + 1 + operand < len(code)
    assert code[-1].code == RET_K


def run(
    code: list[Instruction], *, number: int, arch: int, arguments: tuple[int, ...] = (0,) * 6
) -> tuple[int, int]:
    """What the program returns, and how many instructions it took."""
    data = struct.pack("<IIQ6Q", number, arch, 0x7FFF0000BEEF, *arguments)
    accumulator, place, taken = 0, 0, 0
    while True:
        operation, true, false, operand = code[place]
        place += 1
        taken += 1
        if operation == LD_W_ABS:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == AND_K:
            accumulator &= operand
        elif operation == RET_K:
            return operand, taken
        elif operation == JA:
            place += operand
        else:
            place += true if _holds(operation, accumulator, operand) else false


def _holds(operation: int, accumulator: int, operand: int) -> bool:
    if operation == JEQ:
        return accumulator == operand
    if operation == JGT:
        return accumulator > operand
    if operation == JGE:
        return accumulator >= operand
    return bool(accumulator & operand)


def turning_points(*programs: list[Instruction]) -> list[int]:
    """Every operand of a comparison with its neighbours: between two of them a program treats all numbers alike."""
    operands = {instruction.operand for code in programs for instruction in code if instruction.code in JUMPS}
    near = {operand + step & WORD for operand in operands for step in (-1, 0, 1)}
    return sorted(near | {0, 1, WORD >> 1, (WORD >> 1) + 1, WORD})
