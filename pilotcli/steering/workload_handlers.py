"""Handlers for a whole workload: they change knobs and indexes before its first query."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    DriverError,
    Interrupted,
    PilotError,
    SteeringError,
    StorageError,
)
from pilotcli.common.failures import failure_of
from pilotcli.common.quantities import duration
from pilotcli.common.records import Index
from pilotcli.common.suggestions import sentences
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.databases.protocols import BaseDBController
from pilotcli.steering.handlers import BasePushHandler, IndexPushHandler, KnobPushHandler

_OWN_CODES = (DriverError, DatabaseError)
"""Errors that keep their exit code if a handler causes them."""


class WorkloadHandlers:
    """Calls knob and index handlers, and applies what they return.

    `call` asks a handler; `skip_missing` and `native_on_error` say what a handler that cannot be
    obeyed does to the run (`steering.on_missing`, `steering.on_error`).
    """

    def __init__(
        self,
        call: Callable[[BasePushHandler, str], Any],
        stop_requested: Callable[[], bool],
        *,
        skip_missing: bool,
        native_on_error: bool,
    ) -> None:
        self.handlers: list[KnobPushHandler | IndexPushHandler] = []
        self._call = call
        self._stop_requested = stop_requested
        self._skip_missing = skip_missing
        self._native_on_error = native_on_error
        self._answers: dict[BasePushHandler, Mapping[str, object] | Sequence[Index] | None] = {}
        """What each handler returned when it was last asked."""

    def apply(
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
        if not self.handlers:
            return done
        if not isinstance(controller, PostgreSQLController):
            raise CapabilityError("knobs and indexes can be pushed into PostgreSQL only")
        for handler in self.handlers:
            name = type(handler).__name__
            try:
                with controller.target().all_or_none():
                    self._require_no_stop()
                    took = [] if again else [self._ask(handler, first_sql)]
                    self._require_no_stop()
                    with drivers_errors(name):
                        done.extend(self._put(controller, handler))
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
        data = self._call(handler, first_sql)
        with drivers_errors(name):
            is_knobs = isinstance(handler, KnobPushHandler)
            self._answers[handler] = _copied(data) if is_knobs else _listed(data)
        return f"{name} answered in {duration(time.perf_counter() - began)}"

    def _put(
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


@contextlib.contextmanager
def drivers_errors(name: str) -> Iterator[None]:
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
