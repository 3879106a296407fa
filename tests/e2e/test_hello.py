"""The life of the first zone, from its file to nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.patience import until
from zonectl.kernel import proc

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

TITLES = [
    "ID",
    "NAME",
    "STATE",
    "PATH",
    "ADDRESS",
    "PID",
    "UPTIME",
    "LAST",
    "EXIT",
    "OOM",
    "AUTOSTART",
    "CREATED",
    "WAIVED",
    "DEGRADED",
]


def test_hello_lives_twice(z: Zonectl) -> None:
    for _ in range(2):
        live_once(z)
    assert z("list", "-c", "--no-headers").out == ""


def live_once(z: Zonectl) -> None:
    path = z.file("hello")
    assert z("verify", path).out == f"{path}: ok\n"
    assert z("create", path).out == "created hello\n"
    assert z.state("hello") == "installed"
    assert z("list").lines == ["ID  NAME  STATE  PATH  ADDRESS  PID  UPTIME"]
    assert z("start", "hello").out == ""
    assert z.state("hello") == "running"
    titles, row = z("list", "-cv").lines
    assert titles.split() == TITLES
    assert row.split()[1:3] == ["hello", "running"]
    assert row.split()[3] == str(z.root / "zones/hello")
    assert row.split()[4].startswith(f"{z.network}.")
    assert z("list", "-q").lines == ["hello"]
    assert z.exec("hello", "hostname").out == "hello\n"
    assert z.exec("hello", "cat", "/proc/1/comm").out == "sh\n"
    until(lambda: "hello 1 from hello" in z("logs", "hello").lines)
    z("stop", "hello")
    assert z.state("hello") == "installed"
    assert z("logs", "hello").lines[-1] == "bye"
    assert z.list()["hello"]["last_exit"] == "status 0, stopped"
    z("delete", "-f", "hello")
    assert not (z.root / "zones/hello").exists()
    z("exec", "hello", "true", code=125)
    assert z("start", "hello", code=4).err == "zonectl: hello: no such zone\n"


def test_each_verb_refuses_the_states_in_which_it_makes_no_sense(z: Zonectl) -> None:
    z.create("hello")
    assert z("stop", "hello", code=3).err == "zonectl: hello: cannot stop: the zone is installed\n"
    assert z("pause", "hello", code=3).err.endswith("  try: zonectl start hello\n")
    assert z("resume", "hello", code=3).code == 3
    assert z("create", z.file("hello"), code=3).err.startswith("zonectl: hello: the zone exists already\n")
    z("start", "hello")
    assert z("start", "hello", code=3).err == "zonectl: hello: cannot start: the zone is running\n"
    assert z("delete", "hello", code=2).err.startswith("zonectl: delete asks first")
    z("pause", "hello")
    assert z.state("hello") == "paused"
    z("exec", "hello", "true", code=125)
    z("pause", "hello", code=3)
    z("resume", "hello")
    z("delete", "-f", "hello")


def test_a_zone_that_is_being_stopped_says_so(z: Zonectl) -> None:
    z.define("slow", "trap 'sleep 3; exit 7' TERM; while :; do sleep 0.1; done")
    z("start", "slow")
    until(lambda: z.runs("slow", "sleep 0.1"))  # its trap is set
    with z.popen("stop", "slow") as stopping:
        until(lambda: z.state("slow") == "shutting_down")
        assert z("exec", "slow", "true", code=125).err.startswith(
            "zonectl: slow: cannot exec: the zone is shutting_down\n"
        )
        assert stopping.wait(30) == 0
    assert z.list()["slow"]["last_exit"] == "status 7, stopped"


def test_what_is_written_before_the_end_is_in_the_log(z: Zonectl) -> None:
    """All of it, on its own stream, whatever the zone does next."""
    z.define("loud", "seq 20000; echo wrong >&2; exit 4")
    z("start", "loud")
    until(lambda: z.state("loud") == "installed")
    done = z("logs", "loud")
    assert done.lines == [str(number) for number in range(1, 20001)]
    assert done.err == "wrong\n"
    assert z("wait", "loud", code=4).out == ""


@pytest.mark.parametrize("options", [(), ("-f",)], ids=["once", "followed"])
def test_what_the_logger_has_yet_to_write_is_waited_for(z: Zonectl, options: tuple[str, ...]) -> None:
    z.define("quick", "echo one; read -t 1 x; echo two; exit 4")
    zoned = z.zoned()
    (logger,) = (pid for pid in proc.children(zoned) if proc.command_name(pid) == "zoned logger")
    os.kill(logger, signal.SIGSTOP)
    try:
        z("start", "quick")
        until(lambda: z.state("quick") == "installed")
        with z.popen("logs", *options, "quick", stdout=subprocess.PIPE) as reader:
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(1)
            os.kill(logger, signal.SIGCONT)
            out, _ = reader.communicate(timeout=30)
    finally:
        os.kill(logger, signal.SIGCONT)
    assert (reader.returncode, out) == (0, b"one\ntwo\n")


def test_json_and_colons_say_the_same(z: Zonectl) -> None:
    z.create("hello")
    z("start", "hello")
    zone = z.list()["hello"]
    fields = z("list", "-p", "hello").out.rstrip("\n").split(":")
    assert fields[:6] == [zone["id"], "hello", "running", zone["path"], zone["address"], str(zone["pid"])]
    assert abs(zone["created_at"] - time.time()) < 60
