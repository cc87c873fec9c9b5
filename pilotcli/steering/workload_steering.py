"""Steers a workload: calls the handlers for each query, and sends it with what they return."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from types import NoneType
from typing import Any
from weakref import WeakKeyDictionary

from pilotcli.common.calls import DriverCalls
from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    DriverError,
    Interrupted,
    PilotError,
    QueryCancelled,
    SteeringError,
    StorageError,
    UsageError,
)
from pilotcli.common.failures import at_place, failure_of, place_of
from pilotcli.common.quantities import duration
from pilotcli.common.records import STOPPED, Index, LoggedValue, Query, SteeringReport
from pilotcli.common.sql_commands import command_of
from pilotcli.common.suggestions import sentences
from pilotcli.config import PilotConfig
from pilotcli.config.model import SteeringSection
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.databases.protocols import BaseDBController, Session, Target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.session.watchdog import cancel_statements
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.handlers import (
    BasePushHandler,
    CardPushHandler,
    CommentPushHandler,
    IndexPushHandler,
    KnobPushHandler,
    QueryPushHandler,
    ScanJoinMethodPushHandler,
)
from pilotcli.steering.interactor import PilotDataInteractor
from pilotcli.steering.planned_query import planned_query
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.steering.subplans import NamedCards

_OWN_CODES = (DriverError, DatabaseError)
"""Errors that keep their exit code if a handler for the workload causes them."""


class _HandlersInteractor(PilotDataInteractor):
    """The interactor that handlers get from here."""


class Steering:
    """Calls push handlers for each query, and sends the query with what they return.

    For sessions that are opened afterwards: `pulls` is what is pulled for each query, and
    `cards_of` returns the rows of sub-plans, by their keys in the form that is given out. Safe for
    several threads, each with its own session; one thread at a time calls handlers.
    """

    def __init__(
        self,
        config: PilotConfig,
        target: Target,
        options: SteeringSection,
        *,
        stop_requested: Callable[[], bool] = lambda: False,
        timeout_s: float | None = None,
    ) -> None:
        self.calls = DriverCalls(timeout_s, self._cancel, stop_requested, "handlers.timeout")
        self.pulls = Pulls()
        self.cards_of: Callable[[NamedCards], dict[str, float]] = attrgetter("cards")
        self.loads_hints = False
        """Whether sessions load pg_hint_plan where it is, although no handler here needs it."""
        self._target = target
        self._interactor: PilotDataInteractor | None = None
        self._config = config
        self._skip_missing = options.on_missing == "skip"
        self._native_on_error = options.on_error == "native"
        self._stop_requested = stop_requested
        self._calling = threading.Lock()
        self._handlers: list[QueryPushHandler] = []
        self._workload_handlers: list[KnobPushHandler | IndexPushHandler] = []
        self._answers: dict[BasePushHandler, Mapping[str, object] | Sequence[Index] | None] = {}
        """What each handler for the workload returned when it was last asked."""
        self._steerers: WeakKeyDictionary[Session, SessionSteering] = WeakKeyDictionary()

    def register(self, handlers: Any) -> None:
        """Add push handlers; they are called in this order. Raises `UsageError` for others."""
        for handler in handlers if isinstance(handlers, Iterable) else [handlers]:
            # A driver's own attribute of this name stays.
            if isinstance(handler, BasePushHandler) and isinstance(
                vars(handler).get("interactor"), (NoneType, _HandlersInteractor)
            ):
                handler.interactor = self._own_interactor()
            if isinstance(handler, QueryPushHandler):
                self._handlers.append(handler)
            elif isinstance(handler, (KnobPushHandler, IndexPushHandler)):
                self._workload_handlers.append(handler)
            else:
                raise UsageError(
                    f"{type(handler).__name__} is not a push handler",
                    hint="Derive from HintPushHandler, CardPushHandler, KnobPushHandler, "
                    "IndexPushHandler, CommentPushHandler or ScanJoinMethodPushHandler.",
                )

    @property
    def handlers(self) -> Sequence[BasePushHandler]:
        """All handlers: those for each query, then those for the workload."""
        return [*self._handlers, *self._workload_handlers]

    def _cancel(self, belongs: Callable[[int], bool]) -> None:
        """Cancel what a handler runs, over whichever connection."""
        cancel_statements(belongs)

    def _own_interactor(self) -> PilotDataInteractor:
        if self._interactor is None:
            self._interactor = _HandlersInteractor(self._config, target=self._target)
        return self._interactor

    def close(self) -> None:
        """Close the connection of the handlers' interactor."""
        self.calls.close()
        if self._interactor is not None:
            self._interactor.close()

    def __bool__(self) -> bool:
        """Whether there is anything to push or pull."""
        return bool(self._handlers or self._workload_handlers or self.pulls)

    def open(self, session: Session) -> None:
        """Prepare a new session for steering, before it is used for anything else.

        Raises `CapabilityError` if the server cannot do at all what a handler is for, unless the
        config says to skip that.
        """
        if not isinstance(session, PostgresSession):
            raise CapabilityError(f"a {type(session).__name__} cannot be steered")
        abilities = Abilities(session, self._config)
        if any(isinstance(handler, CardPushHandler) for handler in self._handlers):
            able = abilities.planner is not None or abilities.hint_plan
            if not able and not self._skip_missing:
                raise abilities.missing("pushed cardinalities")
        if self.loads_hints or self.needs_hints:
            _ = abilities.hint_plan  # probed now: later the session may be in a transaction
        self._steerers[session] = SessionSteering(
            session,
            abilities,
            self.pulls,
            skip_missing=self._skip_missing,
            buffercache=self._own_interactor().db_controller.get_buffercache,
            cards_of=self.cards_of,
        )

    @property
    def needs_hints(self) -> bool:
        """Whether a handler uses pg_hint_plan where it is."""
        kinds = (CommentPushHandler, ScanJoinMethodPushHandler)
        return any(isinstance(handler, kinds) for handler in self._handlers)

    @property
    def for_workload(self) -> bool:
        """Whether a handler is called once for the whole workload."""
        return bool(self._workload_handlers)

    def before_workload(
        self, controller: BaseDBController, first_sql: str, *, again: bool = False
    ) -> list[str]:
        """Apply what knob and index handlers return for the whole workload; returns the changes in
        words, and how long each handler took. With `again` no handler is asked: what each returned
        last time is applied once more.

        If the config says so, a handler that fails, or asks for what the server cannot do or
        refuses, is skipped, and all that it changed is undone. Otherwise raises `DriverError`,
        `CapabilityError`, or `DatabaseError` if the server cannot be reached. Raises `Interrupted`
        if the user stops the run meanwhile.
        """
        done: list[str] = []
        if not self._workload_handlers:
            return done
        if not isinstance(controller, PostgreSQLController):
            raise CapabilityError("knobs and indexes can be pushed into PostgreSQL only")
        for handler in self._workload_handlers:
            name = type(handler).__name__
            try:
                with controller.target().all_or_none():
                    self._require_no_stop()
                    took = [] if again else [self._ask(handler, first_sql)]
                    self._require_no_stop()
                    with _drivers_errors(name):
                        done.extend(self._apply(controller, handler))
                    done.extend(took)
            except (Interrupted, StorageError):
                raise
            except CapabilityError as exc:
                if not self._skip_missing:
                    raise CapabilityError(f"{name}: {exc.message}", hint=exc.hint) from exc
                done.append(f"nothing by {name}: {sentences(exc.message, exc.hint)}")
            except PilotError as exc:
                self._require_no_stop()
                named = exc.message.startswith(f"{name}: ")
                message = exc.message if named else f"{name}: {exc.message}"
                lost = isinstance(exc, DatabaseError) and not controller.is_running()
                if lost or not self._native_on_error:
                    kind = type(exc) if isinstance(exc, _OWN_CODES) else SteeringError
                    raise kind(message, hint=exc.hint) from exc
                done.append(f"nothing by {sentences(message, exc.hint)}")
        return done

    def _ask(self, handler: KnobPushHandler | IndexPushHandler, first_sql: str) -> str:
        """Call the handler and keep what it returns; returns in words how long that took."""
        name = type(handler).__name__
        self._answers.pop(handler, None)
        began = time.perf_counter()
        data = self._call_handler(handler, first_sql)
        with _drivers_errors(name):
            is_knobs = isinstance(handler, KnobPushHandler)
            self._answers[handler] = _copied(data) if is_knobs else _listed(data)
        return f"{name} answered in {duration(time.perf_counter() - began)}"

    def _apply(
        self, controller: PostgreSQLController, handler: KnobPushHandler | IndexPushHandler
    ) -> list[str]:
        """Put what the handler returned in effect; nothing if it has failed."""
        answer = self._answers.get(handler)
        if answer is None:
            return []
        if isinstance(answer, Mapping):
            if answer:
                controller.set_knobs(answer)
            return [f"{knob} = {value}" for knob, value in answer.items()]
        assert isinstance(handler, IndexPushHandler)
        return self._create_indexes(controller, answer, handler.drop_other)

    def _create_indexes(
        self, controller: PostgreSQLController, indexes: Sequence[Index], drop_other: bool
    ) -> list[str]:
        if drop_other:
            controller.drop_all_indexes()
        done = []
        for index in indexes:
            self._require_no_stop()
            controller.create_index(index)
            done.append(f"index on {index.table} ({', '.join(index.columns)})")
        self._require_no_stop()
        return done

    def _require_no_stop(self) -> None:
        if self._stop_requested():
            raise Interrupted("stopped before the workload began")

    def run_native(self, session: Session, query: Query, *, execute: bool = True) -> Steered:
        """Run `query` as `run` does, without the handlers."""
        return self._steerers[session].run(query, None, execute=execute)

    def run(
        self, session: Session, query: Query, *, execute: bool = True, pull: bool = True
    ) -> tuple[Steered, float]:
        """Run `query` in a session that was opened here, with what the handlers return for it.

        Returns the result and how long the handlers took, in seconds. Without `execute` the query
        is planned and not run; without `pull` no further questions are sent to the server. Never
        raises for the query.
        """
        steerer = self._steerers[session]
        if not self._handlers or not _is_steered(query):
            return steerer.run(query, None, execute=execute, pull=pull), 0.0
        logged: dict[str, LoggedValue] = {}
        began = time.perf_counter()
        try:
            with self._calling:
                pushes = self._call_handlers(query.sql, logged)
        except (DriverError, Interrupted) as exc:
            inference_s = time.perf_counter() - began
            if isinstance(exc, Interrupted) or self._stop_requested():
                return Steered(error=QueryCancelled(STOPPED)), inference_s
            steered = self._run_native(steerer, query, Steered(error=exc), pull)
        else:
            inference_s = time.perf_counter() - began
            steered = steerer.run(query, pushes, execute=execute, pull=pull)
            if isinstance(steered.error, (SteeringError, CapabilityError)):
                steered = self._run_native(steerer, query, steered, pull)
        steered.logged = logged or None
        return steered, inference_s

    def _call_handlers(self, sql: str, logged: dict[str, LoggedValue]) -> Pushes:
        """Call the handlers for a query. What they log is put into `logged`."""
        pushes = Pushes()
        for handler in self._handlers:
            name = type(handler).__name__
            handler.pilot_log = logged
            try:
                data = self._call_handler(handler, sql)
            finally:
                handler.pilot_log = None
            try:
                with _drivers_errors(name):
                    handler.put(data, pushes)
            except SteeringError as exc:
                raise SteeringError(f"{name}: {exc.message}", hint=exc.hint) from exc
        return pushes

    def _call_handler(self, handler: BasePushHandler, sql: str) -> Any:
        name = type(handler).__name__
        with _drivers_errors(name):
            try:
                return self.calls.call(name, lambda: handler.acquire_injected_data(sql))
            except Interrupted:
                raise
            except PilotError as exc:
                message = at_place(place_of(exc), exc.message)
                error = DriverError(f"{name}: {message}", hint=exc.hint)
                raise error.standing_for(exc) from exc

    def _run_native(
        self, steerer: SessionSteering, query: Query, steered: Steered, pull: bool
    ) -> Steered:
        if not self._native_on_error or steerer.session.closed:
            return steered
        assert steered.error is not None
        native = steerer.run(query, None, pull=pull)
        native.report = replace(native.report or SteeringReport(), native=steered.error.message)
        return native


def _is_steered(query: Query) -> bool:
    return command_of(query.command).steered or planned_query(query.sql) is not None


@contextlib.contextmanager
def _drivers_errors(name: str) -> Iterator[None]:
    """Raises `DriverError` in the place of what a driver's own code raises: a handler, or the
    object that it returned, as it is read."""
    try:
        yield
    except PilotError:
        raise
    except BaseException as exc:  # any class, also KeyboardInterrupt: Ctrl-C is not raised here
        raise DriverError(f"{name}: {failure_of(exc)}").standing_for(exc) from exc


def _copied(knobs: Any) -> dict[str, object]:
    """Returns the knobs that a handler returned, {} for None and for what is empty."""
    if isinstance(knobs, Mapping):
        return dict(knobs)
    if knobs is None or (isinstance(knobs, Sequence) and not knobs):
        return {}
    raise SteeringError(f"knobs are a dict of names and values, not {type(knobs).__name__}")


def _listed(indexes: Any) -> list[Index] | None:
    """Returns the indexes that a handler returned, None for None."""
    if indexes is None:
        return None
    if isinstance(indexes, str) or not isinstance(indexes, Iterable):
        raise SteeringError(f"indexes are a list of Index(columns, table), not {indexes!r}")
    return list(indexes)
