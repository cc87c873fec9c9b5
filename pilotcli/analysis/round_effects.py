"""Arms that took turns by rounds: what a round meets, all of its queries meet in one arm alone.

The bootstraps of `statistics` draw each query's rounds, or the queries, by themselves. Where a busy
minute falls on one arm's round, all queries are slower in it together, and such intervals are too
narrow. They are widened here to what the rounds' own speed-ups tell, of which there is one a round:
Student's t with one degree of freedom less than rounds.

numpy and scipy are imported when a function is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import stdev

from pilotcli.analysis.statistics import CONFIDENCE, Interval, Sample
from pilotcli.common.records import QueryResult

__all__ = ["geometric_of_round", "took_turns_by_rounds", "total_of_round", "widened"]

OfRound = Callable[[Sequence[tuple[float, float]]], float]


def took_turns_by_rounds(a: Iterable[QueryResult], b: Iterable[QueryResult]) -> bool:
    """Whether in each round that both arms have one was through before the other began."""
    spans: list[dict[int, tuple[float, float]]] = []
    for results in (a, b):
        own: dict[int, tuple[float, float]] = {}
        for one in results:
            first, last = own.get(one.round, (math.inf, -math.inf))
            own[one.round] = min(first, one.started_at), max(last, one.started_at)
        spans.append(own)
    shared = spans[0].keys() & spans[1].keys()
    return bool(shared) and all(
        spans[0][round][1] < spans[1][round][0] or spans[1][round][1] < spans[0][round][0]
        for round in shared
    )


def total_of_round(pairs: Sequence[tuple[float, float]]) -> float:
    """The logarithm of the speed-up of all queries together, of their times in A and B."""
    return math.log(sum(b for _, b in pairs) / sum(a for a, _ in pairs))


def geometric_of_round(pairs: Sequence[tuple[float, float]]) -> float:
    """The mean of the logarithms of the queries' speed-ups."""
    return sum(math.log(b / a) for a, b in pairs) / len(pairs)


def widened(found: Interval, samples: Sequence[Sample], of_round: OfRound) -> Interval:
    """`found`, with an interval that is as wide as the differences between rounds ask for; without
    one where there is a single round, of which nothing tells how lucky it was."""
    if found.speedup is None or found.low is None or found.high is None:
        return found
    rounds = max(len(one.a) for one in samples)
    whole = [one for one in samples if len(one.a) == len(one.b) == rounds]
    if rounds < 2 or not whole:
        return replace(found, low=None, high=None, method="one round in turns: no interval")
    from scipy import stats

    changes = [of_round([(one.a[at], one.b[at]) for one in whole]) for at in range(rounds)]
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, rounds - 1)) * stdev(changes) / rounds**0.5
    centre = math.log(found.speedup)
    return replace(
        found,
        low=min(found.low, math.exp(centre - half)),
        high=max(found.high, math.exp(centre + half)),
        method=f"{found.method}; at least Student's t over rounds",
    )
