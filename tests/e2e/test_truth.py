"""What zonectl stands on is taken away: what is said of it, and how it is put back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.patience import until
from zonectl.model.instance import link_name

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

STOP_S = 20.0
SLEEP = "exec sleep 1000000"
NUMBERS = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02 & wait $!; done"


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def kill_zoned_while_it_waits(z: Zonectl, name: str) -> None:
    """Kill zoned itself in the midst of the pause before it starts a zone again, when none of its workers is at it.

    Those that it has and its logger see that they are alone.
    """
    zoned = z.zoned()
    assert zoned
    until(lambda: 1.0 < left_of_pause_s(z, name) < 1.4)
    os.kill(zoned, signal.SIGKILL)
    until(lambda: not z.zoned())


def left_of_pause_s(z: Zonectl, name: str) -> float:
    """In how many seconds the zone is started again, by the note about it (zonectl.store.restarts); 0 if it runs."""
    note = json.loads((z.run_root / "zones" / name / "watch.json").read_text(encoding="utf-8"))
    return 0.0 if note["due_s"] is None else float(note["due_s"]) - time.monotonic()


@pytest.mark.fault(
    "zoned is killed with output flowing, a restart pending and an exec open",
    "no line is lost or doubled, the restart comes, the exec's output and status are its program's",
)
def test_zoned_is_killed_with_its_hands_full(z: Zonectl) -> None:
    z.define("loud", NUMBERS)
    z.define("again", "echo x >>/starts; exit 1", more='restart = "always"\n')
    starts = z.root / "zones/again/upper/starts"
    z("start", "loud", "again")
    until(lambda: starts.exists() and len(starts.read_text().split()) >= 4)
    exec_words = ("exec", "loud", "--", "sh", "-c", "echo up; read x; echo $x; exit 6")
    with z.popen(*exec_words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        init = z.list()["loud"]["pid"]
        kill_zoned_while_it_waits(z, "again")
        count = len(starts.read_text().split())
        assert z.exec("loud", "echo", "here").out == "here\n"
        out, _ = client.communicate(b"still\n", timeout=STOP_S)
        assert (client.returncode, out) == (6, b"still\n")
    until(lambda: len(starts.read_text().split()) > count)
    assert z.list()["loud"]["pid"] == init
    seen = len(z("logs", "loud").lines)
    until(lambda: len(z("logs", "loud").lines) > seen)
    numbers = [int(line) for line in z("logs", "loud").lines]
    assert numbers == list(range(1, len(numbers) + 1))
    z("stop", "again")


@pytest.mark.fault(
    "the notes of a zone are from before a reboot, with a pid that lives",
    "`installed` at once; stop harms nobody; it starts again",
)
def test_notes_from_before_a_reboot(z: Zonectl) -> None:
    z.define("web", SLEEP)
    z("start", "web")
    web = z.list()["web"]
    (live,) = z.run_root.glob("zones/web/live.json")
    stale = json.loads(live.read_text(encoding="utf-8"))
    z("stop", "web")
    # A pid of today's that lives, with the marks of a boot that is over.
    live.write_text(
        json.dumps({**stale, "pid": os.getpid(), "boot_id": "00000000-0000-4000-8000-000000000000"}),
        encoding="utf-8",
    )
    assert z.state("web") == "installed"
    # This process has that pid, and outlives it.
    assert "cannot stop: the zone is installed" in z("stop", "web", code=3).err
    z("start", "web")
    assert z.list()["web"]["pid"] not in {web["pid"], os.getpid()}


@pytest.mark.fault(
    "firewall, bridge and link of a running zone are removed",
    "`list` and `show` say `degraded` with the words and the verb; `repair` puts it back, init lives on",
)
def test_degraded_is_said_and_repaired(z: Zonectl) -> None:
    z.define("web", SLEEP)
    z("start", "web")
    web = z.list()["web"]
    for family in ("inet", "bridge"):
        run("nft", "delete", "table", family, f"zonectl_{z.mark}")
    assert z.list()["web"]["degraded"] == ["its firewall rules are gone or altered"]
    run("ip", "link", "delete", z.bridge)
    run("ip", "link", "delete", link_name(web["id"]))
    shown = z("show", "web").out
    assert "degraded" in shown
    assert "zonectl repair web" in shown
    assert z.list()["web"]["state"] == "running", "its processes are there: the kernel's truth"
    z("repair", "web")
    after = z.list()["web"]
    assert (after["pid"], after["degraded"]) == (web["pid"], [])
    z.exec("web", "ping", "-c", "1", "-W", "2", z.show("web")["gateway"])
