"""The client in C, where it does not speak to zoned: it leaves all to the client in Python, as it came."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from tools import accelerator
from zonectl.daemon import protocol, verbs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCRIPT = """#!/bin/sh
printf '<%s>' "$@"
grep -E '^Sig(Blk|Ign)' /proc/self/status
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("client")
    launcher = folder / "launcher"
    launcher.write_text(SCRIPT)
    launcher.chmod(0o755)
    accelerator.compile_client(str(folder / "zonectl"), str(launcher), version="1")
    return str(folder / "zonectl")


def _left(client: str, words: Sequence[str], **options: object) -> list[str]:
    """The words that the client in Python got."""
    environment = {"PATH": os.environ["PATH"], "ZONECTL_RUN": "/nonexistent"}
    done = subprocess.run(
        [client, *words],
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    return re.findall(r"<(.*?)>", done.stdout.partition("\n")[0])


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["list"],
        ["plan", "web.toml"],
        ["--help"],
        ["--no-daemon", "list"],
        ["--run"],
        ["--run", "", "list"],
        ["--run=/tmp", "list"],
        ["--run", "/a/../b", "list"],
        ["--run", "/" + "x" * 200, "list"],
        ["--debug", "--root", "/r", "exec", "web", "--", "a b", ""],
        ["zoned", "status"],
    ],
)
def test_what_is_not_for_it_goes_on_as_it_came(client: str, words: list[str]) -> None:
    expected = words or [""]
    assert _left(client, words) == expected


def test_a_terminal_is_not_for_it(client: str) -> None:
    master, slave = pty.openpty()
    try:
        assert _left(client, ["list"], stderr=slave) == ["list"]
    finally:
        os.close(master)
        os.close(slave)


@pytest.fixture
def run() -> Iterator[str]:
    """A run root with a name short enough for a socket's address."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder


def _listen(run: str, answers: bytes) -> threading.Thread:
    """A zoned that hears the hello and says this; root's clients alone come this far."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{run}/zoned.sock")
    listener.settimeout(10)
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            hello = protocol.receive(connection)
            assert hello
            for fd in hello.descriptors:
                os.close(fd)
            connection.sendall(answers)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def _frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + bytes(3) + len(body).to_bytes(4, "little") + body


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    "answers", [b"", _frame(protocol.VERSION), b"W", b"?" * 8, _frame(protocol.EXIT)[:5]]
)
def test_until_the_welcome_the_client_in_python_begins_anew(client: str, run: str, answers: bytes) -> None:
    thread = _listen(run, answers)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    done = subprocess.run(
        [client, "--run", run, "exec", "web"],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    thread.join()
    assert done.stdout.startswith(b"<--run>")
    assert re.search(rb"SigBlk:\t0{16}\n", done.stdout), "no signal is kept from it"


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("verb", "answers", "status", "said"),
    [
        ("exec", _frame(protocol.EXIT, b"7"), 7, b""),
        (
            "list",
            _frame(protocol.TEXT, b"zonectl: no\n") + _frame(protocol.EXIT, b"300"),
            44,
            b"zonectl: no\n",
        ),
        ("exec", b"", 125, b"zonectl: zoned's worker was killed\n"),
        ("list", b"", 1, b"zonectl: zoned's worker was killed\n"),
        ("list", _frame(protocol.MASTER), 1, b"zonectl: zoned: a frame that was not expected\n"),
        ("list", b"T\0\0\0\xff\xff\xff\xff", 1, b"zonectl: zoned: not a frame\n"),
        (
            "list",
            _frame(protocol.TEXT, b"abc")[:-1],
            1,
            b"zonectl: zoned: the other side broke off inside a frame\n",
        ),
    ],
)
def test_from_the_welcome_on_it_is_here_to_the_end(
    client: str, run: str, verb: str, answers: bytes, status: int, said: bytes
) -> None:
    thread = _listen(run, _frame(protocol.WELCOME) + answers)
    done = subprocess.run(
        [client, "--run", run, verb, "web"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    thread.join()
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", said)


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    "words",
    [
        ["exec", "-t", "web", "--", "top"],
        ["run", "--tty", "busybox"],
        ["exec", "-u", "www", "-tw", "/", "web", "top"],
        ["exec", "web", "ls", "-t"],
    ],
)
def test_who_may_want_a_terminal_gets_the_client_in_python(client: str, run: str, words: list[str]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{run}/zoned.sock")
        listener.listen()
        assert _left(client, ["--run", run, *words], timeout=10) == ["--run", run, *words]


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    "words", [["exec", "web", "--", "ls", "-t"], ["exec", "-T", "web", "top"], ["list", "-t"], ["wait"]]
)
def test_who_wants_no_terminal_is_served_by_it(client: str, run: str, words: list[str]) -> None:
    thread = _listen(run, _frame(protocol.WELCOME) + _frame(protocol.EXIT, b"7"))
    done = subprocess.run([client, "--run", run, *words], check=False, stdin=subprocess.DEVNULL, timeout=10)
    thread.join()
    assert done.returncode == 7


def test_both_clients_agree_on_what_goes_to_zoned() -> None:
    text = accelerator.config("/launcher", "1.2")
    defined = dict(re.findall(r"^#define (\w+) (.*)$", text, re.MULTILINE))
    assert set(re.findall(r'"(\w+)"', defined["WARM"])) == verbs.WARM
    assert set(re.findall(r'"(\w+)"', defined["FOREGROUND"])) == verbs.FOREGROUND
    assert defined["RUN"] == f'"{verbs.DEFAULT_RUN}"'
    source = (accelerator.TOP / "client" / "zonectl.c").read_text(encoding="utf-8")
    assert f'field(&hello, "{protocol.MAGIC.decode()}")' in source
    assert f"MAX_BODY_BYTES = {protocol.MAX_BODY_BYTES >> 20} << 20" in source


@pytest.mark.parametrize("launcher", ["/a\nb", "/ä"])
def test_a_path_that_c_could_misread_is_refused(launcher: str) -> None:
    with pytest.raises(ValueError, match="not for a C program"):
        accelerator.config(launcher, "1")


@pytest.mark.parametrize(
    ("words", "code"), [(["list"], 2), (["plan", "x.toml"], 2), (["exec", "web", "--", "true"], 125)]
)
@pytest.mark.parametrize(("stream", "name"), [(0, "input"), (1, "output")])
def test_a_folder_for_a_stream_is_refused_before_python_aborts(
    client: str, words: list[str], code: int, stream: int, name: str
) -> None:
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    streams: dict[str, int] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    streams["stdin" if stream == 0 else "stdout"] = folder
    environment = {"PATH": os.environ["PATH"], "ZONECTL_RUN": "/nonexistent"}
    done = subprocess.run(  # type: ignore[call-overload]
        [client, *words], check=False, env=environment, stderr=subprocess.PIPE, text=True, **streams
    )
    os.close(folder)
    assert done.returncode == code
    assert done.stderr == f"zonectl: standard {name} is a directory\n  give a file, a pipe or /dev/null\n"
