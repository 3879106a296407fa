"""I/O priorities and session keyrings, in a child."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from zonectl.kernel import ranking

if TYPE_CHECKING:
    from collections.abc import Callable

    InChild = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.requires("root")

X86 = os.uname().machine == "x86_64"
SYS_IOPRIO_SET, SYS_IOPRIO_GET, SYS_KEYCTL = (251, 252, 250) if X86 else (30, 31, 219)
IDLE = 3 << 13
SESSION_KEYRING = -3


def syscall(*arguments: int) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(*arguments))


def test_an_io_priority_is_taken_back(in_child: InChild) -> None:
    def body() -> None:
        assert syscall(SYS_IOPRIO_SET, 1, 0, IDLE) == 0
        assert syscall(SYS_IOPRIO_GET, 1, 0) == IDLE
        ranking.reset_ioprio(0)
        assert syscall(SYS_IOPRIO_GET, 1, 0) >> 13 != IDLE >> 13

    in_child(body)


def test_a_session_keyring_is_a_new_one_each_time(in_child: InChild) -> None:
    def body() -> None:
        seen = set()
        for _ in range(3):
            ranking.join_session_keyring()
            seen.add(syscall(SYS_KEYCTL, 0, SESSION_KEYRING, 0))
        assert len(seen) == 3
        assert min(seen) > 0

    in_child(body)
