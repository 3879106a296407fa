"""The keys of `[budget]`: what isolation may cost, for `zonectl bench --check`."""

from __future__ import annotations

from typing import Final

from zonectl.config.kinds import Text
from zonectl.config.quantities import Percent, Period
from zonectl.config.tables import Field, MapOf, Table
from zonectl.model.config import BudgetConfig

GROUPS: Final = {
    "cpu": "cpu",
    "memory": "memory",
    "syscalls": "system calls",
    "processes": "processes",
    "files": "files",
    "network": "network",
    "composite": "composite",
}
"""The groups of workloads that can have a budget, by their keys."""
VERBS: Final = ("create", "start", "run", "exec", "stop", "delete")
"""The verbs that can."""

SHARE: Final = Percent()
TIME: Final = Period(least_us=1000, most_us=600_000_000)
_WORKLOAD: Final = Text(
    "the name of a workload",
    "[a-z][a-z0-9-]{0,39}",
    "small letters, digits and hyphens, as `bench list` has it",
)
_NONE: Final = "no budget"

BUDGET: Final = Table(
    BudgetConfig,
    (
        *(
            Field(
                key=key,
                name=f"{key}_percent",
                kind=SHARE,
                text=f"What each workload of the group `{group}` may take more than on bare metal.",
                example='"3%"',
                absent=_NONE,
            )
            for key, group in GROUPS.items()
        ),
        Field(
            key="workload",
            name="workload_percent",
            kind=MapOf(_WORKLOAD, SHARE),
            text="What single workloads may take more than on bare metal, whatever their group may.",
            example='{ getpid = "40%" }',
        ),
        *(
            Field(
                key=verb,
                name=f"{verb}_us",
                kind=TIME,
                text=f"How long `{verb}` may take.",
                example='"50ms"',
                absent=_NONE,
            )
            for verb in VERBS
        ),
    ),
)
