"""The keys of `[resources]`."""

from __future__ import annotations

from zonectl.config.kinds import Boolean, Number, Whole
from zonectl.config.paths import ZonePath
from zonectl.config.quantities import Period, Size
from zonectl.config.tables import AtLeastOne, Field, MapOf, Table, Tables
from zonectl.config.texts import CPU_LIST, MOST_CPUS, PAGE_SIZE
from zonectl.model.config import IoLimit, ResourcesConfig

LEAST_MEMORY = 1024 * 1024
"""Below it, execve(2) of the smallest static program fails or is killed."""

_WEIGHT = Whole(1, 10_000)
_MOST_PIDS = 4_194_304  # PID_MAX_LIMIT, linux/threads.h
_MOST_IOPS = 2**32 - 2  # riops and wiops are 32 bits wide, all ones is no limit (block/blk-throttle.c)
_NO_LIMIT = "no limit"

_IO = Table(
    IoLimit,
    (
        Field(key="device", kind=ZonePath(), text="The block device.", example='"/dev/vda"', required=True),
        *(
            Field(
                key=f"{verb}_bps",
                kind=Size(1),
                text=f"Bytes a second that may be {past} (`io.max`).",
                example='"50MB"',
                absent=_NO_LIMIT,
            )
            for verb, past in (("read", "read"), ("write", "written"))
        ),
        *(
            Field(
                key=f"{verb}_iops",
                kind=Whole(1, _MOST_IOPS),
                text=f"{verb.capitalize()} operations a second (`io.max`).",
                example="2000",
                absent=_NO_LIMIT,
            )
            for verb in ("read", "write")
        ),
        Field(
            key="weight",
            kind=_WEIGHT,
            text="Share of this device when it is busy (`io.weight`).",
            example="200",
            absent="100",
        ),
    ),
    (AtLeastOne(("read_bps", "write_bps", "read_iops", "write_iops", "weight")),),
)

RESOURCES = Table(
    ResourcesConfig,
    (
        Field(
            key="required",
            kind=Boolean(),
            text="A limit that the host cannot set stops the start; false: it is noted, and the zone starts.",
            example="false",
        ),
        Field(
            key="cpus",
            kind=Number(0.01, MOST_CPUS),
            text="How many processors' time the zone may use (`cpu.max`).",
            example="1.5",
            absent=_NO_LIMIT,
        ),
        Field(
            key="cpu_period",
            name="cpu_period_us",
            kind=Period(least_us=1000, most_us=1_000_000),
            text="The period over which `cpus` is counted (`cpu.max`).",
            example='"50ms"',
        ),
        Field(
            key="cpu_weight",
            kind=_WEIGHT,
            text="Share of the processors when they are busy (`cpu.weight`).",
            example="200",
            absent="100",
        ),
        Field(
            key="cpuset",
            kind=CPU_LIST,
            text="Processors that the zone may run on (`cpuset.cpus`).",
            example='"0-3,6"',
            absent="all",
        ),
        Field(
            key="cpuset_mems",
            kind=CPU_LIST,
            text="Memory nodes that the zone may use (`cpuset.mems`).",
            example='"0"',
            absent="all",
        ),
        Field(
            key="memory",
            name="memory_bytes",
            kind=Size(LEAST_MEMORY),
            text="Memory beyond which the zone's processes are killed (`memory.max`).",
            example='"512MiB"',
            absent=_NO_LIMIT,
        ),
        Field(
            key="memory_high",
            name="memory_high_bytes",
            kind=Size(LEAST_MEMORY),
            text="Memory beyond which the zone is slowed down (`memory.high`).",
            example='"384MiB"',
            absent=_NO_LIMIT,
        ),
        Field(
            key="memory_low",
            name="memory_low_bytes",
            kind=Size(),
            text="Memory that is taken from the zone only when nobody else has any to give (`memory.low`).",
            example='"128MiB"',
            absent="0",
        ),
        Field(
            key="memory_min",
            name="memory_min_bytes",
            kind=Size(),
            text="Memory that is never taken from the zone (`memory.min`).",
            example='"64MiB"',
            absent="0",
        ),
        Field(
            key="swap",
            name="swap_bytes",
            kind=Size(),
            text="Swap that the zone may use besides its memory (`memory.swap.max`).",
            example='"0"',
            absent=_NO_LIMIT,
        ),
        Field(
            key="oom_group",
            kind=Boolean(),
            text="When memory runs out, the whole zone is killed and not one process (`memory.oom.group`).",
            example="true",
        ),
        Field(
            key="pids",
            kind=Whole(1, _MOST_PIDS),
            text="How many processes and threads the zone may have (`pids.max`).",
            example="512",
            absent=_NO_LIMIT,
        ),
        Field(
            key="io_weight",
            kind=_WEIGHT,
            text="Share of all block devices when they are busy (`io.weight`).",
            example="200",
            absent="100",
        ),
        Field(
            key="hugetlb",
            kind=MapOf(PAGE_SIZE, Size()),
            text="Huge pages that the zone may use, by page size (`hugetlb.<size>.max`).",
            example='{ "2MB" = "64MiB" }',
            absent=_NO_LIMIT,
        ),
        Field(key="io", kind=Tables(_IO), text="Limits of single block devices."),
    ),
)
