"""bench: a run from its command line to its document; what breaks it off, and what is left of it: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.e2e.instance import REPOSITORY
from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.instance import Zonectl

pytestmark = pytest.mark.requires("program:cc")

SCHEMA = REPOSITORY / "docs/manual/bench-run.schema.json"
SHORT = ("--workload", "getpid", "--rounds", "2")
ENDLESS = ("--workload", "getpid", "--rounds", "10000")


def document(path: Path | str) -> dict[str, Any]:
    """A run, which is what its schema says."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return found


def test_a_run_of_the_default_zone(z: Zonectl) -> None:
    path = z.folder / "run.json"
    done = z("bench", *z.sets, *SHORT, "--json", str(path))
    assert "getpid" in done.out
    assert "\x1b" not in done.out
    assert done.err == ""
    run = document(path)
    assert run["complete"]
    assert run["zone"] == "default"
    assert [arm["name"] for arm in run["arms"]] == ["bare", "control", "zone"]
    assert {series["arm"] for series in run["series"]} == {"bare", "control", "zone"}
    assert all(len(series["rounds"]) == 2 for series in run["series"])
    assert all(min(samples) > 0 for series in run["series"] for samples in series["rounds"])
    assert z.list() == {}


def test_all_forms_at_once(z: Zonectl) -> None:
    paths = {form: z.folder / f"run.{form}" for form in ("json", "csv", "html")}
    options = [word for form, path in paths.items() for word in (f"--{form}", str(path))]
    z("bench", *z.sets, *SHORT, *options)
    run = document(paths["json"])
    samples = sum(len(each) for series in run["series"] for each in series["rounds"])
    assert len(paths["csv"].read_text(encoding="utf-8").splitlines()) == 1 + samples
    assert paths["html"].read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.timeout(660)
def test_the_ladder(z: Zonectl) -> None:
    """Of fifteen arms: where others use the machine too, their beginnings take their time."""
    run = json.loads(z("bench", *z.sets, *SHORT, "--layers", "--json", "-", timeout=600).out)
    arms = {arm["name"]: arm for arm in run["arms"]}
    assert arms["bare"]["kind"] == "bare"
    assert arms["zone"]["kind"] == "zone"
    measured = {series["arm"] for series in run["series"]}
    rungs = {name for name, arm in arms.items() if arm["kind"] == "layer"}
    assert {"seccomp", "overlay", "user"} <= rungs & measured
    assert {"bare", "control", "zone"} <= measured


def test_another_kind_is_measured_or_missing_with_a_reason(z: Zonectl) -> None:
    run = json.loads(z("bench", *z.sets, *SHORT, "--against", "crun", "--json", "-").out)
    (peer,) = [arm for arm in run["arms"] if arm["kind"] == "peer"]
    assert (peer["name"], peer["family"]) == ("crun", "operating system")
    measured = "crun" in {series["arm"] for series in run["series"]}
    assert measured != ("crun" in {missing["name"] for missing in run["missing"]})


def test_what_a_budget_is_for_is_measured_and_judged(z: Zonectl) -> None:
    text = 'name = "box"\nroot = { image = "busybox" }\n[budget]\nworkload = { spin = "90000%" }\n'
    done = z("bench", "--check", "--quick", "--rounds", "2", z.write("box", text))
    assert done.err.startswith("zonectl: budget workload.spin = 90000%: spin: ")
    assert "spin" in done.out
    assert "getpid" not in done.out


def test_there_must_be_a_budget_to_judge_by(z: Zonectl) -> None:
    done = z("bench", "--check", *z.sets, code=2)
    assert done.err.splitlines()[0] == "zonectl: bench: default has no [budget]"


