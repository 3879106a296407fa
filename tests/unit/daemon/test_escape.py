from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.kernel.terminal import Escape


@pytest.mark.parametrize(
    ("typed", "passed", "found"),
    [
        (b"~.", b"", True),
        (b"ls\r~.more", b"ls\r", True),
        (b"ls~.", b"ls~.", False),
        (b"~~.", b"~.", False),
        (b"~a\n~.", b"~a\n", True),
        (b"~\r~.", b"~\r", True),
        (b"~", b"", False),
    ],
)
def test_the_escape_is_found_at_the_start_of_a_line(typed: bytes, passed: bytes, found: bool) -> None:
    escape = Escape()
    assert (escape.sift(typed), escape.found) == (passed, found)


@given(st.lists(st.binary(max_size=10)))
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    whole, parts = Escape(), Escape()
    assert b"".join(parts.sift(piece) for piece in pieces) == whole.sift(b"".join(pieces))
    assert parts.found == whole.found


@given(st.binary().filter(lambda typed: b"~" not in typed))
def test_what_has_no_tilde_passes_unchanged(typed: bytes) -> None:
    assert Escape().sift(typed) == typed
