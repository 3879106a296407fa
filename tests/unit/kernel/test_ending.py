"""Ends of processes as numbers."""

from __future__ import annotations

import pytest

from zonectl.kernel.ending import ExitStatus


@pytest.mark.parametrize(
    ("status", "code", "unknown"),
    [
        (ExitStatus(status=0), 0, False),
        (ExitStatus(status=77), 77, False),
        (ExitStatus(signal=9), 137, False),
        (ExitStatus(), 255, True),
    ],
)
def test_codes(status: ExitStatus, code: int, unknown: bool) -> None:
    assert (status.code, status.unknown) == (code, unknown)


def test_words_of_wait() -> None:
    assert ExitStatus.of_wait_status(7 << 8) == ExitStatus(status=7)
    assert ExitStatus.of_wait_status(9) == ExitStatus(signal=9)
    assert ExitStatus.of_wait_status(11 | 0x80) == ExitStatus(signal=11)  # with a core dump
