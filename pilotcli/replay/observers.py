"""Who hears of each query of a run and decides something by it, and in which order.

Those who only watch listen to the bus, which drops a listener that fails. An observer is never
dropped: what it raises ends the run.
"""

from __future__ import annotations

from typing import Protocol

from pilotcli.common.records import ModelVersion, Query, QueryResult
from pilotcli.events.runner import EventLog

__all__ = ["RunLog", "RunObserver"]


class RunLog(EventLog, Protocol):
    """Where a run is kept: the journal's writer, or nothing.

    It comes before all observers. A query whose result it refuses (`StorageError`) has not
    happened: it is not counted, no observer hears of it, and a resumed run repeats it.
    """

    def add_result(self, query: Query, result: QueryResult) -> None:
        """Keep one result; must cost microseconds."""

    def add_warmed(self, round: int, seq: int) -> None:
        """Keep that a query of the warm-up round `round`, from 0, has ended; the same holds."""


class RunObserver:
    """The base of what hears of the queries of one scheduler; it overrides what it needs.

    Observers are called in the order in which they were added. For each query:

    1. `plan_pulled`, by the thread that ran the query, without a lock: several may call at once.
    2. The log keeps the result.
    3. `query_finished`, under the scheduler's lock, so for one query at a time.
    4. The bus carries `QueryFinished`, and due events fire, both under the same lock.
    5. `model_saved`, when the firing of an event that has saved a model is in the log.

    An exception is passed on to whoever runs the query, which ends the run: with the exit code of a
    `PilotError`, or as a fault of pilot itself. The query stays counted, as the log has it; the
    observers after the one that failed do not hear of it.
    """

    def plan_pulled(self, query: Query, round: int, plan: str) -> None:
        """Take in the plan (JSON) that was pulled of `query` in a round, from 1."""

    def query_finished(self, query: Query, result: QueryResult) -> None:
        """Take in a result that the log has kept."""

    def model_saved(self, version: ModelVersion) -> None:
        """Take in a version that an event has saved."""
