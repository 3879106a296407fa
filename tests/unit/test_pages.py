"""What is made stands between marks of pages that people write."""

from __future__ import annotations

import pytest

from tools.pages import renewed


def test_what_is_between_the_marks_is_made_anew() -> None:
    assert (
        renewed("before <a>\n\nold\n\n<b> after", "<a>", "<b>", text="new")
        == "before <a>\n\nnew\n\n<b> after"
    )


@pytest.mark.parametrize("page", ["# Nothing\n", "<a> begins alone", "<b> before <a>"])
def test_a_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        renewed(page, "<a>", "<b>", text="new")
