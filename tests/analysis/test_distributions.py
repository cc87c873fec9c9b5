"""pilot's own numerical functions give what scipy gives, which pilot does without."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy  # its packages are imported where a test uses them

from pilotcli.analysis import statistics
from pilotcli.analysis.distributions import polygamma, student_quantile, student_tail
from pilotcli.analysis.resampling import interval_over_pairs
from pilotcli.analysis.signed_ranks import signed_rank_test
from pilotcli.analysis.statistics import Sample, geometric_interval, signed_rank, total_interval

RANDOM = np.random.default_rng(7)
FREEDOMS = np.concatenate([[1.0, 1.5, 2.0, 3.0], 10 ** RANDOM.uniform(0, 5, 2_000)])


def test_tails_of_students_t() -> None:
    values = np.abs(RANDOM.standard_cauchy(len(FREEDOMS))) * 2
    np.testing.assert_allclose(
        student_tail(values, FREEDOMS), scipy.stats.t.sf(values, FREEDOMS), rtol=1e-9, atol=1e-300
    )
    assert student_tail(0.0, 5.0) == 0.5
    # The closed forms for 1 and 2 degrees of freedom, also far out and close to 0.
    assert student_tail(1e8, 1.0) == pytest.approx(math.atan(1e-8) / math.pi, rel=1e-12)
    assert student_tail(1e-9, 1.0) == pytest.approx(0.5 - 1e-9 / math.pi, rel=1e-15)
    assert student_tail(3.0, 2.0) == pytest.approx((1 - 3 / math.sqrt(11)) / 2, rel=1e-12)


@pytest.mark.parametrize("tail", [0.4, 0.01, 1e-4, 1e-8])
def test_quantiles_of_students_t(tail: float) -> None:
    np.testing.assert_allclose(
        student_quantile(tail, FREEDOMS), scipy.stats.t.isf(tail, FREEDOMS), rtol=1e-9
    )


@pytest.mark.parametrize("order", [0, 1, 2])
def test_polygamma_functions(order: int) -> None:
    at = 10 ** RANDOM.uniform(-5, 12, 2_000)
    np.testing.assert_allclose(
        polygamma(order, at),
        scipy.special.polygamma(order, at),
        rtol=1e-12,
        atol=1e-13 * (order == 0),
    )


RANKED = {
    "six": [0.1, -0.2, 0.3, 0.4, 0.5, 0.6],
    "all above": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    "both sides alike": [0.1, -0.2, 0.3, -0.4, 0.55, -0.15, 0.25, -0.35],
    "thirty": list(RANDOM.normal(0.2, 1, 30)),
    "fifty": list(RANDOM.normal(0.4, 1, 50)),
}


@pytest.mark.parametrize("values", RANKED.values(), ids=RANKED)
@pytest.mark.parametrize("sign", [1, -1])
def test_signed_ranks_exactly(values: list[float], sign: int) -> None:
    signed = sign * np.array(values)
    more, any_ = signed_rank_test(signed, exact=True)
    assert more == pytest.approx(
        scipy.stats.wilcoxon(signed, alternative="greater").pvalue, rel=1e-12
    )
    assert any_ == pytest.approx(scipy.stats.wilcoxon(signed).pvalue, rel=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_signed_ranks_with_ties_and_zeros(sign: int) -> None:
    values = sign * np.array([0.1, 0.1, -0.1, 0.3, 0.0, 0.4, -0.2, 0.3, 0.3])
    more, _ = signed_rank_test(values, exact=True)
    # Of nine values scipy goes through all 2 ** 9 signs.
    assert more == pytest.approx(
        scipy.stats.wilcoxon(values, alternative="greater").pvalue, rel=1e-12
    )
    many = np.round(RANDOM.normal(0.2, 1, 300), 1)
    more, any_ = signed_rank_test(sign * many, exact=False)
    for alternative, found in (("greater", more), ("two-sided", any_)):
        scipys = scipy.stats.wilcoxon(sign * many, alternative=alternative, method="asymptotic")
        assert found == pytest.approx(scipys.pvalue, rel=1e-11)


def mean_difference(a: Any, b: Any, axis: int = -1) -> Any:
    return (b - a).mean(axis)


def ratio_of_sums(a: Any, b: Any, axis: int = -1) -> Any:
    return np.log(b.sum(axis) / a.sum(axis))


@pytest.mark.parametrize("effect", [mean_difference, ratio_of_sums])
@pytest.mark.parametrize("pairs", [6, 40, 1_500])
@pytest.mark.parametrize("corrected", [True, False])
def test_bootstraps_over_pairs(effect: Callable[..., Any], pairs: int, corrected: bool) -> None:
    a = RANDOM.lognormal(0, 1, pairs)
    b = a * RANDOM.lognormal(0.2, 0.5, pairs)
    found = interval_over_pairs(
        a, b, effect, level=0.98, replicates=2_999, generator=np.random.default_rng(3),
        corrected=corrected,
    )  # fmt: skip
    scipys = scipy.stats.bootstrap(
        (a, b), effect, paired=True, vectorized=True, n_resamples=2_999, batch=2_000_000 // pairs,
        confidence_level=0.98, method="BCa" if corrected else "percentile",
        random_state=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    assert found == pytest.approx((scipys.low, scipys.high), rel=1e-9)


@pytest.mark.parametrize("rounds", [1, 3])
def test_comparisons_of_many_queries_are_the_same_with_scipys_functions(
    rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = []
    for scale in RANDOM.lognormal(-3, 1, 60):
        a = scale * RANDOM.lognormal(0, 0.1, rounds)
        samples.append(Sample(list(a), list(a * RANDOM.lognormal(0.05, 0.2, rounds))))

    def figures() -> list[float]:
        each = statistics.differences(samples, paired=True)
        whole = [total_interval(samples, paired=True), geometric_interval(samples)]
        known = [value for query in each for value in (query.low, query.high, query.corrected)]
        known += [value for one in whole for value in (one.speedup, one.low, one.high)]
        known.append(signed_rank(samples))
        return [value for value in known if value is not None]

    own = figures()
    assert len(own) == (7 if rounds == 1 else 187)
    monkeypatch.setattr(statistics, "student_tail", scipy.stats.t.sf)
    monkeypatch.setattr(statistics, "student_quantile", scipy.stats.t.isf)
    monkeypatch.setattr(statistics, "polygamma", scipy.special.polygamma)
    assert own == pytest.approx(figures(), rel=1e-9)
