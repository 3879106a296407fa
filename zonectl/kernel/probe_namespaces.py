"""Trials of namespaces and of user and group ids; namespaces(7), user_namespaces(7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from zonectl.kernel import idmap, process, trial
from zonectl.model.facts import Probe
from zonectl.model.ids import IdRange

if TYPE_CHECKING:
    from zonectl.model.facts import HostFacts

FIRST_ID: Final = 1_000_000_000
"""The first id that zones get."""

KINDS: Final = {
    "user": process.CLONE_NEWUSER,
    "mnt": process.CLONE_NEWNS,
    "pid": process.CLONE_NEWPID,
    "net": process.CLONE_NEWNET,
    "uts": process.CLONE_NEWUTS,
    "ipc": process.CLONE_NEWIPC,
    "cgroup": process.CLONE_NEWCGROUP,
    "time": process.CLONE_NEWTIME,
}

_CONFIG_NAMES: Final = {"mnt": "NAMESPACES", "cgroup": "CGROUPS"}


def probes(facts: HostFacts) -> tuple[Probe, ...]:
    """Each kind of namespace, a map of ids, and whether others use the ids of zones."""
    return (*(_kind(name, flag) for name, flag in KINDS.items()), _id_map(facts), _subordinate_ids())


def _kind(name: str, flag: int) -> Probe:
    def enter() -> str:
        if name == "user" or os.geteuid() != 0:
            idmap.become_root_of_new_namespaces(flag & ~process.CLONE_NEWUSER)
        else:
            process.unshare(flag)
        return "works"

    return trial.in_child(enter).probe(
        f"namespace {name}",
        needed=name != "time",
        remedy=_remedy(name),
    )


def _remedy(name: str) -> str:
    config = _CONFIG_NAMES.get(name, f"{name.upper()}_NS")
    limit = f"sysctl user.max_{name}_namespaces must not be 0; the kernel needs CONFIG_{config}"
    if name == "user":
        limit += "; sysctl kernel.apparmor_restrict_unprivileged_userns=0 where there is one"
    return limit


def _id_map(facts: HostFacts) -> Probe:
    def make() -> str:
        os.close(idmap.user_namespace(IdRange(first=FIRST_ID)))
        return f"65536 ids from {FIRST_ID} on"

    remedy = "run zonectl as root, with CAP_SETUID and CAP_SETGID" if facts.euid else "allow user namespaces"
    return trial.in_child(make).probe("id map", needed=True, remedy=remedy)


def _subordinate_ids() -> Probe:
    """Whether a range of subuid(5) reaches into ours: such a user's containers would share ids with zones."""
    overlaps = [entry for file in ("/etc/subuid", "/etc/subgid") for entry in overlapping(_lines(file), file)]
    return Probe(
        name="subordinate ids",
        ok=not overlaps,
        seen="; ".join(overlaps) or f"none from {FIRST_ID} on",
        needed=False,
        remedy="give those users ranges below the ids of zones" if overlaps else "",
    )


def overlapping(lines: list[str], file: str) -> list[str]:
    """The lines of a subuid(5) file whose range reaches beyond the first id of zones."""
    found = []
    for line in lines:
        owner, _, numbers = line.strip().partition(":")
        first, _, count = numbers.partition(":")
        if first.isdecimal() and count.isdecimal() and int(first) + int(count) > FIRST_ID:
            found.append(f"{file}: {owner} has {first}-{int(first) + int(count) - 1}")
    return found


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            return lines.readlines()
    except OSError:
        return []
