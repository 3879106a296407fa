"""bench --life-cycle and --density: whole commands, with zones that are gone afterwards, however it ended."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl

VERBS = ("create", "start", "exec", "stop", "delete", "run")
COLD = ("create", "exec", "delete", "run", "start")
WAIT_S = 300
"""A round has seventeen commands, a new zoned among them."""

pytestmark = pytest.mark.requires("program:cc")


@pytest.fixture
def box(z: Zonectl) -> str:
    """A zone file of a zone on the instance's own bridge."""
    return z.write("box", 'name = "box"\nroot = { image = "busybox" }\nrestart = "always"\n')


def measured(z: Zonectl, *words: str) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(z("bench", *words, "--json", "-", timeout=WAIT_S).out)
    return run


def users(journal: Path) -> list[str]:
    """The processes with a file of the journal among their arguments, as numbers: it stays as long as there are any."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{journal}/".encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_the_life_cycle_alone(z: Zonectl, box: str) -> None:
    run = measured(z, "--life-cycle", "--rounds", "2", box)
    assert run["complete"]
    assert run["missing"] == []
    commands = [f"zonectl {verb}" for verb in VERBS] + [f"zonectl {verb}, cold" for verb in COLD]
    commands += ["zonectl start, first", "zonectl delete, last"]
    arms = dict.fromkeys(commands, "zone") | {"spawn": "bare", "interpreter": "bare"}
    assert {each["workload"]: each["arm"] for each in run["series"]} == arms
    assert all(len(each["rounds"]) == 2 for each in run["series"])
    assert {each["group"] for each in run["workloads"]} == {"life cycle"}
    assert z.list() == {}


def test_beside_a_workload_and_shown(z: Zonectl) -> None:
    path = z.folder / "run.json"
    words = ("--life-cycle", "--workload", "getpid", "--rounds", "1", "--json", str(path), *z.sets)
    shown = z("bench", *words, "--html", str(z.folder / "run.html"), timeout=WAIT_S).out
    assert "zonectl start, cold" in shown
    series = {(each["workload"], each["arm"]) for each in json.loads(path.read_text())["series"]}
    assert {("getpid", "bare"), ("getpid", "zone"), ("zonectl start", "zone")} <= series


def test_zoned_is_not_ended_while_other_zones_run(z: Zonectl, box: str) -> None:
    z.define("web")
    z("start", "web")
    zoned = z.zoned()
    run = measured(z, "--life-cycle", "--rounds", "1", box)
    missing = {each["name"]: each["reason"] for each in run["missing"]}
    assert missing.keys() == {"zonectl start, cold", "zonectl start, first", "zonectl delete, last"}
    assert "other zones run here" in missing["zonectl start, cold"]
    assert z.zoned() == zoned
    assert z.state("web") == "running"
    assert "zonectl delete, cold" in {each["workload"] for each in run["series"]}


def test_density(z: Zonectl, box: str) -> None:
    run = measured(z, "--density", "3", box)
    assert run["complete"]
    assert [point["zones"] for point in run["density"]] == [1, 2, 3]
    for point in run["density"]:
        times = [point[f"{verb}_ns"] for verb in ("create", "start", "exec", "list")]
        assert min(times) > 0
        assert point["user_bytes"] > 0
        assert point["kernel_bytes"] >= 0
    assert z.list() == {}


def test_a_budget_of_times_alone_is_judged_by_commands(z: Zonectl) -> None:
    text = 'name = "box"\nroot = { image = "busybox" }\n[budget]\nstart = "600000ms"\n'
    done = z("bench", "--check", "--rounds", "1", z.write("box", text), timeout=WAIT_S)
    assert done.err.startswith("zonectl: budget start = 600000ms: zonectl start: ")
    assert "getpid" not in done.out


def test_what_fails_is_missing_with_the_reason(z: Zonectl) -> None:
    text = 'name = "box"\nroot = { image = "busybox" }\n[[mount]]\ntype = "tmpfs"\ntarget = "/bin"\n'
    run = measured(z, "--life-cycle", "--rounds", "1", z.write("box", text))
    assert run["series"] == []
    (missing,) = run["missing"]
    assert missing["name"] == "zonectl start"
    assert "/bin/sleep" in missing["reason"]
    assert z.list() == {}


def test_ctrl_c_keeps_the_points_and_deletes_the_zones(z: Zonectl, box: str) -> None:
    path = z.folder / "run.json"
    with growing(z, box, "--json", str(path)) as command:
        until(lambda: len(z.list()) >= 3, timeout_s=WAIT_S)
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=WAIT_S)
    assert command.returncode == 130
    run = json.loads(path.read_text(encoding="utf-8"))
    assert not run["complete"]
    assert [point["zones"] for point in run["density"]][:1] == [1]
    assert z.list() == {}
    assert not journals(z)


def test_what_a_killed_one_leaves_goes_with_the_next(z: Zonectl, box: str) -> None:
    with growing(z, box) as command:
        until(lambda: len(z.list()) >= 2, timeout_s=WAIT_S)
        command.kill()
    (journal,) = journals(z)
    until(lambda: not users(journal), timeout_s=WAIT_S)
    token = journal.name.removeprefix("zones-")
    z.define(f"bench-{token}-user")
    z("start", f"bench-{token}-user")
    measured(z, "--workload", "getpid", "--rounds", "1", box)
    assert list(z.list()) == [f"bench-{token}-user"]
    assert z.state(f"bench-{token}-user") == "running"
    assert not journals(z)


def test_what_does_not_fit_together_is_refused(z: Zonectl) -> None:
    assert "--plant measures no zone" in z("bench", "--plant", "5", "--density", "2", code=2).err
    assert "not from 1 to 2000" in z("bench", "--density", "0", code=2).err
    assert "--life-cycle is of no use for list" in z("bench", "list", "--life-cycle", code=2).err


@contextmanager
def growing(z: Zonectl, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A bench that makes more and more zones; killed in the end."""
    with z.popen("bench", "--density", "2000", *words) as command:
        try:
            yield command
        finally:
            command.kill()


def journals(z: Zonectl) -> list[Path]:
    return sorted((z.root / "bench").glob("zones-*"))
