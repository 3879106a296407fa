"""What can be measured: the catalogue of workloads, each with what it stresses and what it needs.

A workload is something that the probe can be told to do (`asks`), with settings that are the same everywhere
(`settings`) and at most one that depends on where the probe runs (`needs`). So the same work may stand here twice: on
the root, and on a folder that is bound into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zonectl.bench.programs import COMPOSITES, WITNESSES
from zonectl.bench.results import WorkloadFacts
from zonectl.bench.workload import Extent, Need, Workload
from zonectl.config.nearest import nearest
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CATALOGUE", "Extent", "Need", "Workload", "chosen", "named"]


class _Group:
    """Workloads of a group, as they are written down: what the probe does itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def workload(
        self,
        name: str,
        *,
        stresses: str,
        operation: str,
        extent: Extent = Extent.FULL,
        asks: str | None = None,
        needs: Need | None = None,
    ) -> Workload:
        facts = WorkloadFacts(name=name, group=self._name, stresses=stresses, operation=operation)
        return Workload(facts=facts, asks=asks or name, extent=extent, needs=needs, executes=False)

    def pair(
        self, name: str, *, stresses: str, operation: str, extent: Extent = Extent.FULL
    ) -> Iterator[Workload]:
        """On the root's file system, which is part of the extent, and on a folder bound from the host."""
        for suffix, needs, where, when in (
            ("root", Need.ROOT_FOLDER, "on the root", extent),
            ("bind", Need.BIND_FOLDER, "on a bind mount", Extent.FULL),
        ):
            yield self.workload(
                f"{name}-{suffix}",
                stresses=f"{stresses}, {where}",
                operation=operation,
                extent=when,
                asks=name,
                needs=needs,
            )


_CPU: Final = _Group("cpu")
_MEMORY: Final = _Group("memory")
_CALLS: Final = _Group("system calls")
_PROCESSES: Final = _Group("processes")
_FILES: Final = _Group("files")
_NETWORK: Final = _Group("network")

