"""Nothing that a zone has named or written can move a terminal's cursor."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.model.escape import escape, escape_bytes, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web", "web"),
        ("größe 大", "größe 大"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
        ("\x7f\x9b1m", "\\x7f\\x9b1m"),
        ("\u202eevil\u2066", "\\u{202e}evil\\u{2066}"),
        ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
        ("line\u2028\u2029", "line\\u{2028}\\u{2029}"),
        ("\U000e0041", "\\u{e0041}"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\u{d800}"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text())
def test_one_line_of_what_can_be_seen(text: str) -> None:
    shown = escape(text)
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for char in shown)
    assert len(shown.splitlines()) <= 1
    assert escape(shown) == shown


@given(st.binary())
def test_bytes_keep_their_tabs(raw: bytes) -> None:
    shown = escape_bytes(raw)
    assert not set(shown) & ({chr(code) for code in range(0x20)} | {"\x7f"}) - {"\t"}
    shown.encode()  # no surrogates are left


def test_widths() -> None:
    assert width("abc") == 3
    assert width("大b") == 3
    assert width("e\u0301") == 1
