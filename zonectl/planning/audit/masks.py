"""What of /proc and /sys is kept from the zone: by what is shown in its place, not by a mount being there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.namespaces.steps.masks import MaskPaths
from zonectl.planning.audit.comparison import ABSENT, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed, Standing
    from zonectl.planning.plan import ZonePlan

AREA = "masks"
_FILE, _FOLDER, _READ_ONLY = "empty file", "empty folder", "read-only"


def paths(plan: ZonePlan) -> tuple[str, ...]:
    """What `findings` wants to know of."""
    return tuple(path for path, _ in expected(plan))


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """Every path that is covered or read-only. One that this kernel does not have needs nothing."""
    standings = {standing.path: standing for standing in observed.standings}
    for path, declared in expected(plan):
        standing = standings[path]
        absent = standing.reason == ABSENT
        yield same(AREA, path, declared=declared, found=declared if absent else _shown(standing, declared))


def expected(plan: ZonePlan) -> Iterator[tuple[str, str]]:
    """Each path with what is to be seen there."""
    for step in plan.inside:
        if isinstance(step, MaskPaths):
            yield from ((path, _FILE) for path in step.files)
            yield from ((path, _FOLDER) for path in step.folders)
            yield from ((path, _READ_ONLY) for path in step.readonly)


def _shown(standing: Standing, declared: str) -> str:
    """What is seen there, in the words of what was declared."""
    if not standing.mounted:
        return standing.reason
    if "ro" not in standing.options:
        return f"{standing.kind}, writable"
    return _READ_ONLY if declared == _READ_ONLY else standing.kind
