"""Failures in words and codes."""

from __future__ import annotations

import errno

import pytest

from zonectl import errors
from zonectl.cli import failure
from zonectl.model.problems import Problem

CONFIG = errors.ConfigError(
    [
        Problem(file="web.toml", line=4, key="resources.memry", message="unknown key", suggestion="memory"),
        Problem(file="--set", line=None, key="cpus", message="not a number"),
    ]
)


@pytest.mark.parametrize(
    ("error", "code", "foreground"),
    [
        (errors.UsageError("x"), 2, 125),
        (CONFIG, 2, 125),
        (errors.StateError(zone="web", state="running", verb="start"), 3, 125),
        (errors.ZoneExists("web"), 3, 125),
        (errors.NoSuchZone("web"), 4, 125),
        (errors.Busy("web", holder="stop (pid 1)"), 1, 125),
        (errors.HostLacks("x"), 1, 125),
        (errors.ProgramError("nosuch", errno.ENOENT), 1, 127),
        (errors.ProgramError("/etc/passwd", errno.EACCES), 1, 126),
        (errors.TimedOut("x", after_s=1), 1, 125),
        (OSError(errno.ENOSPC, "No space left on device"), 1, 125),
    ],
)
def test_codes(error: Exception, code: int, foreground: int) -> None:
    assert failure.code(error) == code
    assert failure.code(error, foreground=True) == foreground


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (errors.NoSuchZone("web"), ["zonectl: web: no such zone"]),
        (
            errors.StateError(zone="web", state="paused", verb="start", hint="zonectl resume web"),
            ["zonectl: web: cannot start: the zone is paused", "  try: zonectl resume web"],
        ),
        (
            errors.Busy("web", holder="stop (pid 7)"),
            ["zonectl: web: busy: stop (pid 7)", "  try again when it has ended"],
        ),
        (
            CONFIG,
            [
                "web.toml:4: resources.memry: unknown key (did you mean memory?)",
                "zonectl: --set: cpus: not a number",
            ],
        ),
        (
            errors.ProgramError("nosuch", errno.ENOENT, zone="web"),
            ["zonectl: web: cannot execute nosuch: No such file or directory"],
        ),
        (OSError(errno.EIO, "Input/output error", "/x"), ["zonectl: /x: Input/output error"]),
        (errors.ImageError("evil\x1b[2J\nname"), ["zonectl: evil\\x1b[2J\\x0aname"]),
        (
            KeyError("x"),
            ["zonectl: internal error: KeyError: 'x'", "  --debug before the verb shows where"],
        ),
    ],
)
def test_lines(error: Exception, lines: list[str]) -> None:
    assert failure.lines(error) == lines


def test_a_traceback_is_escaped_too(capsys: pytest.CaptureFixture[str]) -> None:
    failure.tell(errors.ImageError("evil\x1b[2J"), debug=True)
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert told.splitlines()[-2:] == ["zonectl.errors.ImageError: evil\\x1b[2J", "zonectl: evil\\x1b[2J"]
