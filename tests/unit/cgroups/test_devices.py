"""The device program, run by a small interpreter of the instructions that it uses, against its rules."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.cgroups import devices
from zonectl.cgroups.steps import device_steps
from zonectl.model.config import DeviceConfig, RootConfig, SecurityConfig, ZoneConfig
from zonectl.model.devices import NODES, USUAL, DeviceRule
from zonectl.model.facts import CgroupFacts
from zonectl.model.names import ZoneName

ACCESS = {"m": 1, "r": 2, "w": 4}
KINDS = {"b": 1, "c": 2}
MOST_INSTRUCTIONS = 4096


def interpret(program: bytes, *, kind: int, access: int, major: int, minor: int) -> int:  # noqa: PLR0915 - one arm an instruction
    """What the program answers; it may read its context and its registers, and jump forward."""
    context = {0: access << 16 | kind, 4: major, 8: minor}
    registers = [0] * 11
    code = [struct.unpack_from("=BBhi", program, at) for at in range(0, len(program), 8)]
    at = 0
    while True:
        operation, both, offset, value = code[at]
        to, source = both & 15, both >> 4
        at += 1
        match operation:
            case 0x61:
                assert source == 1
                registers[to] = context[offset]
            case 0xB4:
                registers[to] = value
            case 0xBC:
                registers[to] = registers[source]
            case 0x54:
                registers[to] &= value & 0xFFFFFFFF
            case 0x74:
                registers[to] >>= value
            case 0x56:
                assert offset >= 0
                at += offset if registers[to] != value else 0
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(hex(operation))


def allowed(rules: tuple[DeviceRule, ...], kind: str, asked: str, major: int, minor: int) -> bool:
    """What the rules say, read plainly: one of them allows all that is asked for."""
    return any(
        rule.kind == kind
        and rule.major == major
        and rule.minor in {None, minor}
        and set(asked) <= set(rule.access)
        for rule in rules
    )


numbers = st.integers(0, 3) | st.sampled_from([136, 4095, (1 << 20) - 1])
accesses = st.sets(st.sampled_from("rwm"), min_size=1).map(lambda letters: "".join(sorted(letters)))
rules = st.builds(DeviceRule, st.sampled_from("bc"), numbers, st.none() | numbers, accesses)


@given(st.lists(rules, max_size=6).map(tuple), st.sampled_from("bc"), accesses, numbers, numbers)
def test_it_answers_as_its_rules_say(
    chosen: tuple[DeviceRule, ...], kind: str, asked: str, major: int, minor: int
) -> None:
    program = devices.program(chosen)
    access = sum(ACCESS[letter] for letter in asked)
    answer = interpret(program, kind=KINDS[kind], access=access, major=major, minor=minor)
    assert answer == int(allowed(chosen, kind, asked, major, minor))


def test_usual_devices_are_those_of_every_zone_and_no_disk() -> None:
    program = devices.program(USUAL)
    for kind, asked, major in itertools.product("bc", ("r", "w", "rw", "m", "rwm"), range(300)):
        for minor in range(20):
            answer = interpret(
                program,
                kind=KINDS[kind],
                access=sum(ACCESS[letter] for letter in asked),
                major=major,
                minor=minor,
            )
            usual = (major, minor) in {*NODES.values(), (5, 2)} or major == 136
            assert answer == (kind == "c" and usual and "m" not in asked), (kind, asked, major, minor)


@given(st.lists(rules, max_size=8).map(tuple))
def test_every_program_ends_with_a_refusal(chosen: tuple[DeviceRule, ...]) -> None:
    program = devices.program(chosen)
    assert len(program) % 8 == 0
    assert len(program) // 8 < MOST_INSTRUCTIONS
    assert program.endswith(struct.pack("=BBhiBBhi", 0xB4, 0, 0, 0, 0x95, 0, 0, 0))


@pytest.mark.parametrize(
    ("filtered", "group", "count"), [(True, "zonectl/0a", 1), (False, "zonectl/0a", 0), (True, "", 0)]
)
def test_a_zone_is_filtered_unless_its_file_waives_it(filtered: bool, group: str, count: int) -> None:
    config = ZoneConfig(
        name=ZoneName("web"),
        root=RootConfig(path="/srv"),
        devices=(DeviceConfig(path="/dev/fuse", access="r"),),
        security=SecurityConfig(filter_devices=filtered),
    )
    steps = device_steps(config, CgroupFacts(mount="/sys/fs/cgroup"), group=group)
    assert len(steps) == count
    for step in steps:
        assert step.path == "/sys/fs/cgroup/zonectl/0a"
        assert step.devices == (("/dev/fuse", "r"),)
        assert "/dev/fuse (r)" in step.summary


def test_rules_read_as_the_kernel_spelled_them() -> None:
    assert DeviceRule("c", 136, None, "rw").text == "c 136:* rw"
    assert DeviceRule("b", 8, 1, "r").text == "b 8:1 r"
