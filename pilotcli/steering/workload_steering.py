"""Steers a workload: calls the handlers for each query, and sends it with what they return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter
from types import NoneType
from typing import Any
from weakref import WeakKeyDictionary

from pilotcli.common.calls import DriverCalls
from pilotcli.common.errors import (
    CapabilityError,
    DriverError,
    Interrupted,
    PilotError,
    QueryCancelled,
    SteeringError,
    UsageError,
)
from pilotcli.common.failures import at_place, place_of
from pilotcli.common.records import STOPPED, LoggedValue, Query, SteeringReport
from pilotcli.common.sql_commands import command_of
from pilotcli.config import PilotConfig
from pilotcli.config.model import SteeringSection
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
from pilotcli.steering.workload_handlers import WorkloadHandlers, drivers_errors


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
        self._for_workload = WorkloadHandlers(
            self._call_handler,
            stop_requested,
            skip_missing=self._skip_missing,
            native_on_error=self._native_on_error,
        )
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
                self._for_workload.handlers.append(handler)
            else:
                raise UsageError(
                    f"{type(handler).__name__} is not a push handler",
                    hint="Derive from HintPushHandler, CardPushHandler, KnobPushHandler, "
                    "IndexPushHandler, CommentPushHandler or ScanJoinMethodPushHandler.",
                )

    @property
    def handlers(self) -> Sequence[BasePushHandler]:
        """All handlers: those for each query, then those for the workload."""
        return [*self._handlers, *self._for_workload.handlers]

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
        return bool(self._handlers or self._for_workload.handlers or self.pulls)

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
        return bool(self._for_workload.handlers)

    def before_workload(
        self, controller: BaseDBController, first_sql: str, *, again: bool = False
    ) -> list[str]:
        """Apply what knob and index handlers return for the whole workload; see
        `WorkloadHandlers.apply`."""
        return self._for_workload.apply(controller, first_sql, again=again)

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
                with drivers_errors(name):
                    handler.put(data, pushes)
            except SteeringError as exc:
                raise SteeringError(f"{name}: {exc.message}", hint=exc.hint) from exc
        return pushes

    def _call_handler(self, handler: BasePushHandler, sql: str) -> Any:
        name = type(handler).__name__
        with drivers_errors(name):
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
