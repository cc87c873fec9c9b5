"""Observers are called for each query of a run, in a fixed order, and can influence the run.

Code that only watches listens to the bus, which drops a listener that fails. An observer is never
dropped: its exception ends the run.
"""

from __future__ import annotations

from typing import Protocol

from pilotcli.common.records import ModelVersion, Query, QueryResult
from pilotcli.events.runner import EventLog


class RunLog(EventLog, Protocol):
    """Records a run, as the journal does.

    The log is called before all observers. A query whose result it refuses (`StorageError`) does
    not count: no observer is called for it, and a resumed run repeats it.
    """

    def add_result(self, query: Query, result: QueryResult) -> None:
        """Record one result; must take microseconds."""

    def add_warmed(self, round: int, seq: int) -> None:
        """Record the end of a query of the warm-up round `round`, from 0, as fast."""


class RunObserver:
    """The base of the observers of one scheduler; an observer overrides the methods that it needs.

    Observers are called in the order in which they were added. For each query:

    1. `plan_pulled`, by the thread that ran the query, without a lock: several may call at once.
    2. The log records the result.
    3. `query_finished`, under the scheduler's lock, so for one query at a time.
    4. The bus carries `QueryFinished`, and due events fire, both under the same lock.
    5. `model_saved`, when the firing of an event that has saved a model is in the log.

    An exception is passed on to the caller that runs the query and ends the run: with the exit code
    of a `PilotError`, or as a fault of pilot itself. The query still counts, since the log has it;
    the observers after the failed one are not called for it.
    """

    def plan_pulled(self, query: Query, round: int, plan: str) -> None:
        """Called with the plan (JSON) of `query` that was pulled in a round, from 1."""

    def query_finished(self, query: Query, result: QueryResult) -> None:
        """Called with a result that the log has recorded."""

    def model_saved(self, version: ModelVersion) -> None:
        """Called with a version that an event has saved."""
