"""Files of system calls: what they say, and every problem with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.config.files import toml_document
from zonectl.config.profile_file import read_oci, read_toml
from zonectl.errors import ConfigError
from zonectl.model.profile_file import OciArgument, OciMatch, ProfileFile, RuleText, When

KNOWN = frozenset({"read", "write", "open", "openat", "ioctl", "socket", "clone", "mount", "execve"})


def problems(text: str) -> list[str]:
    try:
        read_toml(text, file="p.toml", known=KNOWN)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def oci_problems(document: Any, architecture: str = "SCMP_ARCH_X86_64") -> list[str]:
    text = document if isinstance(document, str) else json.dumps(document)
    try:
        read_oci(text, file="p.json", known=KNOWN, architecture=architecture)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_every_key() -> None:
    text = """
base = "default"
otherwise = "EACCES"
unknown = "errno 999"
no_new_privs = true
allow = ["read", "write"]
refuse = ["mount"]

[[rule]]
calls = ["ioctl"]
action = "EPERM"
when = [{ argument = 1, bits = 32, equals = 0x5412 }]

[[rule]]
calls = ["socket", "clone"]
action = "kill"
[[rule.when]]
argument = 0
bits = 64
mask = 0xff
least = 3
most = 9
"""
    assert read_toml(text, file="p.toml", known=KNOWN) == ProfileFile(
        base="default",
        otherwise="EACCES",
        unknown="errno 999",
        no_new_privs=True,
        allow=("read", "write"),
        refuse=("mount",),
        rules=(
            RuleText(calls=("ioctl",), action="EPERM", when=(When(argument=1, bits=32, equals=0x5412),)),
            RuleText(
                calls=("socket", "clone"),
                action="kill",
                when=(When(argument=0, bits=64, mask=0xFF, least=3, most=9),),
            ),
        ),
    )


def test_every_wrong_value_is_told_at_once_with_its_line() -> None:
    text = """allow = ["raed", "write", "write", 3]
refuse = "mount"
otherwise = "EPREM"
unknown = "notify"
alow = []

[[rule]]
calls = []
action = "SCMP_ACT_ALLOW"

[[rule]]
calls = ["opne"]
when = [
    { argument = 6, bits = 16, equals = -1 },
    { argument = 0 },
]
"""
    rule = "write allow, kill, kill_thread, trap, log, the name of an errno, or errno and its number"
    assert problems(text) == [
        "p.toml:1: allow[3]: must be a string, not an integer",
        "p.toml:1: allow[2]: stands there twice: 'write'",
        "p.toml:1: allow[0]: there is no system call 'raed' (did you mean read?)",
        "p.toml:2: refuse: must be an array, not a string",
        "p.toml:3: otherwise: 'EPREM' is neither an action nor the name of an errno (did you mean EPERM?)",
        'p.toml:4: unknown: "notify" has no use in a file: nobody would answer',
        "p.toml:5: alow: unknown key (did you mean allow?)",
        "p.toml:8: rule[0].calls: must not be empty",
        f"p.toml:9: rule[0].action: 'SCMP_ACT_ALLOW' is not an action: {rule}",
        "p.toml:11: rule[1].action: is missing: what is done with them",
        "p.toml:12: rule[1].calls[0]: there is no system call 'opne' (did you mean open?)",
        "p.toml:14: rule[1].when[0].argument: must be from 0 to 5, not 6",
        "p.toml:14: rule[1].when[0].bits: must be 32 (an int) or 64 (a long, a size, a pointer)",
        "p.toml:14: rule[1].when[0].equals: must be from 0 to 18446744073709551615, not -1",
        "p.toml:15: rule[1].when[1].bits: is missing: how many of its bits the kernel looks at",
    ]


def test_every_contradiction_is_told_at_once_with_its_line() -> None:
    text = """allow = ["read", "write"]
