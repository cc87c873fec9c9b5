"""Steering a workload: handlers asked for each query, sessions that carry out what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pilotcli.common.errors import (
    CapabilityError,
    DriverError,
    PilotError,
    SteeringError,
    UsageError,
)
from pilotcli.common.records import Index, Query, SteeringReport
from pilotcli.config.model import SteeringSection
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.databases.protocols import BaseDBController, Session, Target
from pilotcli.databases.session.session import PostgresSession
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
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import Steerer

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig

__all__ = ["Steering"]


class Steering:
    """Asks push handlers about each query, and has a session do what they say.

    `pulls` is what is taken out about each query of the sessions that are opened from then on.
    Safe for several threads, each with a session of its own; handlers are asked by one at a time.
    """

    def __init__(
        self,
        config: PilotConfig,
        target: Target,
        options: SteeringSection,
    ) -> None:
        self.pulls = Pulls()
        self._target = target
        self._interactor: PilotDataInteractor | None = None
        self._config = config
        self._skip_missing = options.on_missing == "skip"
        self._native_on_error = options.on_error == "native"
        self._asking = threading.Lock()
        self._handlers: list[QueryPushHandler] = []
        self._workload_handlers: list[KnobPushHandler | IndexPushHandler] = []
        self._steerers: WeakKeyDictionary[Session, Steerer] = WeakKeyDictionary()

    def register(self, handlers: Any) -> None:
        """Add push handlers, which are asked in this order. Raises `UsageError` for others."""
        for handler in handlers if isinstance(handlers, Iterable) else [handlers]:
            if isinstance(handler, BasePushHandler):
                handler.interactor = self._own_interactor()
            if isinstance(handler, QueryPushHandler):
                self._handlers.append(handler)
            elif isinstance(handler, (KnobPushHandler, IndexPushHandler)):
                self._workload_handlers.append(handler)
            else:
                raise UsageError(
                    f"{type(handler).__name__} is no push handler",
                    hint="Derive from HintPushHandler, CardPushHandler, KnobPushHandler, "
                    "IndexPushHandler, CommentPushHandler or ScanJoinMethodPushHandler.",
                )

    def _own_interactor(self) -> PilotDataInteractor:
        if self._interactor is None:
            self._interactor = PilotDataInteractor(self._config, target=self._target)
        return self._interactor

    def close(self) -> None:
        """Close the connection of the handlers' interactor."""
        if self._interactor is not None:
            self._interactor.close()

    def __bool__(self) -> bool:
        """Whether there is anything to do: without it, queries are best sent as they stand."""
        return bool(self._handlers or self._workload_handlers or self.pulls)

    def open(self, session: Session) -> None:
        """Make a new session ready to be steered, before it is used for anything else.

        Raises `CapabilityError` where a handler is for what its server cannot do at all, unless
        what is missing shall be skipped.
        """
        if not isinstance(session, PostgresSession):
            raise CapabilityError(f"a {type(session).__name__} cannot be steered")
        abilities = Abilities(session, self._config)
        if any(isinstance(one, CardPushHandler) for one in self._handlers):
            able = abilities.planner is not None or abilities.hint_plan
            if not able and not self._skip_missing:
                raise abilities.missing("pushed cardinalities")
        if any(
            isinstance(one, (CommentPushHandler, ScanJoinMethodPushHandler))
            for one in self._handlers
        ):
            _ = abilities.hint_plan  # found out now: later the session may be in a transaction
        self._steerers[session] = Steerer(
            session,
            abilities,
            self.pulls,
            skip_missing=self._skip_missing,
            buffercache=self._own_interactor().db_controller.get_buffercache,
        )

    @property
    def for_workload(self) -> bool:
        """Whether a handler is to be asked once for the whole workload."""
        return bool(self._workload_handlers)

    def before_workload(self, controller: BaseDBController, first_sql: str) -> list[str]:
        """Carry out what knob and index handlers want for the whole workload; what was done, in
        words. What the server cannot do, and a handler that fails, are passed over where the
        config says so, with all that they have done. Raises `DriverError` when one fails, and
        `CapabilityError`."""
        done: list[str] = []
        if not self._workload_handlers:
            return done
        if not isinstance(controller, PostgreSQLController):
            raise CapabilityError("knobs and indexes are pushed into a PostgreSQL only")
        for handler in self._workload_handlers:
            name = type(handler).__name__
            try:
                with controller.target().all_or_none():
                    wanted = _asked(handler, first_sql)
                    if isinstance(handler, KnobPushHandler):
                        done.extend(_knobs_set(controller, wanted))
                    else:
                        done.extend(_indexes_made(controller, wanted, handler.drop_other))
            except CapabilityError as exc:
                if not self._skip_missing:
                    raise CapabilityError(f"{name}: {exc.message}", hint=exc.hint) from exc
                done.append(f"nothing by {name}: {exc.message}")
            except DriverError as exc:
                told = exc.message if exc.message.startswith(f"{name}: ") else f"{name}: {exc}"
                if not self._native_on_error:
                    raise type(exc)(told, hint=exc.hint) from exc
                done.append(f"nothing by {told}")
        return done

    def run(self, session: Session, query: Query, *, pull: bool = True) -> tuple[Steered, float]:
        """Run `query` in a session that was opened here, with what the handlers say about it.

        Without `pull` nothing is asked of the server besides. The second value is how long the
        handlers took, in seconds. Never raises for the query.
        """
        steerer = self._steerers[session]
        if not self._handlers or query.command in _UNSTEERED:
            return steerer.run(query, None, pull=pull), 0.0
        began = time.perf_counter()
        try:
            with self._asking:
                pushes = self._decided(query.sql)
        except DriverError as exc:
            inference_s = time.perf_counter() - began
            return self._failed(steerer, query, Steered(error=exc), pull), inference_s
        inference_s = time.perf_counter() - began
        steered = steerer.run(query, pushes, pull=pull)
        if isinstance(steered.error, (SteeringError, CapabilityError)):
            steered = self._failed(steerer, query, steered, pull)
        return steered, inference_s

    def _decided(self, sql: str) -> Pushes:
        pushes = Pushes()
        for handler in self._handlers:
            data = _asked(handler, sql)
            try:
                handler.put(data, pushes)
            except SteeringError as exc:
                name = type(handler).__name__
                raise SteeringError(f"{name}: {exc.message}", hint=exc.hint) from exc
        return pushes

    def _failed(self, steerer: Steerer, query: Query, steered: Steered, pull: bool) -> Steered:
        if not self._native_on_error or steerer.session.closed:
            return steered
        assert steered.error is not None
        again = steerer.run(query, None, pull=pull)
        before = again.report or SteeringReport()
        again.report = replace(before, native=steered.error.message)
        return again


