"""Command lines: the global options, the parser of each verb, and the overview."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from zonectl.cli import catalog
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDEST = 100
_EXAMPLES = "examples:\n"
_OPTIONS = """\
options before the verb:
  --root DIR   keep lasting state in DIR (ZONECTL_ROOT; /var/lib/zonectl)
  --run DIR    keep volatile state in DIR (ZONECTL_RUN; /run/zonectl)
  --no-daemon  work in this process, without zoned
  --debug      show the traceback of a failure
  --version    print the version
  -h, --help   print this
"""
_CODES = """\
exit status:
  0 done, 1 failed, 2 usage or configuration, 3 wrong state, 4 no such zone
  run, exec, shell: the program's own, 128+N for signal N; 125 zonectl failed, 126 not executable, 127 not found
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A command line up to the verb; `rest` is the verb's."""

    root: str | None
    run: str | None
    debug: bool
    verb: str | None
    rest: tuple[str, ...]
    wants_help: bool
    wants_version: bool


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal up to 100 columns, with each option's value told once."""

    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size().columns - 2
        super().__init__(prog, max_help_position=26, width=min(columns, _WIDEST))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.REMAINDER:
            return f"[[--] {action.metavar}...]"
        return super()._format_args(action, default_metavar)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Paragraphs to the width of the terminal; examples as they stand."""
        if text.startswith(_EXAMPLES):
            return text
        paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
        return "\n\n".join(textwrap.fill(part, width, initial_indent=indent) for part in paragraphs)


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of printing and exiting; only `--help` exits."""

    def __init__(self, prog: str, *, description: str = "", epilog: str = "", add_help: bool = True) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=_Formatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UsageError: always.

        """
        verb = self.prog.removeprefix("zonectl").strip()
        where = f"{verb}: " if verb else ""
        raise UsageError(f"{where}{self._plain(message)}", hint=f"see {self.prog} --help")

    def options(self) -> list[str]:
        """Every option that it takes."""
        return [option for action in self._actions for option in action.option_strings]

    def inner(self) -> dict[str, Parser]:
        """The parsers of its actions, for a verb that has such."""
        found: dict[str, Parser] = {}
        for action in self._actions:
            if isinstance(action.choices, dict):
                found |= {name: each for name, each in action.choices.items() if isinstance(each, Parser)}
        return found

    def _plain(self, message: str) -> str:
        """What argparse says, in our words."""
        if missing := re.match(r"the following arguments are required: (.*)", message):
            names = missing[1].split(", ")
            return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
        if unknown := re.match(r"unrecognized arguments: (\S+)", message):
            return self._unknown(unknown[1])
        if choice := re.match(r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)\Z", message):
            return self._no_choice(choice[1], choice[2], choices=choice[3].replace("'", "").split(", "))
        return re.sub(r"^argument ", "", message)

    @staticmethod
    def _no_choice(name: str, word: str, *, choices: list[str]) -> str:
        meant = catalog.did_you_mean(word.strip("'"), choices)
        return f"{name}: {word} is none of {', '.join(choices)}{meant}"

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{word!r} is one argument too many"
        meant = catalog.did_you_mean(word.partition("=")[0], self.options())
        return f"there is no option {word!r}{meant}"


def read(argv: Sequence[str]) -> Line:
    """Read the options before the verb; everything after it is left to the verb.

    Raises:
        UsageError: an option is unknown or lacks its value.

    """
    own, rest = _split(argv)
    found = _before_the_verb().parse_args(own)
    return Line(
        root=found.root,
        run=found.run,
        debug=found.debug,
        verb=rest[0] if rest else None,
        rest=tuple(rest[1:]),
        wants_help=found.help,
        wants_version=found.version,
    )


@cache
def _before_the_verb() -> Parser:
    parser = Parser("zonectl", add_help=False)
    parser.add_argument("--root", metavar="DIR")
    parser.add_argument("--run", metavar="DIR")
    for flag in ("--debug", "--no-daemon", "--version", "--help"):
        parser.add_argument(*(("-h",) if flag == "--help" else ()), flag, action="store_true")
    return parser


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is before the verb, and the rest: as the client does it, which must find the same verb."""
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in {"--root", "--run"} else 1
    return list(argv[:at]), list(argv[at:])


@cache
def parser_of(name: str) -> Parser:
    """The parser of a verb; made once, by a warm parent before it forks.

    Raises:
        UsageError: there is no such verb.

    """
    summary = catalog.find(name).summary
    module = catalog.load(name)
    examples = "".join(f"  {line}\n" if line else "\n" for line in module.EXAMPLES.strip().splitlines())
    described = module.DESCRIPTION.strip() or f"{summary[0].upper()}{summary[1:]}."
    parser = Parser(
        f"zonectl {name}", description=described, epilog=f"{_EXAMPLES}{examples}" if examples else ""
    )
    # What concerns several arguments is checked by a function that the verb sets here, raising UsageError.
    parser.set_defaults(check=None)
    module.arguments(parser)
    return parser


def overview() -> str:
    """What `zonectl --help` prints."""
    return f"usage: zonectl [OPTION...] VERB [ARGUMENT...]\n\n{''.join(_groups())}{_OPTIONS}\n{_CODES}"


def _groups() -> Iterable[str]:
    for group in catalog.GROUPS:
        members = [(name, verb.summary) for name, verb in catalog.VERBS.items() if verb.group == group]
        yield f"{group}:\n" + "".join(f"  {name:<11}{summary}\n" for name, summary in members) + "\n"
