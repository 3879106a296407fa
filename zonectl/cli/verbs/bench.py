"""bench: what isolation costs on this machine, measured against bare metal."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from zonectl.cli import sources, values
from zonectl.cli.outputs import Output
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from zonectl.bench.sampling import Progress
    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Measure what isolation costs: the same program works on the host and in a zone by turns, on one processor, within the
same limits, and takes the time itself. What is measured is a zone of its own, made after a zone file or a zone, or one
with the host's programs and everything else by default; it is gone afterwards. Each loss has an interval of 95 %, and
nothing is claimed that is not more than what bare metal differs from itself by.

"bench list" lists the workloads, "bench show" shows a run that was kept as JSON, "bench compare" tells what has changed
between two. A FILE "-" is standard output. Ctrl-C ends the run with what has been measured until then.
docs/manual/bench.md tells how to read it.
"""
EXAMPLES = """\
zonectl bench --quick
zonectl bench --workload "system calls" --workload tcp
zonectl bench --life-cycle --density 50
zonectl bench --json before.json ./web.toml
zonectl bench show before.json --html before.html
zonectl bench compare before.json after.json
zonectl bench list
"""
_LIST, _COMPARE, _SHOW = _ACTIONS = ("list", "compare", "show")
_COMPARED: Final = 2
_MOST_ROUNDS: Final = 10_000
_MOST_ZONES: Final = 2_000
_MOST_PERCENT: Final = 1000.0


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    _add_measure(parser)
    _add_comparisons(parser)
    _add_results(parser)
    sources.add_set(parser)
    parser.add_argument(
        "words",
        metavar="ZONE|FILE",
        nargs="*",
        type=values.text,
        help="a zone, or a zone file (it has a / or ends in .toml); or: list; "
        "or: show RUN.json; or: compare OLD.json NEW.json",
    )
    parser.set_defaults(check=_check)


def _add_measure(parser: ArgumentParser) -> None:
    """What is measured in the two arms, and how much of it."""
    parser.add_argument(
        "-w",
        "--workload",
        metavar="NAME|GROUP",
        action="append",
        default=[],
        type=values.text,
        help="measure this workload, or those of this group; may be given again",
    )
    parser.add_argument("--rounds", metavar="N", type=_rounds, help="how many rounds (20; 8 with --quick)")
    parser.add_argument("--quick", action="store_true", help="fewer, shorter samples: under two minutes")
    parser.add_argument("--processor", metavar="N", type=values.count, help="measure on this one (the last)")
    parser.add_argument(
        "--plant",
        metavar="PERCENT",
        type=_percent,
        help="measure bare metal with so much more work in the zone's place: it must be found",
    )


def _add_comparisons(parser: ArgumentParser) -> None:
    """What is measured besides."""
    parser.add_argument(
        "--layers", action="store_true", help="add one wall after the other, and tell what each costs"
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        action="append",
        default=[],
        type=values.text,
        help="measure this other kind of isolation too (crun, qemu-tcg, ...), or all; may be given again",
    )
    parser.add_argument(
        "--life-cycle",
        action="store_true",
        help="measure how long create, start, exec, ... take, warm and cold",
    )
    parser.add_argument(
        "--density", metavar="N", type=_zones, help="measure what a zone costs when 1, 2, 5, ... N run"
    )
    parser.add_argument("--kernel", metavar="FILE", type=values.text, help="what virtual machines boot")


def _add_results(parser: ArgumentParser) -> None:
    """What comes of it."""
    parser.add_argument(
        "--check",
        dest="judge",
        action="store_true",
        help="judge by the zone's [budget]: 1 if it is certainly exceeded",
    )
    parser.add_argument("--json", metavar="FILE", type=_private, help="write all samples as JSON")
    parser.add_argument("--csv", metavar="FILE", type=_output, help="write them as CSV, a row each")
    parser.add_argument("--html", metavar="FILE", type=_output, help="write a page with pictures")


def run(options: Namespace, setting: Setting) -> int:
    """Measure, or list, or show, or compare."""
    action, rest = _action(options)
    if action == _LIST:
        return _list()
    if action == _COMPARE:
        return _compare(rest)
    if action == _SHOW:
        return _show(options)
    setting.require_root("bench")
    return _measure(options, setting)


def _action(options: Namespace) -> tuple[str, Sequence[str]]:
    """The first word, what is to be done or measured, and the rest."""
    return (options.words or [""])[0], options.words[1:]


