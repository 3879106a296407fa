"""Every key of a file of system calls, in our own form and in that of OCI runtimes."""

from __future__ import annotations

import errno

from zonectl.config.kinds import Boolean, Choice, Refused, Schema, Text, Whole, shown
from zonectl.config.nearest import nearest
from zonectl.config.tables import Field, ListOf, Table, Tables
from zonectl.model.profile_file import (
    OciArchitecture,
    OciArgument,
    OciMatch,
    OciProfile,
    OciRule,
    ProfileFile,
    RuleText,
    When,
)
from zonectl.model.seccomp import PROFILES

MOST_RULES = 2048
MOST_CALLS = 1024
MOST_CONDITIONS = 16
MOST_ERRNO = 4095
"""MAX_ERRNO: the kernel cuts what a filter answers to it (kernel/seccomp.c)."""

WORDS = ("allow", "kill", "kill_thread", "trap", "log")
_ERRNOS = frozenset(errno.errorcode.values())
_WHOLE = Whole(0, 2**64 - 1)


def _action(text: str) -> str:
    if text in WORDS or text in _ERRNOS:
        return text
    if text.startswith("errno ") and int(text.removeprefix("errno ")) <= MOST_ERRNO:
        return text
    if text == "notify":
        raise Refused('"notify" has no use in a file: nobody would answer')
    meant = nearest(text, (*WORDS, *sorted(_ERRNOS)))
    raise Refused(f"{shown(text)} is neither an action nor the name of an errno", suggestion=meant)


CALL = Text(
    label="the name of a system call",
    pattern="[a-z_][a-z0-9_]{0,63}",
    rule="names are of a-z, 0-9 and _, as in syscalls(2)",
)
ACTION = Text(
    label="an action",
    pattern="[a-z_]{1,16}|E[A-Z0-9]{1,20}|errno [1-9][0-9]{0,3}",
    rule="write allow, kill, kill_thread, trap, log, the name of an errno, or errno and its number",
    parse=_action,
)
_CALLS = ListOf(CALL, most=MOST_CALLS, unique=True)


class Bits:
    """How many bits of an argument the kernel looks at."""

    __slots__ = ()
    label = "32 or 64"

    def read(self, value: object) -> object:
        """The number."""
        if isinstance(value, bool) or value not in {32, 64}:
            raise Refused("must be 32 (an int) or 64 (a long, a size, a pointer)")
        return value

    def schema(self) -> Schema:
        """An enumeration."""
        return {"type": "integer", "enum": [32, 64]}


_WHEN = Table(
    When,
    (
        Field(key="argument", kind=Whole(0, 5), text="Its number, from 0.", required=True),
        Field(key="bits", kind=Bits(), text="How many of its bits the kernel looks at.", required=True),
        Field(key="mask", kind=_WHOLE, text="Which bits are compared.", absent="all of them"),
        Field(key="equals", kind=_WHOLE, text="It is this."),
        Field(key="differs", kind=_WHOLE, text="It is anything but this."),
        Field(key="least", kind=_WHOLE, text="It is this or more."),
        Field(key="most", kind=_WHOLE, text="It is this or less."),
    ),
)
_RULE = Table(
    RuleText,
    (
        Field(
            key="calls",
            kind=ListOf(CALL, least=1, most=MOST_CALLS, unique=True),
            text="The calls.",
            required=True,
        ),
        Field(key="action", kind=ACTION, text="What is done with them.", required=True),
        Field(key="when", kind=Tables(_WHEN), text="What the arguments must be; all of it must hold."),
    ),
)
PROFILE = Table(
    ProfileFile,
    (
        Field(
            key="base",
            kind=Choice(tuple((word, word) for word in PROFILES)),
            text="The profile that this one starts from.",
        ),
        Field(key="otherwise", kind=ACTION, text="The answer to calls that nothing here names."),
        Field(key="unknown", kind=ACTION, text="The answer to calls that zonectl does not know."),
        Field(
            key="no_new_privs", kind=Boolean(), text="Turns that key of `[security]` on, as `strict` does."
        ),
        Field(key="allow", kind=_CALLS, text="Calls that are allowed, whatever their arguments."),
        Field(key="refuse", kind=_CALLS, text="Calls that get the answer of `otherwise`."),
        Field(key="rule", name="rules", kind=Tables(_RULE), text="Calls whose answer depends on arguments."),
    ),
)

