"""The keys of `[limits]` and `[process]`."""

from __future__ import annotations

import re
from typing import NamedTuple

from zonectl.config.kinds import Choice, Refused, Schema, Whole, shown, toml_type, visible
from zonectl.config.quantities import FileMode
from zonectl.config.tables import Field, Table
from zonectl.config.texts import CPU_LIST
from zonectl.model.config import LimitsConfig, ProcessConfig, Scheduler
from zonectl.model.limits import BYTES, DEFAULTS, NAMES, UNLIMITED, Limit
from zonectl.model.units import format_size, parse_size

_MOST = 2**63 - 1
_COUNT = r"[0-9]{1,19}"
_SIZE = r"[0-9]{1,19}(\.[0-9]{1,9})? ?(B|[kKMGTP]B|[KMGTP]iB)?"


class ResourceLimit(NamedTuple):
    """A soft and a hard limit, `"1024:4096"`; a single one is both. With `size` it counts bytes, and takes units."""

    size: bool = False

    @property
    def label(self) -> str:
        """What stands on either side of the colon."""
        return f"`soft:hard` or both in one, each {'a size' if self.size else 'a number'} or `unlimited`"

    def read(self, value: object) -> object:
        """Both."""
        match value:
            case int() if not isinstance(value, bool):
                return Limit(self._within(value), value)
            case str():
                soft, colon, hard = visible(value).partition(":")
                limit = Limit(self._part(soft, value), self._part(hard if colon else soft, value))
            case _:
                raise Refused(f'must be a limit such as "1024:4096", not {toml_type(value)}')
        if limit.soft > limit.hard:
            raise Refused(f"{shown(value)}: the soft limit is above the hard one")
        return limit

    def _part(self, text: str, whole: str) -> int:
        if text == "unlimited":
            return UNLIMITED
        if not re.fullmatch(_SIZE if self.size else _COUNT, text):
            raise Refused(f"{shown(whole)} is not a limit: {self.label}".replace("`", ""))
        return self._within(parse_size(text) if self.size else int(text))

    def _within(self, number: int) -> int:
        if not 0 <= number <= _MOST:
            raise Refused(f"must be from 0 to {_MOST}, or unlimited, not {number}")
        return number

    def text(self, limit: Limit) -> str:
        """As it is read."""
        parts = [self._part_text(part) for part in dict.fromkeys(limit)]
        return ":".join(parts)

    def _part_text(self, part: int) -> str:
        if part == UNLIMITED:
            return "unlimited"
        return format_size(part) if self.size else str(part)

    def schema(self) -> Schema:
        """A number, or a text."""
        part = rf"(unlimited|{_SIZE if self.size else _COUNT})"
        number = {"type": "integer", "minimum": 0, "maximum": _MOST}
        return {"anyOf": [{"type": "string", "pattern": f"^{part}(:{part})?$"}, number]}


class Umask(FileMode):
    """The bits that no new file of the zone has, in octal. Read to an integer."""

    __slots__ = ()
    label = "three octal digits, or four of which the first is 0"

    def read(self, value: object) -> object:
        """The bits."""
        mode = super().read(value)
        if isinstance(mode, int) and mode > 0o777:  # noqa: PLR2004 - rwxrwxrwx
            raise Refused(f"must be at most 0777, not {value}: a umask has no set-ID and sticky bits")
        return mode

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": "^0?[0-7]{3}$"}


_MEANINGS = {
    "cpu": "Processor time in seconds, after which SIGXCPU comes, and SIGKILL at the hard limit.",
    "fsize": "The size that a file can be written to.",
    "data": "Memory of data: heap and private writable mappings.",
    "stack": "The stack of the first thread; a quarter of it bounds arguments and environment.",
    "core": "The size of a core dump. 1 means none at all; 0 still reaches a handler of the host's (core(5)).",
    "rss": "Nothing, since Linux 2.4.30.",
    "nproc": "Processes of the user.",
    "nofile": "Descriptors, one more than the highest.",
    "memlock": "Memory that is locked.",
    "as": "Address space.",
    "locks": "Nothing, since Linux 2.4.25.",
    "sigpending": "Signals that are queued for the user.",
    "msgqueue": "POSIX message queues of the user.",
    "nice": "How far nice can be lowered: to 20 less this number.",
    "rtprio": "The priority that real-time scheduling can ask for.",
    "rttime": "Processor time in microseconds that real-time scheduling takes without waiting.",
}


def _default(name: str) -> str:
    limit = DEFAULTS[name]
    return f'`"{ResourceLimit(name in BYTES).text(limit)}"`, or what zonectl has of it'


LIMITS = Table(
    LimitsConfig,
    tuple(
        Field(
            key=name,
            name=f"{name}_",
            kind=ResourceLimit(name in BYTES),
            text=_MEANINGS[name],
            example='"512MiB"' if name in BYTES else '"1024:4096"',
            absent=_default(name),
        )
        for name in NAMES
    ),
)

PROCESS = Table(
    ProcessConfig,
    (
        Field(
            key="umask",
            kind=Umask(),
            text="The permissions that new files do not get.",
            example='"0027"',
        ),
        Field(
            key="nice",
            kind=Whole(-20, 19),
            text="The niceness that processes start with (nice(2)).",
            example="5",
            absent="0",
        ),
        Field(
            key="oom_score_adj",
            kind=Whole(-1000, 1000),
            text="What the kernel adds when it looks for the process to kill (proc_pid_oom_score_adj(5)).",
            example="500",
            absent="0",
        ),
        Field(
            key="affinity",
            kind=CPU_LIST,
            text="The processors that processes start on, and may change (`cpuset` of `[resources]` cannot be).",
            example='"0-1"',
            absent="all",
        ),
        Field(
            key="scheduler",
            kind=Choice(tuple((scheduler.value, scheduler) for scheduler in Scheduler)),
            text="The scheduling policy (sched(7)); `inherit`: that of whoever started zoned, for measurements.",
            example='"batch"',
        ),
    ),
)
