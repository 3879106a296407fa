"""Paths exchanged without a pause, by whoever may write beside them, while they are mounted, copied and entered.

What is found is the right thing, or a refusal: never what a link leads to. Each test sees that both sides of the race
were met, so that none of them passes because nothing happened.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kernel.hostile_roots import zoo
from tests.kernel.runtime import swapping
from tests.kernel.runtime.swapping import exchanging
from tests.kernel.runtime.world import REQUIRED
from tests.patience import eventually
from zonectl.errors import ZonectlError
from zonectl.kernel import process
from zonectl.namespaces import entering
from zonectl.runtime.copying import copy_in, copy_out
from zonectl.runtime.create import create
from zonectl.runtime.start import start
from zonectl.runtime.status import status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.hostile_roots.cage import Cage

pytestmark = [pytest.mark.requires(*REQUIRED), pytest.mark.timeout(1200)]

STARTS = 1000
COPIES = 200
SOMEBODY = 12345


def _text(cage: Cage, *command: str) -> str:
    argv = ", ".join(f'"{word}"' for word in command)
    return cage.text().replace(f'["{zoo.COMMAND}", "1000"]', f"[{argv}]")


def _met(times: int, attempt: Callable[[], str]) -> dict[str, int]:
    """How often the attempt gave what, or "refused"."""
    met: dict[str, int] = {}
    for _ in range(times):
        try:
            said = attempt()
        except ZonectlError as error:
            said = "the secret" if zoo.SECRET in str(error) else "refused"
        met[said] = met.get(said, 0) + 1
    return met


def _decoy(cage: Cage, to: str, *, owner: int = 0) -> Path:
    link = cage.given / f"link-{to.replace('/', '-')}"
    link.symlink_to(cage.canary.folder / to)
    os.chown(link, owner, owner, follow_symlinks=False)
    return link


def test_the_sources_of_mounts(cage: Cage) -> None:
    """The folder that they are in is somebody's; two of the three are exchanged for links to the canary."""
    os.chown(cage.given, SOMEBODY, SOMEBODY)
    folder, file = _decoy(cage, "folder", owner=SOMEBODY), _decoy(cage, "file", owner=SOMEBODY)
    text = _text(cage, "/busybox", "cat", "/srv/folder/inner", "/srv/guarded/inner", "/srv/file")

    def attempt() -> str:
        done = cage.world.run_text(text)
        return done.out + done.err

    with exchanging(cage.given / "folder", folder), exchanging(cage.given / "file", file):
        met = _met(STARTS, attempt)
    assert met.keys() == {"refused", "given\n" * 3}, met


