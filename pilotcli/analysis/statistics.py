"""The statistics of a comparison. Times are in seconds, effects are logarithms of speed-ups.

Each method is chosen for the usual comparison: few rounds and many queries.

- *A query* has as many differences of logarithms as there were rounds, often three. Their variance
  alone says little, so it is moderated with that of all queries: the empirical Bayes estimate of
  Smyth (Statistical Applications in Genetics and Molecular Biology 3(1), 2004), under Student's t
  with the degrees of freedom that it earns. Where a query's own variance is the larger one, that is
  used: noise has spikes, and one of them must not count as a difference.
- *Several queries* are tested at once, so p-values and intervals are corrected together after
  Bonferroni: the level bounds the chance that any of them is called different while none is, and
  that any interval misses its truth. Holm's steps would find a little more, but have no intervals
  that say the same.
- *The total* is a ratio of sums. Its interval is a percentile bootstrap: each query's rounds are
  drawn again from its own rounds, pairs staying pairs. The deviations are stretched by what so few
  rounds make a bootstrap too narrow, sqrt(R / (R - 1)), and from the normal quantile to Student's,
  by the degrees of freedom of Welch and Satterthwaite.
- *The geometric mean* asks about queries like these, so queries are drawn again (BCa bootstrap),
  and Wilcoxon's signed-rank test has to agree.

With one round nothing separates noise from difference within a query; then queries are not judged
one by one, and the total is judged as the geometric mean is.

numpy is imported when a function is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any

from pilotcli.analysis.distributions import polygamma, student_quantile, student_tail
from pilotcli.analysis.resampling import interval_over_pairs
from pilotcli.analysis.signed_ranks import signed_rank_test

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.98
"""The level of every interval. A comparison makes three kinds of statements (the total, the
geometric mean, the queries), each at this level, so that together they are wrong in at most about
5 % of the comparisons of equals; `tests/analysis/test_honesty.py` measures it."""
LEAST_QUERIES = 6
"""With fewer of them Wilcoxon's test could not tell a difference at any level of use."""
SEED = 20260101
_MOST_REPLICATES, _LEAST_REPLICATES = 10_000, 1_000
_PICKS = 20_000_000
"""The most random numbers of a bootstrap, unless that leaves too few replicates."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One query's times in seconds, one for each round, all above 0.

    In a paired comparison, `a[i]` and `b[i]` are of the same round.
    """

    a: Sequence[float]
    b: Sequence[float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A speed-up (time of B by time of A) with its interval; None for what is unknown."""

    speedup: float | None
    low: float | None
    high: float | None
    method: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One query's speed-up, with the interval and the p-value of no difference.

    The interval holds for all queries at once, as does `corrected`, the p-value times their number:
    it is below 1 - CONFIDENCE where the interval leaves 1 out. All but the speed-up are None where
    there are too few rounds.
    """

    speedup: float
    low: float | None
    high: float | None
    p_value: float | None
    corrected: float | None


def differences(samples: Sequence[Sample], *, paired: bool) -> list[Difference]:
    """Returns each query's difference, judged independently."""
    import numpy as np

    if not samples:
        return []
    effects, variances, freedoms, shares = (
        np.array(values, dtype=float)
        for values in zip(*(_effect(sample, paired) for sample in samples), strict=True)
    )
    judged = freedoms > 0
    p_values = np.full(len(samples), np.nan)
    margins = np.full(len(samples), np.nan)
    if judged.any():
        prior_freedom, prior = _prior(variances[judged], freedoms[judged])
        own, freedom = variances[judged], freedoms[judged]
        if math.isinf(prior_freedom):
            moderated = np.full(len(own), prior)
        else:
            moderated = (prior_freedom * prior + freedom * own) / (prior_freedom + freedom)
        # Never below a query's own: see the module's text on spikes. The least one is that of a
        # clock: times that are equal to the last digit must not divide by zero.
        errors = np.sqrt(np.maximum(np.maximum(moderated, own), 1e-12) * shares[judged])
        freedom = np.minimum(freedom + prior_freedom, freedom.sum())
        p_values[judged] = 2 * student_tail(np.abs(effects[judged]) / errors, freedom)
        margins[judged] = student_quantile(_tail(int(judged.sum())), freedom) * errors
    corrected = np.minimum(1, p_values * judged.sum())
    return [
        Difference(
            _exp(effect),
            None if np.isnan(margin) else _exp(effect - margin),
            None if np.isnan(margin) else _exp(effect + margin),
            None if np.isnan(p_value) else float(p_value),
            None if np.isnan(after) else float(after),
        )
        for effect, margin, p_value, after in zip(
            effects, margins, p_values, corrected, strict=True
        )
    ]


def total_interval(samples: Sequence[Sample], *, paired: bool) -> Interval:
    """Returns the speed-up of all queries together: the sum of B's mean times by that of A's."""
    import numpy as np

    if not samples:
        return Interval(None, None, None, "there is no query to compare")
    means_a = np.array([fmean(sample.a) for sample in samples])
    means_b = np.array([fmean(sample.b) for sample in samples])
    sum_a, sum_b = means_a.sum(), means_b.sum()
    speedup = float(sum_b / sum_a)
    least = min(min(len(sample.a), len(sample.b)) for sample in samples)
    if least < 2:
        ratio = _over_queries(means_a, means_b, _log_ratio_of_sums)
        if ratio is None:
            return Interval(speedup, None, None, "one round of too few queries: no interval")
        return Interval(speedup, *ratio, "one round: bootstrap (BCa) over queries")
    parts = _deviations(samples, sum_a, sum_b, paired)
    variances = np.array([sum(part.var(ddof=1) / len(part) for part in group) for group in parts])
    if not variances.sum() > 0:
        return Interval(speedup, speedup, speedup, "bootstrap over rounds: without any noise")
    freedoms = np.array([sum(len(part) - 1 for part in group) for group in parts])
    freedom = variances.sum() ** 2 / (variances**2 / freedoms).sum()
    level = (1 + CONFIDENCE) / 2
    stretch = float(student_quantile(1 - level, freedom)) / NormalDist().inv_cdf(level)
    generator = np.random.default_rng(SEED)
    picks = sum(len(part) for group in parts for part in group)
    replicates = int(min(_MOST_REPLICATES, max(_LEAST_REPLICATES, _PICKS / picks)))
    drawn = np.zeros(replicates)
    for group in parts:
        for part in group:
            rounds = len(part)
            chosen = generator.integers(rounds, size=(replicates, rounds))
            drawn += part[chosen].mean(axis=1) * math.sqrt(rounds / (rounds - 1))
    low, high = np.quantile(drawn * stretch, [1 - level, level])
    centre = math.log(speedup)
    method = f"bootstrap over rounds, {replicates:,} times, seed {SEED}"
    return Interval(speedup, _exp(centre + low), _exp(centre + high), method)


def geometric_interval(samples: Sequence[Sample]) -> Interval:
    """Returns the geometric mean of the queries' speed-ups, where each counts the same."""
    import numpy as np

    if not samples:
        return Interval(None, None, None, "there is no query to compare")
    means_a = np.array([np.mean(np.log(sample.a)) for sample in samples])
    means_b = np.array([np.mean(np.log(sample.b)) for sample in samples])
    speedup = _exp(float((means_b - means_a).mean()))
    found = _over_queries(means_a, means_b, _mean_difference)
    if found is None:
        return Interval(speedup, None, None, f"fewer than {LEAST_QUERIES} queries: no interval")
    method = f"bootstrap (BCa) over queries, {_replicates(len(samples)):,} times, seed {SEED}"
    return Interval(speedup, *found, method)


def signed_rank(samples: Sequence[Sample]) -> float | None:
    """Returns the p-value of Wilcoxon's signed-rank test that queries are as often slower as faster
    in A, and by as much; None for fewer than six."""
    import numpy as np

    effects = np.array([_effect(sample, paired=False)[0] for sample in samples])
    if len(effects) < LEAST_QUERIES:
        return None
    if not effects.any():
        return 1.0
    exact = len(effects) <= 50 and len(np.unique(abs(effects))) == len(effects)
    return signed_rank_test(effects, exact=exact)[1]


def student_half(values: Sequence[float], intervals: int = 1) -> float:
    """Returns half of the width of Student's interval for the mean of two or more values, one of
    `intervals` that hold at once."""
    quantile = float(student_quantile(_tail(intervals), len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))


def _tail(intervals: int) -> float:
    """Returns the chance of a miss on one side that each of so many intervals has (Bonferroni)."""
    return (1 - CONFIDENCE) / 2 / intervals


def _effect(sample: Sample, paired: bool) -> tuple[float, float, float, float]:
    """Returns the mean difference of logarithms; the variance of one difference, its degrees of
    freedom, and the share of that variance which the mean has."""
    import numpy as np

    a, b = np.log(sample.a), np.log(sample.b)
    if paired and len(a) == len(b):
        rounds = len(a)
        variance = float((b - a).var(ddof=1)) if rounds > 1 else 0.0
        return float((b - a).mean()), variance, rounds - 1, 1 / rounds
    freedom = len(a) + len(b) - 2
    squares = float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum())
    enough = min(len(a), len(b)) > 1
    variance = squares / freedom if enough else 0.0
    share = 1 / len(a) + 1 / len(b)
    return float(b.mean() - a.mean()), variance, freedom if enough else 0, share


