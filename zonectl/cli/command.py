"""One command line, from its words to its exit status. The only place where failures become words."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import zonectl
from zonectl.cli import catalog, failure, parsing, setting
from zonectl.errors import UsageError, ZonectlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zonectl.runtime.frontend import Frontend, Warden


def run(argv: Sequence[str], *, frontend: Frontend | None, warden: Warden | None) -> int:
    """Run the command line `argv`; as `zonectl.cli.main`."""
    call = _Call(argv, frontend, warden)
    _tolerate_bytes()
    try:
        return _quietly(call.run)
    except (ZonectlError, OSError) as error:
        failure.tell(error, debug=call.debug)
        return failure.code(error, foreground=call.foreground)
    except Exception as error:
        if frontend is not None and not call.debug:
            raise  # zoned notes it in its log
        failure.tell(error, debug=call.debug)
        return failure.code(error, foreground=call.foreground)


def _quietly(act: Callable[[], int]) -> int:
    """Act, and put out all that was printed; nobody needs to be told of an interruption or of a reader who has gone."""
    try:
        status = act()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return failure.INTERRUPTED
    except BrokenPipeError:
        failure.give_up(sys.stdout)
        return failure.BROKEN_PIPE
    except OSError:
        failure.give_up(sys.stdout)
        raise
    return status


def _tolerate_bytes() -> None:
    """Let names that are no UTF-8 pass through as they are."""
    with suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]


class _Call:
    """A command line on its way; what is known of it so far decides how a failure is told."""

    def __init__(self, argv: Sequence[str], frontend: Frontend | None, warden: Warden | None) -> None:
        self._argv = argv
        self._frontend = frontend
        self._warden = warden
        self.debug = False
        self.foreground = False

    def run(self) -> int:
        line = parsing.read(self._argv)
        self.debug = line.debug
        if line.wants_version:
            print(f"zonectl {zonectl.__version__}")
            return 0
        if line.wants_help:
            print(parsing.overview(), end="")
            return 0
        if line.verb is None:
            raise UsageError("a verb is missing", hint="see zonectl --help")
        return self._verb(line, line.verb)

    def _verb(self, line: parsing.Line, name: str) -> int:
        verb = catalog.find(name)
        self.foreground = verb.foreground
        parser = parsing.parser_of(name)
        try:
            options = parser.parse_args(list(line.rest))
        except SystemExit:  # --help has been printed
            return 0
        if options.check is not None:
            options.check(options)
        found = setting.make(
            root=line.root, run=line.run, debug=line.debug, frontend=self._frontend, warden=self._warden
        )
        if verb.privileged:
            found.require_root(name)
        if verb.reads:
            found.require_readable(name)
        return catalog.load(name).run(options, found)
