"""What a group has used, by controller. A controller that is not enabled for the group is None.

Source: Documentation/admin-guide/cgroup-v2.rst. All numbers include the groups below.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from zonectl.cgroups import files


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuStats:
    """cpu.stat; there without the controller too, save for the periods of cpu.max (None then)."""

    usage_us: int
    user_us: int
    system_us: int
    nr_periods: int | None
    nr_throttled: int | None
    throttled_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEvents:
    """memory.events: how often each boundary was met; `oom_kill` counts processes killed."""

    low: int
    high: int
    max: int
    oom: int
    oom_kill: int
    oom_group_kill: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """memory.current, memory.peak (5.19) and the chief lines of memory.stat, in bytes; None where the kernel has none.

    `max_bytes` is None without a limit.
    """

    current_bytes: int
    peak_bytes: int | None
    max_bytes: int | None
    swap_bytes: int | None
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int
    kernel_bytes: int | None
    slab_bytes: int
    sock_bytes: int
    page_faults: int
    major_faults: int
    events: MemoryEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class IoStats:
    """One device's line of io.stat: bytes and operations, read, written and discarded."""

    device: str
    read_bytes: int
    write_bytes: int
    discard_bytes: int
    reads: int
    writes: int
    discards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PidsStats:
    """pids.current and, where the kernel has it, pids.peak (6.4); `refused` is how many forks failed at pids.max."""

    current: int
    peak: int | None
    max: int | None
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HugetlbStats:
    """Huge pages of one size, in bytes; `refused` is how often the limit of use was met."""

    page_size: str
    current_bytes: int
    reserved_bytes: int | None
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStats:
    """All of it. `groups` is how many groups there are below."""

    populated: bool
    frozen: bool
    groups: int
    cpu: CpuStats | None
    memory: MemoryStats | None
    io: tuple[IoStats, ...] | None
    pids: PidsStats | None
    hugetlb: tuple[HugetlbStats, ...] | None


def read(directory: str) -> GroupStats:
    """What the files of the group at `directory` say; one that is not there has used nothing.

    Raises:
        SyscallError: a file cannot be read.

    """
    state = files.table(files.read(f"{directory}/cgroup.events") or "")
    made = files.table(files.read(f"{directory}/cgroup.stat") or "")
    return GroupStats(
        populated=state.get("populated") == 1,
        frozen=state.get("frozen") == 1,
        groups=made.get("nr_descendants", 0),
        cpu=_cpu(directory),
        memory=_memory(directory),
        io=_io(directory),
        pids=_pids(directory),
        hugetlb=_hugetlb(directory),
    )


def _cpu(directory: str) -> CpuStats | None:
    text = files.read(f"{directory}/cpu.stat")
    if text is None:
        return None
    found = files.table(text)
    return CpuStats(
        usage_us=found.get("usage_usec", 0),
        user_us=found.get("user_usec", 0),
        system_us=found.get("system_usec", 0),
        nr_periods=found.get("nr_periods"),
        nr_throttled=found.get("nr_throttled"),
        throttled_us=found.get("throttled_usec"),
    )


def _memory(directory: str) -> MemoryStats | None:
    current = files.number(files.read(f"{directory}/memory.current"))
    if current is None:
        return None
    found = files.table(files.read(f"{directory}/memory.stat") or "")
    met = files.table(files.read(f"{directory}/memory.events") or "")
    names = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")
    return MemoryStats(
        current_bytes=current,
        peak_bytes=files.number(files.read(f"{directory}/memory.peak")),
        max_bytes=files.number(files.read(f"{directory}/memory.max")),
        swap_bytes=files.number(files.read(f"{directory}/memory.swap.current")),
        anon_bytes=found.get("anon", 0),
        file_bytes=found.get("file", 0),
        shmem_bytes=found.get("shmem", 0),
        kernel_bytes=found.get("kernel"),
        slab_bytes=found.get("slab", 0),
        sock_bytes=found.get("sock", 0),
        page_faults=found.get("pgfault", 0),
        major_faults=found.get("pgmajfault", 0),
        events=MemoryEvents(**{name: met.get(name, 0) for name in names}),
    )


def _io(directory: str) -> tuple[IoStats, ...] | None:
    text = files.read(f"{directory}/io.stat")
    return None if text is None else parse_io(text)


def parse_io(text: str) -> tuple[IoStats, ...]:
    """The devices of io.stat, a line each: `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, and more keys."""
    found = []
    for line in text.splitlines():
        device, *pairs = line.split()
        counts = {
            name: int(value) for name, _, value in (p.partition("=") for p in pairs) if value.isdecimal()
        }
        found.append(
            IoStats(
                device=device,
                read_bytes=counts.get("rbytes", 0),
                write_bytes=counts.get("wbytes", 0),
                discard_bytes=counts.get("dbytes", 0),
                reads=counts.get("rios", 0),
                writes=counts.get("wios", 0),
                discards=counts.get("dios", 0),
            )
        )
    return tuple(found)


def _pids(directory: str) -> PidsStats | None:
    current = files.number(files.read(f"{directory}/pids.current"))
    if current is None:
        return None
    return PidsStats(
        current=current,
        peak=files.number(files.read(f"{directory}/pids.peak")),
        max=files.number(files.read(f"{directory}/pids.max")),
        refused=files.table(files.read(f"{directory}/pids.events") or "").get("max", 0),
    )


def _hugetlb(directory: str) -> tuple[HugetlbStats, ...] | None:
    listed: list[str] = []
    with suppress(FileNotFoundError):
        listed = os.listdir(directory)
    names = (name.split(".") for name in listed if name.startswith("hugetlb."))
    sizes = sorted({name[1] for name in names})
    return tuple(_pages(directory, size) for size in sizes) or None


def _pages(directory: str, size: str) -> HugetlbStats:
    stem = f"{directory}/hugetlb.{size}"
    return HugetlbStats(
        page_size=size,
        current_bytes=files.number(files.read(f"{stem}.current")) or 0,
        reserved_bytes=files.number(files.read(f"{stem}.rsvd.current")),
        refused=files.table(files.read(f"{stem}.events") or "").get("max", 0),
    )
