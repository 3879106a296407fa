"""The step that sets what the zone file's `[sysctl]` says."""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.steps import Call, Side
from zonectl.model.sysctls import DOMAIN_NAME

ATTRIBUTES = ("nosuid", "nodev", "noexec")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSysctls:
    """Write `settings`, pairs of name and value, in a procfs of init's own, which nothing else ever sees."""

    settings: tuple[tuple[str, str], ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "set " + " ".join(name for name, _ in self.settings)

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Paths in the procfs, and what is written there."""
        settings = (pair for pair in self.settings if pair[0] != DOMAIN_NAME)
        return tuple((f"sys/{file_of(name)}", value) for name, value in settings)

    @property
    def domain_name(self) -> str | None:
        """What setdomainname(2) sets: the file belongs to the host's root whatever the namespace."""
        return dict(self.settings).get(DOMAIN_NAME)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The procfs, then each file, which must be one of it."""
        man = "proc_sys(5)"
        name = self.domain_name
        named = () if name is None else (Call(name="setdomainname", target=name, man="setdomainname(2)"),)
        if not self.files:
            return named
        return (
            *named,
            Call(name="fsopen", target="proc", man="mount(2)"),
            Call(name="fsconfig", target="proc", detail="create", man="mount(2)"),
            Call(
                name="fsmount",
                target="proc",
                detail="|".join(f"MOUNT_ATTR_{a.upper()}" for a in ATTRIBUTES),
                man="mount(2)",
            ),
            *(Call(name="write", target=f"/{path}", detail=value, man=man) for path, value in self.files),
        )


def file_of(name: str) -> str:
    """Where the setting `name` is below /proc/sys."""
    return name.replace(".", "/")


def sysctl_steps(settings: tuple[tuple[str, str], ...]) -> tuple[WriteSysctls, ...]:
    """The step for the settings of a zone file; none without any."""
    return (WriteSysctls(settings=settings),) if settings else ()
