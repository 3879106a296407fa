"""The verbs on several zones, and those that look and copy."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.instance import Zonectl


def states(z: Zonectl) -> dict[str, str]:
    return {name: str(zone["state"]) for name, zone in z.list().items()}


def test_several_zones_at_once(z: Zonectl) -> None:
    names = ["one", "two", "three", "four", "five"]
    for name in names:
        z.define(name, more="autostart = true\n" if name in {"two", "four"} else "")
    z("start", "--autostart")
    assert {name for name, state in states(z).items() if state == "running"} == {"two", "four"}
    z("start", "--all")
    assert set(states(z).values()) == {"running"}
    assert len({zone["address"] for zone in z.list().values()}) == 5
    z("stop", "one", "two")
    done = z("start", "one", "nosuchzone", "two", "three", code=4)
    assert "zonectl: nosuchzone: no such zone" in done.err.splitlines()
    assert "zonectl: three: cannot start: the zone is running" in done.err.splitlines()
    assert set(states(z).values()) == {"running"}, "a failure keeps no other zone back"
    assert z("stop", "--all", code=2).err.startswith("zonectl: stop asks first")
    z("stop", "--all", "-f")
    assert set(states(z).values()) == {"installed"}
    z("restart", "one", "two")
    z("delete", "-f", "--all")
    assert z.list() == {}


@pytest.mark.fault(
    "five starts of one zone at the same time, then five stops", "one does it, the others say that it is done"
)
def test_commands_in_parallel_on_one_zone(z: Zonectl) -> None:
    """Of several starts at once one does it, and the others say that it runs."""
    z.define("only")
    for verb in ("start", "stop"):
        clients = [z.popen(verb, "only", stderr=subprocess.PIPE) for _ in range(5)]
        errors = [client.communicate(timeout=60)[1] for client in clients]
        codes = sorted(client.returncode for client in clients)
        assert codes == [0, 3, 3, 3, 3], errors
    assert z.state("only") == "installed"


@pytest.mark.fault("two `delete --all` at the same time", "both succeed, and nothing is left")
def test_two_commands_delete_all(z: Zonectl) -> None:
    """What one of them has deleted before the other came to it is not missing: it was to go."""
    for _ in range(3):
        for name in ("one", "two", "three"):
            z.define(name)
        clients = [z.popen("delete", "--all", "-f", stderr=subprocess.PIPE) for _ in range(2)]
        errors = [client.communicate(timeout=60)[1] for client in clients]
        assert [client.returncode for client in clients] == [0, 0], errors
        assert z.list() == {}
    assert z("delete", "-f", "one", code=4).err == "zonectl: one: no such zone\n"


def test_start_and_stop_as_fast_as_it_goes(z: Zonectl) -> None:
    z.define("quick")
    for _ in range(10):
        z("start", "quick")
        assert z.exec("quick", "echo", "here").out == "here\n"
        z("stop", "quick")


@pytest.mark.fault("stop of a frozen zone", "it ends, killed, and that is said")
def test_pause_and_resume(z: Zonectl) -> None:
    z.define("counter", "i=0; while :; do i=$((i + 1)); echo $i >/count; sleep 0.02 & wait $!; done")
    z("start", "counter")
    count = z.root / "zones/counter/upper/count"
    until(count.exists)
    z("pause", "counter")
    assert z.state("counter") == "paused"
    before = count.read_text()
    time.sleep(0.2)
    assert count.read_text() == before
    z("resume", "counter")
    until(lambda: count.read_text() not in {before, ""})
    z("pause", "counter")
    z("stop", "counter")
    assert z.list()["counter"]["last_exit"] == "SIGKILL, stopped"


def test_ready_then_start(z: Zonectl) -> None:
    z.define("prepared", "echo begun; sleep 1000 & wait")
    z("ready", "prepared")
    zone = z.list()["prepared"]
    assert zone["state"] == "ready"
    assert z("logs", "prepared").out == ""
    assert z("ready", "prepared", code=3).err.endswith("  try: zonectl start prepared\n")
    z("start", "prepared")
    assert z.list()["prepared"]["pid"] == zone["pid"], "the same init goes on"
    until(lambda: z("logs", "prepared").out == "begun\n")
    z("stop", "prepared")
    z("ready", "prepared")
    z("stop", "prepared")
    assert z.state("prepared") == "installed"
    z("ready", "prepared")
    z("delete", "-f", "prepared")


def test_wait_gives_the_status(z: Zonectl) -> None:
    z.define("brief", "read line </go; exit 7", more='mount = [{ type = "tmpfs", target = "/mnt" }]\n')
    assert z("wait", "brief", code=3).err.startswith("zonectl: brief: cannot wait: the zone is installed\n")
    z.define("sleeper", "trap 'exit 12' USR1; while :; do sleep 0.05; done")
    z("start", "sleeper")
    assert "it has not ended within 0.2 s" in z("wait", "--timeout", "0.2", "sleeper", code=1).err
    with z.popen("wait", "sleeper") as waiting:
        time.sleep(0.1)
        z("kill", "-s", "USR1", "sleeper")
        assert waiting.wait(20) == 12
    z("wait", "sleeper", code=12)
    z("start", "sleeper")
    z("kill", "-s", "SIGKILL", "sleeper")
    z("wait", "sleeper", code=128 + signal.SIGKILL)
    assert z.list()["sleeper"]["last_exit"] == "SIGKILL"


@pytest.mark.fault("init ignores its stop signal", "it is killed after the time-out, and that is said")
def test_a_stop_kills_what_does_not_listen(z: Zonectl) -> None:
    z.define("deaf", "trap '' TERM; while :; do sleep 1; done", more='stop_timeout = "60s"\n')
    z("start", "deaf")
    until(lambda: z.runs("deaf", "sleep 1"))
    z("stop", "-t", "0.2", "deaf")
    assert z.list()["deaf"]["last_exit"] == "SIGKILL, stopped"


def test_logs(z: Zonectl) -> None:
    z.define(
        "talker",
        "i=0; while [ $i -lt 5 ]; do i=$((i + 1)); echo line $i; done; sleep 0.6; echo late; sleep 1000 & wait",
    )
    z("start", "talker")
    until(lambda: "late" in z("logs", "talker").lines)
    assert z("logs", "--tail", "2", "talker").lines == ["line 5", "late"]
    assert z("logs", "--tail", "0", "talker").lines == []
    stamped = z("logs", "-t", "--tail", "1", "talker").out
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d late\n", stamped)
    assert z("logs", "--since", "1h", "talker").lines[0] == "line 1"
    assert z("logs", "--since", f"@{time.time() + 1000}", "talker").lines == []
    with z.popen("logs", "-f", "--tail", "1", "talker", stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"late\n"
        z("stop", "talker")
        assert following.wait(20) == 0
    with z.popen("logs", "-f", "talker", stdout=subprocess.PIPE) as ended:
        assert ended.communicate(timeout=20)[0].splitlines()[-1] == b"late"
    assert z("logs", "nosuchzone", code=4).out == ""


def test_what_a_zone_writes_cannot_drive_a_terminal(z: Zonectl) -> None:
    z.define("rude", "printf '\\033]0;owned\\007\\n'; sleep 1000 & wait")
    z("start", "rude")
    until(lambda: z("logs", "rude").stdout == b"\x1b]0;owned\x07\n")
    with z.terminal("logs", "rude") as terminal:
        assert terminal.rest() == "\\x1b]0;owned\\x07\r\n"
        assert terminal.wait() == 0


def test_copies_in_and_out(z: Zonectl, tmp_path: Path) -> None:
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "file").write_text("one\n")
    (source / "sub" / "program").write_text("#!/bin/sh\necho runs\n")
    (source / "sub" / "program").chmod(0o4755)
    (source / "link").symlink_to("file")
    os.mkfifo(source / "fifo")
    z.define("box")
    z("start", "box")
    z("cp", str(source), "box:/srv")
    assert z.exec("box", "cat", "/srv/tree/link").out == "one\n"
    assert z.exec("box", "/srv/tree/sub/program").out == "runs\n"
    assert z.exec("box", "stat", "-c", "%u", "/srv/tree/file").out == "0\n"
    z.exec("box", "test", "-e", "/srv/tree/fifo", code=1)
    z("cp", str(source / "file"), "box:/srv/renamed")
    assert z.exec("box", "cat", "/srv/renamed").out == "one\n"
    z("cp", "box:/srv/tree", str(tmp_path / "back"))
    back = tmp_path / "back"
    assert (back / "file").read_text() == "one\n"
    assert (back / "link").readlink().as_posix() == "file"
    assert stat.S_IMODE((back / "sub/program").stat().st_mode) == 0o755, (
        "no set-user-ID bit comes out of a zone"
    )


def test_copies_that_cannot_be(z: Zonectl, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one\n")
    z.define("box")
    z("start", "box")
    z("cp", "box:/no/such", str(tmp_path), code=1)
    z("cp", str(tmp_path / "nosuch"), "box:/srv", code=1)
    z("cp", str(tmp_path / "file"), str(tmp_path), code=2)
    z("cp", "box:relative", str(tmp_path), code=2)
    z("stop", "box")
    assert z("cp", "box:/etc/passwd", str(tmp_path), code=3).err.endswith("  try: zonectl start box\n")


def test_a_hostile_zone_gains_nothing_by_cp(z: Zonectl, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("safe\n")
    z.define("evil")
    z("start", "evil")
    # A link where the copy is to land, and one above it: both lead to the host's path of that name, if followed.
    z.exec("evil", "sh", "-c", f"ln -s {victim} /srv/way; ln -s {victim}/file /srv/file; mkdir -p {tmp_path}")
    (tmp_path / "file").write_text("from the host\n")
    z("cp", str(tmp_path / "file"), "evil:/srv/file", code=None)
    z("cp", str(tmp_path / "file"), "evil:/srv/way/file", code=None)
    assert (victim / "file").read_text() == "safe\n"
    # Links come out as links, and what lands where one is replaces it.
    z.exec(
        "evil",
        "sh",
        "-c",
        f"mkdir /out; ln -s {victim}/file /out/absolute; ln -s ../victim /out/up; echo x >/out/x",
    )
    for _ in range(2):
        z("cp", "evil:/out", str(tmp_path / "landed"), code=None)
    z.exec(
        "evil",
        "sh",
        "-c",
        "rm /out/absolute /out/up; echo owned >/out/absolute; mkdir /out/up; echo owned >/out/up/file",
    )
    z("cp", "evil:/out", str(tmp_path / "landed"), code=None)
    z("cp", "evil:/out/x", str(tmp_path / "landed"), code=None)
    assert (victim / "file").read_text() == "safe\n"
    assert sorted(path.name for path in victim.iterdir()) == ["file"]


def test_show_says_what_is_shared(z: Zonectl) -> None:
    z.define("open", more='namespaces = { uts = "host", time = "host" }\n[network]\nmode = "none"\n')
    z("start", "open")
    assert z.show("open")["shared"] == ["uts", "time"]
    assert "uts: shared with the host" in z("show", "open").out
    assert z("show", "nosuchzone", code=4).out == ""
    with z.terminal("list") as terminal:
        assert "\x1b[32mrunning" in terminal.rest()
        assert terminal.wait() == 0


def test_files_are_copied_into_a_zone_that_is_ready_and_out_of_it(z: Zonectl) -> None:
    z.define("box")
    z("ready", "box")
    source = z.folder / "source"
    source.write_text("text")
    z("cp", str(source), "box:/srv/there")
    z("cp", "box:/srv/there", str(z.folder / "back"))
    assert (z.folder / "back").read_text() == "text"
    z("start", "box")
    assert z.exec("box", "cat", "/srv/there").out == "text"