_UNSTEERED = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "SET", "RESET"}
    | {"PREPARE", "DEALLOCATE", "DISCARD", "COPY", "LISTEN", "UNLISTEN", "NOTIFY", "SHOW", "LOAD"}
)
"""Commands about the session or its transaction: no handler is asked about them."""


def _knobs_set(controller: PostgreSQLController, wanted: Any) -> list[str]:
    if not wanted:
        return []
    controller.set_knobs(wanted)
    return [f"{name} = {value}" for name, value in wanted.items()]


def _indexes_made(
    controller: PostgreSQLController, wanted: Sequence[Index] | None, drop_other: bool
) -> list[str]:
    if wanted is None:
        return []
    if drop_other:
        controller.drop_all_indexes()
    done = []
    for index in wanted:
        controller.create_index(index)
        done.append(f"index on {index.table} ({', '.join(index.columns)})")
    return done


def _asked(handler: BasePushHandler, sql: str) -> Any:
    try:
        return handler.acquire_injected_data(sql)
    except PilotError as exc:
        raise DriverError(f"{type(handler).__name__}: {exc.message}", hint=exc.hint) from exc
    except SystemExit as exc:
        name = type(handler).__name__
        raise DriverError(f"{name}: it called sys.exit({exc.code!r})") from exc
    except KeyboardInterrupt as exc:  # its own: Ctrl-C is heard elsewhere
        raise DriverError(f"{type(handler).__name__}: it raised KeyboardInterrupt") from exc
    except Exception as exc:
        raise DriverError(f"{type(handler).__name__}: {type(exc).__name__}: {exc}") from exc
