"""What every test gets: the marker of its folder, its requirements checked, hypothesis's profile."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from tests import requirements

TESTS = Path(__file__).parent
FOLDERS = frozenset({"unit", "kernel", "e2e", "hostile", "vm"})

# No deadline anywhere: a busy machine is not a bug. In CI the same examples each time: a failure is a change's.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
# One database a user: what `make test-kernel` writes as root would be in the way of `make check`.
hypothesis.settings.register_profile(
    "desk",
    deadline=None,
    database=DirectoryBasedExampleDatabase(TESTS.parent / "build" / f"hypothesis-{os.geteuid()}"),
)
hypothesis.settings.load_profile("ci" if requirements.IN_CI else "desk")


def required(item: pytest.Item) -> tuple[str, ...]:
    """What the test, its class and its module ask for, outermost first, each once."""
    names = [name for marker in item.iter_markers("requires") for name in reversed(marker.args)]
    return tuple(dict.fromkeys(reversed(names)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, so that `-m "not e2e"` works, and refuse requirements that no probe knows."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in FOLDERS:
            item.add_marker(folder)
        try:
            requirements.verify(required(item))
        except requirements.UnknownRequirementError as error:
            msg = f"{item.nodeid}: {error}"
            raise pytest.UsageError(msg) from error


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: skip on a desk, fail in CI."""
    requirements.demand(required(item))
