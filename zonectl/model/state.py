"""The states of a zone and which verb each of them allows."""

from __future__ import annotations

from enum import Enum


class ZoneState(Enum):
    """Where a zone stands. Only `incomplete` and `installed` are on disk; the others are read from the kernel."""

    CONFIGURED = "configured"
    INCOMPLETE = "incomplete"
    INSTALLED = "installed"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting_down"

    @property
    def has_processes(self) -> bool:
        """Whether the zone's init is there."""
        return self in _LIVE


_LIVE = frozenset({ZoneState.READY, ZoneState.RUNNING, ZoneState.PAUSED, ZoneState.SHUTTING_DOWN})

ALLOWED: dict[str, frozenset[ZoneState]] = {
    "ready": frozenset({ZoneState.INSTALLED}),
    "start": frozenset({ZoneState.INSTALLED, ZoneState.READY}),
    "exec": frozenset({ZoneState.RUNNING}),
    "stop": _LIVE,
    "kill": _LIVE,
    "restart": _LIVE | {ZoneState.INSTALLED},
    "pause": frozenset({ZoneState.RUNNING}),
    "resume": frozenset({ZoneState.PAUSED}),
    "delete": frozenset({ZoneState.CONFIGURED, ZoneState.INCOMPLETE, ZoneState.INSTALLED}),
    "repair": _LIVE,
    "cp": frozenset({ZoneState.READY, ZoneState.RUNNING, ZoneState.PAUSED}),
    "show --security": frozenset({ZoneState.RUNNING, ZoneState.PAUSED, ZoneState.SHUTTING_DOWN}),
}
"""The states in which each verb may begin."""

_HELPS: dict[tuple[str, ZoneState], str] = {
    ("start", ZoneState.INCOMPLETE): "delete",
    ("ready", ZoneState.INCOMPLETE): "delete",
    ("ready", ZoneState.READY): "start",
    ("start", ZoneState.PAUSED): "resume",
    ("exec", ZoneState.PAUSED): "resume",
    ("pause", ZoneState.PAUSED): "resume",
    ("delete", ZoneState.RUNNING): "stop",
    ("delete", ZoneState.READY): "stop",
    ("delete", ZoneState.PAUSED): "stop",
    ("delete", ZoneState.SHUTTING_DOWN): "wait",
    ("exec", ZoneState.INSTALLED): "start",
    ("exec", ZoneState.READY): "start",
    ("cp", ZoneState.INSTALLED): "start",
    ("show --security", ZoneState.INSTALLED): "start",
    ("show --security", ZoneState.READY): "start",
    ("pause", ZoneState.INSTALLED): "start",
    ("resume", ZoneState.INSTALLED): "start",
    ("repair", ZoneState.INSTALLED): "start",
}


def allows(state: ZoneState, verb: str) -> bool:
    """Whether a zone in `state` may undergo `verb`."""
    return state in ALLOWED[verb]


def helpful_verb(state: ZoneState, verb: str) -> str | None:
    """The verb that leads from `state` towards one in which `verb` is allowed, where one does."""
    return _HELPS.get((verb, state))