refuse = ["mount", "read"]
[[rule]]
calls = ["ioctl", "mount"]
action = "allow"
[[rule]]
calls = ["ioctl"]
action = "EPERM"
when = [
    { argument = 0, bits = 32 },
    { argument = 0, bits = 32, equals = 1, differs = 2 },
    { argument = 0, bits = 32, equals = 0x100000000 },
    { argument = 0, bits = 64, equals = 0x100000000 },
    { argument = 0, bits = 32, mask = 6, equals = 1 },
    { argument = 0, bits = 32, least = 6, most = 1 },
]
"""
    assert problems(text) == [
        "p.toml:2: refuse[1]: read is in allow as well",
        "p.toml:4: rule[0].calls[1]: mount is in refuse as well",
        "p.toml:7: rule[1].calls[0]: a rule before this one decides every call of ioctl",
        "p.toml:10: rule[1].when[0]: needs one of equals, differs, least or most",
        "p.toml:11: rule[1].when[1]: cannot have differs and equals: write two conditions",
        "p.toml:12: rule[1].when[2].equals: 0x100000000 has more than 32 bits",
        "p.toml:14: rule[1].when[4].equals: 0x1 has bits that mask 0x6 leaves out, and is never seen",
        "p.toml:15: rule[1].when[5].most: 1 is less than least, 6",
    ]


def test_what_is_not_toml() -> None:
    assert problems("allow = [") == ["p.toml:1: not TOML: invalid value, at the end of the file"]
    assert problems("a = " + "[" * 100_000) == ["p.toml: arrays or tables are nested too deeply"]


def test_an_oci_file() -> None:
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "defaultErrno": "ENOSYS",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {
                "names": ["ioctl", "chown32"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 1, "value": 0x5412, "valueTwo": 0, "op": "SCMP_CMP_NE"}],
                "comment": "",
                "includes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["amd64"], "minKernel": "4.8"},
                "excludes": {},
            },
            {"name": "read", "action": "SCMP_ACT_LOG", "args": None},
        ],
    }
    found = read_oci(json.dumps(document), file="p.json", known=KNOWN, architecture="SCMP_ARCH_X86_64")
    assert found.default_action == "SCMP_ACT_ERRNO"
    assert found.default_errno_ret == 38
    first, second = found.syscalls
    assert first.names == ("ioctl", "chown32")
    assert first.args == (OciArgument(index=1, value=0x5412, op="SCMP_CMP_NE"),)
    assert first.includes == OciMatch(caps=("CAP_SYS_ADMIN",), arches=("amd64",), min_kernel="4.8")
    assert (second.name, second.args) == ("read", ())


def test_what_an_oci_file_may_not_ask_for_is_refused_by_name() -> None:
    document = {
        "defaultAction": "SCMP_ACT_NOTIFY",
        "listenerPath": "/run/agent.sock",
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_TRACE"},
            {"action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "EQ"}], "priority": 3},
        ],
    }
    actions = (
        '"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", '
        '"SCMP_ACT_LOG" or "SCMP_ACT_TRAP"'
    )
    operators = (
        '"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT" or '
        '"SCMP_CMP_MASKED_EQ"'
    )
    assert oci_problems(document) == [
        f"p.json: defaultAction: must be {actions}, not 'SCMP_ACT_NOTIFY' (did you mean SCMP_ACT_ERRNO?)",
        f"p.json: syscalls[0].action: must be {actions}, not 'SCMP_ACT_TRACE' (did you mean SCMP_ACT_TRAP?)",
        f"p.json: syscalls[1].args[0].op: must be {operators}, not 'EQ'",
        "p.json: syscalls[1].priority: unknown key",
        "p.json: listenerPath: unknown key",
    ]


def test_what_an_oci_file_contradicts() -> None:
    document = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_S390X"],
        "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["raed", "mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EACCES"},
            {"names": ["raed"], "action": "SCMP_ACT_ALLOW"},
            {"action": "SCMP_ACT_ALLOW", "errnoRet": 3},
            {
                "names": ["read"],
                "action": "SCMP_ACT_KILL",
                "args": [{"index": 0, "value": 1, "valueTwo": 3, "op": "SCMP_CMP_EQ"}],
            },
        ],
    }
    assert oci_problems(document) == [
        "p.json: flags[1]: the flag SECCOMP_FILTER_FLAG_LOG is not supported",
        "p.json: architectures: the profile is for SCMP_ARCH_S390X, and this host is SCMP_ARCH_X86_64",
        "p.json: defaultErrnoRet: means nothing with SCMP_ACT_ALLOW",
        "p.json: syscalls[0].names: there is no system call 'raed' to refuse (did you mean read?)",
        "p.json: syscalls[0].errno: EACCES is 13, and errnoRet is 1",
        "p.json: syscalls[2]: names no system call",
        "p.json: syscalls[2].errnoRet: means nothing with SCMP_ACT_ALLOW",
        "p.json: syscalls[3].args[0].valueTwo: means nothing with SCMP_CMP_EQ",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "p.json:1: not JSON: Expecting property name enclosed in double quotes, at column 2"),
        ("[]", "p.json: must be an object, not an array"),
        ('{"a": NaN}', "p.json: not JSON: NaN"),
        ('{"syscalls": [], "syscalls": []}', "p.json: the key 'syscalls' stands twice in one object"),
        ("[" * 100_000, "p.json: arrays or objects are nested too deeply"),
        ('{"defaultAction": 1' + "0" * 5000 + "}", "p.json: "),
    ],
)
def test_what_is_not_such_a_json(text: str, problem: str) -> None:
    (found,) = oci_problems(text)
    assert found.startswith(problem)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**65) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["names", "name", "action", "args", "index", "value", "op", "includes", "caps", "errno"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    document=st.fixed_dictionaries(
        {},
        optional={
            "defaultAction": st.sampled_from(["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"]) | json_values,
            "defaultErrnoRet": json_values,
            "architectures": json_values,
            "archMap": json_values,
            "flags": json_values,
            "syscalls": json_values | st.lists(json_values, max_size=3),
        },
    )
)
def test_no_json_upsets_the_reader(document: dict[str, object]) -> None:
    for problem in oci_problems(document):
        assert problem.startswith("p.json: ")


toml_words = st.sampled_from(
    [
        *(
            '"read"',
            '"EPERM"',
            "0",
            "-1",
            "32",
            "2e9",
            "true",
            "[",
            "]",
            "{",
            "}",
            "=",
            ",",
            "\n",
            "[[rule]]\n",
        ),
        *(
            "allow = ",
            "refuse = ",
            "base = ",
            "calls = ",
            "action = ",
            "when = ",
            "argument = ",
            "bits = ",
            "mask = ",
        ),
        *(
            "equals = ",
            "otherwise = ",
            "1979-05-27",
            "nan",
            "'x'",
            "[[rule.when]]\n",
            '"allow"',
            '["ioctl"]\n',
            ".",
        ),
    ]
)


@given(text=st.text(max_size=60) | st.lists(toml_words, max_size=30).map("".join))
def test_no_text_upsets_the_reader(text: str) -> None:
    for problem in problems(text):
        assert problem.startswith("p.toml:")
    try:
        toml_document(text, "p.toml")
    except ConfigError:
        assert problems(text)
