"""A run of the benchmark as the command line wants it: what is measured, and where what comes out goes."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zonectl import config
from zonectl.bench import budget
from zonectl.bench.peers import catalogue
from zonectl.bench.report import comparison, csv, document, figures, html, terminal
from zonectl.bench.run import DEFAULT_NAME, DEFAULT_ZONE, FULL, QUICK, Wish
from zonectl.bench.workloads import Extent, chosen, is_one
from zonectl.cli import failure, sources, values
from zonectl.cli.table import Style
from zonectl.config.budget_fields import GROUPS, VERBS
from zonectl.errors import NoSuchZone, StoreError, UsageError
from zonectl.model.config import BudgetConfig
from zonectl.model.escape import escape
from zonectl.runtime import zones
from zonectl.store import documents

if TYPE_CHECKING:
    from argparse import Namespace

    from zonectl.bench.budget import Judgement
    from zonectl.bench.results import Run
    from zonectl.bench.workloads import Workload
    from zonectl.cli.outputs import Output
    from zonectl.cli.setting import Setting
    from zonectl.model.config import ZoneConfig
    from zonectl.model.names import ZoneName
    from zonectl.runtime.context import Context


def outputs(options: Namespace) -> list[Output]:
    """The files that are to be written."""
    return [output for output in (options.json, options.csv, options.html) if output is not None]


def wish(options: Namespace, setting: Setting) -> Wish:
    """What a command line asks for.

    Raises:
        ConfigError: the zone file has problems.
        NoSuchZone: there is no such zone.
        UsageError: there is no budget to judge by.

    """
    effort = QUICK if options.quick else FULL
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    name, text, zone = _zone(options, setting)
    if options.judge and zone.budget == BudgetConfig():
        raise UsageError(f"bench: {name} has no [budget]", hint="zonectl help bench")
    return Wish(
        config=zone,
        name=name,
        text=text,
        workloads=_workloads(options, zone),
        effort=effort,
        processor=options.processor,
        plant_percent=options.plant,
        layers=options.layers,
        against=catalogue.chosen(options.against),
        kernel=options.kernel,
        life_cycle=options.life_cycle or (options.judge and _has_times(zone.budget)),
        density=options.density or 0,
    )


def _zone(options: Namespace, setting: Setting) -> tuple[str, str, ZoneConfig]:
    """What the zone that is measured is called, the text of its file, and what that says."""
    if not options.words:
        name, text = DEFAULT_NAME, DEFAULT_ZONE
        zone = config.parse(text, file="the default zone", folder=os.getcwd(), overrides=options.set)
    elif sources.is_file(word := options.words[0]):
        loaded = config.load(word, options.set)
        name, text, zone = os.path.basename(word), loaded.text, loaded.config
    else:
        context, name = setting.context(), values.zone(word)
        _require(context, name)
        path = context.paths.zone_file(name)
        text = documents.read_text(path) or ""
        zone = config.parse(text, file=path, folder=context.paths.zone_dir(name), overrides=options.set)
    return name, config.dumps(zone) if options.set else text, zone


def _require(context: Context, name: ZoneName) -> None:
    """See that there is such a zone; who has named a workload in its place is told how that is said."""
    try:
        zones.load(context, name)
    except NoSuchZone as error:
        if is_one(name):
            raise NoSuchZone(name, hint=f"to measure a workload: zonectl bench --workload {name}") from error
        raise


def _workloads(options: Namespace, zone: ZoneConfig) -> tuple[Workload, ...]:
    """Those that are named; else, to judge by a budget, those that it is for; else all, or none beside commands."""
    extent = Extent.QUICK if options.quick else Extent.FULL
    alone = (options.life_cycle or options.density) and not (options.layers or options.against)
    if options.workload or not (options.judge or alone):
        return chosen(options.workload, extent=extent)
    if not options.judge:
        return ()
    named = [name for name, _ in zone.budget.workload_percent]
    grouped = [group for key, group in GROUPS.items() if getattr(zone.budget, f"{key}_percent") is not None]
    if not (named or grouped):
        return ()
    wanted = chosen([*grouped, *named], extent=extent)
    whole = {each.facts.name for each in chosen((), extent=extent)}
    return tuple(each for each in wanted if each.facts.name in {*named, *whole})


def _has_times(limits: BudgetConfig) -> bool:
    """Whether a verb has a budget."""
    return any(getattr(limits, f"{key}_us") is not None for key in VERBS)


def report(options: Namespace, found: Run) -> int:
    """Write the files, and print the table unless one of them is standard output; an exit status.

    What cannot be written is told, and the rest is written all the same: it may have taken an hour to measure.
    """
    written = (options.json, document.dump), (options.csv, csv.rows), (options.html, html.page)
    status = 0
    for output, text_of in written:
        if output is None:
            continue
        try:
            output.write(text_of(found))
        except StoreError as error:
            failure.complain(escape(f"zonectl: bench: {error.message}"))
            status = failure.FAILED
    if not any(output.is_stdout for output in outputs(options)):
        form = _Form.of_output()
        print(terminal.table(found, width=form.width, color=form.color, unicode=form.unicode), end="")
    return status


def compare(old: str, new: str) -> None:
    """Print what has changed between the runs in two files.

    Raises:
        UsageError: one is not there, cannot be read, or holds no run.

    """
    form = _Form.of_output()
    print(
        comparison.table(_load(old), _load(new), width=form.width, color=form.color, unicode=form.unicode),
        end="",
    )


def show(options: Namespace) -> int:
    """Show the run in a file as if it had just been measured; an exit status.

    Raises:
        UsageError: it is not there, cannot be read, or holds no run; or a file cannot be written to.

    """
    found = _load(options.words[1])
    for output in outputs(options):
        output.require()
    return report(options, found)


def _load(path: str) -> Run:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return document.load(file.read(), path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except StoreError as error:
        raise UsageError(error.message, hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class _Form:
    """What standard output can show."""

    width: int
    color: bool
    unicode: bool

    @staticmethod
    def of_output() -> _Form:
        encoding = sys.stdout.encoding or ""
        return _Form(
            width=shutil.get_terminal_size().columns,
            color=Style.of_output().colour,
            unicode=encoding.lower().startswith("utf"),
        )


def status(options: Namespace, found: Run) -> int:
    """The exit status of a run: interrupted, failed for what it lost or what it cost, or 0; what is wrong is said."""
    if lost := found.lost():
        failure.complain(escape(f"zonectl: bench: broken off: {lost.name}: {lost.reason}"))
        return failure.FAILED
    if not found.complete:
        return failure.INTERRUPTED
    return judge(found) if options.judge else 0


def judge(found: Run) -> int:
    """Say how each budget stands, on standard error; an exit status, of failure for one that is certainly exceeded."""
    judgements = budget.judge(found)
    for each in judgements:
        failure.complain(escape(f"zonectl: {_in_words(each)}"))
    return failure.FAILED if budget.broken(judgements) else 0


def _in_words(each: Judgement) -> str:
    return f"budget {each.key} = {each.allowed}: {each.workload}: {each.standing}{_measured(each)}"


def _measured(each: Judgement) -> str:
    """Losses as percentages, times as times."""
    if each.value is None or each.low is None or each.high is None:
        return ""
    shown = figures.duration if each.key in VERBS else figures.loss
    value, low, high = map(shown, (each.value, each.low, each.high))
    more = "" if each.rounds_needed is None else f"; about {each.rounds_needed} rounds would"
    return f" ({value}, from {low} to {high}{more})"
