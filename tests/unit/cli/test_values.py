"""Words of the command line as values."""

from __future__ import annotations

import signal
import time
from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.cli import sources, values
from zonectl.errors import ConfigError
from zonectl.model.config import MountConfig
from zonectl.model.names import ZONE_NAME


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5.0), ("0", 0.0), ("1.5", 1.5), ("200ms", 0.2), ("5min", 300)]
)
def test_seconds(text: str, seconds: float) -> None:
    assert values.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-1", "inf", "nan", "5 apples", "1e999"])
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        values.seconds(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("term", 15),
        ("9", 9),
        ("STOP", 19),
        ("64", 64),
        ("RTMIN+3", signal.SIGRTMIN + 3),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert values.signal_number(text) == number


def test_moments() -> None:
    assert values.when("@1700000000.5") == 1700000000.5
    assert values.when("2026-01-31T12:00:00+00:00") == 1769860800
    assert values.when("2026-01-31") == time.mktime((2026, 1, 31, 0, 0, 0, 0, 0, -1))
    assert values.when("10min") == pytest.approx(time.time() - 600, abs=5)


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "mine")
    assert values.variable("A=b=c") == ("A", "b=c")
    assert values.variable("A=") == ("A", "")
    assert values.variable("HERE") == ("HERE", "mine")


def test_volumes(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert values.volume("/a:/b") == MountConfig(source="/a", target="/b")
    assert values.volume("./a:/b:ro") == MountConfig(source=f"{tmp_path}/a", target="/b", readonly=True)


@pytest.mark.parametrize(
    ("source", "is_file"),
    [("web.toml", True), ("./web", True), ("a/b", True), ("busybox", False), ("debian:12", False)],
)
def test_files_and_images(source: str, *, is_file: bool) -> None:
    assert sources.is_file(source) is is_file


@given(st.text())
def test_every_image_gives_a_name(image: str) -> None:
    assert ZONE_NAME.match(sources.name_of(image))


def test_a_zone_of_an_image() -> None:
    zone = sources.load("debian:12", ["resources.pids=10"], command=["ls", "-l", 'a "b"\n\x7f'])
    assert (zone.name, zone.root.image, zone.resources.pids) == ("debian", "debian:12", 10)
    assert zone.command == ("ls", "-l", 'a "b"\n\x7f')
    amended = sources.amend(
        zone,
        env=[("A", "1"), ("A", "2")],
        mounts=[MountConfig(source="/srv", target="/srv", readonly=True)],
    )
    assert amended.env == (("A", "2"),)
    assert amended.mounts == (MountConfig(source="/srv", target="/srv", readonly=True),)
    assert sources.amend(zone) == zone


def test_a_wrong_command_is_the_command_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        sources.load("busybox", [], command=["a\0b"])
    assert [problem.file for problem in caught.value.problems] == ["command line"]


def test_an_amended_zone_keeps_the_rules() -> None:
    zone = sources.load("busybox", [])
    with pytest.raises(ConfigError) as caught:
        sources.amend(zone, mounts=[MountConfig(source="/srv", target="relative")])
    assert [problem.line for problem in caught.value.problems] == [None]


def test_an_image_of_a_bad_name_is_a_problem() -> None:
    with pytest.raises(ConfigError):
        sources.load("UPPER CASE", [])
