"""Every file of the corpus, read by the validator and by the published schema.

valid/: both accept. invalid/: both refuse. semantic/: the schema cannot say what is wrong, the validator does.
Broken files end with `#> ` and the exact lines that a user reads.
"""

from __future__ import annotations

import os
import re
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.config.strategies import configs
from zonectl.config import dumps, json_schema, parse
from zonectl.config.rules import RULES
from zonectl.config.zonefile import _draft
from zonectl.errors import ConfigError

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig

CORPUS = os.path.join(os.path.dirname(__file__), "corpus")


def files(*folders: str) -> list[str]:
    return sorted(
        os.path.join(folder, name) for folder in folders for name in os.listdir(os.path.join(CORPUS, folder))
    )


def text_of(name: str) -> str:
    with open(os.path.join(CORPUS, name), encoding="utf-8") as stream:
        return stream.read()


def problems(text: str) -> list[str]:
    try:
        parse(text, file="zone.toml", folder="/srv")
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def _ecma_pattern(_: object, pattern: str, instance: object, __: object) -> Any:
    """`pattern` as JSON Schema means it: in ECMA 262 `$` does not match before a last newline, as it does in Python."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


VALIDATOR: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # so the stubs have it
    jsonschema.Draft7Validator, {"pattern": _ecma_pattern}
)(json_schema())


def schema_refuses(text: str) -> bool:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return True
    return not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("name", files("valid"))
def test_valid(name: str) -> None:
    text = text_of(name)
    assert problems(text) == []
    assert not schema_refuses(text)
    config = parse(text, file=name, folder="/srv")
    assert parse(dumps(config), file=name, folder="/elsewhere") == config


@pytest.mark.parametrize("name", files("invalid", "semantic"))
def test_broken(name: str) -> None:
    text = text_of(name)
    expected = [line.removeprefix("#> ") for line in text.splitlines() if line.startswith("#> ")]
    assert expected, "a broken file says what is wrong with it"
    assert problems(text) == expected


@pytest.mark.parametrize("name", files("invalid"))
def test_schema_refuses_what_is_structural(name: str) -> None:
    assert schema_refuses(text_of(name))


@pytest.mark.parametrize("name", files("semantic"))
def test_schema_accepts_what_is_semantic(name: str) -> None:
    assert not schema_refuses(text_of(name))


def test_every_rule_has_a_file_that_breaks_it() -> None:
    """Each rule is needed: without it, some file of semantic/ would be accepted."""
    from zonectl.config import rules  # noqa: PLC0415 - its tuple is read at each call

    texts = [text_of(name) for name in files("semantic")]
    for rule in RULES:
        without = tuple(each for each in RULES if each is not rule)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rules, "RULES", without)
            assert any(not problems(text) for text in texts), rule.__name__


def test_the_corpus_is_large_enough() -> None:
    assert len(files("invalid", "semantic")) >= 40


def _leaves(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in [(*path, key), *_leaves(inner, (*path, key))]]


anything = st.sampled_from(
    [
        True,
        0,
        -1,
        5,
        10**20,
        0.5,
        "",
        "x",
        "a b",
        "10s",
        "1MiB",
        "/a",
        "a\nb",
        "a\0",
        "..",
        "/../x",
        "~/x",
        [],
        [1],
        {},
        {"x": 1},
    ]
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), configs(), anything)
def test_what_the_schema_refuses_is_refused(data: st.DataObject, config: ZoneConfig, value: object) -> None:
    """Also after anything in a good document is replaced by anything: the schema never knows better."""
    document = tomllib.loads(dumps(config))
    assert VALIDATOR.is_valid(document)
    *way, last = data.draw(st.sampled_from(_leaves(document)))
    place: Any = document
    for part in way:
        place = place[part]
    place[last] = value
    _, findings = _draft(document, "/srv")
    assert findings or VALIDATOR.is_valid(document)
