"""The last steps of init: become the user, take the restrictions, execute the program. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.model.steps import Call, Side

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrict:
    """Apply every restriction and become `user`: the one step that init and each exec have in common.

    `own_ids` says whether the zone has a user namespace of its own, and so keeps all capabilities over itself.
    """

    user: str
    own_ids: bool
    no_new_privs: bool
    workdir: str
    umask: int = 0o022
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"become {self.user}" + (", for good" if self.no_new_privs else "")

    @property
    def calls(self) -> tuple[Call, ...]:
        """The bounding set while it may still be changed, ids, the directory as that user, no_new_privs at the end."""
        dropped = (
            Call(name="prctl", target="init", detail="PR_CAPBSET_DROP", man="capabilities(7)"),
            Call(name="prctl", target="init", detail="PR_CAP_AMBIENT_CLEAR_ALL", man="capabilities(7)"),
            Call(name="capset", target="init", detail="inheritable: none", man="capabilities(7)"),
        )
        last = Call(name="prctl", target="init", detail="PR_SET_NO_NEW_PRIVS", man="prctl(2)")
        return (
            Call(name="umask", target="init", detail=f"{self.umask:04o}", man="umask(2)"),
            *(() if self.own_ids else dropped),
            Call(name="setgroups", target="init", detail=f"of {self.user}", man="setgroups(2)"),
            Call(name="setresgid", target="init", detail=f"of {self.user}", man="setresuid(2)"),
            Call(name="setresuid", target="init", detail=f"of {self.user}", man="setresuid(2)"),
            Call(name="chdir", target=self.workdir, man="chdir(2)"),
            *((last,) if self.no_new_privs else ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Become the program; every other descriptor closes on the way. `reaper`: catatonit is process 1, and runs it."""

    argv: tuple[str, ...]
    reaper: bool = False
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "execute " + " ".join(self.argv)

    @property
    def calls(self) -> tuple[Call, ...]:
        """One execve, along PATH where the name has no slash."""
        argv = " ".join(self.argv)
        if self.reaper:
            # By its descriptor: the zone's root has none, or one of its own.
            last = Call(name="execveat", target="catatonit", detail=f"catatonit -- {argv}", man="execveat(2)")
        else:
            last = Call(name="execve", target=self.argv[0], detail=argv, man="execve(2)")
        detail = "3, ~0, CLOSE_RANGE_CLOEXEC"
        return (Call(name="close_range", target="init", detail=detail, man="close_range(2)"), last)


def restrict_step(config: ZoneConfig, *, user: str | None = None, workdir: str | None = None) -> Restrict:
    """What restricts a process of the zone; `user` and `workdir` replace the zone file's for an exec."""
    return Restrict(
        user=user or config.user,
        own_ids=config.namespaces.user,
        no_new_privs=config.security.no_new_privs,
        workdir=workdir or config.workdir,
    )


def execute_step(config: ZoneConfig) -> Execute:
    """What init becomes."""
    return Execute(argv=config.command, reaper=config.init)
