"""What a program finds of itself when it begins in a zone, told by a static program; as init, behind one, by exec."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, World, make_root
from tests.patience import eventually
from zonectl.kernel import process
from zonectl.kernel.ranking import join_session_keyring
from zonectl.model.capabilities import DEFAULT, mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.runtime.world import Result

pytestmark = pytest.mark.requires(*REQUIRED, "program:gcc")

SOURCE = Path(__file__).parent / "self.c"
KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING = 0, -3
ADDR_NO_RANDOMIZE = 0x0040000
"""personality(2)."""
SYS_KEYCTL = 250 if os.uname().machine == "x86_64" else 219


@dataclass
class Told:
    """What it found: single things by name, and lists of words."""

    one: dict[str, str] = field(default_factory=dict)
    fds: dict[int, str] = field(default_factory=dict)
    ignored: list[int] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)
    env: list[str] = field(default_factory=list)


def told(result: Result) -> Told:
    """Read what it printed."""
    assert result.exit_status.code == 0, result.err
    found = Told()
    for line in result.out.splitlines():
        name, _, rest = line.replace("\t", " ").partition(" ")
        match name:
            case "fd":
                number, _, target = rest.partition("=")
                found.fds[int(number)] = target
            case "ignored" | "blocked":
                getattr(found, name).append(int(rest))
            case "env":
                found.env.append(rest)
            case _:
                found.one[name] = rest
    return found


@pytest.fixture(scope="module")
def root_with_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the program in it, once under its name and once as a user's shell."""
    root = make_root(tmp_path_factory.mktemp("hygiene") / "root")
    compiler = shutil.which("gcc")
    assert compiler
    subprocess.run([compiler, "-static", "-O1", "-o", str(root / "bin/self"), str(SOURCE)], check=True)
    shutil.copy(root / "bin/self", root / "bin/self-of-root")
    (root / "bin/self-of-root").chmod(0o4755)
    with (root / "etc/passwd").open("a") as file:
        file.write(
            "me:x:44:44::/srv/me:/bin/self\nlost:x:45:45::/nowhere:/bin/self\nshut:x:46:46::/root:/bin/self\n"
        )
    (root / "srv/me").mkdir(parents=True)
    return root


WAYS = pytest.mark.parametrize("way", ["init", "reaper", "exec", "shell"])


@pytest.fixture
def ask(world: World, root_with_program: Path) -> Callable[..., Told]:
    """Let the program tell, one of four ways."""

    def run(
        way: str, *, extra: str = "", user: str = "me", security: str = "", program: str = "/bin/self"
    ) -> Told:
        root = f'path = "{root_with_program}"'
        tables = f"\n[security]\n{security}" if security else ""
        if way in {"init", "reaper"}:
            head = f'user = "{user}"\ninit = {str(way == "reaper").lower()}\n{extra}'
            return told(world.run(program, root=root, extra=f"{head}{tables}"))
        world.started(root=root, extra=f"{extra}{tables}")
        argv = (program,) if way == "exec" else ()
        return told(world.execute(*argv, user=user, workdir=None if argv else "~"))

    return run


@WAYS
@pytest.mark.requires("program:catatonit")
def test_its_descriptors_are_three(ask: Callable[..., Told], way: str) -> None:
    # What the caller left open and inheritable stays outside.
    loose = os.open("/", os.O_RDONLY)
    os.set_inheritable(loose, True)
    try:
        found = ask(way)
    finally:
        os.close(loose)
    assert sorted(found.fds) == [0, 1, 2]
    assert found.fds[0] == "/dev/null"


@WAYS
@pytest.mark.requires("program:catatonit")
def test_it_has_no_terminal_and_leads_a_session_of_its_own(ask: Callable[..., Told], way: str) -> None:
    found = ask(way)
    assert found.one["terminal"] == "No such device or address"
    assert found.one["leads"] == ("0" if way == "reaper" else "1")


