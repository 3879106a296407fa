"""The machinery of requirements: unknown names are refused, missing ones skip on a desk and fail in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import requirements

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["no-such-thing", "program", "program:", "root:really", "unknown:nft"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(requirements.UnknownRequirementError, match="unknown requirement"):
        requirements.verify(["root", name])


def test_missing_lists_what_the_host_lacks_in_order() -> None:
    wanted = ["program:sh", "program:no-such-b", "kernel:3.0", "program:no-such-a", "kernel:99.0"]
    assert requirements.missing(wanted) == ["program:no-such-b", "program:no-such-a", "kernel:99.0"]


@pytest.mark.parametrize(
    "name",
    ["br_netfilter", "bridge", "cgroup2", "loop", "nft", "overlay", "pressure", "userns", "veth", "vm"],
)
def test_every_plain_probe_answers(name: str) -> None:
    assert requirements.holds(name) in {True, False}


def run_sample(folder: Path, *, ci: bool) -> subprocess.CompletedProcess[str]:
    """Run a test that needs a missing program, below a conftest that is this tree's."""
    sample = folder / "test_sample.py"
    sample.write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.requires('program:sh')\n"
        "@pytest.fixture\n"
        "def dear():\n    raise SystemExit('a fixture ran before the requirements')\n"
        "@pytest.mark.requires('program:no-such')\n"
        "def test_x(dear):\n    pass\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | (
        {"CI": "1"} if ci else {}
    )
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    argv += ["-c", str(ROOT / "pyproject.toml"), str(sample)]
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_missing_requirement_skips_on_a_desk(tmp_path: Path) -> None:
    done = run_sample(tmp_path, ci=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert "this host lacks: program:no-such\n" in done.stdout


def test_a_missing_requirement_fails_in_ci(tmp_path: Path) -> None:
    done = run_sample(tmp_path, ci=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 error in " in done.stdout
    assert "this host lacks: program:no-such " in done.stdout
