"""Axes: everything has its place on them, in order, and their ticks are round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.bench.report import figures
from zonectl.bench.report.scale import LinearScale, LogScale, LossScale

ratios = st.lists(st.floats(0.01, 1e4), min_size=1)
values = st.lists(st.floats(-1e12, 1e12), min_size=1)
times = st.lists(st.floats(1e-2, 1e13), min_size=1)


@given(ratios=ratios)
def test_losses_have_their_place_in_order(ratios: list[float]) -> None:
    scale = LossScale.around(ratios)
    places = [scale.at(ratio) for ratio in sorted(ratios)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= 1
    assert 0 < scale.at(1.0) < scale.at(1.03) < 1
    assert {0.0, 0.03} <= set(scale.ticks)
    assert scale.ticks == sorted(scale.ticks)


@given(values=values)
def test_a_linear_axis_has_room_for_all_and_for_0(values: list[float]) -> None:
    scale = LinearScale.around(values)
    reach = scale.high - scale.low
    assert all(scale.low - reach * 1e-6 <= value <= scale.high + reach * 1e-6 for value in [0.0, *values])
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(ticks)


@given(times=times)
def test_a_logarithmic_axis_ends_at_powers_of_ten(times: list[float]) -> None:
    scale = LogScale.around(times)
    assert all(0 <= scale.at(time) <= 1 for time in times)
    assert len(scale.ticks) >= 2
    assert scale.at(scale.ticks[0]) == pytest.approx(0)
    assert scale.at(scale.ticks[-1]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (0.314, "0.31 ns"),
        (9.994, "9.99 ns"),
        (9.996, "10.0 ns"),
        (99.96, "100 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 \N{MICRO SIGN}s"),
        (412_000, "412 \N{MICRO SIGN}s"),
        (11.4e6, "11.4 ms"),
        (2.5e9, "2.50 s"),
        (7e12, "7000 s"),
    ],
)
def test_durations(nanoseconds: float, told: str) -> None:
    assert figures.duration(nanoseconds) == told


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (1.0, "0.0 %"),
        (0.99996, "0.0 %"),
        (1.0004, "0.0 %"),
        (1.031, "+3.1 %"),
        (0.5, "-50.0 %"),
        (1.9996, "+100 %"),
        (2.5, "+150 %"),
        (10.99, "+999 %"),
        (11.0, "×11.0"),
        (62.5, "×62.5"),
    ],
)
def test_losses(ratio: float, told: str) -> None:
    assert figures.loss(ratio) == told


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [(12, "12.0 B"), (540_000, "527 KiB"), (24 * 1024**3, "24.0 GiB"), (5e14, "455 TiB")],
)
def test_sizes(size_bytes: float, told: str) -> None:
    assert figures.size(size_bytes) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (1418, "23 min 38 s"), (3900, "1 h 5 min")],
)
def test_spans(seconds: float, told: str) -> None:
    assert figures.span(seconds) == told