# ------------------------------------------------------------------------------------------------------------- OCI

_NOTE = Text(label="a string", free=True)
_NAME = Text(label="a name", pattern="[A-Za-z0-9_]{1,64}", rule="1 to 64 of letters, digits and _")
_NAMES = ListOf(_NAME, most=MOST_CALLS)
_ERRNO_NUMBER = Whole(0, MOST_ERRNO)
_ERRNO_NAME = Choice(tuple((name, name) for name in sorted(_ERRNOS)))
_OCI_ACTIONS = Choice(
    tuple(
        (word, word)
        for word in (
            "SCMP_ACT_ALLOW",
            "SCMP_ACT_ERRNO",
            "SCMP_ACT_KILL",
            "SCMP_ACT_KILL_PROCESS",
            "SCMP_ACT_KILL_THREAD",
            "SCMP_ACT_LOG",
            "SCMP_ACT_TRAP",
        )
    )
)
_OPERATORS = Choice(
    tuple(
        (f"SCMP_CMP_{word}", f"SCMP_CMP_{word}") for word in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
    )
)
_ARGUMENT = Table(
    OciArgument,
    (
        Field(key="index", kind=Whole(0, 5), text="The number of the argument.", required=True),
        Field(key="value", kind=_WHOLE, text="What it is compared with.", required=True),
        Field(key="valueTwo", name="value_two", kind=_WHOLE, text="With a mask, what it is compared with."),
        Field(key="op", kind=_OPERATORS, text="The comparison.", required=True),
    ),
)
_MATCH = Table(
    OciMatch,
    (
        Field(key="caps", kind=_NAMES, text="Capabilities of the zone."),
        Field(key="arches", kind=_NAMES, text="Architectures."),
        Field(
            key="minKernel",
            name="min_kernel",
            kind=Text(label="a version", pattern="[0-9]{1,4}[.][0-9]{1,4}", rule="write it as 4.8"),
            text="The oldest kernel.",
        ),
    ),
)
_SYSCALL = Table(
    OciRule,
    (
        Field(key="names", kind=_NAMES, text="The calls."),
        Field(key="name", kind=_NAME, text="The call, in old files."),
        Field(key="action", kind=_OCI_ACTIONS, text="What is done with them.", required=True),
        Field(key="errnoRet", name="errno_ret", kind=_ERRNO_NUMBER, text="The errno."),
        Field(key="errno", kind=_ERRNO_NAME, text="The errno's name."),
        Field(
            key="args",
            kind=Tables(_ARGUMENT),
            text="What the arguments must be; all of it must hold.",
        ),
        Field(key="comment", kind=_NOTE, text="For people."),
        Field(key="includes", kind=_MATCH, text="The rule is for these alone."),
        Field(key="excludes", kind=_MATCH, text="The rule is not for these."),
    ),
)
OCI = Table(
    OciProfile,
    (
        Field(
            key="defaultAction",
            name="default_action",
            kind=_OCI_ACTIONS,
            text="What is done with calls that nothing names.",
            required=True,
        ),
        Field(key="defaultErrnoRet", name="default_errno_ret", kind=_ERRNO_NUMBER, text="The errno."),
        Field(key="defaultErrno", name="default_errno", kind=_ERRNO_NAME, text="The errno's name."),
        Field(key="architectures", kind=_NAMES, text="The architectures that it is for."),
        Field(
            key="archMap",
            name="arch_map",
            kind=Tables(
                Table(
                    OciArchitecture,
                    (
                        Field(key="architecture", kind=_NAME, text="An architecture.", required=True),
                        Field(
                            key="subArchitectures",
                            name="sub_architectures",
                            kind=_NAMES,
                            text="More ABIs of it.",
                        ),
                    ),
                )
            ),
            text="The architectures that it is for.",
        ),
        Field(key="flags", kind=_NAMES, text="Of seccomp(2)."),
        Field(key="comment", kind=_NOTE, text="For people."),
        Field(key="syscalls", kind=Tables(_SYSCALL), text="The rules."),
    ),
)
