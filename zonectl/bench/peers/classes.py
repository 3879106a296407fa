"""The kinds of virtualization that textbooks tell apart, and what is claimed of each.

The loss of 1 to 3 % is what is usually said of virtualization on the level of the operating system (containers, jails,
zones), as an average over workloads and without a method. For the other classes no figure is claimed that would hold
for processors with support for virtualization; so none is given.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A kind of virtualization."""

    title: str
    claimed: str | None


EMULATION = Class(title="hardware emulation", claimed=None)
HARDWARE = Class(title="hardware virtualization", claimed=None)
MODIFIED_KERNEL = Class(title="modified guest kernel", claimed=None)
OPERATING_SYSTEM = Class(title="operating system", claimed="1..3 %")
