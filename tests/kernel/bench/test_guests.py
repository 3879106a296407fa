"""The zones of a bench: gone with it; and with the next one, if it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.forked import spawn
from tests.kernel.runtime.world import REQUIRED, unwatched
from zonectl import config as zone_files
from zonectl.bench import commands, guests
from zonectl.kernel import process
from zonectl.runtime.create import create
from zonectl.store import records

if TYPE_CHECKING:
    from tests.kernel.runtime.world import World
    from zonectl.bench.guests import Guests
    from zonectl.runtime.context import Context

pytestmark = pytest.mark.requires(*REQUIRED)


def nobody(context: Context) -> commands.Client:
    """A command that does nothing: what it does not delete is deleted in place."""
    return commands.client(context.instance, words=("/bin/true",))


def made(context: Context, ours: Guests, word: str) -> str:
    """Create a zone as the command does."""
    name, path = ours.announce(word)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    create(context, zone_files.parse(text, file=path, folder="/"), text)
    return name


def journals(context: Context) -> list[str]:
    return [name for name in os.listdir(f"{context.paths.root}/bench") if name.startswith("zones-")]


def test_they_go_with_the_bench(world: World) -> None:
    context = unwatched(world)
    given = world.parse(world.text(extra="restart = 'always'\nautostart = true\nlabels = { of = 'user' }"))
    with guests.guests(context, given, nobody(context)) as ours:
        name = made(context, ours, "life")
        ours.announce("never-created")
        stored = zone_files.parse(
            (path := world.folder / "state/zones" / name / "zone.toml").read_text(),
            file=str(path),
            folder="/",
        )
        assert records.list_names(context.paths) == [name]
        assert stored.command == guests.IDLE
        assert (stored.restart.value, stored.autostart) == ("no", False)
        assert dict(stored.labels)["of"] == "user"
        assert stored.security == given.security
    assert records.list_names(context.paths) == []
    assert journals(context) == []


def test_those_of_a_killed_one_go_with_the_next(world: World) -> None:
    context = unwatched(world)
    given = world.parse(world.text())
    reader, writer = os.pipe()

    def bench() -> int:
        with guests.guests(context, given, nobody(context)) as ours:
            os.write(writer, made(context, ours, "life").encode())
            signal.pause()
        return 0

    pidfd = spawn(bench)
    name = os.read(reader, 4096).decode()
    # Somebody's zones: one that is named alike, and one with a name that the killed bench had announced.
    alike = name.removesuffix("life") + "0"
    world.create(name=alike)
    with open(f"{context.paths.root}/bench/{journals(context)[0]}/names", "a", encoding="utf-8") as file:
        file.write(f"{alike}\n")
    assert guests.clear(context) == []  # it lives
    assert records.list_names(context.paths) == sorted([name, alike])
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    for fd in (pidfd, reader, writer):
        os.close(fd)
    assert guests.clear(context) == [name]
    assert records.list_names(context.paths) == [alike]
    assert journals(context) == []
    assert guests.clear(context) == []


def test_what_a_command_creates_after_its_bench_was_killed_goes_with_a_later_one(world: World) -> None:
    context = unwatched(world)
    given = world.parse(world.text())
    reader, writer = os.pipe()

    def bench() -> int:
        with guests.guests(context, given, nobody(context)) as ours:
            os.write(writer, ours.announce("life")[1].encode())
            signal.pause()
        return 0

    pidfd = spawn(bench)
    path = os.read(reader, 4096).decode()
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    command = subprocess.Popen(["/bin/cat", "-", path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert guests.clear(context) == []
    assert len(journals(context)) == 1
    zone = zone_files.parse(text, file=path, folder="/")
    create(context, zone, text)
    command.communicate()
    for fd in (pidfd, reader, writer):
        os.close(fd)
    assert guests.clear(context) == [zone.name]
    assert records.list_names(context.paths) == []
    assert journals(context) == []
