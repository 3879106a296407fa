"""Resource limits of processes (getrlimit(2)): their names, their values, and what a zone has that says nothing."""

from __future__ import annotations

from typing import NamedTuple

UNLIMITED = 2**64 - 1
"""RLIM_INFINITY: no limit, and above every number."""

NAMES = (
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
)
"""By number (asm-generic/resource.h, which x86, ARM and RISC-V use)."""

BYTES = frozenset({"fsize", "data", "stack", "core", "rss", "memlock", "as", "msgqueue"})
"""Those that count bytes."""


class Limit(NamedTuple):
    """The soft limit, which holds, and the hard one, up to which a process may raise it."""

    soft: int
    hard: int


_OPEN = Limit(UNLIMITED, UNLIMITED)

DEFAULTS = {
    **dict.fromkeys(NAMES, _OPEN),
    "stack": Limit(8 << 20, UNLIMITED),
    "core": Limit(1, 1),
    "nofile": Limit(1024, 524_288),
    "memlock": Limit(8 << 20, 8 << 20),
    "sigpending": Limit(65_536, 65_536),
    "msgqueue": Limit(819_200, 819_200),
    "nice": Limit(0, 0),
    "rtprio": Limit(0, 0),
}
"""The kernel's own (asm-generic/resource.h), but for four.

`core` of 1 byte writes no file, and alone keeps the kernel from starting the host's handler where core_pattern is a
pipe: 0 does not (core(5)). `nofile` is what service managers give: 1024 for programs that use select(2), more for those
that ask. `nproc` is left to `pids` of the control group. `sigpending`, half of the machine's most threads, is fixed.
"""