def _check(options: Namespace) -> None:
    """See that the words and the options fit together."""
    from zonectl.bench.peers import catalogue
    from zonectl.bench.workloads import named
    from zonectl.model.names import ZONE_NAME

    action, rest = _action(options)
    _check_files(action, rest)
    if action in _ACTIONS:
        useful = _FORMS if action == _SHOW else ()
        given = [word for name, word in _OPTIONS.items() if getattr(options, name) and name not in useful]
        if given:
            raise UsageError(f"bench: --{given[0]} is of no use for {action}")
    elif action and not (sources.is_file(action) or ZONE_NAME.match(action)):
        raise UsageError(f"bench: {action!r} is neither a file nor the name of a zone")
    for word in options.workload:
        named(word)
    _check_arms(options, catalogue.chosen(options.against))
    if sum(output is not None and output.is_stdout for output in map(vars(options).get, _FORMS)) > 1:
        raise UsageError("bench: only one FILE can be standard output")


def _check_arms(options: Namespace, against: Sequence[str]) -> None:
    """See that what is compared can be, and that nothing is asked for in vain."""
    from zonectl.bench.peers.machines import MACHINES

    if options.plant is not None:
        others = [word for word in _OF_ZONES if getattr(options, word)]
        if others:
            word = others[0].replace("_", "-")
            raise UsageError(f"bench: --plant measures no zone: it does not go with --{word}")
    if options.kernel and not any(machine.name in against for machine in MACHINES):
        names = ", ".join(machine.name for machine in MACHINES)
        raise UsageError(f"bench: --kernel is for what --against boots: {names}")


_OF_ZONES: Final = ("layers", "against", "life_cycle", "density")
"""What measures a zone, or other kinds beside one."""

_OPTIONS: Final = {
    name: "check" if name == "judge" else name.replace("_", "-")
    for name in (
        *("workload", "rounds", "quick", "processor", "plant", "layers", "against", "kernel"),
        *("life_cycle", "density", "judge", "json", "csv", "html", "set"),
    )
}
"""What a run takes, and the other actions do not."""

_FORMS: Final = ("json", "csv", "html")
"""What a run is written as, a new one or one that is shown."""


def _check_files(action: str, rest: Sequence[str]) -> None:
    if action == _COMPARE and len(rest) != _COMPARED:
        raise UsageError(
            f"bench: {_COMPARE} takes two files", hint=f"zonectl bench {_COMPARE} OLD.json NEW.json"
        )
    if action == _SHOW and len(rest) != 1:
        raise UsageError(f"bench: {_SHOW} takes a file", hint=f"zonectl bench {_SHOW} RUN.json")
    if action not in {_COMPARE, _SHOW} and rest:
        raise UsageError(f"bench: {rest[0]!r} is one argument too many")


# ------------------------------------------------------------------------------------------------------- to measure


def _measure(options: Namespace, setting: Setting) -> int:
    from zonectl.bench.run import measure
    from zonectl.cli import overhead
    from zonectl.cli.bar import Bar
    from zonectl.cli.lesson import end_at_signals

    wish = overhead.wish(options, setting)
    for output in overhead.outputs(options):
        output.require()
    with ExitStack() as held:
        end_at_signals(held)
        bar = held.enter_context(closing(Bar()))

        def tell(progress: Progress) -> None:
            bar.show(progress.workload, progress.done, progress.left_s)

        found = measure(setting.context(), wish, tell=tell)
    written = overhead.report(options, found)
    return overhead.status(options, found) or written


def _list() -> int:
    from zonectl.bench.workloads import CATALOGUE
    from zonectl.cli import table
    from zonectl.cli.table import Column

    columns = (Column("name", "NAME"), Column("group", "GROUP"), Column("stresses", "STRESSES"))
    rows = [(each.facts.name, each.facts.group, each.facts.stresses) for each in CATALOGUE]
    print("\n".join(table.aligned(columns, rows)))
    return 0


def _compare(paths: Sequence[str]) -> int:
    from zonectl.cli import overhead

    overhead.compare(*paths)
    return 0


def _show(options: Namespace) -> int:
    from zonectl.cli import overhead

    return overhead.show(options)


# -------------------------------------------------------------------------------------------------- to read arguments


def _output(text: str) -> Output:
    return Output(values.text(text))


def _private(text: str) -> Output:
    """For what holds the zone's file: its `env` may have secrets."""
    return Output(values.text(text), private=True)


def _rounds(text: str) -> int:
    number = values.count(text)
    if not 1 <= number <= _MOST_ROUNDS:
        raise ArgumentTypeError(f"not from 1 to {_MOST_ROUNDS}: {text!r}")
    return number


def _zones(text: str) -> int:
    number = values.count(text)
    if not 1 <= number <= _MOST_ZONES:
        raise ArgumentTypeError(f"not from 1 to {_MOST_ZONES}: {text!r}")
    return number


def _percent(text: str) -> float:
    try:
        number = float(text.removesuffix("%"))
    except ValueError as error:
        raise ArgumentTypeError(f"not a percentage: {text!r}") from error
    if not (math.isfinite(number) and 0 <= number <= _MOST_PERCENT):
        raise ArgumentTypeError(f"not from 0 to {_MOST_PERCENT:g}: {text!r}")
    return number
