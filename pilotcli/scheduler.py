"""PilotScheduler: one query's walk, from its text to its result and the events after it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from pilotcli.config import PilotConfig
from pilotcli.config.model import CollectSection
from pilotcli.databases import open_target
from pilotcli.databases.base import Row, Rows, Session, Target
from pilotcli.errors import (
    CapabilityError,
    DatabaseError,
    DriverError,
    PilotError,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    UsageError,
)
from pilotcli.event_runner import CountMode, EventLog, EventRunner, PretrainingProgress
from pilotcli.events import Event
from pilotcli.records import Query, QueryResult, QueryStatus
from pilotcli.signals import Bus, Notice, QueryFinished, QueryStarted
from pilotcli.steering import Steering
from pilotcli.storage.data_manager import DataManager
from pilotcli.workload import leading_keyword

__all__ = ["PilotScheduler", "RunLog", "SchedulerFactory"]

EXPLAINABLE = frozenset(
    {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"}
)
"""Commands that EXPLAIN takes as they stand."""

_NO_ROWS = Rows()


class RunLog(EventLog, Protocol):
    """Where a run is kept: the journal's writer, or nothing."""

    def add_result(self, query: Query, result: QueryResult) -> None:
        """Keep one result; must cost microseconds."""


class PilotScheduler:
    """Runs queries, collects what was asked for, and fires the registered events.

    As PilotScope documents it: create, register, `init()`, then `execute(sql)` for each query.

        with SchedulerFactory.create_scheduler(PostgreSQLConfig()) as scheduler:
            scheduler.register_required_data("plans", pull_physical_plan=True)
            scheduler.register_events([MyEvent(config)])
            scheduler.init()
            rows = scheduler.execute("SELECT 1")

    The runner gives it a target, a bus and a log that it shares with the rest of a run. Several
    threads may walk queries at once, each with a session of its own; what follows a query
    (recording, counting, events) happens for one query at a time.
    """

    def __init__(
        self,
        config: PilotConfig,
        *,
        target: Target | None = None,
        bus: Bus | None = None,
        log: RunLog | None = None,
        run_id: int | None = None,
        count: CountMode = "finished",
        stop: threading.Event | None = None,
    ) -> None:
        self.config = config
        self.bus = bus or Bus()
        self._owns_target = target is None
        self.target = target if target is not None else open_target(config)
        self.db_controller = self.target.controller()
        self.data_manager = DataManager(config)
        self.stop = stop or threading.Event()
        self.event_runner = EventRunner(
            self.bus,
            self.db_controller,
            self.data_manager,
            log=log,
            run_id=run_id,
            count=count,
            stop_requested=self.stop.is_set,
        )
        self.last_result: QueryResult | None = None
        self.finished = 0
        self._log = log
        self._collect: CollectSection | None = None
        self._steering: Steering | None = None
        self._lock = threading.RLock()
        self._session: Session | None = None

    def register_events(self, events: Event | Iterable[Event]) -> None:
        """Add events; they fire in this order. Raises `UsageError` for what is no event."""
        for event in [events] if isinstance(events, Event) else events:
            self.event_runner.register(event)

    def register_custom_handlers(self, handlers: Any) -> None:
        """Add push handlers. Raises `CapabilityError`: this version of pilot steers nothing yet."""
        if isinstance(handlers, Sequence) and not handlers:
            return
        raise CapabilityError(
            "this version of pilot runs events and models, but has no push handlers yet",
            hint="Take the handlers out, or set what they set by database.session in the config.",
        )

    def register_required_data(
        self,
        table_name_for_store_data: str,
        pull_execution_time: bool = False,
        pull_physical_plan: bool = False,
        pull_subquery_2_cards: bool = False,
        pull_buffer_cache: bool = False,
        pull_estimated_cost: bool = False,
        pull_records: bool = False,
    ) -> None:
        """Store one row a query in the store's table `table_name_for_store_data`.

        Its columns: `sql`, `label`, `status` and, as asked for, `execution_time` (seconds, as
        measured here), `physical_plan` (as JSON), `estimated_cost` and `records` (as JSON).
        Raises `CapabilityError` for sub-plan cardinalities and the buffer cache.
        """
        missing = {
            "sub-plan cardinalities": pull_subquery_2_cards,
            "the buffer cache": pull_buffer_cache,
        }
        for ability, wanted in missing.items():
            if wanted:
                raise CapabilityError(f"this version of pilot cannot pull {ability} yet")
        self.collect(
            CollectSection(
                table=table_name_for_store_data,
                execution_time=pull_execution_time,
                physical_plan=pull_physical_plan,
                estimated_cost=pull_estimated_cost,
                records=pull_records,
            )
        )

    def collect(self, section: CollectSection) -> None:
        """Store what `section` names about each query from here on."""
        self._collect = section

    def init(self, progress: Mapping[str, PretrainingProgress] | None = None) -> None:
        """Fire what fires before the application: pretraining events, then updates on init.

        `progress` says, by event name, from where pretraining goes on. Call it after everything is
        registered and before the first `execute`.
        """
        with self._lock:
            self.event_runner.on_init(progress)

    def execute(self, sql: str) -> Sequence[Row]:
        """Run one query with all that is registered, and return its rows.

        The result, whatever it is, is recorded, and due events have fired by the time this returns;
        `last_result` holds it. Raises `QueryTimeout`, `QueryCancelled` or `QueryError` when the
        query did not end well, and `DatabaseError` when the connection was lost.
        """
        if self._session is None or self._session.closed:
            self._session = self.target.session(timeout_s=self.config.sql_execution_timeout)
        self.before_workload()
        seq = self.finished + 1
        query = Query(seq=seq, label=f"q{seq}", sql=sql, command=leading_keyword(sql))
        _, rows, error = self.walk(self._session, query)
        if error is not None:
            raise error
        return rows

    def before_workload(self) -> None:
        """Fire the `WorkloadBeforeEvent`s, once; `execute` does it by itself."""
        with self._lock:
            self.event_runner.before_workload()

    def walk(
        self, session: Session, query: Query, round: int = 1, worker: int = 0
    ) -> tuple[QueryResult, Sequence[Row], PilotError | None]:
        """Run `query` in `session`, record it, fire what is due; never raises for the query.

        Returns its result, its rows, and the error that it ended with.
        """
        if self.bus.hears(QueryStarted):
            self.bus.emit(QueryStarted(query, round, worker))
        result, rows, error, pulled = self.run_in(session, query, round, worker)
        with self._lock:
            self.finished += 1
            self.last_result = result
            if self._log is not None:
                self._log.add_result(query, result)
            if pulled is not None and self._collect is not None:
                self.data_manager.append(self._collect.table, pulled)
            self.bus.emit(QueryFinished(query, result))
            self.event_runner.query_finished(result.status == "ok", self.finished)
        return result, rows, error

    def run_in(
        self, session: Session, query: Query, round: int = 1, worker: int = 0
    ) -> tuple[QueryResult, Sequence[Row], PilotError | None, dict[str, Any] | None]:
        """Run `query` without recording it; the last value is the row to be stored about it."""
        status: QueryStatus = "ok"
        error: PilotError | None = None
        sql, rows, inference_s, collection_s = query.sql, _NO_ROWS, 0.0, 0.0
        started_at = time.time()
        started = time.perf_counter()
        try:
            if self._steering is not None:
                sql, inference_s = self._steered(self._steering, query)
                started = time.perf_counter()
            rows = session.execute(sql, query.copy)
        except QueryTimeout as exc:
            status, error = "timeout", exc
        except QueryCancelled as exc:
            status, error = "cancelled", exc
        except DriverError as exc:
            status, error = "steering_error", exc
        except (QueryError, DatabaseError) as exc:
            status, error = "error", exc
        elapsed_s = time.perf_counter() - started
        pulled = None
        if self._collect is not None and round > 0:
            pulled, collection_s = self._pull(session, query, status, elapsed_s, rows)
        message = sqlstate = None
        if error is not None:
            message = error.message
            sqlstate = error.sqlstate if isinstance(error, QueryError) else None
        # A QueryResult by what its constructor does, without the call in between: one for each
        # query, at less than half of the cost.
        result = tuple.__new__(
            QueryResult,
            (
                query.seq,
                query.label,
                status,
                started_at,
                elapsed_s,
                rows.row_count,
                message,
                sqlstate,
                inference_s,
                collection_s,
                round,
                worker,
                query.file,
                query.line,
            ),
        )
        return result, rows.rows, error, pulled

    def close(self) -> None:
        """Write what is buffered and let go of every connection; safe to call twice."""
        try:
            self.data_manager.close()
        finally:
            self.db_controller.close()
            if self._session is not None:
                self._session.close()
            if self._owns_target:
                self.target.close()

    def __enter__(self) -> PilotScheduler:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _steered(self, steering: Steering, query: Query) -> tuple[str, float]:
        """The text to send for `query`, and the seconds that the driver needed to decide."""
        try:
            prepared = steering.prepare(query)
        except Exception as exc:
            raise DriverError(f"steering failed: {type(exc).__name__}: {exc}") from exc
        return prepared.sql, prepared.inference_s

    def _pull(
        self,
        session: Session,
        query: Query,
        status: QueryStatus,
        elapsed_s: float,
        rows: Rows,
    ) -> tuple[dict[str, Any], float]:
        """The row to store about a query, and the seconds that pulling it took."""
        collect = self._collect
        assert collect is not None
        row: dict[str, Any] = {"label": query.label, "sql": query.sql, "status": status}
        if collect.execution_time:
            row["execution_time"] = elapsed_s
        if collect.records:
            records = [list(one) for one in rows.rows] if status == "ok" else None
            row["records"] = json.loads(json.dumps(records, default=str))
        if not (collect.physical_plan or collect.estimated_cost):
            return row, 0.0
        started = time.perf_counter()
        plan = self._plan(session, query)
        if collect.physical_plan:
            row["physical_plan"] = plan
        if collect.estimated_cost:
            row["estimated_cost"] = plan["Plan"]["Total Cost"] if plan is not None else None
        return row, time.perf_counter() - started

    def _plan(self, session: Session, query: Query) -> dict[str, Any] | None:
        """The plan of a query that has been run; None where EXPLAIN has none to give."""
        if query.command not in EXPLAINABLE or session.closed or session.transaction_failed:
            return None
        try:
            return session.explain(query.sql)
        except (QueryError, DatabaseError) as exc:
            self.bus.emit(Notice("warning", f"{query.label}: no plan: {exc.message}"))
            return None


class SchedulerFactory:
    """Makes schedulers, under PilotScope's name."""

    @staticmethod
    def create_scheduler(config: PilotConfig) -> PilotScheduler:
        """A scheduler for the database that `config` names; it connects at once."""
        if not isinstance(config, PilotConfig):
            raise UsageError(f"create_scheduler takes a PilotConfig, not {type(config).__name__}")
        return PilotScheduler(config)
