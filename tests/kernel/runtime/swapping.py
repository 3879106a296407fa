"""Another process that exchanges two names all the time, as whoever races a path would."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextmanager
def exchanging(first: Path, second: Path) -> Iterator[None]:
    """Exchange both names (RENAME_EXCHANGE of renameat2(2)), without a pause, for as long as the block lasts."""
    argv = [sys.executable, __file__, str(first), str(second)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as swapping:
        assert swapping.stdout
        assert swapping.stdout.readline() == b"exchanging\n"
        try:
            yield
            assert swapping.poll() is None
        finally:
            swapping.kill()


def main(first: str, second: str) -> None:
    """Until killed, or until a name is gone."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    one, other = os.fsencode(first), os.fsencode(second)
    told = False
    while renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE) == 0:
        if not told:
            sys.stdout.write("exchanging\n")
            sys.stdout.flush()
            told = True


if __name__ == "__main__":
    main(*sys.argv[1:])
