"""Which of a command line's words the client must understand: the instance, the verb, and where it runs.

The client imports this module: only what the interpreter has built in.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_ROOT = "/var/lib/zonectl"
DEFAULT_RUN = "/run/zonectl"

READING = frozenset(("list", "show", "logs", "doctor", "top", "wait"))
"""Run in zoned if it is there, in place if not. When the client is killed, so are they: nobody reads on."""

FOREGROUND = frozenset(("run", "exec", "shell", "console"))
"""When the client is killed, what they run is killed."""

CHANGING = frozenset(
    (
        *(
            "create",
            "delete",
            "start",
            "restart",
            "ready",
            "stop",
            "kill",
            "pause",
            "resume",
            "set",
            "rename",
        ),
        *("image", "snapshot", "cp", "gc", "recover", "repair"),
    )
)
"""Need zoned, or are faster in it: it is started if it is not there. When the client is killed, they complete."""

WARM = READING | FOREGROUND | CHANGING
"""Everything else needs no warmth (plan, verify, schema, version, help) or is a mistake: it runs in place."""

LIGHT = frozenset(
    ("run", "exec", "list", "show", "wait", "create", "stop", "kill", "pause", "resume", "delete")
)
"""Leave their worker as it was, so that it can serve another client; all others use theirs up."""

INTERNAL = "zoned"
"""The verb that is zoned itself: `zoned serve`, `zoned stop`, `zoned status`."""


class Call:
    """A command line as far as the client reads it; `root` and `run` are absolute paths."""

    __slots__ = ("cold", "rest", "root", "run", "verb")

    def __init__(self, *, root: str, run: str, verb: str, cold: bool, rest: Sequence[str]) -> None:
        self.root = root
        self.run = run
        self.verb = verb
        self.cold = cold
        self.rest = tuple(rest)


def parse(argv: Sequence[str], environment: Mapping[str, str], cwd: str) -> Call:
    """Read the global options before the verb: `--root DIR`, `--run DIR`, `--no-daemon`.

    The environment's ZONECTL_ROOT and ZONECTL_RUN stand in for the first two. `cold` is set by `--no-daemon`. Whatever
    else stands before the verb is passed over: the command itself will judge it.
    """
    found = {
        "--root": environment.get("ZONECTL_ROOT") or DEFAULT_ROOT,
        "--run": environment.get("ZONECTL_RUN") or DEFAULT_RUN,
    }
    cold, index = False, 0
    while index < len(argv) and argv[index].startswith("-"):
        name, equals, value = argv[index].partition("=")
        if name in found and not equals and index + 1 < len(argv):
            index += 1
            value = argv[index]
        if value and name in found:
            found[name] = value
        cold |= name == "--no-daemon"
        index += 1
    verb = argv[index] if index < len(argv) else ""
    root, run = (normal(found[option], cwd) for option in ("--root", "--run"))
    return Call(root=root, run=run, verb=verb, cold=cold, rest=argv[index + 1 :])


def working_folder() -> str:
    """The path of the working directory, "/" if it has been removed."""
    try:
        return posix.getcwd()
    except FileNotFoundError:
        return "/"


def normal(path: str, cwd: str) -> str:
    """`path` made absolute, without `.`, `..` and double slashes, as os.path.abspath does (which costs 1 ms here)."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{cwd}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)