CATALOGUE: Final = (
    _CPU.workload(
        "integer",
        stresses="integer units, branches, the first cache: 64 words drawn, sorted and summed up by CRC-32",
        operation="block of 64 words",
        extent=Extent.QUICK,
    ),
    _CPU.workload(
        "floating",
        stresses="floating point: five bodies that attract each other",
        operation="step of time",
        extent=Extent.QUICK,
    ),
    _CPU.workload(
        "spin",
        stresses="nothing but a processor's clock: a loop that cannot be shortened",
        operation="1000 turns",
        extent=Extent.ASKED,
    ),
    _MEMORY.workload(
        "memory-copy",
        stresses="bandwidth: a block of 64 MiB copied to another, small pages",
        operation="MiB",
        extent=Extent.QUICK,
        asks="copy",
    ),
    _MEMORY.workload(
        "memory-latency",
        stresses="caches and address translation: loads through 64 MiB, each from where the last one says, small pages",
        operation="load",
        extent=Extent.QUICK,
        asks="chase",
    ),
    _MEMORY.workload(
        "page-fault",
        stresses="new memory: anonymous pages touched for the first time, 16 MiB mapped and unmapped at a time",
        operation="page",
        extent=Extent.QUICK,
        asks="fault",
    ),
    _CALLS.workload(
        "getpid",
        stresses="the way into the kernel and back: seccomp, auditing, mitigations",
        operation="call",
        extent=Extent.QUICK,
    ),
    _CALLS.workload(
        "clock",
        stresses="the clock, read without a system call (vDSO): a control that few walls should touch",
        operation="reading",
    ),
    _CALLS.workload(
        "pipe",
        stresses="two small calls on descriptors: a byte written to a pipe and read from it by one process",
        operation="byte there and back",
        extent=Extent.QUICK,
    ),
    *_CALLS.pair(
        "stat",
        stresses="the look-up of a name: fstatat(2) of a file",
        operation="call",
        extent=Extent.QUICK,
    ),
    *_CALLS.pair(
        "open",
        stresses="a file opened for reading, and closed",
        operation="open and close",
        extent=Extent.QUICK,
    ),
    _PROCESSES.workload(
        "exec",
        stresses="fork, execve of a static program, its end",
        operation="process",
        extent=Extent.QUICK,
    ),
    _PROCESSES.workload(
        "fork",
        stresses="fork and the child's end",
        operation="process",
        extent=Extent.QUICK,
    ),
    _PROCESSES.workload(
        "thread",
        stresses="a thread made and joined",
        operation="thread",
        extent=Extent.QUICK,
    ),
    _PROCESSES.workload(
        "switch",
        stresses="two processes that wake each other through pipes, on one processor",
        operation="round trip of two switches",
        extent=Extent.QUICK,
    ),
    *_FILES.pair(
        "create",
        stresses="names: an empty file made, closed and removed",
        operation="file",
        extent=Extent.QUICK,
    ),
    *_FILES.pair(
        "write",
        stresses="a file of 16 MiB written over by MiB; one fsync a sample, so the disk too",
        operation="MiB",
    ),
    *_FILES.pair(
        "read",
        stresses="a file of 16 MiB read by MiB, from the page cache",
        operation="MiB",
    ),
    *_FILES.pair(
        "pread",
        stresses="4 KiB anywhere in a file of 16 MiB, read from the page cache",
        operation="4 KiB",
        extent=Extent.QUICK,
    ),
    *_FILES.pair(
        "pwrite",
        stresses="4 KiB anywhere in a file of 16 MiB, written to the page cache",
        operation="4 KiB",
        extent=Extent.QUICK,
    ),
    *_FILES.pair(
        "sync",
        stresses="4 KiB anywhere in a file of 16 MiB, written and synced by fsync: mostly the disk",
        operation="4 KiB",
    ),
    _NETWORK.workload(
        "tcp",
        stresses="the latency of TCP: a byte to the host's server and back",
        operation="round trip",
        extent=Extent.QUICK,
        needs=Need.SERVER,
    ),
    _NETWORK.workload(
        "tcp-send",
        stresses="the throughput of TCP: data to the host's server, until it has said that all is there",
        operation="MiB",
        extent=Extent.QUICK,
        asks="send",
        needs=Need.SERVER,
    ),
    _NETWORK.workload(
        "tcp-receive",
        stresses="the throughput of TCP the other way: data from the host's server, until all is here",
        operation="MiB",
        extent=Extent.QUICK,
        asks="receive",
        needs=Need.SERVER,
    ),
    _NETWORK.workload(
        "udp",
        stresses="the latency of UDP: a datagram of 8 bytes to the host's server and back",
        operation="round trip",
        needs=Need.SERVER,
    ),
    _NETWORK.workload(
        "connect",
        stresses="connections: one made, greeted by the host's server, and reset",
        operation="connection",
        needs=Need.SERVER,
    ),
    *COMPOSITES,
    *WITNESSES,
)


def named(word: str) -> tuple[Workload, ...]:
    """The workload of that name, or those of the group that a full run has.

    Raises:
        UsageError: there is none.

    """
    exact = tuple(workload for workload in CATALOGUE if workload.facts.name == word)
    group = tuple(
        workload
        for workload in CATALOGUE
        if workload.facts.group == word and workload.extent is not Extent.ASKED
    )
    if not exact and not group:
        meant = nearest(word, _words())
        hint = f"did you mean {meant}?" if meant else "zonectl bench list shows them"
        raise UsageError(f"there is no workload or group of them named {word!r}", hint=hint)
    return exact or group


def is_one(word: str) -> bool:
    """Whether there is a workload or a group of that name."""
    return word in _words()


def chosen(words: Iterable[str], *, extent: Extent) -> tuple[Workload, ...]:
    """What a run measures, in the catalogue's order: what is named; without names, all that its extent has.

    Raises:
        UsageError: a word names nothing.

    """
    wanted = {workload.facts.name for word in words for workload in named(word)}
    if not wanted:
        extents = {Extent.QUICK, extent}
        wanted = {workload.facts.name for workload in CATALOGUE if workload.extent in extents}
    return tuple(workload for workload in CATALOGUE if workload.facts.name in wanted)


def _words() -> list[str]:
    names = [workload.facts.name for workload in CATALOGUE]
    return [*names, *sorted({workload.facts.group for workload in CATALOGUE})]
