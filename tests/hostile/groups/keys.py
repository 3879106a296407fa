"""The keys of the zone file that take a protection away."""

from __future__ import annotations

NO_FILTER = "security.seccomp=off"
ALL_CAPABILITIES = 'security.capabilities=["all"]'
HOST_IDS = "namespaces.user=host"
NESTING = "security.nesting=true"
UNMASKED = 'security.unmask=["all"]'
ANY_DEVICE = "security.devices=unfiltered"
HOST_NET = "network.mode=host"
"""Only in the zone file as it is: what else it says of the network would mean nothing."""

POWERFUL = (HOST_IDS, ALL_CAPABILITIES, NO_FILTER)
"""Root of the zone is root of the host: neither ids nor capabilities nor the filter stand in its way."""
