"""Asking before something is destroyed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from zonectl.errors import UsageError, ZonectlError
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_MANY = 6


def confirm(act: str, names: Sequence[str]) -> None:
    """Ask whether to `act` ("delete") on what `names` names, on the caller's terminal.

    zoned's worker has a standard input that asks the client for a line, so that this works warm as well.

    Raises:
        UsageError: there is no terminal to ask on.
        ZonectlError: the answer is not yes.

    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"{act} asks first, and there is no terminal", hint="give -f to go on without asking"
        )
    shown = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
    sys.stderr.write(escape(f"{act} {shown}? [y/N] "))
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise ZonectlError("nothing was done")
