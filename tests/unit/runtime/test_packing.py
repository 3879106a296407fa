"""The map of a sparse file comes out of a zone: any text is a map of such a file, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.runtime.packing import parse_map

MAPS = (
    st.text(max_size=40)
    | st.lists(
        st.integers(-1, 2**64).map(str) | st.sampled_from(["", "+1", "1_0", "٣", "0x1"]), max_size=9
    ).map(" ".join)
    | st.sampled_from(["9" * 10_000, " " * 10_000, "1 " * 10_000])
)


@given(MAPS, st.integers(0, 2**64))
def test_any_text_is_a_map_or_refused(text: str, stored: int) -> None:
    try:
        size, pieces = parse_map(text, stored)
    except ValueError:
        return
    assert sum(length for _, length in pieces) == stored
    ends = [0, *(offset + length for offset, length in pieces)]
    assert all(offset >= end for (offset, _), end in zip(pieces, ends, strict=False))
    assert ends[-1] <= size < 2**63


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=20), st.integers(0, 99))
def test_a_map_comes_back(gaps: list[tuple[int, int]], tail: int) -> None:
    at, pieces = 0, []
    for gap, length in gaps:
        pieces.append((at + gap, length))
        at += gap + length
    text = " ".join(map(str, (at + tail, *(number for piece in pieces for number in piece))))
    assert parse_map(text, sum(length for _, length in pieces)) == (at + tail, pieces)
    with pytest.raises(ValueError, match=text[:1]):
        parse_map(text, sum(length for _, length in pieces) + 1)
