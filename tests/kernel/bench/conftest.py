"""The probe, compiled once."""

from __future__ import annotations

import pytest

from zonectl.bench.probe import build


@pytest.fixture(scope="session")
def probe_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build.probe(str(tmp_path_factory.mktemp("probe")))
