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
    """Let this process have no capability but `kept` (lower case, without CAP_) once it has executed a program.

    The bounding set alone does not do that: what zonectl's caller left in the inheritable set a program of root's
    would get past it (CVE-2022-24769).

    Raises:
        OSError: a capability cannot be dropped.
        SyscallError: likewise.

    """
    for name in prctl.ALL_CAP_NAMES:
        if name not in kept and getattr(prctl.capbset, name):
            prctl.capbset_drop(getattr(prctl, f"CAP_{name.upper()}"))
    if "checkpoint_restore" not in kept and attributes.in_bounding(CHECKPOINT_RESTORE):
        attributes.drop_bounding(CHECKPOINT_RESTORE)
    attributes.ambient_clear()
    held = attributes.capget()
    attributes.capset(held.effective, held.permitted, 0)
