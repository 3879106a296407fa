"""Resources and facts for properties of control groups."""

from __future__ import annotations

from hypothesis import strategies as st

from zonectl.model.config import IoLimit, ResourcesConfig
from zonectl.model.facts import CgroupFacts, CgroupLayout

CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")

_sizes = st.none() | st.integers(0, 2**40)
_rates = st.none() | st.integers(1, 2**40)
_weights = st.none() | st.integers(1, 10_000)

limits = st.builds(
    IoLimit,
    device=st.just("/dev/vda"),
    read_bps=_rates,
    write_bps=_rates,
    read_iops=_rates,
    write_iops=_rates,
    weight=_weights,
)

resources = st.builds(
    ResourcesConfig,
    required=st.booleans(),
    cpus=st.none() | st.integers(1000, 64_000).map(lambda milli: milli / 1000),
    cpu_period_us=st.integers(1000, 1_000_000),
    cpu_weight=_weights,
    cpuset=st.none() | st.just("0-1"),
    cpuset_mems=st.none() | st.just("0"),
    memory_bytes=_sizes,
    memory_high_bytes=_sizes,
    memory_low_bytes=_sizes,
    memory_min_bytes=_sizes,
    swap_bytes=_sizes,
    oom_group=st.booleans(),
    pids=st.none() | st.integers(1, 4_194_304),
    io_weight=_weights,
    io=st.lists(limits, max_size=1).map(tuple),
    hugetlb=st.dictionaries(st.sampled_from(["2MB", "1GB"]), st.integers(0, 2**40)).map(
        lambda sizes: tuple(sorted(sizes.items()))
    ),
)


def facts_with(controllers: frozenset[str], *, base: str = "", io_weights: bool = True) -> CgroupFacts:
    """A host whose other controllers are bound to version 1, if it has others."""
    others = [name for name in CONTROLLERS if name not in controllers]
    return CgroupFacts(
        layout=CgroupLayout.HYBRID if others else CgroupLayout.UNIFIED,
        mount="/sys/fs/cgroup/unified" if others else "/sys/fs/cgroup",
        base=base,
        controllers=controllers,
        v1=tuple(("blkio" if name == "io" else name, f"/sys/fs/cgroup/{name}") for name in others),
        writable=True,
        io_weights=io_weights,
    )


facts = st.builds(
    facts_with,
    st.sets(st.sampled_from(CONTROLLERS)).map(frozenset),
    base=st.sampled_from(["", "user.slice/delegated"]),
    io_weights=st.booleans(),
)

everything = facts_with(frozenset(CONTROLLERS))
