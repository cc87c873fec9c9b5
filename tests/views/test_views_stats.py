from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.views.stats import LatencyHistogram, RateMeter

SHARES = (0.0, 0.5, 0.95, 0.99, 1.0)


def exact(values: list[float], share: float) -> float:
    """The nearest-rank percentile."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300))
def test_percentiles_are_within_one_percent_of_the_exact_ones(values: list[float]) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    for share, found in zip(SHARES, histogram.percentiles(*SHARES), strict=True):
        assert found == pytest.approx(exact(values, share), rel=0.0101)
    assert histogram.highest_s == pytest.approx(max(values), rel=1e-9) or max(values) <= 1e-6


def test_memory_does_not_grow_with_values() -> None:
    histogram = LatencyHistogram()
    before = len(histogram._buckets)
    for exponent in range(-12, 12):
        histogram.add(10.0**exponent)
    assert len(histogram._buckets) == before < 1500


def test_odd_values_do_not_spoil_it() -> None:
    histogram = LatencyHistogram()
    assert histogram.percentiles(0.5, 0.9) == [None, None]
    histogram.add(math.nan)
    assert histogram.total == 0
    for value in (-1.0, 0.0, math.inf, 0.5, 0.5, 0.5):
        histogram.add(value)
    assert histogram.total == 6
    assert histogram.percentiles(0.6)[0] == pytest.approx(0.5, rel=0.01)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = RateMeter(window_s=10)
    assert meter.measure(0.0, 0) is None
    assert meter.measure(1.0, 100) == 100
    for second in range(2, 30):
        rate = meter.measure(float(second), 100)
    assert rate == 0


def test_the_rate_keeps_a_bounded_number_of_samples() -> None:
    meter = RateMeter(window_s=10)
    for tick in range(10_000):
        assert meter.measure(tick * 0.01, tick) in (None, pytest.approx(100))
    assert len(meter._samples) <= 103
