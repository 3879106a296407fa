"""bpf(2), as far as device programs of control groups need it: load, attach, ask which are attached."""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import c_int, c_uint, c_void_p
from typing import Final

from zonectl.kernel.libc import SystemCall

BPF_PROG_LOAD: Final = 5
BPF_PROG_ATTACH: Final = 8
BPF_PROG_DETACH: Final = 9
BPF_PROG_GET_FD_BY_ID: Final = 13
BPF_OBJ_GET_INFO_BY_FD: Final = 15
BPF_PROG_QUERY: Final = 16

BPF_PROG_TYPE_CGROUP_DEVICE: Final = 15
BPF_CGROUP_DEVICE: Final = 6
BPF_F_ALLOW_MULTI: Final = 2

MOST_PROGRAMS: Final = 64
"""Attached to one group: BPF_CGROUP_MAX_PROGS of include/linux/bpf-cgroup-defs.h."""

_NUMBERS: Final = {"x86_64": 321}
_NUMBER_ELSEWHERE: Final = 280
"""asm/unistd_64.h, and asm-generic/unistd.h (aarch64, riscv64)."""

_LICENSE: Final = b"GPL\0"
_NAME_BYTES: Final = 16
_INSTRUCTION_BYTES: Final = 8

# The beginnings of union bpf_attr (linux/bpf.h) that each command reads; the kernel takes the rest for zero.
_LOAD: Final = struct.Struct("=IIQQIIQII16s")
_ATTACH: Final = struct.Struct("=IIII")
_QUERY: Final = struct.Struct("=IIIIQI4x")
_GET_BY_ID: Final = struct.Struct("=III")
_GET_INFO: Final = struct.Struct("=IIQ")
_INFO: Final = struct.Struct("=II8s")

_bpf = SystemCall("bpf", c_int, c_void_p, c_uint, number=_NUMBERS.get(os.uname().machine, _NUMBER_ELSEWHERE))


def load_device_program(instructions: bytes, name: str) -> int:
    """A descriptor, closed on exec and owned by the caller, of a program of BPF_PROG_TYPE_CGROUP_DEVICE; Linux 4.15.

    `name` is of at most 15 letters, digits and underscores.

    Raises:
        SyscallError: the kernel refuses it (EINVAL, EACCES: the verifier; EPERM: no CAP_BPF and CAP_NET_ADMIN).

    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(_LICENSE, len(_LICENSE))
    attributes = _LOAD.pack(
        BPF_PROG_TYPE_CGROUP_DEVICE,
        len(instructions) // _INSTRUCTION_BYTES,
        ctypes.addressof(code),
        ctypes.addressof(licence),
        *(0, 0, 0, 0, 0),
        name.encode()[: _NAME_BYTES - 1],
    )
    return _call(BPF_PROG_LOAD, attributes, subject=f"device program {name}")


def attach_device_program(group: int, program: int) -> None:
    """Attach `program` to the group of that descriptor, beside others: all of them must agree to an access.

    It stays attached until the group is removed, whoever has loaded it.

    Raises:
        SyscallError: EPERM, or an ancestor's program forbids others.

    """
    attributes = _ATTACH.pack(group, program, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI)
    _call(BPF_PROG_ATTACH, attributes, subject="BPF_CGROUP_DEVICE")


def detach_device_program(group: int, program: int) -> None:
    """Take `program` from the group again."""
    _call(BPF_PROG_DETACH, _ATTACH.pack(group, program, BPF_CGROUP_DEVICE, 0), subject="BPF_CGROUP_DEVICE")


def device_programs(group: int) -> tuple[bytes, ...]:
    """The tags, eight bytes made of a program's instructions, of those attached to the group itself.

    Raises:
        SyscallError: they cannot be asked for.

    """
    numbers = (c_uint * MOST_PROGRAMS)()
    attributes = ctypes.create_string_buffer(
        _QUERY.pack(group, BPF_CGROUP_DEVICE, 0, 0, ctypes.addressof(numbers), MOST_PROGRAMS), _QUERY.size
    )
    _bpf(BPF_PROG_QUERY, attributes, _QUERY.size, subject="BPF_CGROUP_DEVICE")
    count = _QUERY.unpack(attributes.raw)[5]
    return tuple(_tag(number) for number in numbers[:count])


def program_tag(program: int) -> bytes:
    """The tag of the program of that descriptor."""
    info = ctypes.create_string_buffer(_INFO.size)
    _call(
        BPF_OBJ_GET_INFO_BY_FD, _GET_INFO.pack(program, _INFO.size, ctypes.addressof(info)), subject="its tag"
    )
    tag: bytes = _INFO.unpack(info.raw)[2]
    return tag


def _tag(number: int) -> bytes:
    program = _call(BPF_PROG_GET_FD_BY_ID, _GET_BY_ID.pack(number, 0, 0), subject=f"program {number}")
    try:
        return program_tag(program)
    finally:
        os.close(program)


def _call(command: int, attributes: bytes, *, subject: str) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _bpf(command, buffer, len(attributes), subject=subject)
