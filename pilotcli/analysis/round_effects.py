"""Intervals for arms that took turns by rounds, where a busy minute slows one arm's round alone.

The bootstraps of `statistics` draw each query's rounds, or the queries, independently. When all
queries of a round are slower together, such intervals are too narrow. They are widened here to the
interval of the rounds' own speed-ups, one per round: Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pilotcli.analysis.statistics import Interval, Sample, student_half
from pilotcli.common.records import QueryResult

OfRound = Callable[[Sequence[tuple[float, float]]], float]


def took_turns_by_rounds(a: Iterable[QueryResult], b: Iterable[QueryResult]) -> bool:
    """Returns whether in each round that both arms have, one ended before the other began."""
    spans: list[dict[int, tuple[float, float]]] = []
    for results in (a, b):
        own: dict[int, tuple[float, float]] = {}
        for result in results:
            first, last = own.get(result.round, (math.inf, -math.inf))
            own[result.round] = min(first, result.started_at), max(last, result.started_at)
        spans.append(own)
    shared = spans[0].keys() & spans[1].keys()
    return bool(shared) and all(
        spans[0][round][1] < spans[1][round][0] or spans[1][round][1] < spans[0][round][0]
        for round in shared
    )


def total_of_round(pairs: Sequence[tuple[float, float]]) -> float:
    """Returns the logarithm of the speed-up of all queries together, by their times in A and B."""
    return math.log(sum(b for _, b in pairs) / sum(a for a, _ in pairs))


def geometric_of_round(pairs: Sequence[tuple[float, float]]) -> float:
    """Returns the mean of the logarithms of the queries' speed-ups."""
    return sum(math.log(b / a) for a, b in pairs) / len(pairs)


def widened(found: Interval, samples: Sequence[Sample], of_round: OfRound) -> Interval:
    """Returns `found` with an interval at least as wide as that of the rounds; without one for a
    single round, whose luck nobody knows."""
    if found.speedup is None or found.low is None or found.high is None:
        return found
    rounds = max(len(sample.a) for sample in samples)
    whole = [sample for sample in samples if len(sample.a) == len(sample.b) == rounds]
    if rounds < 2 or not whole:
        return replace(found, low=None, high=None, method="one round in turns: no interval")
    half = student_half([of_round([(q.a[at], q.b[at]) for q in whole]) for at in range(rounds)])
    centre = math.log(found.speedup)
    return replace(
        found,
        low=min(found.low, math.exp(centre - half)),
        high=max(found.high, math.exp(centre + half)),
        method=f"{found.method}; at least Student's t over rounds",
    )
