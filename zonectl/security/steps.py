"""The last steps of init: become the user, take the restrictions, execute the program. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks
from zonectl.model import capabilities
from zonectl.model.steps import Call, Side

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.model.seccomp import Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrict:
    """Apply every restriction and become `user`: the one step that init and each exec have in common.

    `capabilities` are the most that any process of the zone can have, and all that root has; `ambient` those of them
    that a user other than root has too (masks of `model.capabilities`). `seccomp` is the filter of system calls.
    """

    user: str
    workdir: str
    capabilities: int
    ambient: int = 0
    no_new_privs: bool = False
    seccomp: Filter | None = None
    umask: int = 0o022
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        kept = capabilities.words(self.capabilities)
        return f"become {self.user}, with {kept}" + (", for good" if self.no_new_privs else "")

    @property
    def calls(self) -> tuple[Call, ...]:
        """In the order of `attributes.apply`, which says why."""
        who = f"of {self.user}"
        last = _prctl("PR_SET_NO_NEW_PRIVS", man="prctl(2)")
        return (
            Call(name="umask", target="init", detail=f"{self.umask:04o}", man="umask(2)"),
            *((_prctl("PR_CAPBSET_DROP"),) if self.capabilities != capabilities.ALL else ()),
            _prctl("PR_SET_SECUREBITS"),
            Call(name="setgroups", target="init", detail=who, man="setgroups(2)"),
            Call(name="setresgid", target="init", detail=who, man="setresuid(2)"),
            Call(name="setresuid", target="init", detail=who, man="setresuid(2)"),
            _prctl("PR_CAP_AMBIENT_CLEAR_ALL"),
            Call(name="capset", target="init", detail=who, man="capset(2)"),
            *((_prctl("PR_CAP_AMBIENT_RAISE", when=f"{self.user} is not root"),) if self.ambient else ()),
            Call(name="chdir", target=self.workdir, man="chdir(2)"),
            *((last,) if self.no_new_privs else ()),
            Call(
                name="close_range", target="init", detail="3, ~0, CLOSE_RANGE_CLOEXEC", man="close_range(2)"
            ),
            *((_filter(self.seccomp),) if self.seccomp else ()),
        )


def _prctl(option: str, *, man: str = "capabilities(7)", when: str = "") -> Call:
    return Call(name="prctl", target="init", detail=option, man=man, when=when)


def _filter(seccomp: Filter) -> Call:
    return Call(name="seccomp", target="init", detail=f"of the profile {seccomp.name}", man="seccomp(2)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Become the program. `reaper`: catatonit is process 1, and runs it."""

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
        return (last,)


def restrict_step(
    config: ZoneConfig,
    facts: HostFacts,
    *,
    seccomp: Filter | None,
    user: str | None = None,
    workdir: str | None = None,
) -> Restrict:
    """What restricts a process of the zone; `user` and `workdir` replace the zone file's for an exec.

    `seccomp` is the filter that the zone file asks for.

    Raises:
        HostLacks: the zone file grants a capability by name that this host cannot.

    """
    granted = _granted(config, facts)
    return Restrict(
        user=user or config.user,
        workdir=workdir or config.workdir,
        capabilities=granted.granted,
        ambient=granted.named,
        no_new_privs=config.security.no_new_privs or (seccomp is not None and seccomp.no_new_privs),
        seccomp=seccomp,
    )


def _granted(config: ZoneConfig, facts: HostFacts) -> capabilities.Grant:
    """In a user namespace of its own a zone's root starts with all of them; otherwise with those that zonectl has."""
    meant = config.granted
    if config.namespaces.user:
        return meant
    if missing := capabilities.names(meant.named & ~facts.capabilities):
        msg = f"security.capabilities: zonectl itself does not have {', '.join(missing)}"
        hint = 'take it out, or give the zone ids of its own: namespaces.user = "auto"'
        raise HostLacks(msg, hint=hint)
    return meant._replace(granted=meant.granted & facts.capabilities)


def execute_step(config: ZoneConfig) -> Execute:
    """What init becomes."""
    return Execute(argv=config.command, reaper=config.init)
