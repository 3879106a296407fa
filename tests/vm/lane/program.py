"""The host's programs that the lane calls: found where root has them, quiet unless they fail."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.vm.lane.errors import LaneError, MissingProgram

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# A caller's PATH may lack the folders of the system's own programs.
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def find(program: str, package: str) -> str:
    """The path of a program; raises MissingProgram with the Debian package that has it."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if path is None:
        raise MissingProgram(program, package)
    return path


def run(argv: Sequence[str], *, cwd: Path | None = None, pass_fds: Sequence[int] = ()) -> str:
    """Run a program without input; return what it wrote, or raise LaneError with it."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        pass_fds=pass_fds,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise LaneError(f"{shlex.join(argv)}: status {done.returncode}\n{done.stdout.rstrip()}")
    return done.stdout
