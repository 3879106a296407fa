from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import Busy
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def in_child(function: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return pid


def hold(path: str, *, shared: bool = False, verb: str = "start", timeout_s: float = 0.05) -> None:
    with lock(path, verb=verb, zone="web", timeout_s=timeout_s, shared=shared):
        pass


def succeeded(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.fault(
    "a lock is held by another command", "`Busy` after the time-out, with verb and pid of the holder"
)
def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "zones/web/lock")
    with lock(path, verb="start", zone="web", timeout_s=1), pytest.raises(Busy) as caught:
        hold(path)
    assert caught.value.holder == f"start (pid {os.getpid()})"
    assert caught.value.zone == "web"
    hold(path)


def test_readers_share_and_keep_a_writer_out(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with lock(path, verb="list", zone="web", timeout_s=1, shared=True):
        hold(path, shared=True)
        with pytest.raises(Busy, match="list"):
            hold(path)


@pytest.mark.fault("the holder of a lock is killed", "the lock is free at once")
def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    reader, writer = os.pipe()

    def hold_for_ever() -> None:
        with lock(path, verb="start", zone="web", timeout_s=1):
            os.write(writer, b"x")
            time.sleep(60)

    pid = in_child(hold_for_ever)
    os.read(reader, 1)
    with pytest.raises(Busy, match=f"start \\(pid {pid}\\)"):
        hold(path)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    hold(path)
    os.close(reader)
    os.close(writer)


@pytest.mark.fault(
    "the lock's file is removed while another waits for it", "the waiter takes the lock on the new file"
)
def test_a_lock_of_an_unlinked_file_is_taken_again_on_the_new_one(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with lock(path, verb="delete", zone="web", timeout_s=1):
        waiting = in_child(lambda: hold(path, timeout_s=5))
        time.sleep(0.05)
        os.unlink(path)
        with lock(path, verb="create", zone="web", timeout_s=1):
            time.sleep(0.05)
    assert succeeded(waiting)
    assert os.path.exists(path)


def test_deleting_the_folder_while_others_lock_does_no_harm(tmp_path: Path) -> None:
    path = str(tmp_path / "web/lock")
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for turn in range(20):
            with lock(path, verb="count", zone="web", timeout_s=20):
                counter.write_text(str(int(counter.read_text()) + 1))
                if turn % 3 == 0:
                    os.unlink(path)

    children = [in_child(count) for _ in range(4)]
    ends = [succeeded(pid) for pid in children]
    assert all(ends)
    assert counter.read_text() == "80"


def test_an_unsigned_or_forged_note_is_another_command(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for note in ("", "[]", "{}", "\x00"):
        with lock(str(path), verb="start", zone="web", timeout_s=1):
            path.write_text(note)
            with pytest.raises(Busy, match="another command"):
                hold(str(path))
