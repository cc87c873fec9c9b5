"""PilotScheduler: runs one query, from its text to its result and the events after it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pilotcli.common.calls import CallTimeouts
from pilotcli.common.closing import Closing
from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    DriverError,
    PilotError,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    StorageError,
    UsageError,
)
from pilotcli.common.failures import failure_of
from pilotcli.common.records import (
    STOPPED,
    FiringReason,
    ModelVersion,
    PretrainingProgress,
    Query,
    QueryResult,
    QueryStatus,
    SteeringReport,
)
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import Bus, ExecutionFinished, Notice, QueryFinished, QueryStarted
from pilotcli.config import PilotConfig, PostgreSQLConfig
from pilotcli.config.model import CollectSection, SteeringSection
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Row, Rows, Session, Target
from pilotcli.databases.session.watchdog import cancel_statements
from pilotcli.events.base import Event
from pilotcli.events.runner import CountMode, EventRunner, PastFirings
from pilotcli.events.schedule import Registered
from pilotcli.replay.collected_row import collected_row, origin, pulls_for
from pilotcli.replay.expected import Expectations
from pilotcli.replay.observers import RunLog, RunObserver
from pilotcli.steering.controller import PostgreSQLController, get_db_controller
from pilotcli.steering.requests import Pulls, Steered
from pilotcli.steering.workload_steering import Steering
from pilotcli.storage.store.data_manager import DataManager
from pilotcli.workload import leading_keyword
from pilotcli.workload.upcoming import QuerySource, WorkloadQueries, show_workload

log = logging.getLogger(__name__)

_NO_ROWS = Rows()
Answer = Callable[[Query, Rows], str]
"""Makes the digest of a query's rows."""
MOST_ATTEMPTS = 3
"""The most times a query is sent if its connection is lost each time: it may be the cause."""
NOTES_SHOWN = 20
"""The most kinds of notes about steering that are shown; the journal has all of them."""