@WAYS
@pytest.mark.requires("program:catatonit")
def test_signals_are_as_at_a_birth(ask: Callable[..., Told], way: str) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        found = ask(way)
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    assert found.ignored == []
    # Catatonit keeps the signals of job control from its child as from itself.
    assert found.blocked == ([signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU] if way == "reaper" else [])


@WAYS
@pytest.mark.requires("program:catatonit")
def test_securebits_and_dumpable_are_the_kernels_own(ask: Callable[..., Told], way: str) -> None:
    found = ask(way)
    assert found.one["securebits"] == "0"
    assert found.one["dumpable"] == "1"


@WAYS
@pytest.mark.requires("program:catatonit")
def test_its_personality_is_not_the_callers(ask: Callable[..., Told], way: str) -> None:
    libc = ctypes.CDLL(None)
    before = libc.personality(ADDR_NO_RANDOMIZE)
    try:
        found = ask(way)
    finally:
        libc.personality(before)
    assert found.one["personality"] == "0"


@pytest.mark.parametrize(("way", "death"), [("init", signal.SIGKILL), ("exec", signal.SIGKILL)])
@pytest.mark.parametrize("user", ["me", "root"])
def test_what_runs_for_a_command_dies_with_it(
    ask: Callable[..., Told], way: str, death: int, user: str
) -> None:
    assert ask(way, user=user).one["death"] == str(int(death))


@pytest.mark.parametrize("no_new_privs", [False, True])
def test_a_set_user_id_program_gets_no_more_than_the_zone_has(
    ask: Callable[..., Told], no_new_privs: bool
) -> None:
    security = f'capabilities = ["default", "!net_raw"]\nno_new_privs = {str(no_new_privs).lower()}'
    found = ask("init", security=security, program="/bin/self-of-root")
    had = DEFAULT & ~mask(("net_raw",))
    held = 0 if no_new_privs else had
    sets = {name: int(found.one[f"Cap{name}:"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    assert sets == {"Inh": 0, "Prm": held, "Eff": held, "Bnd": had, "Amb": 0}


def test_a_zone_that_has_used_up_its_keys_can_still_be_entered(world: World, root_with_program: Path) -> None:
    root, security = f'path = "{root_with_program}"', '\n[security]\nseccomp = "off"'
    script = "/bin/self fill >/tmp/made & wait"
    world.started("/bin/sh", "-c", script, root=root, extra=f'user = "me"{security}')
    eventually(lambda: "reason" in world.execute("cat", "/tmp/made").out)
    made = world.execute("cat", "/tmp/made").out
    assert "Disk quota exceeded" in made, made
    assert told(world.execute("/bin/self", user="me")).one["keyring"] not in {"-1", "0"}


@WAYS
@pytest.mark.requires("program:catatonit")
def test_its_session_keyring_is_not_the_callers(ask: Callable[..., Told], way: str) -> None:
    def body() -> int:
        join_session_keyring()  # a test may run without one
        number = ctypes.CDLL(None).syscall(SYS_KEYCTL, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)
        found = ask(way, security='seccomp = "off"')
        assert int(found.one["keyring"]) > 0
        assert int(found.one["keyring"]) != number
        return 0

    _, pidfd = process.spawn(body)
    try:
        assert process.wait_pidfd(pidfd, timeout_s=60) == process.ExitStatus(status=0)
    finally:
        os.close(pidfd)


@pytest.mark.parametrize(("user", "folder"), [("me", "/srv/me"), ("lost", "/"), ("shut", "/")])
def test_a_shell_opens_in_the_home_of_its_user_if_there_is_one(
    ask: Callable[..., Told], user: str, folder: str
) -> None:
    assert ask("shell", user=user).one["folder"] == folder


@pytest.mark.parametrize("way", ["init", "exec"])
def test_a_folder_per_user(ask: Callable[..., Told], way: str) -> None:
    assert ask(way, extra='workdir = "~"').one["folder"] == "/srv/me"
