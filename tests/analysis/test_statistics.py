"""The statistics of a comparison, against values that other software or plain arithmetic gives.

No expected value comes from pilot itself. The sources:

- scipy's t-tests, where the method is Student's t;
- Smyth (2004), sections 6.2 and 3, in mpmath 1.4 with 40 digits, as numbers below;
- bootstraps so small that all of their draws can be listed, with the closed forms of the quantiles
  of Student's t for 1 and 2 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
import scipy  # its packages are imported where a test uses them

from pilotcli.analysis.round_effects import geometric_of_round, total_of_round, widened
from pilotcli.analysis.statistics import (
    CONFIDENCE,
    Interval,
    Sample,
    differences,
    geometric_interval,
    signed_rank,
    total_interval,
)

LEVEL = 0.99
"""A two-sided interval of 98 % ends at the 99 % quantile."""
NORMAL = NormalDist().inv_cdf(LEVEL)
STUDENT_1 = math.tan(math.pi * (LEVEL - 0.5))
STUDENT_2 = (2 * LEVEL - 1) / math.sqrt(2 * LEVEL * (1 - LEVEL))


def of_differences(logarithms: Sequence[float]) -> Sample:
    """A query whose rounds differ by these logarithms."""
    return Sample([1.0] * len(logarithms), [math.exp(value) for value in logarithms])


# ---- Single queries ----

MODERATED = [
    # The differences; the speed-up with its interval, for it alone, and the p-value.
    (
        (0.02, 0.05, 0.03),
        (1.03389511351357, 0.980453542131133, 1.09024962409109),
        0.0663710329680108,
    ),
    (  # a variance of its own that is larger than the moderated one
        (0.11, 0.07, 0.15),
        (1.11627807045887, 1.00761054229342, 1.23666503900524),
        0.0164081904669634,
    ),
    (
        (-0.04, 0.01, -0.02),
        (0.983471453821617, 0.91957178810107, 1.05181141156942),
        0.349442826992064,
    ),
    (  # the same
        (0.60, -0.20, 0.05),
        (1.16183424272828, 0.407419420879477, 3.31319210228645),
        0.569423097686457,
    ),
    (
        (0.25, 0.26, 0.29),
        (1.30560517206495, 1.22890978666138, 1.387087061902),
        0.000242640733020622,
    ),
    (
        (0.00, 0.03, -0.01),
        (1.00668893835402, 0.947552839814783, 1.06951567872715),
        0.657837705334435,
    ),
]


def at_once(interval: Sequence[float], p_value: float, queries: int) -> float:
    """How many logarithms an interval for one query reaches when it holds for several."""
    effect, margin = math.log(interval[0]), math.log(interval[2] / interval[0])

    def off(freedom: float) -> float:
        statistic = abs(effect) / margin * scipy.stats.t.ppf(LEVEL, freedom)
        return float(2 * scipy.stats.t.sf(statistic, freedom)) - p_value

    freedom = scipy.optimize.brentq(off, 2, 100, xtol=1e-12)
    return float(
        margin
        * scipy.stats.t.isf((1 - LEVEL) / queries, freedom)
        / scipy.stats.t.ppf(LEVEL, freedom)
    )


def test_queries_are_judged_with_a_moderated_variance_or_their_own_larger_one() -> None:
    found = differences([of_differences(values) for values, _, _ in MODERATED], paired=True)
    for query, (_, interval, p_value) in zip(found, MODERATED, strict=True):
        assert query.low is not None and query.high is not None
        margin = at_once(interval, p_value, len(MODERATED))
        assert query.speedup == pytest.approx(interval[0], rel=1e-9)
        assert math.log(query.high / query.speedup) == pytest.approx(margin, rel=1e-6)
        assert math.log(query.speedup / query.low) == pytest.approx(margin, rel=1e-6)
        assert query.p_value == pytest.approx(p_value, rel=1e-7)


def test_equal_variances_are_all_the_prior() -> None:
    # The expectation of the logarithm of chi-squared with 2 degrees of freedom is log 2 - gamma.
    shifts = (0.0, 0.01, 0.02, 0.5)
    found = differences([of_differences([s - 0.1, s, s + 0.1]) for s in shifts], paired=True)
    error = 0.1 * math.sqrt(math.exp(np.euler_gamma) / 3)
    margin = scipy.stats.t.isf((1 - LEVEL) / 4, 8) * error
    for query, shift in zip(found, shifts, strict=True):
        assert query.high == pytest.approx(math.exp(shift + margin))
        assert query.p_value == pytest.approx(2 * scipy.stats.t.sf(shift / error, 8))


@pytest.mark.parametrize("queries", [1, 2])
def test_too_few_queries_for_a_prior_are_judged_by_students_t(queries: int) -> None:
    a, b = [1.0, 1.1, 0.97, 1.05], [1.2, 1.25, 1.31, 1.18]
    samples = [Sample(a, b)] * queries
    paired = scipy.stats.ttest_rel(np.log(b), np.log(a))
    unpaired = scipy.stats.ttest_ind(np.log(b), np.log(a))
    for expected, found in (
        (paired, differences(samples, paired=True)),
        (unpaired, differences(samples, paired=False)),
    ):
        interval = expected.confidence_interval(1 - 0.02 / queries)
        for query in found:
            assert query.p_value == pytest.approx(expected.pvalue)
            assert query.low == pytest.approx(math.exp(interval.low))
            assert query.high == pytest.approx(math.exp(interval.high))


def test_arms_of_unequal_length_are_no_pairs() -> None:
    a, b = [1.0, 1.1, 0.97, 1.05, 1.02], [1.2, 1.25, 1.31]
    (query,) = differences([Sample(a, b)], paired=True)
    assert query.p_value == pytest.approx(scipy.stats.ttest_ind(np.log(b), np.log(a)).pvalue)


def test_p_values_and_intervals_are_corrected_together() -> None:
    shifts = (0.05, 0.049, 0.048, 0.04, 0.036, 0.033, 0.03, 0.02, 0.0)
    samples = [of_differences([s - 0.02, s + 0.02, s + 0.01, s - 0.01]) for s in shifts]
    found = differences(samples, paired=True)
    for query in found:
        assert query.p_value is not None and query.low is not None and query.high is not None
        assert query.corrected == pytest.approx(min(1, len(shifts) * query.p_value))
        assert (query.corrected < 1 - CONFIDENCE) == (not query.low <= 1 <= query.high)
    assert {query.corrected == 1 for query in found} == {True, False}


# ---- The total ----


def test_a_bootstrap_of_one_query_is_stretched_to_students_t() -> None:
    # Two draws of the deviations -d and d: in a quarter of the replicates both are -d.
    found = total_interval([Sample([1.0, 1.0], [1.4, 1.6])], paired=True)
    half = math.sqrt(2) * (0.1 / 1.5) * STUDENT_1 / NORMAL
    assert found.speedup == pytest.approx(1.5)
    assert found.low == pytest.approx(1.5 * math.exp(-half))
    assert found.high == pytest.approx(1.5 * math.exp(half))


def test_a_bootstrap_of_three_rounds_is_as_lopsided_as_they_are() -> None:
    # All three draws are the lowest, or the highest, in one of 27 replicates.
    found = total_interval([Sample([1.0] * 3, [1.0, 1.1, 1.5])], paired=True)
    stretch = math.sqrt(3 / 2) * STUDENT_2 / NORMAL
    assert found.low == pytest.approx(1.2 * math.exp(-0.2 / 1.2 * stretch))
    assert found.high == pytest.approx(1.2 * math.exp(0.3 / 1.2 * stretch))


def test_two_queries_have_the_degrees_of_freedom_of_both() -> None:
    # Equal variances of one degree of freedom each: two, after Welch and Satterthwaite. All four
    # draws are the lowest in one of 16 replicates.
    sample = Sample([1.0, 1.0], [0.9, 1.1])
    found = total_interval([sample, sample], paired=True)
    half = 2 * math.sqrt(2) * 0.05 * STUDENT_2 / NORMAL
    assert found.low == pytest.approx(math.exp(-half))
    assert found.high == pytest.approx(math.exp(half))


def test_arms_that_are_no_pairs_are_drawn_apart() -> None:
    sample = Sample([0.9, 1.1], [0.9, 1.1])
    together = total_interval([sample], paired=True)
    assert (together.low, together.high) == (1.0, 1.0)  # what both arms share is no noise
    apart = total_interval([sample], paired=False)
    half = 2 * math.sqrt(2) * 0.1 * STUDENT_2 / NORMAL
    assert apart.low == pytest.approx(math.exp(-half))
    assert apart.high == pytest.approx(math.exp(half))


# ---- Queries like these ----


def test_six_queries_are_enough_and_five_are_not() -> None:
    samples = [Sample([1.0], [1.1 + n / 10]) for n in range(6)]
    # All of six ranks on one side, or all on the other: 2 of 2 ** 6 ways.
    assert signed_rank(samples) == pytest.approx(2 / 2**6)
    assert signed_rank(samples[:5]) is None
    assert geometric_interval(samples).low is not None
    assert geometric_interval(samples[:5]).low is None
    assert total_interval(samples, paired=True).low is not None
    assert total_interval(samples[:5], paired=True).low is None


def test_the_geometric_means_interval_is_scipys_of_one_sample() -> None:
    effects = [0.1, 0.25, -0.05, 0.4, 0.12, 0.33, 0.02, 0.21]
    found = geometric_interval([of_differences([value, value]) for value in effects])
    expected = scipy.stats.bootstrap(
        (effects,), np.mean, confidence_level=0.98, n_resamples=200_000, method="BCa",
        random_state=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert found.speedup == pytest.approx(math.exp(sum(effects) / 8))
    assert found.low is not None and found.high is not None
    # Apart by what 10,000 replicates leave to chance.
    assert math.log(found.low) == pytest.approx(expected.low, abs=0.01)
    assert math.log(found.high) == pytest.approx(expected.high, abs=0.01)


# ---- Arms in turns by rounds ----


def test_an_interval_is_at_least_as_wide_as_students_t_over_rounds() -> None:
    samples = [Sample([1.0, 1.0], [0.8, 1.0]), Sample([2.0, 2.0], [1.8, 2.2])]
    narrow = Interval(1.0, 0.999, 1.001, "made up")
    # The rounds' speed-ups are 2.6 / 3 and 3.2 / 3; their deviation over sqrt(2) is half of the
    # difference.
    half = math.log(3.2 / 2.6) / 2 * STUDENT_1
    found = widened(narrow, samples, total_of_round)
    assert found.low == pytest.approx(math.exp(-half))
    assert found.high == pytest.approx(math.exp(half))
    half = (math.log(1.0 * 1.1) - math.log(0.8 * 0.9)) / 2 / 2 * STUDENT_1
    found = widened(narrow, samples, geometric_of_round)
    assert found.high == pytest.approx(math.exp(half))
    wide = Interval(1.0, 1e-9, 1e9, "made up")
    assert widened(wide, samples, total_of_round).low == 1e-9
