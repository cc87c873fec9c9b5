"""Ends statements of a server that does not answer, and statements with too large a result.

A statement's time-out is the server's own `statement_timeout`. When the server has not answered
some seconds later, the watchdog cancels the statement. When that has no effect either, it cuts the
connection, and whoever waits for the statement gets an error. The same happens to a statement that
the user cancels.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pilotcli.databases.session.libpq import Line

GRACE_S = 2.0
"""How long after a statement's time-out the server may still answer by itself."""
CUT_AFTER_S = 3.0
"""How long a cancelled statement may take to end."""
TICK_S = 0.25
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MOST_GROWTH_BYTES = min(4 << 30, os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES // 2)
"""How much this process may grow while the result of one statement comes in."""


class Watched(Protocol):
    """A session, whose statement is watched."""

    line: Line
    thread: int
    """The identifier of the thread that has sent the last statement."""
    began: float
    """`time.monotonic()` when the statement that runs was sent, 0.0 while none runs."""

    def cancel(self) -> None:
        """Cancel the statement that runs."""

    def overdue_at(self) -> float | None:
        """When the statement that runs is to be cancelled; None for never."""

    def stop_too_large(self, grown_bytes: int) -> None:
        """Note that the statement is cancelled because this process has grown by so much."""

    def cut(self, *, timed_out: bool) -> None:
        """Cut the connection; `timed_out` when the reason is the time-out."""


@dataclass(slots=True)
class _Cancel:
    """A request to cancel the statement that began at `statement`."""

    statement: float
    at: float
    timed_out: bool
    sending: bool = True


class _Watchdog:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._watched: weakref.WeakSet[Watched] = weakref.WeakSet()
        self._asked: weakref.WeakKeyDictionary[Watched, _Cancel] = weakref.WeakKeyDictionary()
        self._seen: weakref.WeakKeyDictionary[Watched, tuple[float, int]] = (
            weakref.WeakKeyDictionary()
        )
        """Statement and size of this process, when the statement was first seen to run."""
        self._thread: threading.Thread | None = None

    def watch(self, session: Watched) -> None:
        """End the session's statements that are not ended in time, as long as it exists."""
        with self._guard:
            self._watched.add(session)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch_all, name="pilot-watchdog", daemon=True
                )
                self._thread.start()

    def cancel(self, session: Watched, *, timed_out: bool = False) -> None:
        """Cancel the statement that runs in the session, if there is one, and cut the connection
        when that has no effect. Returns at once."""
        statement = session.began
        if not statement:
            return
        self.watch(session)
        with self._guard:
            asked = self._asked.get(session)
            if asked is None or asked.statement != statement:
                asked = _Cancel(statement, time.monotonic(), timed_out)
                self._asked[session] = asked
            elif asked.sending:
                return
            asked.sending = True
        threading.Thread(target=_send, args=(session.line, asked), daemon=True).start()

    def cancel_statements(self, belongs: Callable[[int], bool] = lambda thread: True) -> None:
        """Cancel the statements of all sessions of this process, whoever has opened them; with
        `belongs` those of the threads for which it is true."""
        with self._guard:
            sessions = list(self._watched)
        for session in sessions:
            if session.began and belongs(session.thread):
                session.cancel()

    def _watch_all(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._guard:
                sessions = list(self._watched)
                if not sessions:
                    self._thread = None
                    return
            for session in sessions:
                self._look(session, time.monotonic())
            del sessions[:], session

    def _look(self, session: Watched, now: float) -> None:
        statement = session.began
        if not statement:
            return
        with self._guard:
            asked = self._asked.get(session)
        if asked is None or asked.statement != statement:
            grown_bytes = self._growth(session, statement)
            if grown_bytes > MOST_GROWTH_BYTES:
                session.stop_too_large(grown_bytes)
                self.cancel(session)
                return
            due = session.overdue_at()
            if due is not None and now > due + GRACE_S:
                self.cancel(session, timed_out=True)
        elif now > asked.at + CUT_AFTER_S and session.began == statement:
            session.cut(timed_out=asked.timed_out)

    def _growth(self, session: Watched, statement: float) -> int:
        """By how many bytes this process has grown since it first saw this statement run."""
        size_bytes = _resident_bytes()
        seen = self._seen.get(session)
        if seen is None or seen[0] != statement:
            self._seen[session] = seen = (statement, size_bytes)
        return size_bytes - seen[1]


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - four times a second
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        # Elsewhere the most that it was so far: it grows, too, when a large result comes in.
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _send(line: Line, asked: _Cancel) -> None:
    try:
        line.cancel()
    finally:
        asked.sending = False


_watchdog = _Watchdog()
watch, cancel = _watchdog.watch, _watchdog.cancel
cancel_statements = _watchdog.cancel_statements