class PilotScheduler(Closing):
    """Runs queries, collects the requested data, and fires the registered events.

    As PilotScope documents it: create, register, `init()`, then `execute(sql)` for each query.

        with SchedulerFactory.create_scheduler(PostgreSQLConfig()) as scheduler:
            scheduler.register_required_data("plans", pull_physical_plan=True)
            scheduler.register_events([MyEvent(config)])
            scheduler.init()
            rows = scheduler.execute("SELECT 1")

    In a script, as here, `init` and `execute` raise what an event has raised, after all due events
    have fired; the log has every failure. In a run the journal has it, and the run goes on.

    A run hands its target, bus and log to the scheduler. Several threads may walk queries at once,
    each with its own session. What follows a query (recording, counting, events) happens for one
    query at a time, as `pilotcli.replay.observers` describes.
    """

    data_manager_class: type[DataManager] = DataManager
    config_class: type[PostgreSQLConfig] = PostgreSQLConfig
    """The class of the config that events and handlers receive."""

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
        steering: SteeringSection | None = None,
        timeouts: CallTimeouts | None = None,
    ) -> None:
        timeouts = timeouts or CallTimeouts()
        self.config = config
        self.bus = bus or Bus()
        self._owns_target = target is None
        self.target = target if target is not None else open_target(config)
        self.db_controller = self.controller()
        self.data_manager = self.data_manager_class(config)
        self.stop = stop or threading.Event()
        self.event_runner = EventRunner(
            self.bus,
            self.db_controller,
            self.data_manager,
            log=log,
            run_id=run_id,
            count=count,
            stop_requested=self.stop.is_set,
            timeout_s=timeouts.event_s,
            saved=self._model_saved,
        )
        self.event_runner.event_failed = self._event_failed
        self._event_error: BaseException | None = None
        """What the first event that failed in this call has raised."""
        self._observers: tuple[RunObserver, ...] = ()
        self.expected: Expectations | None = None
        """Checks the answers of queries, where it is set."""
        self.last_result: QueryResult | None = None
        self.finished = 0
        self.arm: str | None = None
        """Which arm of a paired run this is, `driver` or `baseline`; None in other runs."""
        self._log = log
        self._run_id = run_id
        self._workload: WorkloadQueries | None = None
        self._collect: CollectSection | None = None
        self._table = ""
        self._max_rows: int | None = None
        self.steering = Steering(
            config,
            self.target,
            steering or SteeringSection(),
            stop_requested=self.stop.is_set,
            timeout_s=timeouts.handler_s,
        )
        self._steered = False
        self._workload_begun = False
        self._shown_kinds: set[str] = set()
        self._lock = threading.RLock()
        self._session: Session | None = None

    def controller(self) -> PostgreSQLController:
        """Returns a new controller for events."""
        return get_db_controller(self.config, target=self.target)

    def add_observer(self, observer: RunObserver) -> None:
        """Call `observer` for every query from now on, after the observers added before it."""
        self._observers = (*self._observers, observer)

    def register_events(self, events: Event | Iterable[Event]) -> None:
        """Add events, which fire in this order. Raises `UsageError` for anything else."""
        for event in [events] if isinstance(events, Event) else events:
            self.event_runner.register(event)
            show_workload(event, self._workload)

    def register_custom_handlers(self, handlers: Any) -> None:
        """Add a push handler, or several, which are called in this order.

        Raises `UsageError` for anything else.
        """
        self.steering.register(handlers)
        self._show_workload()

    def set_workload(self, queries: QuerySource | None) -> None:
        """Show `queries` to events and handlers as their `workload`, from now on; None for none.

        Call it where a phase begins that replays other queries.
        """
        self._workload = WorkloadQueries(queries) if queries is not None else None
        self._show_workload()

    def _show_workload(self) -> None:
        events = (registered.event for registered in self.event_runner.events)
        for driver in (*events, *self.steering.handlers):
            show_workload(driver, self._workload)

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
        """Store one row per query in the store's table `table_name_for_store_data`.

        Its columns: `sql`, `label`, `status` and, if pulled, `execution_time` (seconds, as
        measured here), `physical_plan` (as JSON), `estimated_cost`, `records` (as JSON),
        `subquery_2_card` (sub-plan query to estimated rows, as JSON) and `buffercache` (relation
        to cached blocks, as JSON).
        """
        self.collect(
            CollectSection(
                table=table_name_for_store_data,
                execution_time=pull_execution_time,
                physical_plan=pull_physical_plan,
                estimated_cost=pull_estimated_cost,
                records=pull_records,
                subquery_cards=pull_subquery_2_cards,
                buffercache=pull_buffer_cache,
            )
        )

    def collect(self, section: CollectSection) -> None:
        """Store what `section` names about each query from here on."""
        self._max_rows = section.max_rows
        if section.table is None:
            return
        self._collect, self._table = section, section.table
        self.steering.pulls = pulls_for(section)

    def begin_comparison(self, pulls: Pulls, *, frozen: bool) -> None:
        """From here on pull only `pulls` about each query, also for the rows to collect; with
        `frozen` update no models. Sessions that are opened afterwards do so."""
        self.event_runner.frozen = frozen
        self.steering.pulls = pulls
        if self._collect is not None:
            self._collect = replace(
                self._collect,
                actual_rows=self._collect.actual_rows and pulls.actual_rows,
                subquery_cards=self._collect.subquery_cards and pulls.subquery_cards,
                buffercache=self._collect.buffercache and pulls.buffercache,
            )

    def prepare(self) -> None:
        """Check before the first query that the store and the server can do what is needed.

        Builds the planner module if it is needed and missing. Raises `StoreError`, and the errors
        of `open_session`.
        """
        if self._collect is not None:
            self.data_manager.connect()
        if self.steering:
            self.open_session(None).close()

    def open_session(self, timeout_s: float | None) -> Session:
        """Returns a session for `walk`, ready for pushes and pulls.

        Raises `DatabaseError`, and `CapabilityError` if the server cannot do them at all.
        """
        session = self.target.session(timeout_s=timeout_s, max_rows=self._max_rows)
        self._steered = bool(self.steering)
        if self._steered:
            try:
                self.steering.open(session)
            except BaseException:
                session.close()
                raise
        return session

    def init(self, progress: Mapping[str, PretrainingProgress] | None = None) -> None:
        """Fire the events that come before the workload: pretraining, then updates on init.

        `progress` says, by event name, how much of its pretraining is done already. Call `init`
        after everything is registered and before the first `execute`. Raises what an event has
        raised, except in a run.
        """
        with self._lock:
            self.event_runner.on_init(progress)
        self._raise_event_error()

    def execute(self, sql: str) -> Sequence[Row]:
        """Run one query with all that is registered, and return its rows.

        When this returns, the result is recorded (`last_result`), and due events have fired.
        Raises `QueryTimeout`, `QueryCancelled` or `QueryError` when the query did not end well,
        `DatabaseError` when the connection was lost, and else what an event has raised.
        """
        return self.run(sql).rows

    def run(self, sql: str) -> Rows:
        """Run one query as `execute` does, and return its rows with their columns."""
        rows, error = self._run_one(sql)
        if error is not None:
            raise error
        self._raise_event_error()
        return rows

    def _run_one(self, sql: str) -> tuple[Rows, PilotError | None]:
        """Run one query. An event that failed before it is raised here, one that failed after it is
        left to the caller."""
        self._event_error = None
        self.before_workload(sql)
        self._raise_event_error()
        if self._session is None or self._session.closed:
            self._session = self.open_session(self.config.sql_execution_timeout)
        seq = self.finished + 1
        query = Query(seq=seq, label=f"q{seq}", sql=sql, command=leading_keyword(sql))
        _, rows, error = self.walk(self._session, query)
        return rows, error

    def _event_failed(
        self, registered: Registered, reason: FiringReason, error: BaseException
    ) -> None:
        """In a script: log what an event has raised, and keep the first of it to be raised.

        What ends the program is raised at once. A run has it all in its journal.
        """
        if self._log is not None:
            return
        log.error("the event %s failed: %s", registered.name, redacted(failure_of(error)))
        if not isinstance(error, Exception):
            raise error
        if self._event_error is None:
            self._event_error = error

    def _raise_event_error(self) -> None:
        error, self._event_error = self._event_error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # no circle with its traceback

    def before_workload(self, first_sql: str, *, handlers: bool = True) -> None:
        """Fire the `WorkloadBeforeEvent`s and make the handlers' changes for the whole workload,
        once; `execute` calls this itself. `first_sql` is the first query's text. Without `handlers`
        the caller calls `push_for_workload`.

        Raises `DriverError` when a handler fails.
        """
        with self._lock:
            self.event_runner.before_workload()
            if not self._workload_begun:
                self._workload_begun = True
                if handlers:
                    self.push_for_workload(first_sql)

    def push_for_workload(self, first_sql: str, *, again: bool = False) -> None:
        """Make the handlers' changes for the whole workload; with `again` those of the last time,
        without asking the handlers. Raises `DriverError`."""
        with self._lock:
            for done in self.steering.before_workload(self.db_controller, first_sql, again=again):
                self.bus.emit(Notice("info", f"for this workload: {done}"))

    def restore(self, finished: int, firings: PastFirings) -> None:
        """Resume a run with `finished` ended queries; call this after everything is registered."""
        with self._lock:
            self.finished = finished
            self.event_runner.restore(firings)

    def fire_due(self) -> None:
        """Fire the events that were due after the last query of a resumed run."""
        with self._lock:
            if self.finished:
                self.event_runner.fire_due(self.finished)

    def warm(self, session: Session, query: Query, round: int, worker: int) -> None:
        """Run `query` in the warm-up round `round`, from 0, without a result, rows or events."""
        self.bus.emit(QueryStarted(query, 0, worker))
        result, *_ = self.run_in(session, query, 0, worker)
        if self.stop.is_set():  # it may have been cancelled
            return
        if self._log is not None:
            self._log.add_warmed(round, query.seq)
        self.bus.emit(ExecutionFinished(query.label, query.seq, "warm-up", None, result.elapsed_s))

    def walk(
        self,
        session: Session,
        query: Query,
        round: int = 1,
        worker: int = 0,
        *,
        refused: PilotError | None = None,
        lost: Callable[[Query], Session | None] | None = None,
        answer: Answer | None = None,
        due: float | None = None,
    ) -> tuple[QueryResult, Rows, PilotError | None]:
        """Run `query` in `session`, record it, and fire the due events; returns the query's result,
        its rows, and its error.

        With `refused` the query is recorded with that error and not run. After a lost connection,
        `lost` returns a session in which to run the query once more, or None. If it raises, the
        exception is passed on and nothing is recorded. `answer` makes a digest of the rows; the
        digest is recorded with the result if the query ended `ok`. Raises `WorkloadError` if the
        query expects something that is no answer. `due` is when the query should have been sent, by
        `time.perf_counter`: the wait since then is part of its latency.
        """
        # An expectation that cannot be read is refused before the query runs.
        expected = self.expected.of(query) if self.expected is not None else None
        if self.bus.hears(QueryStarted):
            self.bus.emit(QueryStarted(query, round, worker))
        wait_s = 0.0 if due is None else max(0.0, time.perf_counter() - due)
        result, rows, error, steered = self.run_in(session, query, round, worker, refused)
        if lost is not None and refused is None and session.closed:
            attempts = 1
            while (
                session.closed
                and attempts < MOST_ATTEMPTS
                and not isinstance(error, (QueryTimeout, QueryCancelled))
                and (again := lost(query)) is not None
            ):
                session, attempts = again, attempts + 1
                result, rows, error, steered = self.run_in(session, query, round, worker)
            result = result._replace(attempts=attempts)
        if due is not None:
            result = result._replace(
                started_at=result.started_at - wait_s,
                elapsed_s=result.elapsed_s + wait_s,
                wait_s=wait_s,
            )
        if error is None:
            if answer is not None:
                result = result._replace(answer=answer(query, rows))
            if expected is not None:
                result = self._check(query, expected, rows, result)
        stopped = result.status == "cancelled" and self.stop.is_set()
        row = None
        if stopped:
            result = result._replace(error=STOPPED)
        elif self._collect is not None:
            row = self._row(self._collect, query, result, rows, steered)
        with self._lock:
            self.finished += 1
            self.last_result = result
            file = None
            try:
                if row is not None:
                    file = self.data_manager.keep(self._table, row, self.finished)
                if self._log is not None:
                    self._log.add_result(query, result)
            except StorageError:
                # The query is in no record, so a resumed run repeats it.
                self.finished -= 1
                raise
            for observer in self._observers:
                observer.query_finished(query, result)
            if row is not None:
                self.data_manager.collect(self._table, row, self.finished, file)
            self.bus.emit(QueryFinished(query, result))
            if not stopped:
                self.event_runner.query_finished(result.status == "ok", self.finished)
        return result, rows, error

    def _check(self, query: Query, expected: str, rows: Rows, result: QueryResult) -> QueryResult:
        """The result, with another status if the rows are not those that are expected."""
        assert self.expected is not None
        problem, answer = self.expected.check(query, expected, rows, result.answer)
        if problem is not None:
            result = result._replace(status="wrong_answer", error=problem)
        return result._replace(answer=answer)

    def run_in(
        self,
        session: Session,
        query: Query,
        round: int = 1,
        worker: int = 0,
        refused: PilotError | None = None,
    ) -> tuple[QueryResult, Rows, PilotError | None, Steered | None]:
        """Run `query` without recording it; the last value is what was pulled, if anything could
        be."""
        status: QueryStatus = "ok"
        error: PilotError | None = None
        rows = _NO_ROWS
        inference_s = collection_s = steering_s = 0.0
        planning_s: float | None = None
        execution_s: float | None = None
        steered: Steered | None = None
        report: SteeringReport | None = None
        started_at = time.time()
        if refused is not None:
            status, error, elapsed_s = "error", refused, 0.0
        elif self._steered:
            steered, inference_s = self.steering.run(session, query, pull=round > 0)
            rows, error, elapsed_s = steered.rows, steered.error, steered.elapsed_s
            collection_s, report = steered.collection_s, steered.report
            planning_s, execution_s = steered.planning_s, steered.execution_s
            steering_s = steered.steering_s
            if error is not None:
                status = _status_of(error)
            if steered.notes or report is not None:
                self._note(query, steered)
        else:
            started = time.perf_counter()
            try:
                rows = session.execute(query.sql, query.copy)
            except (QueryError, DatabaseError) as exc:
                status, error = _status_of(exc), exc
            elapsed_s = time.perf_counter() - started
        if steered is not None and steered.plan_text is not None and round > 0:
            for observer in self._observers:
                observer.plan_pulled(query, round, steered.plan_text)
        message = sqlstate = None
        if error is not None:
            message = error.message
            sqlstate = error.sqlstate if isinstance(error, QueryError) else None
        result = QueryResult(
            query.seq,
            query.label,
            status,
            started_at,
            elapsed_s,
            row_count=rows.row_count,
            error=message,
            sqlstate=sqlstate,
            inference_s=inference_s,
            collection_s=collection_s,
            round=round,
            worker=worker,
            file=query.file,
            line=query.line,
            steering=report,
            planning_s=planning_s,
            execution_s=execution_s,
            steering_s=steering_s,
            logged=steered.logged if steered is not None else None,
        )
        return result, rows, error, steered

    def _row(
        self,
        collect: CollectSection,
        query: Query,
        result: QueryResult,
        rows: Rows,
        steered: Steered | None,
    ) -> dict[str, Any]:
        """Returns the row to store about a query."""
        row = collected_row(collect, query, result, rows, steered)
        row.update(origin(result, self._run_id, self.arm))
        return row

    def cancel(self) -> None:
        """Interrupt running events and handlers, and cancel what they run over any connection;
        called repeatedly, from any thread, after a stop was requested."""
        self.db_controller.cancel()
        cancel_statements()
        self.event_runner.calls.interrupt()
        self.steering.calls.interrupt()

    def close(self) -> None:
        """Write what is buffered and close every connection; safe to call twice."""
        try:
            self.data_manager.close()
        finally:
            self.event_runner.calls.close()
            self.steering.close()
            self.db_controller.close()
            if self._session is not None:
                self._session.close()
            if self._owns_target:
                self.target.close()

    def _model_saved(self, version: ModelVersion) -> None:
        for observer in self._observers:
            observer.model_saved(version)

    def _note(self, query: Query, steered: Steered) -> None:
        """Show one notice for each kind of push or pull that was not done."""
        notes = list(steered.notes)
        if steered.report is not None:
            notes.extend(f"not applied, {why}: {what}" for what, why in steered.report.ignored)
            if steered.report.native is not None:
                notes.append(f"ran unsteered: {steered.report.native}")
        for text in notes:
            kind = text.split(":", 1)[0]
            if kind not in self._shown_kinds and len(self._shown_kinds) < NOTES_SHOWN:
                self._shown_kinds.add(kind)
                self.bus.emit(Notice("warning", f"{query.label}: {text}"))


def _status_of(error: PilotError) -> QueryStatus:
    if isinstance(error, QueryTimeout):
        return "timeout"
    if isinstance(error, QueryCancelled):
        return "cancelled"
    return "steering_error" if isinstance(error, (DriverError, CapabilityError)) else "error"


class SchedulerFactory:
    """Makes schedulers, under PilotScope's name."""

    @staticmethod
    def create_scheduler(config: PilotConfig) -> PilotScheduler:
        """Returns a scheduler for the database that `config` names; connects at once."""
        if not isinstance(config, PilotConfig):
            raise UsageError(f"create_scheduler takes a PilotConfig, not {type(config).__name__}")
        return PilotScheduler(config)
