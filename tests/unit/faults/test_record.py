from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.faults.calls import KILL, Point
from tests.faults.drive import Verdict, sample
from tests.faults.record import append, load, summary, table
from tests.faults.strace import struck

if TYPE_CHECKING:
    from pathlib import Path

KILLED = Verdict(verb="run", role="init", point=Point("mkdir", 2), struck=True)
FAILED = Verdict(
    verb="run", role="init", point=Point("mkdir", 2, "EIO"), struck=True, leaks=("a", "b"), lies=("c",)
)
MISSED = Verdict(verb="stop", role="zoned", point=Point("unlink", 1), struck=False)


def test_verdicts_are_read_as_they_were_written_but_for_one_that_was_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "record"
    assert load(path) == []
    for each in (KILLED, FAILED, MISSED):
        append(path, each)
    assert load(path) == [KILLED, FAILED, MISSED]
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    assert load(path) == [KILLED, FAILED]


def test_points_count_where_they_were_reached_and_faults_once_however_much_they_leave() -> None:
    assert summary([KILLED, FAILED, MISSED], of=9) == "points 2 of 9 (1 not reached), leaks 1, lies 1"
    assert summary([KILLED]) == "points 1, leaks 0, lies 0"


def test_the_table_tells_killed_and_failed_apart() -> None:
    rows = table([KILLED, FAILED, FAILED, MISSED]).splitlines()
    assert "| run | - | - | - | 1 + 2 | - |" in rows
    assert "| stop | - | - | - | - | - |" in rows


def test_a_sample_keeps_the_order_and_is_all_where_there_are_few() -> None:
    assert sample([3, 1, 2], 5, random.Random(1)) == [3, 1, 2]
    found = sample(list(range(100)), 10, random.Random(1))
    assert found == sorted(found)
    assert len(found) == 10


def test_a_fault_came_to_pass_when_one_process_came_as_far_as_its_call(tmp_path: Path) -> None:
    log = tmp_path / "log"
    point = Point("mkdir", 2, KILL)
    assert not struck(log, point)
    log.write_text('7 mkdir("a", 0777) = 0\n8 mkdir("b", 0777 <unfinished ...>\n8 <... mkdir resumed>) = 0\n')
    assert not struck(log, point)
    log.write_text('7 mkdir("a", 0777) = 0\n7 mkdir("b", 0777) = ?\n')
    assert struck(log, point)
    log.write_text('mkdir("a", 0777) = 0\nmkdir("b", 0777) = -1 EIO (Input/output error) (INJECTED)\n')
    assert struck(log, point)
