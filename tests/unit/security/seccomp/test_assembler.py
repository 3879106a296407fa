"""Labels become offsets, near and far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.security.seccomp import bpf
from zonectl.security.seccomp.assembler import (
    BPF_JMP_JEQ_K,
    BPF_JMP_JGE_K,
    BPF_MAXINSNS,
    Jump,
    Load,
    Mark,
    Return,
    Statement,
    TooLong,
    assemble,
)


def test_a_small_program_to_the_byte() -> None:
    program = assemble([Load(0), Jump(BPF_JMP_JEQ_K, 39, false=1), Return(7), Mark(1), Return(8)])
    assert program.hex(" ", 8) == ("2000000000000000 1500000127000000 0600000007000000 0600000008000000")


@pytest.mark.parametrize("between", [0, 1, 253, 254, 255, 256, 257, 600])
@pytest.mark.parametrize("branch", ["true", "false", "both"])
def test_a_jump_reaches_over_any_distance(between: int, branch: str) -> None:
    filler: list[Statement] = [Load(0)] * between
    match branch:
        case "true":
            jump = Jump(BPF_JMP_JEQ_K, 5, true=1)
        case "false":
            jump = Jump(BPF_JMP_JEQ_K, 5, false=1)
        case _:
            jump = Jump(BPF_JMP_JEQ_K, 5, true=1, false=2)
    statements = [Load(0), jump, *filler, Return(0), Mark(1), Return(1), *filler, Mark(2), Return(2)]
    code = bpf.decode(assemble(statements))
    bpf.check(code)
    answers = {number: bpf.run(code, number=number, arch=0)[0] for number in (5, 6)}
    assert answers == {"true": {5: 1, 6: 0}, "false": {5: 0, 6: 1}, "both": {5: 1, 6: 2}}[branch]


def test_long_jumps_push_others_out_of_reach() -> None:
    # Each of these is near only as long as none of the others is far.
    jumps = [Jump(BPF_JMP_JGE_K, 1000 - n, true=n) for n in range(200)]
    returns: list[Statement] = []
    for n in range(200):
        returns += [Mark(n), Return(n + 1)]
    code = bpf.decode(assemble([Load(0), *jumps, Return(0), *([Load(0)] * 150), *returns]))
    bpf.check(code)
    for number in range(790, 1010):
        expected = next((n + 1 for n in range(200) if number >= 1000 - n), 0)
        assert bpf.run(code, number=number, arch=0)[0] == expected


def test_no_longer_than_the_kernel_takes() -> None:
    longest: list[Statement] = [Return(0)] * BPF_MAXINSNS
    assert len(assemble(longest)) == BPF_MAXINSNS * 8
    with pytest.raises(TooLong, match="4097 instructions, at most 4096"):
        assemble([*longest, Return(0)])


@given(st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_every_label_is_found_behind_any_filling(fillings: list[int]) -> None:
    statements: list[Statement] = [Load(0)]
    statements += [Jump(BPF_JMP_JEQ_K, n, true=n) for n in range(len(fillings))]
    statements.append(Return(99))
    for n, filling in enumerate(fillings):
        statements += [*([Load(4)] * filling), Mark(n), Return(n)]
    code = bpf.decode(assemble(statements))
    bpf.check(code)
    assert [bpf.run(code, number=n, arch=0)[0] for n in range(len(fillings))] == list(range(len(fillings)))
    assert bpf.run(code, number=500, arch=0)[0] == 99
