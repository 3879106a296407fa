"""What comes out of a run, and the budget's exit status. That it is measured at all is for tests/e2e."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.planning.plans import FACTS
from zonectl.bench.arms import BARE, CONTROL, ZONE
from zonectl.bench.report import document
from zonectl.bench.results import Host, Missing, Run, Series
from zonectl.bench.workloads import CATALOGUE
from zonectl.cli import overhead
from zonectl.errors import NoSuchZone
from zonectl.model.instance import Instance
from zonectl.model.names import ZoneName
from zonectl.runtime.context import Context
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.unit.cli.conftest import Outcome


def of_times(times: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Rounds of two samples."""
    return tuple((time, time) for time in times)


def run_of(budget: dict[str, str]) -> Run:
    """A run in which getpid takes 40 % more in the zone, and bare metal differs from itself by a tenth of a percent."""
    bare = [100.0 + number % 3 / 10 for number in range(20)]
    series = {"bare": bare, "control": bare[::-1], "zone": [1.4 * time for time in bare]}
    host = Host(
        kernel="6.12.0",
        processor="one",
        processors=2,
        memory_bytes=1 << 30,
        virtualization=None,
        file_system="ext4",
    )
    return Run(
        started_at="2026-01-31T12:00:00+00:00",
        duration_s=60.0,
        complete=True,
        zone="web",
        zone_file='name = "web"\n',
        processor=1,
        host=host,
        arms=(BARE, CONTROL, ZONE),
        workloads=tuple(each.facts for each in CATALOGUE if each.facts.name == "getpid"),
        series=tuple(
            Series(workload="getpid", arm=arm, loops=1000, rounds=of_times(times))
            for arm, times in series.items()
        ),
        budget=budget,
    )


@pytest.mark.parametrize(
    ("budget", "status", "said"),
    [
        ({"syscalls": "3%"}, 1, "budget syscalls = 3%: getpid: broken (+40.0 %, from +40.0 % to +40.0 %)"),
        ({"syscalls": "50%"}, 0, "budget syscalls = 50%: getpid: kept (+40.0 %, from +40.0 % to +40.0 %)"),
        ({"workload.getpid": "3%"}, 1, "budget workload.getpid = 3%: getpid: broken"),
        ({"cpu": "3%"}, 0, "budget cpu = 3%: cpu: not measured"),
        ({"start": "50ms"}, 0, "budget start = 50ms: start: not measured"),
    ],
)
def test_the_status_of_a_budget(
    capsys: pytest.CaptureFixture[str], budget: dict[str, str], status: int, said: str
) -> None:
    assert overhead.judge(run_of(budget)) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"zonectl: {said}")


def test_every_budget_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of({"syscalls": "3%", "cpu": "3%"})
    assert overhead.judge(run) == 1
    assert overhead.judge(replace(run, series=())) == 0
    assert len(capsys.readouterr().err.splitlines()) == 4


@pytest.mark.parametrize(
    ("missing", "expected", "said"),
    [
        ((), 130, []),
        ((Missing(name="getpid in zone", reason="no"), Missing(name="pid", reason="no")), 130, []),
        (
            (Missing(name="zone", reason="it has ended"),),
            1,
            ["zonectl: bench: broken off: zone: it has ended"],
        ),
        ((Missing(name="bare", reason="gone"),), 1, ["zonectl: bench: broken off: bare: gone"]),
    ],
)
def test_who_broke_a_run_off(
    capsys: pytest.CaptureFixture[str], missing: tuple[Missing, ...], expected: int, said: list[str]
) -> None:
    broken_off = replace(run_of({"syscalls": "3%"}), complete=False, missing=missing)
    assert overhead.status(Namespace(judge=True), broken_off) == expected
    assert capsys.readouterr().err.splitlines() == said


def test_the_status_of_a_whole_run() -> None:
    run = replace(run_of({"syscalls": "3%"}), missing=(Missing(name="getpid in pid", reason="no"),))
    assert overhead.status(Namespace(judge=False), run) == 0
    assert overhead.status(Namespace(judge=True), run) == 1


def test_two_runs_are_compared(run: Callable[..., Outcome], tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    before = run_of({})
    slower = replace(before.series[2], rounds=of_times([2.8 * first for first, _ in before.series[0].rounds]))
    old.write_text(document.dump(before), encoding="utf-8")
    new.write_text(document.dump(replace(before, series=(*before.series[:2], slower))), encoding="utf-8")
    outcome = run("bench", "compare", str(old), str(new))
    assert outcome.status == 0
    (line,) = [line for line in outcome.out.splitlines() if "getpid" in line and "slower" in line]
    assert "+100 %" in line
    assert "\x1b" not in outcome.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("", "is damaged"),
        ("{}", "no schema_version"),
        ('{"schema_version": 99}', "newer"),
        ('{"schema_version": 1}', "is damaged"),
    ],
)
def test_what_holds_no_run_is_refused_in_a_line(
    run: Callable[..., Outcome], tmp_path: Path, text: str | None, said: str
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(document.dump(run_of({})), encoding="utf-8")
    if text is not None:
        bad.write_text(text, encoding="utf-8")
    for words in ((good, bad), (bad, good)):
        outcome = run("bench", "compare", *map(str, words))
        assert outcome.status == 2
        assert outcome.out == ""
        assert outcome.err.startswith(f"zonectl: {bad}")
        assert said in outcome.err.splitlines()[0]


def test_what_cannot_be_written_takes_nothing_else_with_it(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    kept, page = tmp_path / "run.json", tmp_path / "run.html"
    kept.write_text(document.dump(run_of({})), encoding="utf-8")
    outcome = run(
        "bench", "show", str(kept), "--json", "/dev/full", "--csv", "/dev/full", "--html", str(page)
    )
    assert outcome.status == 1
    assert outcome.err.splitlines() == ["zonectl: bench: cannot write /dev/full: No space left on device"] * 2
    assert "What isolation costs" in outcome.out
    assert "What isolation costs" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("getpid", "to measure a workload: zonectl bench --workload getpid"),
        ("network", "to measure a workload: zonectl bench --workload network"),
        ("web", None),
    ],
)
def test_a_word_that_is_no_zone_is_told_what_it_may_be(tmp_path: Path, word: str, hint: str | None) -> None:
    where = Instance(root=str(tmp_path / "root"), run=str(tmp_path / "run"))
    context = Context(instance=where, paths=Paths(where), facts=FACTS)
    with pytest.raises(NoSuchZone) as raised:
        overhead._require(context, ZoneName(word))
    assert raised.value.hint == hint


def test_a_run_that_was_kept_is_shown_in_every_form(run: Callable[..., Outcome], tmp_path: Path) -> None:
    kept, page, again = (tmp_path / name for name in ("run.json", "run.html", "again.json"))
    kept.write_text(document.dump(run_of({})), encoding="utf-8")
    outcome = run("bench", "show", str(kept), "--html", str(page), "--json", str(again))
    assert outcome.status == 0
    assert "What isolation costs" in outcome.out
    assert "What isolation costs" in page.read_text(encoding="utf-8")
    assert again.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
    assert again.stat().st_mode & 0o777 == 0o600
    assert run("bench", "show", str(kept), "--csv", "-", "--json", "-").status == 2
    assert run("bench", "show", str(kept), "--csv", "-").out.startswith('"workload","group","arm"')
    assert run("bench", "show", str(tmp_path / "none.json")).status == 2
    assert run("bench", "show", str(kept), "--html", "/nosuch/x.html").status == 2
