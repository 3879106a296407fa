"""The last steps of init: become the user, take the restrictions, execute the program. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks
from zonectl.model import capabilities, limits
from zonectl.model.config import HOME, Scheduler
from zonectl.model.steps import Call, Side

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.model.limits import Limit
    from zonectl.model.seccomp import Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A resource limit of each process. One that is not `declared` in the zone file is at most what zonectl has."""

    name: str
    limit: Limit
    declared: bool

    @property
    def number(self) -> int:
        """The kernel's number of it."""
        return limits.NAMES.index(self.name)

    def __str__(self) -> str:
        """Its name, and both limits."""
        soft, hard = ("unlimited" if part == limits.UNLIMITED else str(part) for part in self.limit)
        return f"{self.name} {soft}:{hard}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinKeyring:
    """Begin a session keyring: the caller's, and what is in it, stays outside.

    While the process still has the host's ids: the key is then root's, and does not count against the zone's quota,
    which the zone could use up so that no exec succeeds (keyrings(7)).
    """

    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "begin a session keyring"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One keyctl."""
        return (
            Call(
                name="keyctl", target="init", detail="KEYCTL_JOIN_SESSION_KEYRING", man="session-keyring(7)"
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Give init its rank among the host's processes, which only the host's root may raise.

    None is the kernel's own (nice 0, oom_score_adj 0, all processors), as far as zonectl may go back to it. `ceilings`
    are raised here where the hard limit that init was born with is lower, and lowered by init itself.
    """

    nice: int | None = None
    oom_score_adj: int | None = None
    cpus: tuple[int, ...] | None = None
    scheduler: Scheduler = Scheduler.OTHER
    ceilings: tuple[Ceiling, ...] = ()
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        cpus = "all processors" if self.cpus is None else f"processors {','.join(map(str, self.cpus))}"
        return f"rank init: nice {self.nice or 0}, oom_score_adj {self.oom_score_adj or 0}, {cpus}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """In the order of `ranks.apply`."""
        policy = Call(
            name="sched_setscheduler",
            target="init",
            detail=f"SCHED_{self.scheduler.value.upper()}",
            man="sched(7)",
            when="when zonectl's is another",
        )
        return (
            *(() if self.scheduler is Scheduler.INHERIT else (policy,)),
            Call(name="setpriority", target="init", detail=str(self.nice or 0), man="setpriority(2)"),
            Call(name="sched_setaffinity", target="init", man="sched_setaffinity(2)"),
            Call(name="ioprio_set", target="init", detail="IOPRIO_CLASS_NONE", man="ioprio_set(2)"),
            Call(
                name="write",
                target="/proc/<init>/oom_score_adj",
                detail=str(self.oom_score_adj or 0),
                man="proc_pid_oom_score_adj(5)",
            ),
            _limits(self.ceilings, when="where zonectl's hard limit is lower, and it may raise it"),
        )


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
    limits: tuple[Ceiling, ...] = ()
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        kept = capabilities.words(self.capabilities)
        return f"become {self.user}, with {kept}" + (", for good" if self.no_new_privs else "")

    @property
    def _folder(self) -> str:
        return f"<home: of {self.user}>" if self.workdir == HOME else self.workdir

    @property
    def calls(self) -> tuple[Call, ...]:
        """In the order of `restrict_self` in native/restrictions.c, which says why."""
        who = f"of {self.user}"
        last = _prctl("PR_SET_NO_NEW_PRIVS", man="prctl(2)")
        return (
            Call(name="umask", target="init", detail=f"{self.umask:04o}", man="umask(2)"),
            Call(name="personality", target="init", detail="PER_LINUX", man="personality(2)"),
            *((_prctl("PR_CAPBSET_DROP"),) if self.capabilities != capabilities.ALL else ()),
            _prctl("PR_SET_SECUREBITS"),
            Call(name="setgroups", target="init", detail=who, man="setgroups(2)"),
            Call(name="setresgid", target="init", detail=who, man="setresuid(2)"),
            Call(name="setresuid", target="init", detail=who, man="setresuid(2)"),
            _prctl("PR_CAP_AMBIENT_CLEAR_ALL"),
            Call(name="capset", target="init", detail=who, man="capset(2)"),
            *((_prctl("PR_CAP_AMBIENT_RAISE", when=f"{self.user} is not root"),) if self.ambient else ()),
            Call(name="chdir", target=self._folder, man="chdir(2)"),
            _limits(self.limits, when="where it has another"),
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
        umask=config.process.umask,
        limits=_ceilings(config),
        capabilities=granted.granted,
        ambient=granted.named,
        no_new_privs=config.security.no_new_privs or (seccomp is not None and seccomp.no_new_privs),
        seccomp=seccomp,
    )


def rank_step(config: ZoneConfig) -> Rank:
    """The rank of a process of the zone."""
    wish = config.process
    return Rank(
        nice=wish.nice,
        oom_score_adj=wish.oom_score_adj,
        cpus=None if wish.affinity is None else tuple(parse_cpus(wish.affinity)),
        scheduler=wish.scheduler,
        ceilings=_ceilings(config),
    )


def parse_cpus(text: str) -> list[int]:
    """The processors of a list such as "0-3,6", which was checked."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def _ceilings(config: ZoneConfig) -> tuple[Ceiling, ...]:
    declared = config.limits.declared()
    return tuple(
        Ceiling(name=name, limit=declared.get(name, usual), declared=name in declared)
        for name, usual in limits.DEFAULTS.items()
    )


def _limits(ceilings: tuple[Ceiling, ...], *, when: str) -> Call:
    """Sixteen calls, of which a reader wants to see those that the zone file asks for."""
    declared = "".join(f"{each}, " for each in ceilings if each.declared)
    detail = f"of the zone: {declared}the usual otherwise"
    return Call(name="prlimit64", target="init", detail=detail, man="getrlimit(2)", when=when)


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
