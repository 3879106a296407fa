from __future__ import annotations

import graphlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.config import check_dependencies, start_order
from zonectl.errors import ConfigError
from zonectl.model.config import ZoneConfig
from zonectl.model.names import ZoneName

NAMES = [ZoneName(letter) for letter in "abcdefg"]


def zones(**needs: str) -> dict[str, ZoneConfig]:
    """Zones by their files; `web="db mail"` depends on db and mail."""
    return {
        f"{name}.toml": ZoneConfig(name=ZoneName(name), depends_on=tuple(map(ZoneName, needed.split())))
        for name, needed in needs.items()
    }


def test_levels() -> None:
    assert start_order(zones(web="app", app="db mail", db="", mail="", log="")) == [
        ["db", "log", "mail"],
        ["app"],
        ["web"],
    ]


def test_zones_that_are_elsewhere_are_taken_to_be_up() -> None:
    assert start_order(zones(web="db")) == [["web"]]
    assert check_dependencies(zones(web="db"), {"db"}) == []


def test_no_zone_of_that_name() -> None:
    problems = check_dependencies(zones(web="db dbx", app="web", db=""), set())
    assert [str(problem) for problem in problems] == [
        "web.toml: depends_on[1]: no zone is named dbx (did you mean db?)"
    ]


def test_lines_come_from_the_texts() -> None:
    texts = {"web.toml": 'name = "web"\ndepends_on = [\n"app",\n"db"]\n'}
    problems = check_dependencies(zones(web="app db", app=""), set(), texts=texts)
    assert [str(problem) for problem in problems] == ["web.toml:4: depends_on[1]: no zone is named db"]


def test_circles_are_told_once_each() -> None:
    files = zones(a="b", b="c", c="a", d="e", e="d", f="a", g="")
    expected = [
        "a.toml: depends_on[0]: zones depend on each other in a circle: a → b → c → a",
        "d.toml: depends_on[0]: zones depend on each other in a circle: d → e → d",
    ]
    assert [str(problem) for problem in check_dependencies(files, set())] == expected
    with pytest.raises(ConfigError) as caught:
        start_order(files)
    assert [str(problem) for problem in caught.value.problems] == expected


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True)))
def test_order_agrees_with_graphlib(graph: dict[ZoneName, list[ZoneName]]) -> None:
    files = {
        f"{name}.toml": ZoneConfig(name=name, depends_on=tuple(needed)) for name, needed in graph.items()
    }
    within = {name: [each for each in needed if each in graph] for name, needed in graph.items()}
    try:
        tuple(graphlib.TopologicalSorter(within).static_order())
    except graphlib.CycleError:
        assert check_dependencies(files, NAMES)
        with pytest.raises(ConfigError):
            start_order(files)
        return
    assert check_dependencies(files, NAMES) == []
    levels = start_order(files)
    level_of = {name: number for number, level in enumerate(levels) for name in level}
    assert level_of.keys() == graph.keys()
    assert all(level_of[each] < level_of[name] for name, needed in within.items() for each in needed)
