"""The view for a terminal: one calm block at the bottom, and above it what should stay."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from pilotcli.common import signals
from pilotcli.views import messages
from pilotcli.views.base import View
from pilotcli.views.console import Writer, styled, wants_color
from pilotcli.views.frame import frame
from pilotcli.views.screen import Screen
from pilotcli.views.state import RunState
from pilotcli.views.summary import summary
from pilotcli.views.text import Line, clean, line_text, width, wrap_line

log = logging.getLogger(__name__)

FAILURES_SHOWN = 5
NOTICES_SHOWN = 50
_DRIVER = ("│ ", "dim")
"""How a line begins that a driver has written."""
WAITING_LINES = 10_000
"""Lines that wait to be printed above; adding more waits for the terminal, as `print` does."""


class LiveView(View):
    """Shows a run in a terminal, refreshed by a thread of its own.

    A signal touches counters only (a few microseconds for a query), or leaves a line to be
    printed above the block at the next refresh. With `verbose`, every query and firing is such a
    line. `thread=False` leaves refreshing to the caller (`refresh`).
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        size: Callable[[], tuple[int, int]] | None = None,
        verbose: bool = False,
        color: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        refresh_hz: float = 8.0,
        thread: bool = True,
    ) -> None:
        self.state = RunState(clock, wall)
        self._stream = stream
        self._size = size if size is not None else self._terminal_size
        self._colored = wants_color(stream, color)
        self._screen = Screen(Writer(stream))
        self._verbose = verbose
        self._above: list[Line | Callable[[], Line]] = []
        self._failures = [0, 0]
        self._notices = 0
        self._painting = threading.Lock()
        self._done = threading.Event()
        self._closed = False
        self._aside = False
        self._interval_s = 1 / refresh_hz
        self._with_thread = thread
        self._thread: threading.Thread | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            signals.QueryFinished: self._query_finished,
            signals.EventTriggered: self._event_triggered,
            signals.DriverOutput: self._driver_output,
            signals.Notice: self._notice,
            signals.IntervalFinished: self._interval_finished,
        }
        if verbose:
            self._handlers[signals.ModelSaved] = self._model_saved
            self._handlers[signals.ExecutionFinished] = self._execution_finished

    def __call__(self, signal: object) -> None:
        """Take a signal; called from any thread."""
        with self.state.lock:
            self.state.apply(signal)
            handler = self._handlers.get(type(signal))
            if handler is not None:
                handler(signal)
        if len(self._above) > WAITING_LINES:
            self.refresh()

    def __enter__(self) -> LiveView:
        self.refresh()
        if self._with_thread:
            self._thread = threading.Thread(target=self._run, name="pilot-live", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Put the summary in the place of the block. Further calls do nothing.

        May be called from a signal handler: it waits no longer than a second for a terminal that
        does not take its output.
        """
        self._done.set()
        if self._painting.acquire(timeout=1.0):
            try:
                self._leave()
            finally:
                self._painting.release()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=1.0)

    def _leave(self) -> None:
        if self._closed or not self.state.lock.acquire(timeout=1.0):
            return
        self._closed = True
        try:
            columns = self._size()[0]
            above = self._taken(columns)
            below = summary(self.state, columns - 1)
        finally:
            self.state.lock.release()
        between: list[Line] = [[]] if above and below else []
        self._screen.leave(columns, self._styled([*above, *between, *below]))

    def step_aside(self) -> None:
        """Remove the block, and paint nothing until `step_back`."""
        self.refresh()  # what waits to be printed above
        with self._painting:
            self._aside = True
            if not self._closed:
                self._screen.leave(self._size()[0], [])

    def step_back(self) -> None:
        """Paint the block again, below what has come meanwhile."""
        with self._painting:
            self._aside = False
        self.refresh()

    def refresh(self) -> None:
        """Paint what is there now."""
        with self._painting:
            if self._closed or self._aside:
                return
            columns, rows = self._size()
            with self.state.lock:
                above = self._taken(columns)
                lines = frame(self.state, columns - 1, rows - 1)
            self._screen.paint(
                self._styled(lines),
                [width(line_text(line)) for line in lines],
                columns,
                self._styled(above),
            )

    def _terminal_size(self) -> tuple[int, int]:
        """Columns and rows of the view's own terminal: standard output may lead elsewhere."""
        if self._stream is not None and not (os.environ.keys() & {"COLUMNS", "LINES"}):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                columns, rows = os.get_terminal_size(self._stream.fileno())
                if columns and rows:
                    return columns, rows
        return shutil.get_terminal_size()

    def _run(self) -> None:
        try:
            while not self._done.wait(self._interval_s):
                self.refresh()
        except Exception:  # a view that fails must not end a run, nor fill the terminal
            self._closed = True
            log.exception("the live view failed and is closed; the run goes on")

    def _taken(self, columns: int) -> list[Line]:
        """What waits to be printed above. What a driver writes is the terminal's to wrap."""
        waiting, self._above = self._above, []
        lines: list[Line] = []
        for entry in waiting:
            line = entry() if callable(entry) else entry
            lines += [line] if line[:1] == [_DRIVER] else wrap_line(line, columns)
        return lines

    def _styled(self, lines: Sequence[Line]) -> list[str]:
        """Each line with its colours, as the terminal takes it."""
        return [styled(line) if self._colored else line_text(line) for line in lines]

    def _query_finished(self, signal: signals.QueryFinished) -> None:
        result = signal.result
        if result.status == "ok":
            if self._verbose:
                self._above.append(lambda: [("  ", ""), (messages.query_line(result), "dim")])
            return
        style = "yellow" if result.status == "timeout" else "red"
        self._failure(style, messages.query_failure(result), 0)

    def _execution_finished(self, signal: signals.ExecutionFinished) -> None:
        self._above.append(lambda: [("  ", ""), (messages.execution_line(signal), "dim")])

    def _event_triggered(self, signal: signals.EventTriggered) -> None:
        if signal.outcome == "failed":
            self._failure("red", messages.event_failure(signal), 1)
        elif self._verbose:
            self._above.append([("  ", ""), (messages.firing(signal), "dim")])

    def _model_saved(self, signal: signals.ModelSaved) -> None:
        row = self.state.models[signal.model]
        self._above.append([("  ", ""), (messages.model_saved(row, signal.after_query), "dim")])

    def _failure(self, style: str, text: str, kind: int) -> None:
        """A query (kind 0) or an event (kind 1) failed: the first few, then where to look."""
        self._failures[kind] += 1
        if self._failures[kind] <= FAILURES_SHOWN or self._verbose:
            self._above.append([("✗ ", style), (text, "")])
        elif self._failures[kind] == FAILURES_SHOWN + 1:
            where = f"pilot runs show {self.state.run_id}" + (" --failed" if kind == 0 else "")
            what = "queries" if kind == 0 else "events"
            hint = f"  further failures of {what} are in the journal: {where}"
            self._above.append([(hint, "dim")])

    def _interval_finished(self, signal: signals.IntervalFinished) -> None:
        self._above.append([(messages.interval_line(signal), "")])

    def _driver_output(self, signal: signals.DriverOutput) -> None:
        self._above.append(lambda: [_DRIVER, (messages.output_text(signal), "")])

    def _notice(self, signal: signals.Notice) -> None:
        self._notices += 1
        if self._notices > NOTICES_SHOWN and not self._verbose:
            if self._notices == NOTICES_SHOWN + 1:
                self._above.append([("  further notices are left out", "dim")])
        elif signal.level == "info":
            self._above.append([(clean(signal.text), "dim")])
        else:
            style = "yellow" if signal.level == "warning" else "red"
            self._above.append([(f"{clean(signal.level)}: ", style), (clean(signal.text), "")])
