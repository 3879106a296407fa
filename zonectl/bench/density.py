"""What a zone costs when many run: the time of each command, and memory.

Zones that do nothing are created and started, to 1, 2, 5, 10, 20, 50 and so on. At each number the memory of all is
read, and then one more is created, started, executed in and deleted, a few times over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from zonectl.bench.deadline import NEVER, TimeIsUpError
from zonectl.bench.guests import guests
from zonectl.bench.lifecycle import NOTHING
from zonectl.bench.results import DensityPoint, Missing
from zonectl.bench.sampling import Progress
from zonectl.errors import BenchError
from zonectl.kernel import proc
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zonectl.bench.commands import Client
    from zonectl.bench.deadline import Deadline
    from zonectl.bench.guests import Guests
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

NAME: Final = "density"
KERNEL: Final = ("Slab", "KernelStack", "PageTables", "Percpu")
"""Fields of /proc/meminfo, proc_meminfo(5): what is the kernel's own."""

_TIMES: Final = 3
_GROWTH: Final = 2 / 3
"""Of the time that there is: what took so long to make takes some time to delete."""

_SETTLED_S: Final = 0.5
"""What has ended is given back a little later: RCU, and workers that come to rest."""

_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """What came out."""

    points: tuple[DensityPoint, ...]
    missing: tuple[Missing, ...]
    complete: bool


def counts(most: int) -> list[int]:
    """The numbers of zones at which is measured: 1, 2, 5, 10, … and `most` itself."""
    steps = (digit * 10**power for power in range(len(str(most))) for digit in (1, 2, 5))
    return sorted({*(step for step in steps if step < most), most})


def measure(
    context: Context,
    config: ZoneConfig,
    client: Client,
    *,
    most: int,
    time_up: Deadline = NEVER,
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> Dense:
    """Measure up to `most` zones made after `config`. What was measured before Ctrl-C, or before one failed, is there.

    A part of the time until `time_up` is kept back to delete them.

    Raises:
        StoreError: nothing can be written.
        ConfigError: no zone can be made after it.

    """
    with guests(context, config, client) as ours:
        return _Measuring(context, client, ours, most=most, time_up=time_up.share(_GROWTH)).run(tell)


class _Measuring:
    """One run of `measure`; what it knows grows."""

    def __init__(
        self, context: Context, client: Client, ours: Guests, *, most: int, time_up: Deadline = NEVER
    ) -> None:
        self._context = context
        self._client = client
        self._ours = ours
        self._most = most
        self._time_up = time_up
        self._running: list[str] = []

    def run(self, tell: Callable[[Progress], None]) -> Dense:
        points: list[DensityPoint] = []
        missing: tuple[Missing, ...] = ()
        complete = True
        try:
            self._one_more()  # so that zoned runs, and all is warm
            before = _settled_bytes()
            for count in counts(self._most):
                self._grow(count, tell)
                points.append(self._point(before))
        except KeyboardInterrupt:
            complete = False
        except TimeIsUpError:
            missing = (self._missing(f"the time was over when {len(self._running)} ran"),)
        except BenchError as error:
            missing = (self._missing(error.message),)
        return Dense(points=tuple(points), missing=missing, complete=complete)

    def _missing(self, reason: str) -> Missing:
        return Missing(name=f"{NAME} of {self._most}", reason=reason)

    def _grow(self, count: int, tell: Callable[[Progress], None]) -> None:
        while len(self._running) < count:
            number = len(self._running)
            tell(Progress(workload=NAME, done=number / self._most, left_s=None))
            self._time_up.watch()
            name, file = self._ours.announce(f"{number}")
            self._client.time("create", file)
            self._client.time("start", name)
            self._running.append(name)

    def _point(self, before: int) -> DensityPoint:
        zones = len(self._running)
        kernel = max(0, _settled_bytes() - before) / zones  # the rest of the host may have given back more
        user = sum(self._processes_bytes(name) for name in self._running) / zones
        lives = [self._one_more() for _ in range(_TIMES)]
        create, start, exec_, list_ = (median(times) for times in zip(*lives, strict=True))
        return DensityPoint(
            zones=zones,
            create_ns=create,
            start_ns=start,
            exec_ns=exec_,
            list_ns=list_,
            kernel_bytes=kernel,
            user_bytes=user,
        )

    def _one_more(self) -> tuple[int, int, int, int]:
        """Nanoseconds to create, start, execute in, and list one more zone; it is deleted again."""
        self._time_up.watch()
        name, file = self._ours.announce("more")
        run = self._client.time
        taken = (
            run("create", file),
            run("start", name),
            run("exec", name, "--", NOTHING),
            run("list"),
        )
        run("delete", "-f", name)
        return taken

    def _processes_bytes(self, name: str) -> int:
        """The proportional set size of the zone's processes."""
        live = records.load_live(self._context.paths, name)
        if live is None:
            raise BenchError(f"{name} has ended by itself")
        return sum(map(_pss_bytes, (live.pid, *proc.descendants(live.pid))))


def _settled_bytes() -> int:
    """What the kernel holds once what has ended before is given back: what is compared has all been read so."""
    time.sleep(_SETTLED_S)
    return kernel_bytes()


def kernel_bytes() -> int:
    """What the kernel holds for itself, of the whole host."""
    text = proc.read("", "meminfo") or ""
    return sum(kib for field, kib in _sizes(text) if field in KERNEL) * _KIB


def _pss_bytes(pid: int) -> int:
    """0 of a process that has ended."""
    return dict(_sizes(proc.read(pid, "smaps_rollup") or "")).get("Pss", 0) * _KIB


def _sizes(text: str) -> Iterator[tuple[str, int]]:
    """The lines of the form `Field:  123 kB`."""
    for line in text.splitlines():
        field, _, rest = line.partition(":")
        match rest.split():
            case [number, "kB"] if number.isdigit():
                yield field, int(number)
