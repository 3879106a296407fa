"""What a hostile zone has named or written, made harmless before it reaches a terminal."""

from __future__ import annotations

import unicodedata

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
_ESCAPED_BYTE = range(0xDC80, 0xDD00)
_TWO_DIGITS = 0x100


def escape(text: str, *, keep: str = "") -> str:
    r"""`text` on one line, without a character that a terminal would obey, hide or turn around.

    Control characters and raw bytes become `\xNN`, marks of direction and other invisible ones `\u{NNNN}`; those in
    `keep` stay. Text decoded with surrogateescape is fine.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep or not _is_refused(char) else _escaped(char) for char in text)


def escape_bytes(raw: bytes, *, keep: str = "\t") -> str:
    """As `escape`, for what a zone has written: bytes, which may be no UTF-8."""
    return escape(raw.decode(errors="surrogateescape"), keep=keep)


def width(text: str) -> int:
    """How many columns of a terminal an escaped text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _is_refused(char: str) -> bool:
    return unicodedata.category(char) in _REFUSED


def _escaped(char: str) -> str:
    code = ord(char)
    if code in _ESCAPED_BYTE:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < _TWO_DIGITS else f"\\u{{{code:x}}}"


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
