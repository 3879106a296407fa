"""The few ways in which two things are compared."""

from __future__ import annotations

from zonectl.model.audit import Finding, Verdict

ABSENT = "no such file or directory"
"""The reason why nothing stands at a place that is not there."""


def same(area: str, name: str, *, declared: str, found: str | None) -> Finding:
    """One that must be exactly as declared."""
    if found is None:
        return unread(area, name, declared=declared)
    verdict = Verdict.HOLDS if found == declared else Verdict.DIFFERS
    return Finding(area=area, name=name, declared=declared, found=found, verdict=verdict)


def ordered(area: str, name: str, *, words: tuple[str, str], equal: bool, less: bool) -> Finding:
    """One of which less may be found than was declared; `words` are what was declared and what was found."""
    verdict = Verdict.HOLDS if equal else Verdict.NARROWER if less else Verdict.DIFFERS
    return Finding(area=area, name=name, declared=words[0], found=words[1], verdict=verdict)


def unread(area: str, name: str, *, declared: str, reason: str = "the kernel does not say") -> Finding:
    """One that could not be read."""
    return Finding(area=area, name=name, declared=declared, found=reason, verdict=Verdict.UNREAD)
