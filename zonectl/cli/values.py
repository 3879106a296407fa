"""Values of the command line: from words to typed values, with a reason where they are none."""

from __future__ import annotations

import math
import signal
import time
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from zonectl.model import names
from zonectl.model.config import MountConfig
from zonectl.model.units import parse_duration

if TYPE_CHECKING:
    from zonectl.model.names import ZoneName

_LAST_SIGNAL = 64
_MOST_LINES = 10**9


def zone(text: str) -> ZoneName:
    """The name of a zone."""
    try:
        return names.zone_name(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is {error}") from error


def seconds(text: str) -> float:
    """A time span: a number of seconds, or a duration with a unit."""
    try:
        value = float(text)
    except ValueError:
        try:
            value = parse_duration(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error
    if not (math.isfinite(value) and value >= 0):
        raise ArgumentTypeError(f"not a time span: {text!r}")
    return value


def count(text: str) -> int:
    """A number of things, 0 among them."""
    if not text.isascii() or not text.isdecimal() or int(text[:10]) > _MOST_LINES:
        raise ArgumentTypeError(f"not a number: {text!r}")
    return int(text)


def when(text: str) -> float:
    """A moment in seconds since the epoch: a duration before now, `@SECONDS`, or a date and time (ISO 8601)."""
    from datetime import datetime

    try:
        if text.startswith("@"):
            moment = float(text[1:])
        elif "-" in text:
            # Without an offset it is local time, as users read it from `zonectl logs -t`.
            moment = datetime.fromisoformat(text).timestamp()
        else:
            moment = time.time() - parse_duration(text)
    except (ValueError, OverflowError) as error:
        hint = "write 10min, 2026-01-31T12:00 or @1767225600"
        raise ArgumentTypeError(f"not a moment: {text!r} ({hint})") from error
    if not math.isfinite(moment):
        raise ArgumentTypeError(f"not a moment: {text!r}")
    return moment


def signal_number(text: str) -> int:
    """A signal: SIGTERM, TERM, 15, SIGRTMIN+3."""
    if text.isascii() and text.isdecimal():
        if 1 <= int(text[:3]) <= _LAST_SIGNAL:
            return int(text)
        raise ArgumentTypeError(f"not a signal: {text!r}")
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name == "SIGSTOP":
        return signal.SIGSTOP
    from zonectl.model import signals

    try:
        return signals.signal_number(name)
    except ValueError as error:
        raise ArgumentTypeError(f"not a signal: {text!r}") from error


def variable(text: str) -> tuple[str, str]:
    """A variable of the environment: NAME=VALUE, or NAME with the caller's own value."""
    name, equals, value = text.partition("=")
    if not name:
        raise ArgumentTypeError(f"not NAME=VALUE: {text!r}")
    if equals:
        return name, value
    import os

    if name not in os.environ:
        raise ArgumentTypeError(f"{name!r} is not set here; write NAME=VALUE")
    return name, os.environ[name]


def change(text: str) -> str:
    """A change of the zone file: KEY=VALUE, which the reader of zone files looks into."""
    if "=" not in text:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return text


def volume(text: str) -> MountConfig:
    """A bind mount: SOURCE:TARGET or SOURCE:TARGET:ro; a relative source is one of the working directory."""
    import os

    source, _, rest = text.partition(":")
    target, _, flag = rest.partition(":")
    if not source or not target or flag not in {"", "ro", "rw"}:
        raise ArgumentTypeError(f"not SOURCE:TARGET[:ro]: {text!r}")
    return MountConfig(source=os.path.abspath(source), target=target, readonly=flag == "ro")


def text(word: str) -> str:
    """A word that a program gets: anything but nothing."""
    if not word:
        raise ArgumentTypeError("it is empty")
    return word


def folder(word: str) -> str:
    """An absolute folder of a zone."""
    if not word.startswith("/"):
        raise ArgumentTypeError(f"not an absolute path: {word!r}")
    return word
