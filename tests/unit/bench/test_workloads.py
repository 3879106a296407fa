"""The catalogue, and how it is chosen from."""

from __future__ import annotations

import pytest

from zonectl.bench import programs
from zonectl.bench.results import WorkloadFacts
from zonectl.bench.runner import Place
from zonectl.bench.trust import OWN
from zonectl.bench.workloads import CATALOGUE, Extent, Need, Workload, chosen, named
from zonectl.errors import BenchError, UsageError

PLACE = Place(root_folder="/srv/root", bind_folder="/srv/bind", server="10.77.0.1:7000")
BARE_PLACE = Place(root_folder="/srv/root", bind_folder=None, server=None)
NAMES = [workload.facts.name for workload in CATALOGUE]
GROUPS = ["cpu", "memory", "system calls", "processes", "files", "network", "composite", "witness"]


def test_names_are_unique_and_no_groups() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert not set(NAMES) & set(GROUPS)


def test_groups_stand_together_in_their_order() -> None:
    groups = [workload.facts.group for workload in CATALOGUE]
    assert list(dict.fromkeys(groups)) == GROUPS
    assert groups == sorted(groups, key=GROUPS.index)


@pytest.mark.parametrize("workload", CATALOGUE, ids=NAMES)
def test_each_says_what_it_stresses_and_what_an_operation_is(workload: object) -> None:
    facts = next(each.facts for each in CATALOGUE if each is workload)
    assert len(facts.stresses) > 20
    assert 0 < len(facts.operation) < 40
    assert (facts.stresses + facts.operation).isprintable()


@pytest.mark.parametrize("workload", CATALOGUE, ids=NAMES)
def test_what_the_probe_is_told_is_made_of_words(workload: object) -> None:
    settings = next(each for each in CATALOGUE if each is workload).settings_at(PLACE)
    for key, value in settings.items():
        assert key
        assert value
        assert all("!" <= character <= "~" for character in key + value)


def test_places_have_what_is_needed_or_say_what_is_missing() -> None:
    by_need = {workload.needs: workload for workload in CATALOGUE}
    assert set(by_need) == {None, *Need}
    assert by_need[Need.ROOT_FOLDER].settings_at(BARE_PLACE)["folder"] == "/srv/root"
    assert by_need[Need.BIND_FOLDER].settings_at(PLACE) == {"folder": "/srv/bind"}
    assert by_need[Need.SERVER].settings_at(PLACE) == {"server": "10.77.0.1:7000"}
    with pytest.raises(BenchError, match="no folder is bound"):
        by_need[Need.BIND_FOLDER].settings_at(BARE_PLACE)
    with pytest.raises(BenchError, match="no network"):
        by_need[Need.SERVER].settings_at(BARE_PLACE)


def test_what_is_on_a_bind_mount_is_also_on_the_root() -> None:
    for workload in CATALOGUE:
        if workload.needs is Need.BIND_FOLDER:
            (twin,) = named(workload.facts.name.removesuffix("-bind") + "-root")
            assert (twin.asks, twin.facts.operation) == (workload.asks, workload.facts.operation)
            assert twin.needs is Need.ROOT_FOLDER


# -------------------------------------------------------------------------------------------------------- choosing


def test_a_quick_run_is_part_of_a_full_one_which_is_all_but_what_must_be_asked_for() -> None:
    quick, full = chosen([], extent=Extent.QUICK), chosen([], extent=Extent.FULL)
    assert {w.facts.name for w in quick} < {w.facts.name for w in full}
    assert {w.facts.name for w in CATALOGUE} - {w.facts.name for w in full} == {"spin"}
    assert {w.facts.group for w in quick} == {*GROUPS} - {"witness"}


def test_names_and_groups_may_be_mixed_and_the_order_is_the_catalogues() -> None:
    picked = chosen(["getpid", "cpu", "getpid"], extent=Extent.QUICK)
    assert [workload.facts.name for workload in picked] == ["integer", "floating", "getpid"]


def test_what_is_named_is_measured_in_a_quick_run_too() -> None:
    assert [workload.facts.name for workload in chosen(["spin", "fio"], extent=Extent.QUICK)] == [
        "spin",
        "fio",
    ]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("getpit", "did you mean getpid?"),
        ("file", "did you mean files?"),
        ("xyzzy", "zonectl bench list shows them"),
        ("", "zonectl bench list shows them"),
    ],
)
def test_what_there_is_not_gets_the_nearest(word: str, hint: str) -> None:
    with pytest.raises(UsageError, match="there is no workload or group") as raised:
        chosen([word], extent=Extent.FULL)
    assert raised.value.hint == hint


def test_arguments_keep_their_white_space_and_commas() -> None:
    settings = dict(programs.program(["/bin/sh", "-c", "echo a,b\n%"], stdin="é\t"))
    assert settings == {"argv": "/bin/sh,-c,echo%20a%2Cb%0A%25", "stdin": "%C3%A9%09"}


def test_what_executes_programs_of_the_root_is_known() -> None:
    """Whatever is added executes them until it is said that it does not."""
    assert {each.asks for each in CATALOGUE} - OWN == {"spawn", "iperf"}
    assert {each.facts.group for each in CATALOGUE if each.executes} == {"composite", "witness"}
    facts = WorkloadFacts(name="new", group="cpu", stresses="what nobody knows", operation="call")
    assert Workload(facts=facts, asks="new", extent=Extent.FULL).executes
