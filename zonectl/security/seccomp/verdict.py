"""What a compiled filter says of one system call, as the kernel would run it (Documentation/networking/filter.rst)."""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import TYPE_CHECKING

from zonectl.security.seccomp import assembler as bpf
from zonectl.security.seccomp.architectures import native

if TYPE_CHECKING:
    from zonectl.model.seccomp import Filter

_ALLOW = 0x7FFF0000
_NUMBER, _ARCHITECTURE = 0, 4
"""Where `struct seccomp_data` has them; what is behind them differs from one call to the next (seccomp(2))."""

_CONDITIONS = {
    bpf.BPF_JMP_JEQ_K: operator.eq,
    bpf.BPF_JMP_JGT_K: operator.gt,
    bpf.BPF_JMP_JGE_K: operator.ge,
    bpf.BPF_JMP_JSET_K: operator.and_,
}


def allows(found: Filter, name: str) -> bool:
    """Whether the filter lets the call `name` of this host's architecture pass whatever its arguments are.

    False for a program that is not understood: those of zonectl's own assembler are.

    Raises:
        HostLacks: there is no table for this host's architecture.

    """
    return _allows(found.program, name)


@lru_cache(maxsize=64)
def _allows(program: bytes, name: str) -> bool:
    architecture = native()
    data = {_NUMBER: architecture.numbers[name], _ARCHITECTURE: architecture.audit}
    instructions = list(bpf.INSTRUCTION.iter_unpack(program))
    at = value = 0
    while at < len(instructions):
        code, true, false, operand = instructions[at]
        at += 1
        match code:
            case bpf.BPF_LD_W_ABS if operand in data:
                value = data[operand]
            case bpf.BPF_ALU_AND_K:
                value &= operand
            case bpf.BPF_JMP_JA:
                at += operand
            case bpf.BPF_RET_K:
                return bool(operand == _ALLOW)
            case _:
                holds = _CONDITIONS.get(code)
                if holds is None:
                    return False
                at += true if holds(value, operand) else false
    return False
