"""Steps: what a plan consists of. Each is frozen data that can say which system calls it will make.

Every room has its own kinds of step, made by the pure functions of its `steps` module and carried out by its other
modules. What a step says here is what `zonectl plan` prints, and what a trace of the start shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable


class Side(Enum):
    """Who carries a step out: the worker on the host, or init inside its new namespaces."""

    HOST = "host"
    INSIDE = "inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call or one write to a kernel file, as a user reads it.

    `name` is the system call ("mount", "clone3", "write"), `target` the file, link or object that it touches,
    `detail` its flags, options or the text written, `man` the manual page ("mount(2)", "cgroups(7)"). `when` is not
    empty where the call is made only if the host or the root needs it ("when missing").
    """

    name: str
    target: str
    man: str
    detail: str = ""
    when: str = ""


@runtime_checkable
class Step(Protocol):
    """What all kinds of step have in common."""

    @property
    def side(self) -> Side:
        """Who carries it out."""

    @property
    def summary(self) -> str:
        """What it achieves, in a few plain words ("limit memory to 512MiB")."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """The mutating calls that it makes, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What is known about a zone only when it is created or started, as text for steps to carry.

    `unbound()` gives the names that `zonectl plan` prints instead. `first_id` is the first host id of the zone's
    range, `address` its address with prefix ("10.77.0.5/16"), `gateway` the bridge's address, `zone_dir` the
    zone's folder on disk, `layers` the folders below the root, topmost first.
    """

    zone_id: str
    first_id: str
    address: str
    gateway: str
    zone_dir: str
    layers: tuple[str, ...]

    @staticmethod
    def unbound(*, zone_dir: str, layers: tuple[str, ...]) -> Binding:
        """The binding of a zone that has not been created."""
        return Binding(
            zone_id="<id>",
            first_id="<first id: allocated>",
            address="<address: leased>",
            gateway="<gateway: of the bridge>",
            zone_dir=zone_dir,
            layers=layers,
        )
