"""The list of zones, as people and programs read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from zonectl.cli.moments import exit_words, span
from zonectl.cli.table import Style
from zonectl.cli.verbs import list as listing
from zonectl.model.instance import Instance
from zonectl.model.names import ZoneId, ZoneName
from zonectl.model.record import LastExit, ZoneRecord
from zonectl.store import records
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Outcome

KEYS = [
    "id", "name", "state", "path", "address", "pid", "uptime_s", "last_exit", "oom_kills",
    "oom_limit_bytes", "oom_peak_bytes", "autostart", "created_at", "waived", "degraded",
]  # fmt: skip
RUNNING = [
    "0a1b2c3d",
    "web",
    "running",
    "/z/web",
    "10.77.0.2/16",
    4711,
    192.5,
    "status 1",
    0,
    None,
    None,
    True,
    0.0,
    ["namespaces.user"],
    [],
]
DAMAGED: list[object] = [None, "damaged", "incomplete", "/z/\x1b[2J", *[None] * 10, []]
ZONES: list[dict[str, object]] = [dict(zip(KEYS, zone, strict=True)) for zone in (RUNNING, DAMAGED)]


def save(tmp_path: Path, name: str, *, installed: bool = True) -> Paths:
    paths = Paths(Instance(root=str(tmp_path / "root"), run=str(tmp_path / "run")))
    record = ZoneRecord(
        id=ZoneId("0a1b2c3d"),
        name=ZoneName(name),
        installed=installed,
        created_at=1700000000.0,
        ids=None,
        address="10.77.0.2/16",
        gateway="10.77.0.1",
        layers=("/l",),
    )
    records.save_record(paths, record)
    return paths


def test_for_people() -> None:
    assert listing.for_people(ZONES, listing._BASE, headers=True, style=Style()) == [
        "ID        NAME     STATE       PATH        ADDRESS        PID  UPTIME",
        "0a1b2c3d  web      running     /z/web      10.77.0.2/16  4711   3m12s",
        "-         damaged  incomplete  /z/\\x1b[2J  -                -       -",
    ]


def test_what_is_waived_is_for_people_who_ask() -> None:
    lines = listing.for_people(ZONES, (*listing._BASE, *listing._MORE), headers=True, style=Style())
    assert [line.split()[-2] for line in lines] == ["WAIVED", "namespaces.user", "-"]


def test_states_have_colours() -> None:
    lines = listing.for_people(ZONES, listing._BASE, headers=False, style=Style(colour=True))
    assert "  \x1b[32mrunning   \x1b[0m  " in lines[0]
    assert "  \x1b[31mincomplete\x1b[0m  " in lines[1]


def test_json_has_all_keys(run: Callable[..., Outcome], tmp_path: Path) -> None:
    save(tmp_path, "web")
    [zone] = json.loads(run("list", "-c", "-o", "json").out)
    assert list(zone) == KEYS
    assert zone == {
        "id": "0a1b2c3d",
        "name": "web",
        "state": "installed",
        "path": f"{tmp_path}/root/zones/web",
        "address": "10.77.0.2/16",
        "pid": None,
        "uptime_s": None,
        "last_exit": None,
        "oom_kills": None,
        "oom_limit_bytes": None,
        "oom_peak_bytes": None,
        "autostart": None,
        "created_at": 1700000000.0,
        "waived": None,
        "degraded": [],
    }


def test_what_is_listed(run: Callable[..., Outcome], tmp_path: Path) -> None:
    save(tmp_path, "web")
    save(tmp_path, "half", installed=False)
    (tmp_path / "root/zones/broken").mkdir()
    assert run("list", "-q").out == ""
    assert run("list", "-cq").out == "broken\nhalf\nweb\n"
    assert run("list", "-q", "web").out == "web\n"
    assert run("list", "-c", "-p").out.splitlines() == [
        f":broken:incomplete:{tmp_path}/root/zones/broken:::",
        f"0a1b2c3d:half:incomplete:{tmp_path}/root/zones/half:10.77.0.2/16::",
        f"0a1b2c3d:web:installed:{tmp_path}/root/zones/web:10.77.0.2/16::",
    ]
    assert run("list", "-c", "-o", "csv", "--no-headers", "web").out.startswith("0a1b2c3d,web,installed,")


def test_a_zone_that_is_not_there(run: Callable[..., Outcome], tmp_path: Path) -> None:
    save(tmp_path, "web")
    outcome = run("list", "-q", "web", "nosuch")
    assert (outcome.status, outcome.out, outcome.err) == (4, "web\n", "zonectl: nosuch: no such zone\n")


def test_nothing_there(run: Callable[..., Outcome]) -> None:
    outcome = run("list", "-v")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.split("  ")[0] == "ID"


def test_last_exit(run: Callable[..., Outcome], tmp_path: Path) -> None:
    paths = save(tmp_path, "web")
    records.save_last(paths, "web", LastExit(ended_at=1700000000.0, status=None, signal=9, oom_kills=2))
    assert run("list", "-cvp").out.endswith(":SIGKILL:2::1700000000.0::\n")
    assert run("wait", "web").status == 137


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (90000, "1d01h"),
        (-5, "0s"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, ""),
        (LastExit(ended_at=0, status=0, signal=None), "status 0"),
        (LastExit(ended_at=0, status=None, signal=9), "SIGKILL"),
        (LastExit(ended_at=0, status=None, signal=35), "signal 35"),
        (LastExit(ended_at=0, status=None, signal=None), "unknown"),
        (LastExit(ended_at=0, status=0, signal=None, by_user=True), "status 0, stopped"),
    ],
)
def test_exits(last: LastExit | None, words: str) -> None:
    assert exit_words(last) == words


def test_what_is_missing_of_a_zone_is_its_state_for_people() -> None:
    ill = {**ZONES[0], "degraded": ["its bridge is gone", "its control group is gone"]}
    lines = listing.for_people([ill], listing._BASE + listing._MORE, headers=False, style=Style())
    assert lines[0].split()[2] == "degraded"
    assert lines[0].endswith("its bridge is gone; its control group is gone")
    assert listing._cells(ill, listing._BASE)[2] == "running"
