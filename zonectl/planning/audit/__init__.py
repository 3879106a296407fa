"""Whether what the kernel says of a running zone is what its plan says. Pure: findings out of a plan and what was read.

Each module compares one area. A zone's processes may give up what they have and never gain any, so where the kernel
knows an order (capabilities, hard limits) less than declared is fine, and said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.planning.audit import (
    attributes,
    devices,
    filters,
    identity,
    limits,
    masks,
    mounts,
    namespaces,
    network,
    sysctls,
)

if TYPE_CHECKING:
    from zonectl.model.audit import Finding, Observed
    from zonectl.model.config import ZoneConfig
    from zonectl.planning.plan import ZonePlan

UNTOLD = ("session keyring", "securebits")
"""What the kernel tells a process of itself alone: of init's it can only be said that a start sets them."""


def paths(config: ZoneConfig, plan: ZonePlan) -> tuple[str, ...]:
    """The places in the zone's root that `findings` wants to know of."""
    return (*mounts.paths(config, plan), *masks.paths(plan), *devices.paths(plan))


def findings(config: ZoneConfig, plan: ZonePlan, observed: Observed) -> tuple[Finding, ...]:
    """Everything that `plan`, made of `config`, declares, beside what was observed, area by area."""
    return (
        *namespaces.findings(plan, observed),
        *identity.findings(plan, observed),
        *filters.findings(plan, observed),
        *attributes.findings(plan, observed),
        *mounts.findings(config, plan, observed),
        *masks.findings(plan, observed),
        *devices.findings(plan, observed),
        *limits.findings(plan, observed),
        *network.findings(plan, observed),
        *sysctls.findings(plan, observed),
    )
