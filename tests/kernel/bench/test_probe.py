"""The probe itself: its language, its end, and that each workload does what it says it does."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench.questions import TIMEOUT_S, ask, conversation, nanoseconds
from zonectl.bench.probe import build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("program:cc")

# -------------------------------------------------------------------------------------------------------- language


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        ("", "an empty line"),
        ("   ", "an empty line"),
        ("nosuch 1", 'there is no workload "nosuch"'),
        ("\x1b[2J 1", 'there is no workload "?[2J"'),
        ("getpid", 'the number of loops must be from 1 to 1000000000000, not ""'),
        ("getpid 0", 'the number of loops must be from 1 to 1000000000000, not "0"'),
        ("getpid -1", 'the number of loops must be from 1 to 1000000000000, not "-1"'),
        ("getpid +1", 'the number of loops must be from 1 to 1000000000000, not "+1"'),
        ("getpid 1e3", 'the number of loops must be from 1 to 1000000000000, not "1e3"'),
        ("getpid 1000000000001", "the number of loops must be from 1 to 1000000000000, not"),
        ("getpid 99999999999999999999", "the number of loops must be from 1 to 1000000000000, not"),
        ("getpid 1 folder=/tmp", "getpid knows no setting folder"),
        ("spin 1 extra", 'a setting is key=value, not "extra"'),
        ("spin 1 extra=", 'a setting is key=value, not "extra="'),
        ("spin 1 =5", 'a setting is key=value, not "=5"'),
        ("spin 1 extra=5 extra=5", "extra is set twice"),
        ("spin 1 extra=-5", "extra must be a number from 0 to 1000"),
        ("spin 1 extra=nan", "extra must be a number from 0 to 1000"),
        ("spin 1 extra=0x5", "extra must be a number from 0 to 1000"),
        ("spin 1 extra=1001", "extra must be a number from 0 to 1000"),
        ("spin 1 plant=.", "plant must be a number from 0 to 1000"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_the_next_request_is_answered(
    probe_program: str, request_line: str, reason: str
) -> None:
    refused, answered = ask(probe_program, request_line, "getpid 1")
    assert refused.startswith(f"no {reason}")
    assert refused.isprintable()
    assert nanoseconds(answered) > 0


def test_lines_of_every_length_are_answered_once(probe_program: str) -> None:
    most = 65536
    for length in (most - 2, most - 1, most, most + 1, 3 * most):
        long, next_one = ask(probe_program, "x" * length, "getpid 1")
        assert long.startswith("no "), length
        assert ("more than 65536 bytes" in long) == (length >= most), length
        assert nanoseconds(next_one) > 0


def test_bytes_that_are_no_text(probe_program: str) -> None:
    answers = conversation(
        probe_program, b"\0\ngetpid\0 1\n\xff\xfe 1\n" + os.urandom(100).replace(b"\n", b"") + b"\n"
    )
    assert len(answers) == 4
    assert all(answer.startswith("no ") and answer.isprintable() for answer in answers)


def test_a_terminals_carriage_return_belongs_to_the_line_end(probe_program: str) -> None:
    assert [nanoseconds(answer) > 0 for answer in conversation(probe_program, b"getpid 1\r\ngetpid 2\r\n")]


def test_it_ends_with_its_input_and_half_a_line_is_no_request(probe_program: str) -> None:
    assert conversation(probe_program, b"getpid 1\ngetpid 1")[1:] == []


def test_it_ends_when_nobody_listens(probe_program: str) -> None:
    with subprocess.Popen([probe_program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdin
        running.stdout.readline()
        running.stdout.close()
        running.stdin.write(b"getpid 1\n")
        running.stdin.flush()
        assert running.wait(TIMEOUT_S) == 1, "its own end, by no signal"


@pytest.mark.parametrize("words", [[], ["measure"], ["serve", "--device"], ["true", "false"], ["serve", "x"]])
def test_another_command_line_is_explained(probe_program: str, words: list[str]) -> None:
    done = subprocess.run([probe_program, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: probe serve")
    assert done.stdout == ""


def test_on_a_device_it_speaks_in_both_directions(probe_program: str) -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    with subprocess.Popen([probe_program, "serve", "--device", name], stdin=subprocess.DEVNULL) as running:
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            said = b""
            while b"\n" not in said:
                said += terminal.read(100)
            assert said.startswith(b"zonectl-probe 1 ")
            terminal.write(b"nosuch 1\n")
            assert terminal.read(100) == b'no there is no workload "nosuch"\n', "no echo, no carriage return"
        os.close(theirs)
        assert running.wait(TIMEOUT_S) in {0, 1}


# ------------------------------------------------------------------------------------------------------ nonsense

WORDS = [
    *(b"getpid", b"spin", b"spawn", b"stat", b"pread", b"tcp", b"iperf", b"0", b"1", b"99999999999999999999"),
    *(
        b"argv=/bin/true",
        b"argv=,",
        b"argv=%",
        b"argv=/bin/true,%41%",
        b"argv=/" + b"," * 70,
        b"stdin=%00%FF",
        b"stdin=%G",
    ),
    *(
        b"folder=/nonexistent",
        b"folder=/" + b"x" * 5000,
        b"server=1:2:3",
        b"server=" + b"1" * 300 + b":5",
        b"server=:",
    ),
    *(b"extra=1e5", b"plant=.", b"plant=5", b"=", b"x=", b"\0", b"\r", b"\xff" * 20, b"a" * 70000),
]


def test_no_nonsense_reaches_what_it_should_not(tmp_path: Path) -> None:
    """Under the compiler's sanitizers, which end the program at the first byte that is not its own."""
    probe = str(tmp_path / "probe")
    flags = [*(flag for flag in build.FLAGS if flag != "-static"), "-fsanitize=address,undefined"]
    argv = ["cc", *flags, "-fno-sanitize-recover=all", "-o", probe, *build.sources(), *build.LIBRARIES]
    subprocess.run(argv, check=True)
    lots = random.Random(5)
    lines = [b" ".join(lots.choices(WORDS, k=lots.randint(0, 6))) for _ in range(2000)]
    text = b"".join(line + b"\n" for line in lines)
    done = subprocess.run([probe, "serve"], check=False, input=text, capture_output=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 1 + len(lines)
