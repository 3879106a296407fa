"""One instance for all probes, and the table of what became of them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.instance import REPOSITORY, Zonectl
from tests.hostile import report
from tests.hostile.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDS = ("root", "cgroup2", "overlay", "bridge", "veth", "nft", "userns", "namespace:time",
         "program:busybox", "program:gcc", "program:unshare")  # fmt: skip
RECORD = REPOSITORY / "build" / "hostile.json"
_RESULTS = pytest.StashKey[dict[str, dict[str, str]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What every test of this folder needs."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.requires(*NEEDS))


def pytest_configure(config: pytest.Config) -> None:
    """Keep the results where the summary finds them."""
    config.stash[_RESULTS] = {}


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """What all probes share; at the end the host is as it was."""
    folder = tmp_path_factory.mktemp("hostile")
    z = Zonectl(folder)
    z.root.mkdir(mode=0o700)
    with ExitStack() as held:
        held.callback(z.clear)
        yield Scene(z=z, folder=folder, held=held)
    z.host.check()
    assert not z.complaints(), z.complaints()


@pytest.fixture
def results(request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    """What has become of the probes, by name and arm."""
    return request.config.stash[_RESULTS]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of probes and arms, and record what has been tried."""
    results = config.stash.get(_RESULTS, {})
    if not results:
        return
    terminalreporter.section("hostile probes")
    for line in report.table(results):
        terminalreporter.write_line(line)
    RECORD.parent.mkdir(exist_ok=True)
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    RECORD.write_text(json.dumps(known | results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
