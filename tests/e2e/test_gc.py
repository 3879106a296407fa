"""gc: what has no owner is found by its name, with no state file left, in its own instance only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import instance
from tests.e2e.host import table
from tests.patience import until
from tests.requirements import cgroup2_mount
from zonectl.model.instance import link_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl


@pytest.fixture
def neighbour(tmp_path_factory: pytest.TempPathFactory, busybox: Path) -> Iterator[Zonectl]:
    """Another instance, in which a zone runs."""
    with instance(tmp_path_factory.mktemp("neighbour"), busybox) as other:
        other.define("quiet", "exec sleep 1000000")
        other("start", "quiet")
        yield other


def found(z: Zonectl, *options: str) -> set[tuple[str, str]]:
    """What `gc` names. Without zoned, which tidies up itself when it starts."""
    return {(each["kind"], each["name"]) for each in json.loads(z.cold("gc", "--json", *options).out)}


def kinds(z: Zonectl, *options: str) -> set[str]:
    """The kinds of what `gc` names."""
    return {kind for kind, _ in found(z, *options)}


def group(z: Zonectl, zone_id: str) -> Path:
    """The control group of a zone."""
    mount = cgroup2_mount()
    assert mount is not None
    return Path(mount, f"zonectl-{z.mark}", zone_id)


def kill_zoned(z: Zonectl) -> None:
    """Kill zoned with all its workers and its logger; workers that wait end with it."""
    for process in table():
        if str(z.root) in process.words and "zoned start" in process.words:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def test_nothing_is_found_where_everything_has_an_owner(z: Zonectl) -> None:
    z.define("web")
    z("start", "web")
    z.run("true")
    assert found(z, "--dry-run") == set()
    assert z("gc", "-f").out == ""
    assert z.state("web") == "running"


@pytest.mark.fault(
    "zoned is killed, and both roots are removed below a running zone",
    "gc finds all of it by name and removes it; a neighbour instance runs on",
)
def test_all_goes_by_name_when_no_state_is_left(z: Zonectl, neighbour: Zonectl) -> None:
    z.define("web", "exec sleep 1000000")
    z("start", "web")
    web = z.list()["web"]
    images = z.root / "images"
    kept = z.folder / "images"
    kill_zoned(z)
    images.rename(kept)
    shutil.rmtree(z.root)
    shutil.rmtree(z.run_root)
    z.root.mkdir(mode=0o700)
    kept.rename(images)

    assert group(z, web["id"]).exists()
    seen = found(z, "--dry-run")
    assert ("control group", f"zonectl-{z.mark}/{web['id']}") in seen
    assert ("bridge", z.bridge) in seen
    assert ("nft table", f"zonectl_{z.mark}") in seen
    assert ("routing rules", f"zonectl_{z.mark}") in seen
    assert ("link", link_name(web["id"])) in seen
    assert group(z, web["id"]).exists(), "a dry run removes nothing"

    z.cold("gc", "-f")
    assert not group(z, web["id"]).exists()
    assert web["pid"] not in [process.pid for process in table() if process.namespaces]
    until(lambda: not found(z, "--dry-run"))
    assert neighbour.state("quiet") == "running"
    assert found(neighbour, "--dry-run") == set()
    # z's teardown sees that nothing is left of it on the host.


def test_a_neighbour_instance_is_nobodys_garbage(z: Zonectl, neighbour: Zonectl) -> None:
    before = neighbour.list()["quiet"]
    z.cold("gc", "-f")
    after = neighbour.list()["quiet"]
    assert (after["pid"], after["state"]) == (before["pid"], "running")
    assert neighbour.exec("quiet", "true").code == 0


@pytest.mark.fault(
    "half-written files, a folder and a control group of no zone",
    "gc removes them, and not what a live process is writing",
)
def test_what_a_killed_command_left_goes(z: Zonectl) -> None:
    (z.root / "zones").mkdir(mode=0o700, exist_ok=True)
    (z.run_root / "zones").mkdir(mode=0o700, parents=True, exist_ok=True)
    gone = _dead_pid()
    temporary = z.root / f".tmp-{gone}-0badcafe"
    temporary.write_text("half a ledger", encoding="utf-8")
    alive = z.root / f".tmp-{os.getpid()}-0badcafe"
    alive.write_text("somebody writes this", encoding="utf-8")
    (z.run_root / "zones" / "never-was").mkdir()
    group(z, "0badcafe").mkdir(parents=True)
    assert kinds(z, "--dry-run") == {"temporary file", "folder of no zone", "control group"}
    z.cold("gc", "-f")
    assert not temporary.exists()
    assert alive.exists()
    alive.unlink()
    assert found(z, "--dry-run") == set()


@pytest.mark.fault("the folder of a zone is removed by hand", "gc gives its ids and its address back")
def test_ids_and_addresses_of_no_zone_are_taken_back(z: Zonectl) -> None:
    z.define("web")
    z.define("old")
    shutil.rmtree(z.root / "zones" / "old")
    assert kinds(z, "--dry-run") == {"address", "id range", "folder of no zone"}
    z.cold("gc", "-f")
    assert found(z, "--dry-run") == set()
    z("start", "web")


def test_a_damaged_record_keeps_what_may_be_its_own(z: Zonectl) -> None:
    z.define("web", "exec sleep 1000000")
    z("start", "web")
    web = z.list()["web"]
    record = z.root / "zones" / "web" / "record.json"
    text = record.read_text(encoding="utf-8")
    record.write_text(text[: len(text) // 2], encoding="utf-8")
    z.cold("gc", "-f")
    assert Path(f"/proc/{web['pid']}").exists()
    record.write_text(text, encoding="utf-8")
    assert z.state("web") == "running"


def test_it_asks_before_it_removes(z: Zonectl) -> None:
    z.define("old")
    shutil.rmtree(z.root / "zones" / "old")
    assert "give -f" in z("gc", code=2).err
    assert found(z, "--dry-run")
    z.cold("gc", "-f")


def _dead_pid() -> int:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    return process.pid
