"""What a file says of system calls, before anybody knows which calls there are: as its keys have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A condition on the argument number `argument`, of which the lower `bits` count, and of those the `mask`."""

    argument: int
    bits: int
    mask: int | None = None
    equals: int | None = None
    differs: int | None = None
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """`[[rule]]`: the `action` for `calls` where all of `when` hold."""

    calls: tuple[str, ...]
    action: str
    when: tuple[When, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFile:
    """A profile in our own form: `base` is the named profile that it starts from, "" for none."""

    base: str = ""
    otherwise: str = "EPERM"
    unknown: str = "ENOSYS"
    no_new_privs: bool = False
    allow: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    rules: tuple[RuleText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OciArgument:
    """An element of `args`; `value_two` is for SCMP_CMP_MASKED_EQ, whose mask is `value`."""

    index: int
    value: int
    op: str
    value_two: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OciMatch:
    """`includes` or `excludes`: what the zone, the host and the architecture are."""

    caps: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    min_kernel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OciRule:
    """An element of `syscalls`."""

    action: str
    names: tuple[str, ...] = ()
    name: str = ""
    errno_ret: int | None = None
    errno: str = ""
    args: tuple[OciArgument, ...] = ()
    comment: str = ""
    includes: OciMatch = OciMatch()
    excludes: OciMatch = OciMatch()


@dataclass(frozen=True, slots=True, kw_only=True)
class OciArchitecture:
    """An element of `archMap`."""

    architecture: str
    sub_architectures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OciProfile:
    """A profile as runc and podman read it (the OCI runtime specification's `seccomp`, and their additions)."""

    default_action: str
    default_errno_ret: int | None = None
    default_errno: str = ""
    architectures: tuple[str, ...] = ()
    arch_map: tuple[OciArchitecture, ...] = ()
    flags: tuple[str, ...] = ()
    comment: str = ""
    syscalls: tuple[OciRule, ...] = ()
