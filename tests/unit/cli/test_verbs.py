"""Verbs that need no root, from their words to what they print."""

from __future__ import annotations

import errno
import io
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from zonectl import cli, config
from zonectl.cli import likeness, portrait, question, streams
from zonectl.cli.table import Style
from zonectl.cli.verbs import cp, doctor
from zonectl.cli.verbs.logs import Printer
from zonectl.errors import UsageError, ZonectlError
from zonectl.kernel.proc import MountEntry
from zonectl.model.facts import Probe
from zonectl.model.names import ZoneId, ZoneName
from zonectl.model.record import LastExit, LiveNote, ZoneRecord
from zonectl.model.state import ZoneState
from zonectl.runtime.status import ZoneStatus
from zonectl.store.logs import LogLine, Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Outcome

GOOD = 'name = "web"\n[root]\nimage = "busybox"\n'
BAD = 'name = "Web"\nstop_timout = "5s"\n[root]\nimage = "busybox"\n'


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_verify(run: Callable[..., Outcome], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    outcome = run("verify", str(good), str(bad))
    assert outcome.status == 2
    assert outcome.out == f"{good}: ok\n"
    assert [line.split(": ")[0] for line in outcome.err.splitlines()] == [f"{bad}:1", f"{bad}:2"]
    assert "did you mean stop_timeout?" in outcome.err
    assert run("verify", "-q", str(good)).out == ""
    assert (
        run("verify", str(tmp_path / "nosuch.toml")).err
        == f"{tmp_path}/nosuch.toml: No such file or directory\n"
    )


def test_verify_reads_the_files_of_system_calls(run: Callable[..., Outcome], tmp_path: Path) -> None:
    zones = {name: tmp_path / f"{name}.toml" for name in ("good", "bad", "too", "gone")}
    for name, profile in (("good", "fine"), ("bad", "wrong"), ("too", "wrong"), ("gone", "nosuch")):
        security = f'[security]\nseccomp = "{tmp_path}/calls/{profile}.toml"\n'
        zones[name].write_text(f'name = "{name}"\n[root]\nimage = "busybox"\n{security}')
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls/fine.toml").write_text('base = "default"\nrefuse = ["symlink"]\n')
    (tmp_path / "calls/wrong.toml").write_text('base = "default"\nrefuse = ["simlink"]\nalow = ["read"]\n')
    outcome = run("verify", *map(str, zones.values()))
    assert outcome.status == 2
    assert outcome.out == f"{zones['good']}: ok\n"
    wrong = f"{tmp_path}/calls/wrong.toml"
    assert [line.split(" ")[:2] for line in outcome.err.splitlines()] == [
        [f"{wrong}:2:", "refuse[0]:"],
        [f"{wrong}:3:", "alow:"],
        [f"{tmp_path}/calls/nosuch.toml:", "No"],
    ]
    assert "did you mean symlink?" in outcome.err


def test_verify_tells_what_create_would_tell_of_a_filter(run: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "web.toml").write_text(f'{GOOD}[security]\nseccomp = "calls.json"\n')
    (tmp_path / "calls.json").write_text('{"defaultAction": "SCMP_ACT_ERRNO"}')
    outcome = run("verify", str(tmp_path / "web.toml"))
    assert outcome.status == 2
    assert "no program could be started" in outcome.err


def test_verify_sees_circles(run: Callable[..., Outcome], tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\ndepends_on = ["{other}"]\n[root]\nimage = "x"\n'
        )
    outcome = run("verify", str(tmp_path))
    assert outcome.status == 2
    assert "in a circle: a → b → a" in outcome.err


def test_schema(run: Callable[..., Outcome]) -> None:
    assert json.loads(run("schema").out) == config.json_schema()


def test_plan(run: Callable[..., Outcome], tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text(GOOD)
    steps = json.loads(run("plan", "--json", str(file)).out)
    assert [step["number"] for step in steps] == list(range(1, len(steps) + 1))
    assert all(list(step) == ["number", "side", "summary", "calls"] for step in steps)
    assert all(
        list(call) == ["name", "target", "detail", "when", "man"] for step in steps for call in step["calls"]
    )
    assert {step["side"] for step in steps} == {"host", "inside"}
    text = run("plan", str(file)).out.splitlines()
    assert len(text) == len(steps) + sum(len(step["calls"]) for step in steps)
    assert any("<address: leased>" in line for line in text)
    assert text[-1].endswith("execve(2)")


def test_plan_with_what_the_file_fixes(run: Callable[..., Outcome], tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text(GOOD)
    text = run("plan", "--set", "network.address=10.77.0.10/16", "--set", "root={path='/srv'}", str(file)).out
    assert "give eth0 the address 10.77.0.10/16" in text
    assert "open_tree /srv " in text
    assert "<address" not in text
    assert run("plan", "--set", "pids=1", str(file)).status == 2


@pytest.mark.parametrize("verb", ["show", "logs", "wait", "plan"])
def test_no_such_zone(run: Callable[..., Outcome], verb: str) -> None:
    outcome = run(verb, "nosuch")
    assert (outcome.status, outcome.out, outcome.err) == (4, "", "zonectl: nosuch: no such zone\n")


@pytest.mark.parametrize("verb", ["create", "start", "stop", "delete", "kill", "pause", "run", "shell", "cp"])
def test_root_alone(run: Callable[..., Outcome], verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    words = {"cp": ["x", "web:/x"], "create": ["web.toml"], "run": ["busybox"]}.get(verb, ["web"])
    outcome = run(verb, *words)
    assert outcome.status == (125 if verb in {"run", "shell"} else 1)
    assert outcome.err == f"zonectl: must be root to {verb}\n  try: sudo zonectl {verb} ...\n"


def test_interrupted_and_unread(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "schema_text", interrupt)
    assert run("schema") == type(run("schema"))(130, "", "")

    def unread() -> str:
        raise BrokenPipeError

    monkeypatch.setattr(config, "schema_text", unread)
    assert (run("schema").status, run("schema").err) == (141, "")

    def full() -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(config, "schema_text", full)
    assert (run("schema").status, run("schema").err) == (1, "zonectl: No space left on device\n")


def test_what_nobody_foresaw(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise LookupError("inside")

    monkeypatch.setattr(config, "schema_text", broken)
    outcome = run("schema")
    assert outcome.status == 1
    assert outcome.err.startswith("zonectl: internal error: LookupError: inside\n")
    assert "Traceback" in run("--debug", "schema").err


def test_questions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError):
        question.confirm("delete", ["web"])
    for answer in ("y\n", "YES\n"):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        question.confirm("delete", [f"web{number}" for number in range(8)])
    assert capsys.readouterr().err.endswith("delete web0, web1, web2, web3, web4, web5 and 2 more? [y/N] ")
    for answer in ("", "\n", "n\n", "yesterday\n"):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        with pytest.raises(ZonectlError, match="nothing was done"):
            question.confirm("delete", ["web"])


@pytest.mark.parametrize(
    ("words", "argv"),
    [([], ()), (["--"], ()), (["ls", "-l"], ("ls", "-l")), (["--", "cmd", "-x", "--"], ("cmd", "-x", "--"))],
)
def test_programs(words: list[str], argv: tuple[str, ...]) -> None:
    assert streams.command(words) == argv


def test_places() -> None:
    assert cp.place("web:/etc") == ("web", "/etc")
    assert cp.place("./web:/etc") is None
    assert cp.place("/web") is None
    assert cp.place("We:/x") is None


LINES = [
    LogLine(time=1700000000.0, stream=Stream.OUT, text=b"one\x1b[2J\xff\t."),
    LogLine(time=1700000001.0, stream=Stream.ERR, text=b"two"),
    LogLine(time=1700000002.0, stream=Stream.OUT, text=b"thr", ended=False),
]


def test_logs_into_a_pipe_are_verbatim(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with (
        open(os.dup(1), "w", encoding="utf-8") as out,
        open(os.dup(2), "w", encoding="utf-8") as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        printer = Printer(timestamps=False)
        for line in LINES:
            printer.put(line)
        printer.flush()
    captured = capfdbinary.readouterr()
    assert captured.out == b"one\x1b[2J\xff\t.\nthr"
    assert captured.err == b"two\n"


def test_logs_on_a_terminal_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setenv("TZ", "UTC")
    printer = Printer(timestamps=False)
    for line in LINES:
        printer.put(line)
    assert out.getvalue() == "one\\x1b[2J\\xff\t.\nthr"
    assert err.getvalue() == "two\n"


PROBES = (
    Probe(name="kernel", ok=True, seen="Linux 6.18", needed=True),
    Probe(name="catatonit", ok=False, seen="not found", needed=False, remedy="apt-get install catatonit"),
    Probe(name="nft", ok=False, seen="evil\x1b", needed=True, remedy="apt-get install nftables"),
)


def test_doctor_names_remedies_what_is_needed_first() -> None:
    assert doctor.as_text(PROBES, Style()) == [
        "PROBE      VERDICT  SEEN",
        "kernel     ok       Linux 6.18",
        "catatonit  without  not found",
        "nft        lacking  evil\\x1b",
        "nft: apt-get install nftables",
        "catatonit: apt-get install catatonit",
    ]


@pytest.mark.parametrize(("probes", "status"), [(PROBES[:2], 0), (PROBES, 1)])
def test_doctors_verdict(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, probes: tuple[Probe, ...], status: int
) -> None:
    monkeypatch.setattr("zonectl.kernel.probe.probes", lambda _facts, root: probes)
    outcome = run("doctor", "--json")
    assert outcome.status == status
    assert [each["name"] for each in json.loads(outcome.out)] == [each.name for each in probes]


def taken(*, live: bool) -> portrait.Portrait:
    record = ZoneRecord(
        id=ZoneId("0a1b2c3d"),
        name=ZoneName("web"),
        installed=True,
        created_at=0.0,
        ids=None,
        address="10.77.0.2/16",
        gateway="10.77.0.1",
        layers=("/l",),
        warnings=("no limit\x1b",),
    )
    note = LiveNote(pid=4711, start_ticks=1, boot_id="x", started_at=100.0)
    status = ZoneStatus(
        name="web",
        state=ZoneState.RUNNING if live else ZoneState.INSTALLED,
        record=record,
        live=note if live else None,
        last=LastExit(ended_at=0.0, status=137, signal=None, oom_kills=3),
    )
    mount = MountEntry(
        id=1, parent_id=0, major=0, minor=0, root="/", target="/evil\x1b[2J\n", options=("ro",),
        propagation=(), fstype="tmpfs", source="none", super_options=(),
    )  # fmt: skip
    return portrait.Portrait(
        status=status,
        path="/z/web",
        config=config.parse(GOOD, file="web.toml", folder="/"),
        shared=("net", "uts"),
        group="/sys/fs/cgroup/zonectl/0a1b2c3d",
        pids=(4711,),
        stats=None,
        pressure=None,
        mounts=(mount,) if live else (),
        degraded=(),
        hints=tuple(portrait._hints(status)),
        now=160.0,
    )


def test_show_says_what_is_missing_and_what_to_do() -> None:
    ill = replace(taken(live=True), degraded=("its bridge is gone", "its control group is gone"))
    lines = likeness.as_text(ill, Style())
    assert "  degraded    its bridge is gone" in lines
    assert "  zonectl repair web" in lines
    assert likeness.as_data(ill)["degraded"] == ["its bridge is gone", "its control group is gone"]
    assert "  zonectl repair web" not in likeness.as_text(taken(live=True), Style())


def test_show_says_what_memory_there_was_and_was_not() -> None:
    last = LastExit(
        ended_at=0.0,
        status=None,
        signal=9,
        oom_kills=1,
        memory_max_bytes=16 << 20,
        memory_peak_bytes=12 << 20,
    )
    killed = replace(taken(live=False), status=replace(taken(live=False).status, last=last))
    (line,) = [line for line in likeness.as_text(killed, Style()) if "last exit" in line]
    assert "SIGKILL, 1 killed for memory (limit 16.0MiB, peak 12.0MiB), " in line
    assert (likeness.as_data(killed)["oom_limit_bytes"], likeness.as_data(killed)["oom_peak_bytes"]) == (
        16 << 20,
        12 << 20,
    )
    (line,) = [line for line in likeness.as_text(taken(live=False), Style()) if "last exit" in line]
    assert "status 137, 3 killed for memory, " in line


def test_show_says_plainly_what_is_shared() -> None:
    lines = likeness.as_text(taken(live=True), Style())
    assert lines[0] == "web: running"
    assert "  pid         4711, up 1m00s" in lines
    assert (
        "  net: shared with the host; it sees and uses the host's network: it is no security boundary"
        in lines
    )
    assert "  warning     no limit\\x1b" in lines
    assert "  /evil\\x1b[2J\\x0a tmpfs ro" in lines
    assert '  name = "web"' in lines
    assert not any("hints" in line for line in lines)


def test_show_hints_at_memory() -> None:
    lines = likeness.as_text(taken(live=False), Style())
    assert lines[lines.index("hints") + 1] == "  processes were killed for memory: raise resources.memory"
    assert any("status 137, 3 killed for memory" in line for line in lines)


def test_show_as_data() -> None:
    data = likeness.as_data(taken(live=True))
    assert data["shared"] == ["net", "uts"]
    assert data["uptime_s"] == 60.0
    assert json.loads(json.dumps(data)) == data


def test_show_of_a_damaged_zone(run: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "root/zones/web").mkdir(parents=True)
    (tmp_path / "root/zones/web/record.json").write_text("{")
    outcome = run("show", "web")
    assert outcome.status == 0
    assert "zonectl delete -f web" in outcome.out
    assert json.loads(run("show", "--json", "web").out)["id"] is None


def test_nothing_is_printed_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert capsys.readouterr().out == config.schema_text()


def test_only_root_may_measure_and_everybody_may_list(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    outcome = run("bench", "--workload", "getpid")
    assert outcome.status == 1
    assert outcome.err.splitlines()[0] == "zonectl: must be root to bench"
    assert run("bench", "list").out.splitlines()[0].split() == ["NAME", "GROUP", "STRESSES"]
