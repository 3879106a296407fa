"""The text for nft, and what is expected of it."""

from __future__ import annotations

from dataclasses import replace

from zonectl.network.ruleset import (
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    BridgeRules,
    expectations,
    inet_chains,
    pin_chains,
    removal,
    render,
)

ONE = BridgeRules(bridge="zbr0", mac="0a:7a:00:00:00:01", nat=True)
TWO = BridgeRules(bridge="br-lan.5", mac="0a:7a:00:00:00:02", nat=False)


def test_the_order_of_bridges_does_not_matter() -> None:
    assert render("zonectl", [ONE, TWO, ONE]) == render("zonectl", [TWO, ONE])


def test_what_is_expected_of_a_bridge_does_not_depend_on_the_others() -> None:
    chains = {chain.name: chain for chain in inet_chains((TWO, ONE))}
    for expected in expectations("zonectl", ONE):
        if expected.chain and expected.family == NFPROTO_INET:
            assert chains[expected.chain].uses == expected.uses
            assert chains[expected.chain].comment == expected.comment


def test_each_change_of_a_bridge_changes_what_is_expected() -> None:
    variants = (
        ONE,
        replace(ONE, nat=False),
        replace(ONE, mac="0a:7a:00:00:00:09"),
        replace(ONE, bridge="zbr1"),
    )
    assert len({expectations("zonectl", variant) for variant in variants}) == len(variants)


def test_without_nat_nothing_is_masqueraded() -> None:
    assert "masquerade" not in render("zonectl", [TWO])
    assert "masquerade" in render("zonectl", [ONE, TWO])


def test_both_tables_are_replaced_and_removed_in_whole() -> None:
    for text in (render("zonectl", [ONE]), removal("zonectl")):
        for family in ("inet", "bridge"):
            assert text.index(f"table {family} zonectl\n") < text.index(f"delete table {family} zonectl\n")


def test_every_rule_of_the_pins_ends_in_a_verdict() -> None:
    for chain in pin_chains():
        assert all(rule.split()[-1] in {"accept", "drop"} or " goto " in f" {rule}" for rule in chain.rules)
        assert chain.head or chain.rules[-1] == "drop" or chain.rules[-1].startswith("goto")


def test_both_families_are_watched() -> None:
    assert {one.family for one in expectations("zonectl", ONE)} == {NFPROTO_INET, NFPROTO_BRIDGE}
