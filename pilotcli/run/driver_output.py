"""Turns what drivers print into signals, so that every view shows it where it belongs.

What pilot's own modules log meanwhile becomes notices: it is not the driver's.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from pilotcli.common.redaction import redacted
from pilotcli.common.signals import Bus, DriverOutput, EventTriggered, Notice, Signal

PATIENCE_S = 1.0
MAX_LINE = 10_000
"""The length in characters after which a line is passed on before its end."""


@dataclass(frozen=True, slots=True)
class _Capture:
    """How to let go of output that is captured, and to capture it again."""

    release: Callable[[], None]
    retake: Callable[[], None]


_captures: list[_Capture] = []
"""What is captured, the latest last."""


def release_output() -> None:
    """Let all output go where it would go without pilot: the debugger needs the terminal."""
    for capture in reversed(_captures):
        capture.release()


def retake_output() -> None:
    """Capture again what `release_output` has let go."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for capture in _captures:
        capture.retake()


@contextlib.contextmanager
def _captured(release: Callable[[], None], retake: Callable[[], None]) -> Iterator[None]:
    """While this is open, output is captured."""
    capture = _Capture(release, retake)
    retake()
    _captures.append(capture)
    try:
        yield
    finally:
        _captures.remove(capture)
        release()


class _Lines(io.TextIOBase):
    """A text stream that emits a `DriverOutput` for each line.

    `wrapped` is the stream that it replaces; views write to that one.
    """

    def __init__(self, bus: Bus, stream: Literal["stdout", "stderr"], wrapped: Any) -> None:
        self.wrapped = wrapped
        self._bus = bus
        self._stream: Literal["stdout", "stderr"] = stream
        self._begun = ""
        self._passed_on = False
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            if lines and self._passed_on and not lines[0]:
                del lines[0]  # the end of a line whose beginning was all of it
            self._passed_on = len(self._begun) > MAX_LINE
            if self._passed_on:
                lines.append(self._begun)
                self._begun = ""
            for line in lines:
                # A progress bar rewrites its line; what it ends as is what it says.
                shown = redacted(line.rstrip("\r").rpartition("\r")[2])
                self._bus.emit(DriverOutput(shown, self._stream))
        return len(text)

    def finish(self) -> None:
        """Pass on a last line without an end."""
        with self._lock:
            if self._begun:
                self.write("\n")


class _Notices(logging.Handler):
    """Emits a `Notice` for each record."""

    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self._bus = bus

    def emit(self, record: logging.LogRecord) -> None:
        """Emit one record, without secrets."""
        try:
            is_error, is_warning = (record.levelno >= n for n in (logging.ERROR, logging.WARNING))
            level: Literal["info", "warning", "error"] = (
                "error" if is_error else "warning" if is_warning else "info"
            )
            self._bus.emit(Notice(level, redacted(self.format(record))))
        except Exception:  # noqa: BLE001 - logging reports it
            self.handleError(record)


@contextlib.contextmanager
def _own_log(bus: Bus) -> Iterator[None]:
    """While this is open, what pilot itself logs goes to `bus`, except in a script, which decides
    that itself."""
    log = logging.getLogger("pilotcli")
    if log.propagate:
        yield
        return
    before = log.handlers[:]
    log.handlers[:] = [_Notices(bus)]
    try:
        yield
    finally:
        log.handlers[:] = before


@contextlib.contextmanager
def process_output(bus: Bus) -> Iterator[None]:
    """While this is open, what reaches the process's own standard output and error goes to `bus`:
    the output of programs that drivers start, and of libraries that are not Python's.

    Views must write to another descriptor (`own_stream`), and nothing else of pilot to these.
    """
    with _redirected(1, _Lines(bus, "stdout", None)), _redirected(2, _Lines(bus, "stderr", None)):
        yield


@contextlib.contextmanager
def _redirected(number: int, lines: _Lines) -> Iterator[None]:
    """While this is open, output to the descriptor `number` goes to `lines`."""
    reading, writing = os.pipe()
    before = os.dup(number)

    def pass_on() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace", newline="\n") as pipe:
            for text in pipe:
                lines.write(text)
        lines.finish()

    thread = threading.Thread(target=pass_on, name=f"pilot-output-{number}", daemon=True)
    thread.start()
    try:
        with _captured(
            release=lambda: _duplicate(before, number), retake=lambda: _duplicate(writing, number)
        ):
            yield
    finally:
        os.close(writing)
        os.close(before)
        # A program that a driver left running may hold the pipe open: do not wait for it.
        thread.join(PATIENCE_S)


def _duplicate(descriptor: int, number: int) -> None:
    os.dup2(descriptor, number)


@contextlib.contextmanager
def own_stream() -> Iterator[TextIO | None]:
    """Standard output under a descriptor of its own, for a view; None where it has none."""
    try:
        number = os.dup(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        yield None
        return
    sys.stdout.flush()
    with os.fdopen(number, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors) as stream:
        yield stream


@contextlib.contextmanager
def driver_output(bus: Bus) -> Iterator[None]:
    """While this is open, `sys.stdout` and `sys.stderr` of the whole process go to `bus`, and what
    the command logs."""
    before = sys.stdout, sys.stderr
    out, err = _Lines(bus, "stdout", before[0]), _Lines(bus, "stderr", before[1])

    def end_lines(_: Signal) -> None:
        # A line that an event left unfinished does not run into the next event's.
        out.finish()
        err.finish()

    def use(streams: tuple[Any, Any]) -> None:
        sys.stdout, sys.stderr = streams

    bus.subscribe(end_lines, EventTriggered)
    try:
        with (
            _captured(release=lambda: use(before), retake=lambda: use((out, err))),
            _own_log(bus),
        ):
            yield
    finally:
        out.finish()
        err.finish()
