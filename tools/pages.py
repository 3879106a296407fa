"""Pages that people write, with a part between marks that is made."""

from __future__ import annotations


def renewed(page: str, begin: str, end: str, *, text: str) -> str:
    """The page with `text` between its marks instead of what is there.

    Raises:
        ValueError: the page lacks the marks.

    """
    before, there, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (there and closed):
        raise ValueError(f"the page lacks the marks: {begin}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
