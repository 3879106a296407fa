from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl import config
from zonectl.errors import ConfigError, ImageError
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


@given(
    st.one_of(
        st.text("ab1._-/:A", max_size=12),
        st.from_regex(
            r"[a-z0-9]{1,3}([._-]{1,2}[a-z0-9]{1,3}|/[a-z0-9]{1,3})*(:[A-Za-z0-9._-]{1,5})?", fullmatch=True
        ),
    )
)
def test_a_zone_file_takes_what_the_store_takes(text: str) -> None:
    try:
        parse(text)
    except ImageError:
        taken = False
    else:
        taken = True
    zone = f'name = "web"\nroot.image = "{text}"\n'
    try:
        assert config.parse(zone, file="web.toml", folder="/").root.image == text
    except ConfigError:
        assert not taken
    else:
        assert taken


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
