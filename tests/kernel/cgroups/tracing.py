"""Which changing calls on cgroupfs steps make, as strace(1) sees them."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.kernel.cgroups.groups import Ground
    from zonectl.cgroups.steps.kinds import CgroupStep

_CHANGING = "trace=write,pwrite64,writev,/^(mkdir|rmdir|unlink|rename|f?l?chown|f?chmod|mount|mknod|truncate|setxattr)"
_CHILD = """
import pickle, sys
from zonectl.cgroups.tree import Tree
tree, made = pickle.load(sys.stdin.buffer)
for step in made:
    tree.apply(step)
"""


def planned(made: Iterable[CgroupStep]) -> list[tuple[str, str, str]]:
    """What the steps say that they call: name, target, detail."""
    return [(call.name, call.target, call.detail) for step in made for call in step.calls]


def traced(made: Iterable[CgroupStep], groups: Ground, trace: Path) -> list[tuple[str, str, str]]:
    """What a process of its own calls that does the steps."""
    argv = [
        "strace",
        "-f",
        "-y",
        "-s",
        "200",
        "-o",
        str(trace),
        "-e",
        _CHANGING,
        sys.executable,
        "-c",
        _CHILD,
    ]
    root = Path(__file__).parents[3]
    data = pickle.dumps((groups.tree, tuple(made)))
    env = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run(argv, input=data, check=True, env=env, cwd=root)
    lines = trace.read_text().splitlines()
    return [seen for line in lines if (seen := _parsed(line, str(groups.facts.mount)))]


def _parsed(line: str, mount: str) -> tuple[str, str, str] | None:
    below = re.escape(mount) + "/"
    if found := re.search(rf'write\(\d+<({below}[^>]*)>, "([^"]*)"', line):
        return ("write", found[1], found[2])
    if found := re.search(rf'mkdir\("({below}[^"]*)", (\d+)\)', line):
        return ("mkdir", found[1], found[2])
    if found := re.search(rf'chown\("({below}[^"]*)", (\d+), (\d+)\)', line):
        return ("chown", found[1], f"{found[2]}:{found[3]}")
    return ("unexpected", line, "") if below in line else None
