"""Run the tests of this folder in the lane, all in one boot: `python -m tests.vm [--stock] [PYTEST ARGUMENT...]`.

An emulated processor takes a quarter of a second to import what takes 15 ms elsewhere: so no plugin is loaded
but the one that ends a test that hangs, nothing is cached, and what is imported has been compiled beforehand.

Without a path among the arguments all tests of this folder run, without tests/conftest.py: it imports hypothesis
for two seconds, and skips a test whose requirement is missing; here that is a failure. Tests of other folders can
be named, too: they run as they do on the host. `--stock` is the lane's option: the distribution's own kernel.
"""

from __future__ import annotations

import compileall
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.vm import debian
from tests.vm.lane import __main__ as lane

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS: Final = "tests/vm"
STOCK: Final = "--stock"
ROOT: Final = Path(__file__).parents[2]
COMPILED: Final = ("zonectl", TESTS)
ENVIRONMENT: Final = ("env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1")
PYTEST_OPTIONS: Final = ("-p", "no:cacheprovider", "-p", "pytest_timeout", "-o", "timeout=600")
OURS_ALONE: Final = ("--confcutdir", TESTS, TESTS)


def main(argv: Sequence[str]) -> int:
    """Run pytest in the lane; return its exit status, or the lane's when it fails."""
    for folder in COMPILED:
        compileall.compile_dir(ROOT / folder, quiet=1)
    debian.make()
    stock = [word for word in argv if word == STOCK]
    return lane.main([*stock, "--", *pytest_command([word for word in argv if word != STOCK])])


def pytest_command(argv: Sequence[str]) -> list[str]:
    """The command that runs in the guest."""
    names_tests = any(Path(argument.partition("::")[0]).exists() for argument in argv)
    tests = argv if names_tests else (*OURS_ALONE, *argv)
    return [*ENVIRONMENT, sys.executable, "-m", "pytest", *PYTEST_OPTIONS, *tests]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
