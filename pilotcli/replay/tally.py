"""The counts of a run so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pilotcli.common.records import (
    STOPPED,
    Query,
    QueryResult,
    QueryStatus,
    SteeringReport,
    no_queries,
)
from pilotcli.replay.observers import RunObserver

SLOWEST_KEPT = 10
UNDEFINED_TABLE = "42P01"
"""The SQLSTATE of a query about a relation that is not there (PostgreSQL manual, appendix A)."""


@dataclass(slots=True)
class Tally(RunObserver):
    """The counts of a run so far, without warm-up."""

    statuses: dict[QueryStatus, int] = field(default_factory=no_queries)
    query_s: float = 0.0
    steered: int = 0
    """Queries for which something was pushed."""
    ignored: int = 0
    """Pushes that were not applied."""
    native: int = 0
    """Queries that ran unsteered because their steering failed."""
    steering_error: str | None = None
    """The error of the first query whose steering failed."""
    unknown_relations: int = 0
    """Queries that failed because the database lacks a relation."""
    stopped: int = 0
    """Queries that the user's stop has cancelled; they run again when the run is resumed."""
    _kept: dict[int, QueryResult] = field(default_factory=dict)
    """The slowest execution of each of the slowest queries, by the query's number."""
    _least_s: float = -1.0
    """An execution that is no slower is none of the slowest."""

    def query_finished(self, query: Query, result: QueryResult) -> None:
        """Count one result."""
        self.statuses[result.status] += 1
        self.query_s += result.elapsed_s
        if result.status == "steering_error" and self.steering_error is None:
            self.steering_error = result.error
        self.unknown_relations += result.sqlstate == UNDEFINED_TABLE
        self.stopped += result.status == "cancelled" and result.error == STOPPED
        if result.steering is not None:
            self._add_steering(result.steering)
        if result.elapsed_s > self._least_s:
            self._keep(result)

    def restore(
        self,
        statuses: Mapping[QueryStatus, int],
        query_s: float,
        reports: Iterable[SteeringReport],
        slowest: Iterable[QueryResult],
    ) -> None:
        """Count the results of the earlier part of a resumed run."""
        for status, number in statuses.items():
            self.statuses[status] += number
        self.query_s += query_s
        for report in reports:
            self._add_steering(report)
        for result in slowest:
            self._keep(result)

    def _add_steering(self, report: SteeringReport) -> None:
        if report.native is not None:
            self.native += 1
            return
        self.steered += 1
        self.ignored += len(report.ignored)

    def _keep(self, result: QueryResult) -> None:
        kept = self._kept
        before = kept.get(result.seq)
        if before is not None and before.elapsed_s >= result.elapsed_s:
            return
        kept[result.seq] = result
        if len(kept) > SLOWEST_KEPT:
            del kept[min(kept, key=lambda seq: kept[seq].elapsed_s)]
        if len(kept) == SLOWEST_KEPT:
            self._least_s = min(result.elapsed_s for result in kept.values())

    @property
    def queries(self) -> int:
        """The number of queries that have ended."""
        return sum(self.statuses.values())

    @property
    def failures(self) -> int:
        """The number of queries that did not end `ok`, without those that the user cancelled."""
        return self.queries - self.statuses["ok"] - self.stopped

    @property
    def wrong(self) -> int:
        """The number of queries with another answer than the expected one."""
        return self.statuses["wrong_answer"]

    def too_many(self, max_failures: int) -> bool:
        """Whether more queries have failed than may fail; none may have a wrong answer."""
        return self.failures > max_failures or self.wrong > 0

    @property
    def slowest(self) -> tuple[QueryResult, ...]:
        """The slowest queries, each with its slowest execution, slowest first."""
        return tuple(
            sorted(self._kept.values(), key=lambda result: (-result.elapsed_s, result.seq))
        )