def _prior(variances: Floats, freedoms: Floats) -> tuple[float, float]:
    """Degrees of freedom and value of the variance that queries have in common, fitted to theirs by
    the moments of their logarithms (Smyth 2004, section 6.2); infinite freedom where they are all
    the same."""
    import numpy as np

    positive = variances > 0
    if positive.sum() < 3:
        return 0.0, 0.0
    half = freedoms[positive] / 2
    logs = np.log(variances[positive]) - polygamma(0, half) + np.log(half)
    centre = float(logs.mean())
    spread = float(logs.var(ddof=1) - polygamma(1, half).mean())
    if spread <= 0:
        return math.inf, _exp(centre)
    half_prior = _inverse_trigamma(spread)
    return 2 * half_prior, _exp(centre + float(polygamma(0, half_prior)) - math.log(half_prior))


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function has that value, by Newton's method on its reciprocal, which is
    convex: each step comes closer from one side."""
    at = 0.5 + 1 / value
    for _ in range(50):
        there = float(polygamma(1, at))
        step = there * (1 - there / value) / float(polygamma(2, at))
        at += step
        if abs(step) < 1e-8 * at:
            break
    return at


def _deviations(
    samples: Sequence[Sample], sum_a: float, sum_b: float, paired: bool
) -> list[list[Floats]]:
    """Returns what each query's rounds add to the logarithm of the total's speed-up, to the first
    order and around their mean; separately for A and B where rounds are not pairs."""
    import numpy as np

    found: list[list[Floats]] = []
    for sample in samples:
        a, b = np.asarray(sample.a) / sum_a, np.asarray(sample.b) / sum_b
        if paired and len(a) == len(b):
            both = b - a
            found.append([both - both.mean()])
        else:
            found.append([b - b.mean(), a.mean() - a])
    return found


def _log_ratio_of_sums(a: Floats, b: Floats) -> Any:
    import numpy as np

    return np.log(b.sum(-1) / a.sum(-1))


def _mean_difference(a: Floats, b: Floats) -> Any:
    return (b - a).mean(-1)


def _over_queries(a: Floats, b: Floats, effect: Callable[..., Any]) -> tuple[float, float] | None:
    """Returns the interval of `effect` when other such queries are drawn; None for too few."""
    import numpy as np

    if len(a) < LEAST_QUERIES:
        return None
    whole = float(effect(a, b))
    # BCa needs values that differ when a query is left out.
    changes = b - a if effect is _mean_difference else np.log(b / a)
    if np.ptp(changes) < 1e-12:
        return _exp(whole), _exp(whole)
    low, high = interval_over_pairs(
        a,
        b,
        effect,
        level=CONFIDENCE,
        replicates=_replicates(len(a)),
        generator=np.random.default_rng(SEED),
        corrected=len(a) <= 2_000,
    )
    return _exp(low), _exp(high)


def _replicates(queries: int) -> int:
    return int(min(_MOST_REPLICATES, max(_LEAST_REPLICATES, _PICKS / queries)))


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
