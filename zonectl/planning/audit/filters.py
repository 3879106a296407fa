"""The filter of init's system calls: the program that the kernel runs, instruction for instruction."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from zonectl.model.audit import Finding, Verdict
from zonectl.planning.audit.comparison import same, unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Observed
    from zonectl.planning.plan import ZonePlan

AREA = "seccomp"
_FILTER = 2
_MODES = {0: "off", 1: "strict mode", _FILTER: "filter"}
_DIGITS = 16


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """The mode of seccomp(2), and the first filter. A program may add others, which only refuse more."""
    wanted, found = plan.restrict.seccomp, observed.filter
    mode = _MODES.get(found.mode, f"mode {found.mode}")
    if wanted is None:
        verdict = Verdict.NARROWER if found.mode else Verdict.HOLDS
        yield Finding(area=AREA, name="mode", declared=_MODES[0], found=mode, verdict=verdict)
        return
    yield same(AREA, "mode", declared=_MODES[_FILTER], found=mode)
    if found.mode != _FILTER:
        return
    declared = f"{wanted.name} {wanted.program_digest[:_DIGITS]}"
    if found.program is None:
        yield unread(AREA, "profile", declared=declared, reason=f"not read back: {found.reason}")
        return
    digest = hashlib.sha256(found.program).hexdigest()
    name = wanted.name if digest == wanted.program_digest else "another"
    yield same(AREA, "profile", declared=declared, found=f"{name} {digest[:_DIGITS]}")
