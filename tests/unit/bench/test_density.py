"""At which numbers of zones is measured."""

from __future__ import annotations

import pytest

from zonectl.bench import density


@pytest.mark.parametrize(
    ("most", "counts"),
    [
        (1, [1]),
        (3, [1, 2, 3]),
        (10, [1, 2, 5, 10]),
        (60, [1, 2, 5, 10, 20, 50, 60]),
        (1000, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
    ],
)
def test_counts(most: int, counts: list[int]) -> None:
    assert density.counts(most) == counts


def test_the_kernel_holds_something() -> None:
    assert density.kernel_bytes() > 1 << 20
