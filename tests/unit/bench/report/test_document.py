"""A run survives its document; a damaged document is refused with where it is wrong; the schema says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.bench.report import runs
from zonectl import __version__
from zonectl.bench.report import document
from zonectl.bench.report.schema import field_comments, json_schema, schema_text
from zonectl.bench.results import SCHEMA_VERSION, Run, Series
from zonectl.errors import Damaged, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[dict[str, object]], object]

PUBLISHED = Path(__file__).parents[4] / "docs" / "manual" / "bench-run.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def values(run: Run) -> dict[str, object]:
    made = json.loads(document.dump(run))
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize("name", runs.ALL)
def test_a_run_is_read_back_as_it_was(name: str) -> None:
    run = runs.ALL[name]()
    assert document.load(document.dump(run)) == run


@pytest.mark.parametrize("name", runs.ALL)
def test_documents_agree_with_the_schema(name: str) -> None:
    VALIDATOR.validate(values(runs.ALL[name]()))


def test_a_document_says_who_wrote_it_first() -> None:
    text = document.dump(runs.small())
    assert list(values(runs.small()))[:2] == ["schema_version", "written_by"]
    assert values(runs.small())["written_by"] == __version__
    assert text.isascii()
    assert text.endswith("\n}\n")


def test_a_lone_surrogate_is_kept() -> None:
    run = document.load(document.dump(runs.small()).replace('"web"', '"we\\udc80"'))
    assert run.zone == "we\udc80"
    assert document.load(document.dump(run)) == run


def test_the_schema_is_one_and_is_published() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), "run tools/generate.py"


def test_descriptions_are_the_comments_beside_the_fields() -> None:
    assert field_comments(Series)["loops"] == "operations in a sample"
    assert '"description": "operations in a sample"' in schema_text()


def test_a_newer_schema_is_refused_in_one_line() -> None:
    newer = {"schema_version": SCHEMA_VERSION + 1, "written_by": "9.9", "unheard": "of"}
    with pytest.raises(
        StoreError, match=r"^new.json has schema \d+, newer than \d+: written by zonectl 9.9$"
    ):
        document.load(json.dumps(newer), "new.json")


def _set(*path: str | int, to: object) -> Change:
    def change(data: dict[str, object]) -> None:
        place = data
        for key in path[:-1]:
            place = place[key]  # type: ignore[assignment, index]
        place[path[-1]] = to  # type: ignore[index]

    return change


DAMAGES: dict[str, tuple[Change, str]] = {
    "a key is missing": (lambda data: data.pop("zone"), "zone is not there"),
    "a key is unknown": (_set("zoen", to="web"), "zoen is not known"),
    "a key of an arm is unknown": (_set("arms", 1, "x", to=1), r"arms\[1\].x is not known"),
    "no object": (_set("host", to=[]), "host is not an object"),
    "no list": (_set("arms", to={}), "arms is not a list"),
    "no arm": (_set("arms", 0, to=3), r"arms\[0\] is not an object"),
    "no text": (_set("zone", to=None), "zone is not a string"),
    "true is no number": (_set("duration_s", to=True), "duration_s is not a number"),
    "1.0 is no whole number": (_set("processor", to=1.5), "processor is not a whole number"),
    "1 is not true": (_set("complete", to=1), "complete is not true or false"),
    "an unknown kind": (_set("arms", 0, "kind", to="car"), r"arms\[0\].kind is not one of bare, control"),
    "a kind that is a list": (_set("arms", 0, "kind", to=[]), r"arms\[0\].kind is not one of bare, control"),
    "a version that is no text": (_set("host", "versions", "cc", to=12), "host.versions.cc is not a string"),
    "versions are no object": (_set("host", "versions", to=[]), "host.versions is not an object"),
    "a sample is no number": (
        _set("series", 1, "rounds", 2, 0, to="7"),
        r"series\[1\].rounds\[2\]\[0\] is not a number",
    ),
    "a sample takes no time": (
        _set("series", 1, "rounds", 2, 1, to=0),
        r"series\[1\].rounds\[2\]\[1\] is not above 0",
    ),
    "a round without samples": (_set("series", 0, "rounds", 0, to=[]), r"series\[0\].rounds\[0\] is not a list"),
    "no loops": (_set("series", 0, "loops", to=0), r"series\[0\].loops is not at least 1"),
}  # fmt: skip
BEYOND_THE_SCHEMA: dict[str, tuple[Change, str]] = {
    "two arms of a name": (_set("arms", 1, "name", to="bare"), r"arms\[1\] is not the only one of its name"),
    "an unknown arm": (_set("series", 0, "arm", to="car"), r"series\[0\].arm is not one of the arms"),
    "an unknown workload": (_set("series", 0, "workload", to="x"), r"series\[0\].workload is not one of the"),
    "a rung above none": (_set("arms", 2, "after", to="x"), r"arms\[2\].after is not one of the arms"),
    "a rung above itself": (_set("arms", 2, "after", to="masks"), r"arms\[2\].after is not a rung below"),
    "too large a number": (_set("duration_s", to=10**400), "duration_s is not a number"),
}


@pytest.mark.parametrize("name", [*DAMAGES, *BEYOND_THE_SCHEMA])
def test_a_damage_is_told_with_where_it_is(name: str) -> None:
    change, where = (DAMAGES | BEYOND_THE_SCHEMA)[name]
    data = values(runs.only(runs.rich(), "getpid"))
    change(data)
    with pytest.raises(Damaged, match=f"^run.json is damaged: {where}"):
        document.load(json.dumps(data), "run.json")


@pytest.mark.parametrize("name", DAMAGES)
def test_the_schema_refuses_the_same_damages(name: str) -> None:
    data = values(runs.only(runs.rich(), "getpid"))
    DAMAGES[name][0](data)
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_no_number_to_json_is_refused(number: str) -> None:
    text = document.dump(runs.small()).replace('"duration_s": 6.4', f'"duration_s": {number}')
    with pytest.raises(Damaged, match="duration_s is not a number"):
        document.load(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"schema_version": true}', "{", "[" * 100_000])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(Damaged, match="the document is damaged: "):
        document.load(text)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_in_any_place_is_taken_or_refused(data: st.DataObject) -> None:
    """Never another exception; what is taken is written and read again."""
    changed = values(runs.small())
    place: object = changed
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(ANYTHING)
            break
        place = inner
    try:
        run = document.load(json.dumps(changed))
    except StoreError:
        return
    assert document.load(document.dump(run)) == run


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
