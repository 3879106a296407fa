"""What the confined child reports is not trusted: it has read a hostile archive."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.errors import ImageError
from zonectl.images.unpack import Unpacked, _parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["error", "digest", "entries", "bytes", "skipped"])
REPORTS = (
    st.binary(max_size=80)
    | (VALUES | st.dictionaries(KEYS, VALUES)).map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [b"[" * 100_000, b"1" * 100_000, b'{"error":"\\ud800"}', b"\xff\xfe{}", b'{"a":' * 50_000]
    )
)


@given(REPORTS)
def test_any_report_is_a_result_or_an_error_of_the_image(report: bytes) -> None:
    try:
        found = _parsed(report)
    except ImageError:
        return
    assert isinstance(found.digest, str)
    assert type(found.entries) is int
    assert type(found.bytes) is int


def test_a_good_report() -> None:
    said = {"digest": "d", "entries": 3, "bytes": 4, "skipped": ["x"]}
    assert _parsed(json.dumps(said).encode()) == Unpacked(digest="d", entries=3, bytes=4, skipped=("x",))
    with pytest.raises(ImageError, match="it is damaged"):
        _parsed(b'{"error": "it is damaged"}')
