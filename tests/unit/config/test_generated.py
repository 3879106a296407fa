"""What is made from the descriptions is complete and current, and the examples are good examples."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import tomllib
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tools.pages import renewed
from zonectl.config import check_dependencies, json_schema, load_directory, schema_text, start_order
from zonectl.config.fields import ZONE
from zonectl.config.reference import BEGIN, END, reference_text
from zonectl.config.rules import RULES
from zonectl.config.tables import Field, ListOf, MapOf, Table, Tables
from zonectl.model.signals import STOP_SIGNALS, signal_number

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
CONFIGS = os.path.join(ROOT, "configs")


def content(*path: str) -> str:
    with open(os.path.join(ROOT, *path), encoding="utf-8") as stream:
        return stream.read()


def tables(table: Table = ZONE) -> Iterator[Table]:
    yield table
    for field in table.fields:
        if isinstance(field.kind, Table | Tables):
            yield from tables(field.kind.item if isinstance(field.kind, Tables) else field.kind)


def scalar_fields() -> list[Field]:
    return [
        field for table in tables() for field in table.fields if not isinstance(field.kind, Table | Tables)
    ]


@pytest.mark.parametrize("table", list(tables()), ids=lambda table: table.model.__name__)
def test_every_attribute_of_the_model_is_described(table: Table) -> None:
    attributes = [field.name for field in dataclasses.fields(table.model)]
    assert sorted(field.attribute for field in table.fields) == sorted(attributes)


@pytest.mark.parametrize("field", scalar_fields(), ids=lambda field: field.key)
def test_examples_and_defaults_are_valid(field: Field) -> None:
    assert field.text.endswith(".")
    value = tomllib.loads(f"value = {field.example}")["value"]
    match field.kind:
        case ListOf(item):
            assert [item.read(each) for each in value]
        case MapOf(key, item):
            assert [(key.read(name), item.read(each)) for name, each in value.items()]
        case Table() | Tables():
            pytest.fail("has an example of its own")
        case _:
            field.kind.read(value)


def test_what_absence_means_is_told() -> None:
    for table in tables():
        models = {field.name: field.default for field in dataclasses.fields(table.model)}
        for field in table.fields:
            if models[field.attribute] is None and field.key not in {"image", "path", "tar", "source"}:
                assert field.absent, field.key


def test_rules_are_told() -> None:
    for rule in RULES:
        assert rule.__doc__
        assert rule.__doc__.splitlines()[0].endswith(".")


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())
    assert json.loads(schema_text()) == json_schema()


def test_the_schema_file_is_current() -> None:
    assert content("configs", "zone.schema.json") == schema_text(), "run tools/generate.py"


def test_the_reference_page_is_current() -> None:
    page = content("docs", "manual", "zone-file.md")
    assert renewed(page, BEGIN, END, text=reference_text()) == page, "run tools/generate.py"


def test_the_examples_are_zones() -> None:
    loaded = load_directory(CONFIGS)
    assert {each.config.name for each in loaded} >= {
        "hello",
        "web",
        "limited",
        "readonly",
        "sparse",
        "db",
        "app",
    }
    configs = {each.path: each.config for each in loaded}
    assert check_dependencies(configs, set()) == []
    levels = start_order(configs)
    assert "db" in levels[0]
    assert levels[1] == ["app"]


def test_the_examples_agree_with_the_schema() -> None:
    validator = jsonschema.Draft7Validator(json_schema())
    for each in load_directory(CONFIGS):
        assert list(validator.iter_errors(tomllib.loads(each.text))) == []
        assert each.text.startswith("#:schema ./zone.schema.json\n#")
        assert os.path.basename(each.path) == f"{each.config.name}.toml"


def test_stop_signals_are_those_of_the_system() -> None:
    named = {each.name for each in signal.Signals} - {"SIGSTOP", "SIGRTMIN", "SIGRTMAX"}
    assert set(STOP_SIGNALS) == named
    assert list(STOP_SIGNALS) == sorted(STOP_SIGNALS)


@pytest.mark.parametrize(
    ("name", "number"),
    [("SIGTERM", 15), ("SIGKILL", 9), ("SIGRTMIN+3", signal.SIGRTMIN + 3), ("SIGRTMAX", signal.SIGRTMAX)],
)
def test_signal_numbers(name: str, number: int) -> None:
    assert signal_number(name) == number


@pytest.mark.parametrize(
    "name", ["SIGSTOP", "TERM", "15", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN+99", "", "SIGTERM\n"]
)
def test_what_is_no_stop_signal(name: str) -> None:
    with pytest.raises(ValueError, match="signal"):
        signal_number(name)
