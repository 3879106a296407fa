"""run and exec in a terminal: what a person at the keyboard sees."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl
    from tests.e2e.terminal import Terminal

PROMPT = "$? ready> "


@pytest.fixture(params=["run", "cold run", "exec", "shell"])
def words(request: pytest.FixtureRequest, shared: Zonectl) -> Iterator[list[str]]:
    """A command that gives a shell in a zone with a terminal."""
    if request.param.endswith("run"):
        cold = ["--no-daemon"] if request.param == "cold run" else []
        yield [*cold, "run", *shared.sets, "-e", f"PS1={PROMPT}", "busybox"]
        return
    shared.define("host")
    shared("start", "host")
    if request.param == "exec":
        yield ["exec", "-e", f"PS1={PROMPT}", "host", "sh"]
    else:
        yield ["shell", "-e", f"PS1={PROMPT}", "host"]
    shared("delete", "-f", "host")


def at_prompt(terminal: Terminal, status: int = 0) -> None:
    terminal.expect(f"{status} ready> ")


def ask(terminal: Terminal, command: str) -> str:
    """What the command answers, in one line: told from the echoes of what is typed, which may come twice."""
    terminal.type(f"echo [[$({command})]]\n")
    while (found := terminal.expect("]]").rpartition("[[")[2]).startswith("$"):
        pass
    return found


def test_a_session(shared: Zonectl, words: list[str]) -> None:
    with shared.terminal(*words, size=(33, 101)) as terminal:
        at_prompt(terminal)
        assert ask(terminal, "tty").startswith("/dev/pts/")
        assert ask(terminal, "stty size") == "33 101"
        terminal.resize(40, 90)
        until(lambda: ask(terminal, "stty size") == "40 90")
        terminal.type("sh -c 'trap \"stty size; exit 4\" WINCH; echo set; while :; do sleep 0.1; done'\n")
        terminal.expect("\r\nset\r\n")
        terminal.resize(41, 91)
        terminal.expect("41 91\r\n")
        at_prompt(terminal, 4)
        terminal.type("sleep 100\n")
        terminal.expect("sleep 100\r\n")
        until(lambda: sleeps(shared))
        terminal.type("\x03")
        at_prompt(terminal, 130)
        terminal.type("exit 3\n")
        assert terminal.wait() == 3


def programs(z: Zonectl) -> str:
    """What runs in the zone that there is: states and words (ps(1))."""
    (zone,) = (zone for zone in z.list().values() if zone["state"] == "running")
    return z.exec(zone["name"], "ps", "-o", "stat,args").out


def sleeps(z: Zonectl, state: str = "S") -> bool:
    """Whether the zone that there is runs `sleep 100`, which is in that state."""
    return any(line.startswith(state) and line.endswith(" sleep 100") for line in programs(z).splitlines())


def test_stopping_and_going_on(shared: Zonectl, words: list[str]) -> None:
    with shared.terminal(*words) as terminal:
        at_prompt(terminal)
        terminal.type("sleep 100\n")
        until(lambda: sleeps(shared))
        terminal.type("\x1a")
        terminal.expect("Stopped")
        at_prompt(terminal, 148)
        assert sleeps(shared, "T")
        terminal.type("fg\n")
        until(lambda: sleeps(shared))
        terminal.type("\x03")
        at_prompt(terminal, 130)
        terminal.type("\x04")
        # The shell's status is that of its last command.
        assert terminal.wait() == 130


def test_the_terminal_is_as_it_was(shared: Zonectl, words: list[str]) -> None:
    with shared.terminal("--version") as terminal:
        fresh = terminal.attributes()
        terminal.wait()
    with shared.terminal(*words) as terminal:
        at_prompt(terminal)
        assert terminal.attributes() != fresh
        terminal.type("exit\n")
        assert terminal.wait() == 0
        assert terminal.attributes() == fresh


def test_the_way_out_of_a_stuck_program(shared: Zonectl, words: list[str]) -> None:
    with shared.terminal(*words) as terminal:
        at_prompt(terminal)
        terminal.type("\r")
        at_prompt(terminal)
        terminal.type("~.")
        assert terminal.wait() == 128 + signal.SIGKILL


def test_hanging_up_ends_the_program(shared: Zonectl, words: list[str]) -> None:
    terminal = shared.terminal(*words)
    at_prompt(terminal)
    terminal.type("echo [[$$]]; exec sleep 1000\n")
    until(lambda: "sleep 1000" in programs(shared))
    os.kill(terminal.pid, signal.SIGHUP)
    terminal.wait()
    terminal.close()
    if "run" in words:
        until(lambda: not any(zone["state"] == "running" for zone in shared.list().values()))
    else:
        until(lambda: not shared.runs("host", "sleep 1000"))


def test_all_output_arrives_before_the_end(shared: Zonectl, words: list[str]) -> None:
    with shared.terminal(*words) as terminal:
        at_prompt(terminal)
        terminal.type("seq 5000; exit 6\n")
        terminal.expect("exit 6\r\n")
        lines = terminal.rest().splitlines()
        assert lines[:5000] == [str(number) for number in range(1, 5001)]
        assert terminal.wait() == 6


def test_no_terminal_where_none_is_wanted(shared: Zonectl) -> None:
    with shared.terminal("run", "-T", *shared.sets, "busybox", "--", "sh", "-c", "tty; exit 5") as terminal:
        terminal.expect("not a tty")
        assert terminal.wait() == 5
    done = shared("run", "-t", *shared.sets, "busybox", "--", "sh", "-c", "tty; stty size")
    assert done.out.replace("\r", "").splitlines() == ["/dev/pts/0", "24 80"]


def test_a_question_is_asked_at_the_terminal(z: Zonectl) -> None:
    z.create("hello")
    with z.terminal("delete", "hello") as terminal:
        terminal.expect("delete hello? [y/N] ")
        terminal.type("n\n")
        terminal.expect("nothing was done")
        assert terminal.wait() == 1
    assert z.state("hello") == "installed"
    with z.terminal("delete", "hello") as terminal:
        terminal.expect("delete hello? [y/N] ")
        terminal.type("y\n")
        assert terminal.wait() == 0
    assert z.list() == {}


def test_no_terminal_of_the_host_is_inside(shared: Zonectl) -> None:
    with shared.terminal(
        "run", *shared.sets, "busybox", "--", "sh", "-c", "ls -l /proc/self/fd; ls /dev/pts"
    ) as terminal:
        seen = terminal.rest()
        assert terminal.wait() == 0
    targets = {line.split(" -> ")[1] for line in seen.splitlines() if " -> " in line}
    assert targets == {"/dev/pts/0"}
    assert seen.splitlines()[-1].split() == ["0", "ptmx"]
