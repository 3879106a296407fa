"""Kernel modules: which files to load, in which order, and the device nodes that load one on demand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tests.vm.lane.errors import LaneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticNode:
    """A device node whose opening makes the kernel load its module."""

    path: str  # below /dev
    kind: str  # c or b, as mknod has it
    major: int
    minor: int


def load_order(dep: str, builtin: str, wanted: Iterable[str]) -> list[str]:
    """Paths of the wanted modules and of what they need, each after its needs.

    dep and builtin are the texts of modules.dep and modules.builtin (depmod(8), kbuild). Raises LaneError
    for a module that this kernel neither has nor contains.
    """
    needs = dict(_needs(dep))
    contained = {_name(line) for line in builtin.splitlines()}
    order: dict[str, None] = {}
    for name in wanted:
        if name in needs:
            order |= dict.fromkeys(needs[name])
        elif name not in contained:
            raise LaneError(f"the kernel has no module {name}")
    return list(order)


def static_nodes(devname: str) -> list[StaticNode]:
    """The nodes that modules.devname lists: lines of `MODULE PATH TYPEMAJOR:MINOR` (depmod(8))."""
    lines = (line.split() for line in devname.splitlines() if not line.startswith("#"))
    return [_node(path, numbers) for _, path, numbers in lines]


def _node(path: str, numbers: str) -> StaticNode:
    major, minor = numbers[1:].split(":")
    return StaticNode(path=path, kind=numbers[0], major=int(major), minor=int(minor))


def _needs(dep: str) -> Iterator[tuple[str, list[str]]]:
    for line in dep.splitlines():
        path, _, others = line.partition(":")
        # A line has all that the module needs, whatever the depth, and what must be loaded first comes last.
        yield _name(path), [*reversed(others.split()), path]


def _name(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0].replace("-", "_")
