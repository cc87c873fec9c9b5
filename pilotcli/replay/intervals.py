"""Counts and latencies of each interval of a run, while it runs."""

from __future__ import annotations

import math
import threading
import time

from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import Bus, IntervalFinished
from pilotcli.replay.observers import RunObserver

_SHARES = (0.50, 0.95, 0.99)


class Intervals(RunObserver):
    """Emits `IntervalFinished` every `every_s` seconds, also when no query ends."""

    def __init__(self, bus: Bus, every_s: float) -> None:
        self._bus = bus
        self._every_s = every_s
        self._lock = threading.Lock()
        self._latencies: list[float] = []
        self._queries = self._failed = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def query_finished(self, query: Query, result: QueryResult) -> None:
        """Count one result."""
        with self._lock:
            if result.status in ("ok", "timeout"):
                self._latencies.append(result.elapsed_s)
            self._queries += 1
            self._failed += result.status != "ok"

    def start(self) -> None:
        """Begin the first interval now."""
        self._thread = threading.Thread(target=self._run, name="pilot-intervals", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the last interval, a shorter one; does nothing if the first has not begun."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        number, from_s = 0, 0.0
        while not self._ended.is_set():
            number += 1
            self._ended.wait(begun + number * self._every_s - time.monotonic())
            to_s = time.monotonic() - begun
            self._emit(from_s, to_s, last=self._ended.is_set())
            from_s = to_s

    def _emit(self, from_s: float, to_s: float, *, last: bool) -> None:
        with self._lock:
            latencies, self._latencies = self._latencies, []
            queries, self._queries = self._queries, 0
            failed, self._failed = self._failed, 0
        timed = sorted(latencies)
        if last and not queries:
            return
        ranks = [max(1, math.ceil(share * len(timed))) - 1 for share in _SHARES]
        values = tuple(timed[rank] for rank in (*ranks, -1)) if timed else ()
        per_s = queries / (to_s - from_s) if to_s > from_s else 0.0
        self._bus.emit(IntervalFinished(from_s, to_s, queries, failed, per_s, values))
