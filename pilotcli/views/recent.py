"""The last queries that have ended, and latencies over time: both in bounded memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotcli.common.records import QueryResult, QueryStatus
from pilotcli.common.signals import ExecutionFinished, PairFinished, Phase

KEPT = 40
MOST_PARTS = 40
"""The most parts of a trend."""


@dataclass(slots=True)
class RecentQuery:
    """An execution that has ended, with the times of the same query in other arms (`baselines`:
    name to seconds). `round` is 0 outside of measured rounds."""

    label: str
    seq: int
    round: int
    elapsed_s: float | None
    status: QueryStatus = "ok"
    phase: Phase | None = None
    arm: str | None = None
    baselines: dict[str, float] = field(default_factory=dict)


class RecentQueries:
    """The last executions. Of a pair, the driver's; the baseline's time is added to it."""

    def __init__(self) -> None:
        self._kept: deque[RecentQuery] = deque(maxlen=KEPT)

    def __iter__(self) -> Iterator[RecentQuery]:
        """The last one first."""
        return reversed(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, result: QueryResult, phase: Phase | None) -> None:
        """Add a measured execution."""
        self._kept.append(
            RecentQuery(
                result.label, result.seq, result.round, result.elapsed_s, result.status, phase
            )
        )

    def add_execution(self, signal: ExecutionFinished) -> None:
        """Add an execution of another kind."""
        self._kept.append(
            RecentQuery(
                signal.label,
                signal.seq,
                0,
                signal.elapsed_s,
                phase=signal.phase,
                arm=signal.arm,
            )
        )

    def add_pair(self, pair: PairFinished) -> None:
        """Add the baseline's time to the driver's, which may have ended long ago."""
        for query in self:
            if query.seq == pair.seq and query.round == pair.round:
                break
        else:
            query = RecentQuery(
                pair.label, pair.seq, pair.round, None, pair.driver_status, "comparison"
            )
            self._kept.append(query)
        # As in the comparison: with the driver's inference and steering.
        query.elapsed_s = pair.driver_s
        query.baselines[pair.against] = pair.baseline_s


@dataclass(slots=True)
class Part:
    """Consecutive executions of the driver: their latencies, and what happened among them.
    `arms` holds number and sum of the latencies of other arms meanwhile."""

    results: int = 0
    sum_s: float = 0.0
    max_s: float = 0.0
    firings: int = 0
    failures: int = 0
    """Firings that failed."""
    saves: int = 0
    arms: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def mean_s(self) -> float | None:
        """The mean latency; None without any."""
        return self.sum_s / self.results if self.results else None

    def mean_of(self, arm: str) -> float | None:
        """The mean latency of another arm."""
        number, sum_s = self.arms.get(arm, (0, 0.0))
        return sum_s / number if number else None

    def add(self, other: Part) -> None:
        """Take the later part `other` in."""
        self.results += other.results
        self.sum_s += other.sum_s
        self.max_s = max(self.max_s, other.max_s)
        self.firings += other.firings
        self.failures += other.failures
        self.saves += other.saves
        for arm, (number, sum_s) in other.arms.items():
            self.add_arm(arm, sum_s, number)

    def add_arm(self, arm: str, elapsed_s: float, number: int = 1) -> None:
        """Add latencies of another arm: their sum and their number."""
        if not 0 <= elapsed_s < math.inf:
            return
        before, sum_s = self.arms.get(arm, (0, 0.0))
        self.arms[arm] = before + number, sum_s + elapsed_s


class Trend:
    """Latencies over time, in at most `MOST_PARTS` parts of equal numbers of executions."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._size = 1

    def begin(self, total: int | None) -> None:
        """Choose parts so small that `total` executions, where their number is known, fit."""
        self._size = max(1, -(-(total or 0) // MOST_PARTS))

    def add(self, elapsed_s: float) -> None:
        """Add an execution of the driver; what is no number is left out."""
        if not 0 <= elapsed_s < math.inf:
            return
        if self.parts and self.parts[-1].results >= self._size:
            if len(self.parts) >= MOST_PARTS:
                self._merge()
            self.parts.append(Part())
        part = self.last
        part.results += 1
        part.sum_s += elapsed_s
        if elapsed_s > part.max_s:
            part.max_s = elapsed_s

    @property
    def last(self) -> Part:
        """The part that is now."""
        if not self.parts:
            self.parts.append(Part())
        return self.parts[-1]

    def _merge(self) -> None:
        """Merge neighbours, so that there is room again."""
        for first, second in zip(self.parts[::2], self.parts[1::2], strict=True):
            first.add(second)
        del self.parts[1::2]
        self._size *= 2
