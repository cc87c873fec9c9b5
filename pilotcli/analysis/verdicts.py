"""Verdicts on times, all read from the interval that is shown beside them."""

from __future__ import annotations

from pilotcli.analysis.comparison import Effect, QueryTimes, TimeVerdict, Verdict
from pilotcli.analysis.statistics import CONFIDENCE, Difference, Interval

LEAST_EFFECT = 1.02
"""A smaller speed-up, or slow-down, does not count, however certain it is."""
SAME_WITHIN = 1.25
"""A query is the same only if the interval lies within this factor of 1 both ways."""


def query_verdict(
    a: QueryTimes, b: QueryTimes, difference: Difference | None
) -> tuple[Verdict, bool, Difference | None]:
    """Returns the verdict on one query, whether it needed no test, and the test that it rests on:
    times that mostly were cut off have none."""
    if a.failed or b.failed:
        if a.failed and b.failed:
            return "unclear", False, None
        return ("failed", True, None) if a.failed else ("mended", True, None)
    if difference is None:
        return "unclear", False, None
    often_a, often_b = 2 * a.timeouts > a.executions, 2 * b.timeouts > b.executions
    if often_a and often_b:
        return "unclear", False, None
    if often_a and not b.timeouts:
        return "slower", True, None
    if often_b and not a.timeouts:
        return "faster", True, None
    return verdict_of(difference), False, difference


def verdict_of(difference: Difference) -> Verdict:
    """Returns the verdict on the times of one query."""
    return verdict_on(difference.speedup, difference.low, difference.high)


def verdict_on(speedup: float, low: float | None, high: float | None) -> TimeVerdict:
    """Returns what an interval says, wherever one is shown: this is the only such rule."""
    if low is None or high is None:
        return "unclear"
    if high < 1 and speedup < 1 / LEAST_EFFECT:
        return "slower"
    if low > 1 and speedup > LEAST_EFFECT:
        return "faster"
    return "same" if low > 1 / SAME_WITHIN and high < SAME_WITHIN else "unclear"


def effect_of(found: Interval, rank: float | None, *, rounds: int) -> Effect:
    """Judges an interval. Where it was found from queries alone, Wilcoxon's test must agree, with
    the p-value `rank`: if not, or if the effect is too small to count, 1 is in the interval."""
    speedup, low, high = found.speedup, found.low, found.high
    if speedup is None or low is None or high is None:
        return Effect(speedup, low, high, CONFIDENCE, "unclear", found.method)
    disagrees = rounds <= 1 and (rank is None or rank >= 1 - CONFIDENCE)
    method = found.method
    if not low <= 1 <= high and (disagrees or verdict_on(speedup, low, high) == "unclear"):
        low, high = min(low, 1.0), max(high, 1.0)
        if disagrees:
            method += "; with 1 in it, as Wilcoxon's test does not agree"
    return Effect(speedup, low, high, CONFIDENCE, verdict_on(speedup, low, high), method)


def agreeing(rank: float | None, effect: Effect) -> float | None:
    """Returns Wilcoxon's p-value `rank`; where the interval of `effect` has 1 in it, no p-value may
    say otherwise."""
    if rank is None or effect.low is None or effect.high is None:
        return rank
    return max(rank, 1 - CONFIDENCE) if effect.low <= 1 <= effect.high else rank
