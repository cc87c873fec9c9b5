"""The comparison of a paired run while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from statistics import fmean

from pilotcli.analysis.comparison import Answers
from pilotcli.analysis.query_times import whole_time_s
from pilotcli.analysis.statistics import LEAST_QUERIES, Sample, differences, student_half
from pilotcli.analysis.verdicts import verdict_of
from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import ComparedSoFar, SlowedQuery

SLOWED_KEPT = 10


class SoFar:
    """Counts pairs as they end, and compares them at any moment.

    The interval is Student's over the queries' logarithms: quick, and close to the bootstrap
    interval of the comparison at the end.
    """

    def __init__(self, against: str = "native") -> None:
        """`against` names the baseline."""
        self._against = against
        self._labels: dict[int, str] = {}
        self._times: dict[int, tuple[list[float], list[float]]] = {}
        self._different: set[int] = set()

    def add(
        self, query: Query, driver: QueryResult, baseline: QueryResult, answers: Answers
    ) -> None:
        """Count one pair."""
        self._labels[query.seq] = query.label
        if answers == "different":
            self._different.add(query.seq)
        timed = ("ok", "timeout")
        if driver.status in timed and baseline.status in timed:
            a, b = self._times.setdefault(query.seq, ([], []))
            a.append(whole_time_s(driver))
            b.append(whole_time_s(baseline))

    @property
    def different(self) -> int:
        """Queries whose answers differ."""
        return len(self._different)

    def compared(self) -> ComparedSoFar:
        """The comparison of the pairs so far."""
        effects = {
            seq: fmean(math.log(base_s / run_s) for run_s, base_s in zip(a, b, strict=True))
            for seq, (a, b) in self._times.items()
        }
        speedup = low = high = worst = worst_speedup = total_speedup = None
        if effects:
            middle = fmean(effects.values())
            speedup = math.exp(middle)
            if len(effects) >= LEAST_QUERIES:
                half = student_half(list(effects.values()))
                low, high = math.exp(middle - half), math.exp(middle + half)
            slowest = min(effects, key=effects.__getitem__)
            worst, worst_speedup = self._labels[slowest], math.exp(effects[slowest])
            total_speedup = self._total_speedup()
        samples = [Sample(a, b) for a, b in self._times.values()]
        verdicts = [verdict_of(found) for found in differences(samples, paired=True)]
        clear = {
            seq for seq, verdict in zip(self._times, verdicts, strict=True) if verdict == "slower"
        }
        return ComparedSoFar(
            queries=len(self._labels),
            speedup=speedup,
            low=low,
            high=high,
            faster=verdicts.count("faster"),
            slower=verdicts.count("slower"),
            same=verdicts.count("same"),
            unclear=len(self._labels) - sum(verdict != "unclear" for verdict in verdicts),
            different=len(self._different),
            worst=worst,
            worst_speedup=worst_speedup,
            total_speedup=total_speedup,
            against=self._against,
            slowed=self._slowed(effects, clear),
        )

    def _total_speedup(self) -> float:
        """The speed-up of one replay. Of a query that ran more often, its mean counts."""
        driver_s = sum(fmean(driver) for driver, _ in self._times.values())
        return sum(fmean(baseline) for _, baseline in self._times.values()) / driver_s

    def _slowed(self, effects: Mapping[int, float], clear: Set[int]) -> tuple[SlowedQuery, ...]:
        """The queries that lose most time, those beyond the noise (`clear`) first."""
        slowed = [
            SlowedQuery(
                self._labels[seq],
                seq,
                fmean(driver),
                fmean(baseline),
                math.exp(effects[seq]),
                seq in clear,
            )
            for seq, (driver, baseline) in self._times.items()
            if effects[seq] < 0 and sum(driver) > sum(baseline)
        ]
        slowed.sort(key=lambda query: (query.clear, query.driver_s - query.baseline_s))
        return tuple(slowed[: -SLOWED_KEPT - 1 : -1])
