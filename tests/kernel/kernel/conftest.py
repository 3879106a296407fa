"""Children to make system calls in, so that what they change ends with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.kernel import forked
from zonectl.kernel import mount, process

if TYPE_CHECKING:
    from collections.abc import Iterator

InChild = Callable[[Callable[[], object]], None]


@pytest.fixture
def in_child() -> InChild:
    """Run a function in a forked child; what it raises is on standard error, and fails the test."""

    def run(function: Callable[[], object]) -> None:
        def body() -> int:
            function()
            return 0

        pidfd = forked.spawn(body)
        try:
            assert process.wait_pidfd(pidfd, timeout_s=30) == process.ExitStatus(status=0)
        finally:
            os.close(pidfd)

    return run


@pytest.fixture
def in_mount_namespace(in_child: InChild) -> InChild:
    """As `in_child`, in a private mount namespace."""

    def run(function: Callable[[], object]) -> None:
        def body() -> None:
            process.unshare(process.CLONE_NEWNS)
            mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
            function()

        in_child(body)

    return run


@pytest.fixture
def open_fds() -> Iterator[Callable[[], set[str]]]:
    """The descriptors of this process; the test must leave as many as there were."""

    def descriptors() -> set[str]:
        listed = set(os.listdir("/proc/self/fd"))
        return {fd for fd in listed if os.path.exists(f"/proc/self/fd/{fd}")}

    before = descriptors()
    yield descriptors
    assert descriptors() == before
