"""What somebody meant who wrote something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that `word` is most likely a slip of, if any is close."""
    import difflib  # noqa: PLC0415 - only a file with a mistake in it pays for this

    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)), None)
