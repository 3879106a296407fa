"""The rules of routing that refuse what no firewall has seen: their text, their bytes, and whose they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zonectl.model.instance import Instance
from zonectl.network import gate as messages
from zonectl.network.steps import EnsureGate, gate_of
from zonectl.network.steps.gate import RoutingRule, tag

DEFAULT = Instance()
OTHER = Instance(root="/srv/zones")
FOUR = gate_of(DEFAULT, "zbr0", "10.77.0.1/16")
SIX = gate_of(OTHER, "br-lan.5", "fd00:77::1/64")


@pytest.mark.parametrize("step", [FOUR, SIX])
def test_rules_are_read_as_they_are_written(step: EnsureGate) -> None:
    for rule in step.rules:
        assert messages.parse(messages._body(rule)) == rule


def test_another_rule_is_not_taken_for_ours() -> None:
    rule = FOUR.rules[2]
    changed = (
        replace(rule, tag=tag(OTHER)),
        replace(rule, to="10.77.0.0/17"),
        replace(rule, mask=rule.mask | 1),
        replace(rule, priority=rule.priority + 1),
        replace(rule, iif="up0"),
    )
    for other in changed:
        assert messages.parse(messages._body(other)) == other != rule


def test_what_somebody_else_has_made_is_not_ours() -> None:
    protocol = b"\5\0\x15\0\x7a"
    body = messages._body(FOUR.rules[0])
    assert protocol in body
    assert messages.parse(body.replace(protocol, b"\5\0\x15\0\3")) is None


def test_the_host_is_led_past_the_refusal() -> None:
    for step in (FOUR, SIX):
        target, way_round, *refusals = step.rules
        assert (way_round.iif, way_round.target) == ("lo", target.priority)
        assert way_round.priority < min(rule.priority for rule in refusals)
        assert target.priority > max(rule.priority for rule in refusals)


def test_what_a_rule_says() -> None:
    assert [rule.text for rule in FOUR.rules] == [
        "priority 124 to 10.77.0.0/16 nop",
        "priority 122 to 10.77.0.0/16 iif lo goto 124",
        "priority 123 to 10.77.0.0/16 fwmark 0/0x20000000 blackhole",
    ]
    assert SIX.rules[3].text == "priority 123 iif br-lan.5 fwmark 0/0x20000000 blackhole"


def test_sources_are_checked_where_the_kernel_can() -> None:
    assert [path.rpartition("/")[2] for path, _ in FOUR.settings] == ["src_valid_mark", "rp_filter"]
    assert SIX.settings == ()


def test_an_address_stands_for_its_subnet() -> None:
    assert FOUR.subnet == "10.77.0.0/16"
    assert gate_of(DEFAULT, "zbr0", "10.77.0.0/16") == FOUR


def test_each_instance_has_a_tag_that_is_no_table_of_the_kernels() -> None:
    tags = {tag(DEFAULT), tag(OTHER), *(rule.tag for rule in (*FOUR.rules, *SIX.rules))}
    assert len(tags) == 2
    assert all(2**31 > number > 255 for number in tags)
    assert isinstance(FOUR.rules[0], RoutingRule)
