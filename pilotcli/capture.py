"""Turns what drivers print into signals, so that every view shows it in its order."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from typing import Any, Literal

from pilotcli.signals import Bus, DriverOutput

__all__ = ["driver_output"]

MAX_LINE = 10_000
"""Characters after which a line that does not end is passed on as it is."""


class _Lines(io.TextIOBase):
    """A text stream that emits a `DriverOutput` for each line.

    `wrapped` is the stream that it stands in for; views write to that one.
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
                self._bus.emit(DriverOutput(line.rstrip("\r").rpartition("\r")[2], self._stream))
        return len(text)

    def finish(self) -> None:
        """Pass on a last line without an end."""
        with self._lock:
            if self._begun:
                self.write("\n")


@contextlib.contextmanager
def driver_output(bus: Bus) -> Iterator[None]:
    """While this is open, `sys.stdout` and `sys.stderr` of the whole process go to `bus`."""
    before = sys.stdout, sys.stderr
    out, err = _Lines(bus, "stdout", before[0]), _Lines(bus, "stderr", before[1])
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        out.finish()
        err.finish()
