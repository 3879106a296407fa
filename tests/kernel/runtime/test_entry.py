"""zonectl-entry: what it makes of orders that are whole, cut off or of another version, and of what a zone has."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.talk import NOT_EXECUTED
from tests.kernel.runtime.world import REQUIRED, Caller
from zonectl.errors import HostLacks, ProgramError, StepError, SyscallError, ZonectlError
from zonectl.kernel import attributes, proc, process
from zonectl.model.capabilities import ALL, DEFAULT
from zonectl.model.limits import Limit
from zonectl.model.script import HERE, Script
from zonectl.model.seccomp import Filter
from zonectl.runtime import entry
from zonectl.runtime import exec as execution
from zonectl.runtime.exec import Request
from zonectl.runtime.handshake import Channel, close_all, failure
from zonectl.runtime.siblings import Siblings, pidfd_of
from zonectl.security.accounts import Account
from zonectl.security.steps import Ceiling, Restrict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.runtime.talk import Talk
    from tests.kernel.runtime.world import World

pytestmark = pytest.mark.requires("root")

ROOT = Account(uid=0, gid=0, name="root", home="/root")
FREE = Restrict(user="root", workdir="/", capabilities=attributes.capget().permitted)
SHELL = ("/bin/sh", "-c", "exit 7")
NS_GET_OWNER_UID = 0xB704
WORD_BYTES = 4
FLAGS_AT = 8


def order(*argv: str, **wishes: object) -> entry.Order:
    """An order to execute `argv`, with no restriction but what is wished for."""
    return entry.Order(
        restrict=replace(FREE, **wishes),  # type: ignore[arg-type]
        argv=argv or SHELL,
        env=(),
        step="become it",
    )


def packed(wanted: entry.Order, account: Account = ROOT) -> bytes:
    """As it is sent."""
    return entry.packed(wanted, account)


def test_it_becomes_what_it_is_told_to(talk: Callable[..., Talk]) -> None:
    assert talk().execute(packed(order())) == process.ExitStatus(status=7)


def test_it_takes_long_words_and_many(talk: Callable[..., Talk]) -> None:
    words = ["x" * 100_000, *(str(number) for number in range(20_000))]
    script = '[ ${#1} = 100000 ] && [ $# = 20001 ] && [ "$LONG" = "$1" ] && exit 7'
    told = replace(order("/bin/sh", "-c", script, "sh", *words), env=(("LONG", words[0]),))
    assert talk().execute(packed(told)) == process.ExitStatus(status=7)


def full() -> bytes:
    """An order that has something everywhere."""
    return packed(
        order(
            limits=(Ceiling(name="nofile", limit=Limit(64, 64), declared=True),),
            seccomp=Filter(name="all", digest="", program=struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000)),
            no_new_privs=True,
        ),
        replace(ROOT, groups=(4, 5)),
    )


def test_an_order_that_is_cut_off_is_refused_wherever_it_is(talk: Callable[..., Talk]) -> None:
    whole = full()
    for length in range(0, len(whole), 3):
        talking = talk()
        talking.begin()
        talking.tell(whole[:length])
        found = talking.refusal()
        assert "worker" in found.message or "order" in found.message or "another version" in found.message, (
            length
        )


def test_an_order_with_more_behind_it_is_refused(talk: Callable[..., Talk]) -> None:
    talking = talk()
    talking.begin()
    talking.tell(full() + b"\0")
    assert "not whole" in talking.refusal().message


@pytest.mark.parametrize("word", [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\1\0\0"])
def test_numbers_that_lie_are_no_way_out_of_the_program(talk: Callable[..., Talk], word: bytes) -> None:
    whole = full()
    for at in range(0, len(whole) - WORD_BYTES, WORD_BYTES):
        if at == FLAGS_AT:
            continue
        talking = talk()
        talking.begin()
        talking.tell(whole[:at] + word + whole[at + WORD_BYTES :])
        talking.channel.close()
        # A filter that became another one may refuse to let it end, which the kernel answers by SIGSYS.
        assert talking.end() in (NOT_EXECUTED, process.ExitStatus(signal=signal.SIGSYS)), at


@pytest.mark.parametrize("at", [0, WORD_BYTES])
def test_an_order_of_another_version_is_refused_with_the_remedy(talk: Callable[..., Talk], at: int) -> None:
    talking = talk()
    talking.begin()
    sent = bytearray(full())
    sent[at] += 1
    talking.tell(bytes(sent))
    assert "install zonectl anew" in talking.refusal().message


def test_an_init_has_a_user_namespace_of_its_owners() -> None:
    """And so what is used in it is counted as the owner's, not as root's of the host."""
    ours, theirs = Channel.pair()
    siblings = Siblings.begin()
    birth = entry.Birth(
        namespaces=process.CLONE_NEWUSER | process.CLONE_NEWPID,
        owner=54321,
        group=None,
        door=None,
        reaper=None,
    )
    words = entry.stream_words((None, None, None), None)
    first = entry.spawn_init(
        (None, None, None), birth, channel=theirs.fileno(), siblings=siblings, first=words
    )
    theirs.close()
    pid, pidfd = siblings.after(pidfd_of(first), ours, number=0)
    try:
        with open(f"/proc/{pid}/ns/user", "rb") as namespace:
            owner = fcntl.ioctl(namespace, NS_GET_OWNER_UID, struct.pack("I", 0))
        assert struct.unpack("I", owner) == (54321,)
        assert proc.status_fields(pid)["CapEff"] == proc.status_fields(pid)["CapBnd"]
    finally:
        process.kill_and_reap(pidfd)
        os.close(pidfd)
        siblings.close()
        ours.close()


@pytest.mark.parametrize("owner", [None, 54321])
def test_namespaces_that_cannot_be_made_are_told_of(owner: int | None) -> None:
    ours, theirs = Channel.pair()
    siblings = Siblings.begin()
    birth = entry.Birth(
        namespaces=process.CLONE_NEWUSER | 0x200,
        owner=owner,
        group=None,
        door=None,
        reaper=None,  # CLONE_FS
    )
    words = entry.stream_words((None, None, None), None)
    first = entry.spawn_init(
        (None, None, None), birth, channel=theirs.fileno(), siblings=siblings, first=words
    )
    theirs.close()
    with pytest.raises(StepError, match="clone3"):
        siblings.after(pidfd_of(first), ours, number=0)
    siblings.close()
    ours.close()


def scripted(folder: Path) -> bytes:
    """A script with calls of many kinds, none of which reaches beyond `folder`."""
    script = Script()
    script.step("try")
    script.change_folder(str(folder))
    script.make_folder(HERE, "root", 0o755)
    place, there = script.descriptor(), script.condition()
    script.folder(place, "a/b", plain=True)
    script.make_file(place, "text", "x" * 100, 0o600)
    script.make_link(place, "link", "text")
    script.close(place)
    script.find(place, "a/c", notes=there)
    script.make_folder(place, "never", 0o755)
    return script.packed()


def test_a_script_does_what_it_says(talk: Callable[..., Talk], tmp_path: Path) -> None:
    found = talk(script=scripted(tmp_path)).refusal()
    assert "not open" in found.message  # what is not there is none, and to use it is an error
    assert (tmp_path / "root/a/b/text").read_text() == "x" * 100
    assert (tmp_path / "root/a/b/link").readlink() == Path("text")


def test_a_script_that_is_cut_off_is_refused_wherever_it_is(
    talk: Callable[..., Talk], tmp_path: Path
) -> None:
    whole = scripted(tmp_path)
    ends = set()
    for length in range(0, len(whole), 3):
        shutil.rmtree(tmp_path / "root", ignore_errors=True)
        talking = talk(lambda: os.chdir(tmp_path), script=whole[:length])
        message, fds = talking.channel.hear()
        close_all(fds)
        ends.add(message["word"])
        if message["word"] == "FAILED":
            assert talking.end() == NOT_EXECUTED
    assert "FAILED" in ends  # one that ends behind a call is whole


@pytest.mark.parametrize(
    "number", [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x01\x00", b"\x40\x00\x00\x00"]
)
def test_numbers_that_lie_in_a_script_crash_nothing(
    talk: Callable[..., Talk], tmp_path: Path, number: bytes
) -> None:
    whole = scripted(tmp_path)
    for at in range(8, len(whole) - WORD_BYTES, WORD_BYTES):
        shutil.rmtree(tmp_path / "root", ignore_errors=True)
        # In the folder, too, if the script does not change there.
        changed = whole[:at] + number + whole[at + WORD_BYTES :]
        talking = talk(lambda: os.chdir(tmp_path), script=changed, namespaces=process.CLONE_NEWNS)
        with suppress(ZonectlError):  # it has ended by now
            for word in ("TREES", "LINKS"):
                talking.channel.say(word)
        message, fds = talking.channel.hear()
        close_all(fds)
        assert message, at  # it says what is wrong, or is ready: it was not killed by a fault


def test_it_ends_with_whoever_talks_to_it(talk: Callable[..., Talk]) -> None:
    for stage in range(3):
        talking = talk()
        if stage > 0:
            talking.begin()
        if stage > 1:
            talking.tell(packed(order("/bin/touch", "/nowhere/it-has-run")))
        talking.channel.close()
        assert talking.end() == NOT_EXECUTED, stage


@pytest.mark.parametrize("word", ["EXEC", "READY", "ORDER"])
def test_what_it_does_not_expect_ends_it(talk: Callable[..., Talk], word: str) -> None:
    talking = talk()
    talking.begin()
    talking.channel.say(word)
    assert talking.refusal().message


def test_what_cannot_be_dropped_stops_the_process(talk: Callable[..., Talk]) -> None:
    # As another user: root would have all capabilities again after the execve.
    talking = talk(lambda: attributes.setresuid(1000, 1000, 1000))
    talking.begin()
    talking.tell(packed(order(capabilities=DEFAULT)))
    error = talking.refusal()
    assert isinstance(error, StepError)
    assert isinstance(error.__cause__, SyscallError)
    assert (error.__cause__.call, error.__cause__.subject) == ("prctl", "PR_CAPBSET_DROP 2")


def test_a_capability_that_it_does_not_have_stops_the_process(talk: Callable[..., Talk]) -> None:
    talking = talk()
    talking.begin()
    have = attributes.capget().permitted
    missing = ALL & ~have
    assert missing, "this process has every capability: the case cannot be made"
    talking.tell(packed(order(capabilities=ALL)))
    error = talking.refusal()
    assert isinstance(error.__cause__, SyscallError)
    assert error.__cause__.call == "capset"


def test_an_error_says_every_byte_of_what_it_is_about(talk: Callable[..., Talk]) -> None:
    name = '/ö"\\\x01\n\x7f' + os.fsdecode(b"\xff") + "x" * 5000
    talking = talk()
    talking.begin()
    talking.tell(packed(order(name)))
    talking.channel.say("EXEC")
    message, _ = talking.channel.hear()
    error = failure(message)
    assert isinstance(error, ProgramError)
    assert error.program == name
    assert error.__cause__ is None


@pytest.mark.parametrize("workdir", ["/nö/where", "/proc/self/fd/nothing"])
def test_a_folder_that_is_not_there(talk: Callable[..., Talk], workdir: str) -> None:
    talking = talk()
    talking.begin()
    talking.tell(packed(order(workdir=workdir)))
    error = talking.refusal()
    assert isinstance(error, StepError)
    assert error.step == "become it"
    assert workdir in error.message


def test_alone_it_says_whose_it_is() -> None:
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        entry.PROGRAM,
        ["zonectl-entry", "--help"],
        {},
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 2), (os.POSIX_SPAWN_CLOSE, reading)],
    )
    os.close(writing)
    assert b"for zonectl alone" in os.read(reading, 1000)
    os.close(reading)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2


ALLOWED = '[security]\ncapabilities = ["all"]\nseccomp = "off"'


@pytest.mark.requires(*REQUIRED)
def test_a_null_device_that_is_none_is_not_given_to_a_program(world: World) -> None:
    world.started(extra=ALLOWED)
    assert world.execute("mount", "-o", "bind", "/etc/passwd", "/dev/null").exit_status.code == 0
    with pytest.raises(StepError, match="the zone's /dev/null is not the null device"):
        world.execute("true")


@pytest.mark.requires(*REQUIRED)
def test_a_process_that_is_killed_on_its_way_into_a_zone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.started()
    before = world.footprint()
    monkeypatch.setattr(entry, "PROGRAM", "/bin/true")
    with pytest.raises(ZonectlError, match="killed before there was a zone's process"):
        world.execute("true")
    world.becomes(before)
    assert proc.children(os.getpid()) == [world.live().pid]


@pytest.mark.requires(*REQUIRED)
def test_without_the_program_nothing_starts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.started()
    before = world.footprint()
    monkeypatch.setattr(entry, "PROGRAM", "/nowhere/zonectl-entry")
    verbs: tuple[Callable[[], object], ...] = (
        lambda: world.execute("true"),
        lambda: world.run("true", name="other"),
    )
    for verb in verbs:
        with pytest.raises(HostLacks, match="/nowhere/zonectl-entry: No such file") as caught:
            verb()
        assert "make install" in str(caught.value.hint)
        world.becomes(before)


@pytest.mark.requires(*REQUIRED)
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("mount -t tmpfs none /dev/pts", "not a devpts"),
        ("mount -o bind /dev/null /dev/pts/ptmx", "ptmx"),
    ],
)
def test_a_terminal_that_is_none_is_not_given_to_a_program(world: World, script: str, said: str) -> None:
    world.started(extra=ALLOWED)
    assert world.execute("sh", "-c", script).exit_status.code == 0
    caller = Caller(world.folder)
    with pytest.raises(StepError, match=said):
        execution.execute(
            world.context, "web", Request(argv=("true",), terminal_type="vt100"), frontend=caller
        )
    assert caller.master is None


@pytest.mark.requires(*REQUIRED)
@pytest.mark.parametrize("kind", ["user", "mnt", "net"])
def test_a_namespace_that_cannot_be_read_is_not_taken_for_the_hosts(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    world.started()
    read = proc.namespace_id
    monkeypatch.setattr(
        proc,
        "namespace_id",
        lambda pid, of: None if (pid, of) != ("self", of) and of == kind else read(pid, of),
    )
    with pytest.raises(SyscallError, match=f"ns/{kind}"):
        world.execute("true")
