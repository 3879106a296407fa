"""What is kept about a zone: the durable record, and the note of its running init."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.model.ids import IdRange
    from zonectl.model.names import ZoneId, ZoneName

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRecord:
    """`record.json`, written by create and outliving reboots.

    `installed` is False between the first and the last write of a create or delete (state incomplete). `address` is
    the leased or fixed address with prefix, `gateway` the bridge's; `layers` the folders below the root, topmost
    first, absolute; `created_at` seconds since the epoch; `warnings` what resources.required = false let pass.
    """

    id: ZoneId
    name: ZoneName
    installed: bool
    created_at: float
    ids: IdRange | None
    address: str | None
    gateway: str | None
    layers: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    ephemeral: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNote:
    """`live.json` in the run root: which process is init, verified by pid, start time and boot id before any use.

    `start_ticks` is field 22 of /proc/PID/stat; `started_at` seconds since the epoch. `writable`: an immutable root was
    left writable for this once.
    """

    pid: int
    start_ticks: int
    boot_id: str
    started_at: float
    parked: bool = False
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExit:
    """`last.json`: how the zone's init ended last.

    `status` is the exit status, `signal` the number of the signal that ended it (one of both is None, or both when
    nobody could see the end); `oom_kills` how many processes the kernel killed for memory. If it killed any,
    `memory_max_bytes` is what the zone could have (None without a limit of its own), and `memory_peak_bytes` the most
    that it had (None before Linux 5.19).
    """

    ended_at: float
    status: int | None
    signal: int | None
    oom_kills: int = 0
    memory_max_bytes: int | None = None
    memory_peak_bytes: int | None = None
    by_user: bool = False
