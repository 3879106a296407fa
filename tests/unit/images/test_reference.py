from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.errors import ImageError
from zonectl.images.reference import Reference, parse


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("busybox", "busybox", "latest"),
        ("debian:12", "debian", "12"),
        ("team/web-app:1.4_rc", "team/web-app", "1.4_rc"),
        ("a__b.c--d", "a__b.c--d", "latest"),
    ],
)
def test_references(text: str, name: str, tag: str) -> None:
    assert parse(text) == Reference(name=name, tag=tag)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:",
        ":12",
        "A",
        "a:b:c",
        "../a",
        "/a",
        "a/",
        "a//b",
        "a b",
        "a\n",
        "a:12\n",
        "-a",
        "a.",
        "a:.x",
        "a@sha256:0",
        "é",
        "a" * 300,
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="not an image reference"):
        parse(text)


@given(st.text(max_size=40))
def test_whatever_is_accepted_is_plain_and_reads_back(text: str) -> None:
    try:
        reference = parse(text)
    except ImageError:
        return
    assert parse(str(reference)) == reference
    assert str(reference).isascii()
    assert str(reference).isprintable()
    assert ".." not in str(reference).partition(":")[0]
