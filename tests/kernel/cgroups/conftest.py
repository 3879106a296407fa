from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = itertools.count()


@pytest.fixture
def groups() -> Iterator[Ground]:
    """A subtree of the test's own, without controllers."""
    with ground(f"zonectl-test-{os.getpid()}-{next(_NUMBERS)}") as own:
        yield own


@pytest.fixture
def huge_groups() -> Iterator[Ground]:
    """A subtree of the test's own that has the controller of huge pages."""
    with ground(f"zonectl-test-{os.getpid()}-{next(_NUMBERS)}", controllers=("hugetlb",)) as own:
        yield own
