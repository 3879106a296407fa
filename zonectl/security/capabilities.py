"""Which capabilities a zone's processes can ever have (capabilities(7)).

In a user namespace of its own a zone's root has all of them, over the zone alone. A zone that shares the host's ids
is held to those that do not reach past its namespaces.
"""

from __future__ import annotations

import prctl

from zonectl.kernel import attributes

CHECKPOINT_RESTORE = 40
"""CAP_CHECKPOINT_RESTORE, the one capability that python-prctl 1.8 has no name for."""

SHARED_IDS = frozenset(
    {
        "chown",
        "dac_override",
        "fowner",
        "fsetid",
        "kill",
        "net_bind_service",
        "net_raw",
        "setfcap",
        "setgid",
        "setpcap",
        "setuid",
        "sys_chroot",
    }
)
"""What a zone keeps that shares the host's ids: what programs in a root need, and nothing that changes the host."""


def bound(kept: frozenset[str]) -> None:
    """Drop every capability but `kept` (lower case, without CAP_) from the bounding set, for good.

    Raises:
        OSError: a capability cannot be dropped.

    """
    for name in prctl.ALL_CAP_NAMES:
        if name not in kept and getattr(prctl.capbset, name):
            prctl.capbset_drop(getattr(prctl, f"CAP_{name.upper()}"))
    if "checkpoint_restore" not in kept and attributes.in_bounding(CHECKPOINT_RESTORE):
        attributes.drop_bounding(CHECKPOINT_RESTORE)