def test_the_document_on_standard_output_is_all_that_is_there(z: Zonectl) -> None:
    done = z("bench", *z.sets, *SHORT, "--json", "-")
    jsonschema.validate(json.loads(done.out), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_a_zone_file_and_a_zone(z: Zonectl) -> None:
    z.define("web", "exec sleep 1000000", "user = 'root'\nlabels = { of = 'test' }")
    z("start", "web")
    before = z.state("web")
    for word, name in ((str(z.folder / "web.toml"), "web.toml"), ("web", "web")):
        run = json.loads(z("bench", *SHORT, "--json", "-", word).out)
        assert run["zone"] == name
        assert "of = 'test'" in run["zone_file"]
        assert not run["missing"]
    assert z.state("web") == before == "running"


def test_the_processor_is_what_is_asked_for(z: Zonectl) -> None:
    first = min(os.sched_getaffinity(0))
    run = json.loads(z("bench", *z.sets, *SHORT, "--processor", str(first), "--json", "-").out)
    assert run["processor"] == first
    done = z("bench", *z.sets, *SHORT, "--processor", "4095", code=2)
    assert done.err.startswith("zonectl: --processor: 4095 cannot be used, only ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_keeps_what_was_measured(z: Zonectl, number: signal.Signals) -> None:
    path = z.folder / "run.json"
    with _measuring(z, "--json", str(path)) as command:
        _let_it_measure(z)
        command.send_signal(number)
        out, _ = command.communicate(timeout=60)
    assert command.returncode == 130
    assert b"getpid" in out
    run = document(path)
    assert not run["complete"]
    assert len(run["series"]) == 3
    assert len({len(series["rounds"]) for series in run["series"]}) == 1


def test_what_a_kill_leaves_is_found_by_gc_and_by_the_next(z: Zonectl) -> None:
    for clear in (lambda: z.cold("gc", "-f"), lambda: z("bench", *z.sets, *SHORT)):
        with _measuring(z):
            pass
        assert _folders(z)
        _call(clear)
        assert not _folders(z)
        assert _probes(z) == 0
        assert "bench-" not in z.cold("gc", "--dry-run").out


def test_on_a_terminal_a_bar_shows_how_far_it_is(z: Zonectl) -> None:
    with z.terminal("bench", *z.sets, "--workload", "getpid", "--rounds", "4") as terminal:
        terminal.expect(" %  getpid, ")
        terminal.expect(" left")
        terminal.expect("What isolation costs")
        assert terminal.wait() == 0


def test_wrong_outputs_are_refused_before_anything_is_measured(z: Zonectl) -> None:
    for path in ("/nosuch/run.json", str(z.folder)):
        done = z("bench", *z.sets, *SHORT, "--json", path, code=2)
        assert done.err.startswith(f"zonectl: cannot write {path}: ")
        assert len(done.err.splitlines()) == 1
    assert not (z.root / "bench").exists()


def test_what_is_not_there(z: Zonectl) -> None:
    assert z("bench", *SHORT, "nosuch", code=4).err.startswith("zonectl: nosuch: no such zone")
    assert "nosuch.toml" in z("bench", *SHORT, "./nosuch.toml", code=2).err
    done = z("bench", "--workload", "getpdi", code=2)
    assert done.err.splitlines()[0] == "zonectl: there is no workload or group of them named 'getpdi'"
    assert "did you mean getpid?" in done.err


def test_the_list_has_every_workload(z: Zonectl) -> None:
    lines = z("bench", "list").lines
    assert lines[0].split() == ["NAME", "GROUP", "STRESSES"]
    assert len(lines) > 5


def _members(z: Zonectl) -> list[int]:
    """The probes of the instance that run: those of both host arms and of the zone."""
    mount = cgroup2_mount()
    assert mount is not None
    found: list[int] = []
    for path in mount.glob(f"zonectl-{z.mark}/*/payload/cgroup.procs"):
        with suppress(OSError):  # its round has just ended
            found += map(int, path.read_text(encoding="ascii").split())
    return found


def _probes(z: Zonectl) -> int:
    return len(_members(z))


@contextmanager
def _measuring(z: Zonectl, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A bench without an end whose probes have been started; killed in the end."""
    with z.popen("bench", *z.sets, *ENDLESS, *options, stdout=subprocess.PIPE) as command:
        try:
            until(lambda: _probes(z) == 3, timeout_s=60)
            yield command
        finally:
            command.kill()


def _let_it_measure(z: Zonectl) -> None:
    """Wait until others have taken the place of the probes: they are started anew when a round has been measured."""
    first = set(_members(z))

    def are_others() -> bool:
        found = set(_members(z))
        return bool(found) and not found & first

    until(are_others)


def _folders(z: Zonectl) -> list[str]:
    return [path.name for path in (z.root / "zones").iterdir() if path.name.startswith("bench-")]


def _call(action: Callable[[], object]) -> None:
    action()