def test_the_folder_of_a_source_that_a_zone_may_write_to(cage: Cage) -> None:
    """What root of a zone makes in a folder that is shared with it belongs on disk to root of the host."""
    _decoy(cage, "folder").rename(cage.given / "folder/link")
    (cage.given / "folder/sub").mkdir()
    (cage.given / "folder/sub/inner").write_text("given\n")
    shared = f'[[mount]]\nsource = "{cage.given}/folder/sub"\ntarget = "/srv/new"\n'
    text = _text(cage, "/busybox", "cat", "/srv/new/inner") + shared
    with exchanging(cage.given / "folder/sub", cage.given / "folder/link"):
        met = _met(STARTS // 5, lambda: cage.world.run_text(text).out)
    assert met.keys() == {"refused", "given\n"}, met


@pytest.mark.parametrize("mode", ["overlay", "copy"])
def test_the_root_itself(cage: Cage, mode: str) -> None:
    folder = cage.given / "roots"
    folder.mkdir()
    cage.root.rename(folder / "root")
    (folder / "root/marker").write_text("right\n")
    (folder / "link").symlink_to(cage.canary.folder)
    os.chown(folder, SOMEBODY, SOMEBODY)
    text = _text(cage, "/busybox", "cat", "/marker", "/file").replace(
        f'path = "{cage.root}"', f'path = "{folder}/root"\nmode = "{mode}"'
    )
    try:
        with exchanging(folder / "root", folder / "link"):
            met = _met(STARTS // 5, lambda: cage.world.run_text(text).out)
    finally:
        (folder / "link" if (folder / "root").is_symlink() else folder / "root").rename(cage.root)
    assert met.keys() == {"refused", "right\n"}, met


def test_the_target_of_a_mount(cage: Cage) -> None:
    """As CVE-2021-30465: between the look at the target and the mount."""
    (cage.root / "srv/link").symlink_to(cage.canary.folder / "folder")
    text = _text(cage, "/busybox", "cat", "/srv/folder/inner")
    with exchanging(cage.root / "srv/folder", cage.root / "srv/link"):
        met = _met(STARTS // 5, lambda: cage.world.run_text(text).out)
    assert "given\n" in met
    assert met.keys() <= {"refused", "given\n", ""}, met


@contextmanager
def _exchanging_inside(cage: Cage, first: str, second: str) -> Iterator[None]:
    """As `exchanging`, by a process in the zone."""
    live = status(cage.world.context, cage.name).live
    assert live
    init = process.pidfd_open(live.pid)

    def inside() -> int:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        entering.enter(init, pid=live.pid)
        swapping.main(first, second)
        return 0

    _, pidfd = process.spawn(inside)
    try:
        yield
        assert not process.pidfd_exited(pidfd)
    finally:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        process.wait_pidfd(pidfd)
        os.close(pidfd)
        os.close(init)


@pytest.fixture
def moving(cage: Cage) -> Iterator[Cage]:
    """A running zone whose root exchanges a folder for a link that on the host leads to the canary."""
    text = cage.text()
    create(cage.world.context, cage.world.parse(text), text)
    start(cage.world.context, cage.name)
    # By the zone itself: what comes from below an overlay cannot be renamed.
    script = f"cd /tmp; mkdir there; echo right >there/inner; ln -s {cage.canary.folder}/folder link"
    cage.world.execute("/busybox", "sh", "-c", script, name=cage.name)
    try:
        with _exchanging_inside(cage, "/tmp/there", "/tmp/link"):
            yield cage
    finally:
        cage.world.stop(cage.name)


def test_what_is_copied_out_of_a_zone(moving: Cage) -> None:
    out = moving.given / "out"

    def attempt() -> str:
        copy_out(moving.world.context, moving.name, "/tmp/there/inner", target=str(out))
        return out.read_text()

    met = _met(COPIES, attempt)
    assert met.keys() == {"refused", "right\n"}, met
    folders = _met(COPIES, lambda: _copied_folder(moving))
    assert folders.keys() <= {"refused", "right\n", "link"}, folders
    assert "right\n" in folders


def _copied_folder(moving: Cage) -> str:
    into = moving.given / "into"
    into.mkdir(exist_ok=True)
    copy_out(moving.world.context, moving.name, "/tmp/there", target=str(into))
    found = into / "there"
    if found.is_symlink():
        found.unlink()
        return "link"
    text = (found / "inner").read_text()
    (found / "inner").unlink()
    found.rmdir()
    return text


def test_what_is_copied_into_a_zone(moving: Cage) -> None:
    source = moving.given / "new"
    source.write_text("new")

    def attempt() -> str:
        copy_in(moving.world.context, moving.name, str(source), target="/tmp/there/new")
        return "copied"

    met = _met(COPIES, attempt)
    assert met.keys() == {"refused", "copied"}, met


def test_the_working_directory(moving: Cage) -> None:
    def attempt() -> str:
        done = moving.world.execute("/busybox", "cat", "inner", name=moving.name, workdir="/tmp/there")
        return done.out

    met = _met(COPIES, attempt)
    assert met.keys() == {"refused", "right\n"}, met
    assert eventually(lambda: status(moving.world.context, moving.name).live is not None)
