"""Calls drivers' code with a time limit, and ends it when the user stops the run.

Python cannot force a thread to end. pilot cancels the call's database query, raises an exception
in its thread, and if neither ends the call, leaves the thread running in the background.
"""

from __future__ import annotations

import ctypes
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pilotcli.common.debugger import current, is_debugging
from pilotcli.common.errors import DriverError, Interrupted
from pilotcli.common.failures import at_place, place_of_frame

ENDS_WITHIN_S = 5.0
"""How long pilot waits for a call to return after it has tried to end it."""
STOPS_WITHIN_S = 3.0
"""How long a call may go on after the user stopped the run."""
_LOOK_EVERY_S = 0.25

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """How long one call of an event and of a handler may take, in seconds; None: for ever."""

    event_s: float | None = None
    handler_s: float | None = None


class CallTimeout(DriverError):
    """A call took longer than its time limit. `where`: the stack of its thread, as text."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class _Ended(BaseException):
    """Raised in the thread of a call to end it; `except Exception` does not catch it."""


class DriverCalls:
    """Calls drivers' code directly, or with `timeout_s` (seconds) in a thread of its own.

    One thread makes all calls, so that thread-local values of an event are there in its next call.
    `cancel` ends what threads run in the database; it gets a function that says of a thread's
    identifier whether the thread belongs to the call. `key` is the config's key of the time limit.
    Used by one thread at a time, except for `interrupt`.
    """

    def __init__(
        self,
        timeout_s: float | None,
        cancel: Callable[[Callable[[int], bool]], None],
        stop_requested: Callable[[], bool],
        key: str = "events.timeout",
    ) -> None:
        self._key = key
        self._timeout_s = timeout_s
        self._cancel = cancel
        self._stop_requested = stop_requested
        self._caller: _Caller | None = None
        self._left: dict[str, _Caller] = {}
        """By event or handler: the thread that could not be ended."""
        self._direct: int | None = None
        """The thread of pilot's own that is in a driver's code, None at other times."""
        self._stopping_since: float | None = None

    def call(self, name: str, function: Callable[[], T]) -> T:
        """Call `function` for the event or handler `name`, and return what it returns.

        Raises what `function` raises, `CallTimeout` if it takes too long, and `Interrupted` if it
        goes on although the user stopped the run. A process that `function` forks ends here.
        """
        if self._timeout_s is None:
            self._direct = threading.get_ident()
            try:
                return _in_this_process(function)
            except _Ended:
                raise Interrupted(f"stopped while {name} was running") from None
            finally:
                self._direct = None
        left = self._left.get(name)
        if left is not None and left.is_alive():
            raise CallTimeout("its last call has not returned yet, so it was not called")
        if self._caller is None:
            self._caller = _Caller()
            self._caller.start()
        call = _Call(function)
        self._caller.calls.put(call)
        result: T = self._outcome(name, self._caller, call)
        return result

    def interrupt(self) -> None:
        """End a call that does not return after a stop; `call` then raises `Interrupted`.
        Another thread calls this repeatedly after the user has stopped the run."""
        now = time.monotonic()
        if self._stopping_since is None or is_debugging():
            self._stopping_since = now
        elif now - self._stopping_since > STOPS_WITHIN_S and self._direct is not None:
            self._stopping_since = now
            _raise_in(self._direct, _Ended)

    def close(self) -> None:
        """End the thread; safe to call twice."""
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.calls.put(None)

    def _outcome(self, name: str, caller: _Caller, call: _Call) -> Any:
        assert self._timeout_s is not None
        due = time.monotonic() + self._timeout_s
        stopped_at = None
        while not call.done.wait(min(_LOOK_EVERY_S, max(0.0, due - time.monotonic()))):
            now = time.monotonic()
            if is_debugging():
                due = now + self._timeout_s  # it has all of its time again after that
                continue
            if stopped_at is None and self._stop_requested():
                stopped_at = now
            if now >= due or (stopped_at is not None and now > stopped_at + STOPS_WITHIN_S):
                self._end(name, caller, call, stopped=stopped_at is not None and now < due)
        if call.error is not None:
            raise call.error
        return call.result

    def _end(self, name: str, caller: _Caller, call: _Call, *, stopped: bool) -> None:
        """End the call, and raise `Interrupted` or `CallTimeout`."""
        frame = sys._current_frames().get(caller.ident or 0)
        where = "".join(traceback.format_stack(frame)) if frame is not None else ""
        place = place_of_frame(frame)
        # This thread makes no further call, whether or not it ends.
        self._caller = None
        caller.calls.put(None)
        if caller.ident is not None:
            _raise_in(caller.ident, _Ended)
        due = time.monotonic() + ENDS_WITHIN_S
        while not call.done.wait(_LOOK_EVERY_S) and time.monotonic() < due:
            self._cancel(lambda thread: thread == caller.ident or thread not in call.others)
        if stopped:
            raise Interrupted(f"stopped while {name} was running")
        message = f"it took longer than {self._timeout_s:g} s ({self._key})"
        if not call.done.is_set():
            self._left[name] = caller
            message += ", could not be ended, and runs on in the background"
        raise CallTimeout(at_place(place, message), where)


class _Call:
    """One call, and its result or error."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = threading.Event()
        self.others = frozenset(thread.ident for thread in threading.enumerate())
        """The threads that ran before the call; it has started all others."""
        self.result: Any = None
        self.error: BaseException | None = None


class _Caller(threading.Thread):
    """Makes the calls in its queue until it finds None there."""

    def __init__(self) -> None:
        super().__init__(name="pilot-events", daemon=True)
        self.calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()

    def run(self) -> None:
        try:
            while (call := self.calls.get()) is not None:
                try:
                    call.result = _in_this_process(call.function)
                except BaseException as error:  # noqa: BLE001 - raised again in `_outcome`
                    call.error = error
                finally:
                    call.done.set()
        except _Ended:
            pass  # raised just after its call had ended


def _in_this_process(function: Callable[[], T]) -> T:
    """Call `function`; a process that it forked and that returns ends here, since the run belongs
    to the parent."""
    process = os.getpid()
    try:
        return function()
    except SystemExit as exit:
        if os.getpid() != process:
            os._exit(exit.code if isinstance(exit.code, int) else int(exit.code is not None))
        raise
    except Exception as error:
        if (debugger := current()) is not None and os.getpid() == process:
            debugger.failed(error)
        raise
    finally:
        if (debugger := current()) is not None:
            debugger.call_ended()
        if os.getpid() != process:
            os._exit(1 if sys.exc_info()[1] is not None else 0)


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise `error` in a thread as soon as it runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
