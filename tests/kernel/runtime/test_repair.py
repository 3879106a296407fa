"""What somebody takes away from a running zone: it is seen, and put back without an end to the zone's processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, World
from tests.patience import eventually
from zonectl.errors import StateError, ZonectlError
from zonectl.kernel import proc
from zonectl.model.instance import link_name
from zonectl.runtime.health import Checkup
from zonectl.runtime.repair import repair
from zonectl.runtime.status import status

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.record import ZoneRecord

pytestmark = pytest.mark.requires(*REQUIRED, "veth", "bridge", "nft")


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def _flush(world: World, _record: ZoneRecord) -> None:
    for family in ("inet", "bridge"):
        _run("nft", "delete", "table", family, world.context.instance.table)


def _alter(world: World, _record: ZoneRecord) -> None:
    _run("nft", "flush", "chain", "bridge", world.context.instance.table, "pin_ipv4")


def _take_off(_world: World, record: ZoneRecord) -> None:
    _run("ip", "link", "set", link_name(record.id), "nomaster")


def _cut(_world: World, record: ZoneRecord) -> None:
    _run("ip", "link", "del", link_name(record.id))


def _demolish(world: World, _record: ZoneRecord) -> None:
    _run("ip", "link", "del", world.bridge)


def _demolish_and_flush(world: World, record: ZoneRecord) -> None:
    _demolish(world, record)
    _flush(world, record)


HARM: dict[str, tuple[Callable[[World, ZoneRecord], None], str]] = {
    "flushed firewall": (_flush, "firewall rules are gone"),
    "altered firewall": (_alter, "firewall rules are gone or altered"),
    "link on no bridge": (_take_off, "link is on no bridge"),
    "deleted link": (_cut, "link is gone"),
    "deleted bridge": (_demolish, "link is on no bridge"),
    "all of it": (_demolish_and_flush, "link is on no bridge"),
}


def _ailments(world: World) -> tuple[str, ...]:
    return Checkup(world.context).ailments(status(world.context, "web"))


def _reaches_its_gateway(world: World, record: ZoneRecord) -> bool:
    return world.execute("ping", "-c", "1", "-W", "2", str(record.gateway)).exit_status.code == 0


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(
            "flushed firewall",
            marks=pytest.mark.fault(
                "the firewall tables of a running zone are deleted",
                "`degraded: its firewall rules are gone or altered`; repair puts them back, init lives on",
            ),
        ),
        pytest.param(
            "altered firewall",
            marks=pytest.mark.fault(
                "a chain of the firewall is flushed",
                "`degraded: its firewall rules are gone or altered`; repair puts it back",
            ),
        ),
        pytest.param(
            "link on no bridge",
            marks=pytest.mark.fault(
                "a zone's link is taken off its bridge",
                "`degraded: its link is on no bridge`; repair puts it back",
            ),
        ),
        pytest.param(
            "deleted link",
            marks=pytest.mark.fault(
                "a running zone's link is deleted",
                "`degraded: its link is gone`; repair makes it anew, with the same address",
            ),
        ),
        pytest.param(
            "deleted bridge",
            marks=pytest.mark.fault(
                "the bridge is deleted below a running zone",
                "`degraded: its link is on no bridge`; repair makes bridge and port anew",
            ),
        ),
        pytest.param(
            "all of it",
            marks=pytest.mark.fault(
                "bridge and firewall are deleted at once", "`degraded`; one repair puts all of it back"
            ),
        ),
    ],
)
def test_a_connection_is_put_back(world: World, what: str) -> None:
    harm, words = HARM[what]
    record = world.started(net=True)
    init = world.live()
    assert _ailments(world) == ()
    assert repair(world.context, "web") == ()
    assert _reaches_its_gateway(world, record)
    harm(world, record)
    (seen,) = _ailments(world)
    assert words in seen
    assert repair(world.context, "web") == (seen,)
    assert _ailments(world) == ()
    assert _reaches_its_gateway(world, record)
    assert world.live() == init
    assert repair(world.context, "web") == ()


def test_a_repaired_port_is_guarded_as_before(world: World) -> None:
    record = world.started(net=True)
    shown = ("bridge", "-d", "link", "show", "dev", link_name(record.id))
    before = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split()
    _demolish(world, record)
    repair(world.context, "web")
    after = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split()
    assert "locked" in after
    # Its place among the bridge's ports may be another one.
    assert [word for word in after if ":" not in word] == [word for word in before if ":" not in word]


@pytest.mark.fault(
    "a running zone is moved out of its control group, then the group removed",
    "`degraded` with the words; repair makes it anew, and init lives on",
)
def test_a_control_group_is_made_again(world: World) -> None:
    record = world.started("/bin/sh", "-c", "sleep 1000 & wait")
    group, mount = world.group(record), world.context.facts.cgroup.mount
    elsewhere = Path(mount or "", f"zonectl-test-{world.number}")
    elsewhere.mkdir()
    try:
        assert eventually(lambda: bool(proc.descendants(world.live().pid)))
        pids = (world.live().pid, *proc.descendants(world.live().pid))
        for pid in pids:
            (elsewhere / "cgroup.procs").write_text(f"{pid}\n")
        (seen,) = _ailments(world)
        assert f"another control group, /{elsewhere.name}" in seen
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()
        assert _ailments(world) == ("its control group is gone",)
        assert repair(world.context, "web") == ("its control group is gone",)
        assert _ailments(world) == ()
        assert set(pids) <= {int(pid) for pid in (group / "payload/cgroup.procs").read_text().split()}
    finally:
        world.stop()
        os.rmdir(elsewhere)


@pytest.mark.fault(
    "the bridge of a running zone is replaced by somebody else's",
    "repair refuses and says why; it works once theirs is gone",
)
def test_what_cannot_be_put_back_is_said(world: World) -> None:
    record = world.started(net=True)
    _demolish(world, record)
    _run("ip", "link", "add", world.bridge, "type", "bridge")
    try:
        with pytest.raises(ZonectlError, match="not one that zonectl made"):
            repair(world.context, "web")
    finally:
        _run("ip", "link", "del", world.bridge)
    assert repair(world.context, "web")


def test_a_zone_that_does_not_run_needs_none(world: World) -> None:
    world.create()
    with pytest.raises(StateError) as refused:
        repair(world.context, "web")
    assert refused.value.hint == "zonectl start web"
