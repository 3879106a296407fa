"""Every verb explains itself, and the manual says the same."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from zonectl import cli
from zonectl.cli import catalog, parsing, reference, scripts
from zonectl.daemon import verbs as warm

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.conftest import Outcome

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "manual", "commands.md")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with open(PAGE, encoding="utf-8") as stream:
        return stream.read()


@pytest.mark.parametrize("name", catalog.VERBS)
def test_the_manual_has_what_help_prints(run: Callable[..., Outcome], page: str, name: str) -> None:
    outcome = run(name, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out in page, "run tools/generate.py"
    assert reference.section(name) in page, "run tools/generate.py"
    assert run("help", name).out == outcome.out


def test_the_manual_is_current(page: str) -> None:
    assert reference.page() == page, "run tools/generate.py"


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_the_overview(run: Callable[..., Outcome], argv: list[str]) -> None:
    outcome = run(*argv)
    assert (outcome.status, outcome.err) == (0, "")
    for name, verb in catalog.VERBS.items():
        assert re.search(rf"^  {name} +{verb.summary}$", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("name", catalog.VERBS)
def test_every_verb_has_examples_that_can_be_read(name: str) -> None:
    module = catalog.load(name)
    for line in module.EXAMPLES.strip().splitlines():
        words = shlex.split(line.split(" | ")[-1 if line.startswith("tar ") else 0].split(" > ")[0])
        assert words[:2] == ["zonectl", name] or words[0] == "zonectl"
        if "2>&1" not in words:
            options = parsing.parser_of(words[1]).parse_args(words[2:])
            if options.check:
                options.check(options)


def test_help_is_no_wider_than_the_terminal(run: Callable[..., Outcome]) -> None:
    for name in catalog.VERBS:
        lines = run(name, "--help").out.splitlines()
        body = lines[: lines.index("examples:")] if "examples:" in lines else lines
        assert max(map(len, body)) <= 80


def test_version(run: Callable[..., Outcome]) -> None:
    assert re.fullmatch(r"zonectl \d+\.\d+\.\d+.*\n", run("--version").out)


def test_the_client_knows_the_verbs() -> None:
    assert warm.FOREGROUND & catalog.VERBS.keys() == {
        name for name, verb in catalog.VERBS.items() if verb.foreground
    }
    needing_zoned = {"start", "restart", "ready"}
    assert needing_zoned <= warm.CHANGING


@pytest.mark.parametrize(
    "argv",
    [
        ["--root", "/x", "list"],
        ["--debug", "--run=/y", "start", "--all"],
        ["--no-daemon"],
        ["exec", "a", "list"],
    ],
)
def test_the_client_finds_the_same_verb(argv: list[str]) -> None:
    assert (parsing.read(argv).verb or "") == warm.parse(argv, {}, "/").verb


def test_a_cold_list_imports_little() -> None:
    costly = ["pyroute2", "tomlkit", "subprocess", "socket", "zonectl.config", "zonectl.images"]
    code = (
        "import sys; from zonectl.cli import main; main(['--root', '/nonexistent', 'list']);"
        f"print(*set({costly}) & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[1:] == [""]


def test_preload_imports_every_verb() -> None:
    cli.preload()
    assert all(f"zonectl.cli.verbs.{name}" in sys.modules for name in catalog.VERBS)


@pytest.mark.parametrize("shell", sorted(scripts.SCRIPTS))
def test_completion(run: Callable[..., Outcome], shell: str) -> None:
    script = run("completion", shell).out
    assert all(name in script for name in catalog.VERBS)
    assert "zonectl list -cq" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
