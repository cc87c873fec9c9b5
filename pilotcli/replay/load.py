"""When queries are due: at a rate, at the times of a log, or as soon as a worker is free."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import count, duration, rate
from pilotcli.common.records import Query
from pilotcli.config.model import RunSection

_HELD = 0.99
"""The share of the wanted rate from which on a rate counts as held."""
_SLACK_S = 0.05
"""A last query that is late by less says nothing about the rate."""


def refuse_contradictions(options: RunSection) -> None:
    """Raise `UsageError` for shapes of a load that exclude each other."""
    given = [name for name in ("rate", "pace", "think") if getattr(options, name) is not None]
    if len(given) > 1:
        raise UsageError(
            f"run.{given[0]} and run.{given[1]} both say when a query is sent",
            hint="Leave one of them out.",
        )
    if options.arrivals == "poisson" and options.rate is None:
        raise UsageError("run.arrivals needs a rate", hint="Add one: --rate 200/s")
    if options.duration is not None and options.repeat > 1:
        raise UsageError(
            "run.duration and run.repeat both say how often the workload is replayed",
            hint="Leave one of them out.",
        )
    if options.cold and options.workers > 1:
        raise UsageError(
            "run.cold restarts the server before each query, so there can be one worker only",
            hint="Leave --workers out.",
        )


def refuse_load(options: RunSection) -> None:
    """Raise `UsageError` for a load where queries must run one after the other, as fast as they
    can."""
    names = ("rate", "pace", "think", "ramp", "duration", "every")
    if given := [name for name in names if getattr(options, name) is not None]:
        raise UsageError(
            f"a paired run compares single queries, and takes no run.{given[0]}",
            hint="Leave it out, or compare two runs: pilot runs compare A B",
        )


class Load:
    """Gives each query the time at which it is due; used by all workers.

    Times are those of `time.perf_counter`. A query that is sent later than it was due has waited
    for a free worker, and the wait is part of its latency.
    """

    def __init__(self, options: RunSection, clock: Callable[[], float] = time.perf_counter) -> None:
        self._rate = options.rate
        self._speed = options.pace
        self._random = random.Random(options.seed) if options.arrivals == "poisson" else None
        self._ramp_s = options.ramp or 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: float | None = None
        self._arrived = 0.0
        self._due_s = self._sent_s = 0.0
        """Seconds after the beginning: when the last query was due, and was sent."""
        self.sent = 0

    @property
    def is_open(self) -> bool:
        """Whether queries are due at given times."""
        return self._rate is not None or self._speed is not None

    def due(self, query: Query) -> float | None:
        """When `query`, the next one, is due; None for at once."""
        if self._rate is not None:
            with self._lock:
                if self._begun is None:
                    self._begun = self._clock()
                at_s = self._arrival_s(self._arrived)
                step = self._random.expovariate(1.0) if self._random is not None else 1.0
                self._arrived += step
                return self._begun + at_s
        logged_s = query.facts.at_s
        if self._speed is None or logged_s is None:
            return None
        at_s = logged_s / self._speed
        with self._lock:
            if self._begun is None:
                # The first query is due now, so a log may begin, and a resumed run go on, anywhere.
                self._begun = self._clock() - at_s
            return self._begun + at_s

    def begin_round(self) -> None:
        """Begin the log's times again."""
        if self._speed is not None:
            self._begun = None

    def note_sent(self, due: float) -> None:
        """Note that a query that was due then is sent now."""
        with self._lock:
            if self._begun is not None:
                self.sent += 1
                self._due_s = max(self._due_s, due - self._begun)
                self._sent_s = max(self._sent_s, self._clock() - self._begun)

    def _arrival_s(self, arrived: float) -> float:
        """When the query that comes after so many others is due: the rate rises from 0 during the
        ramp."""
        assert self._rate is not None
        in_ramp = self._rate * self._ramp_s / 2
        if arrived < in_ramp:
            return math.sqrt(2 * self._ramp_s * arrived / self._rate)
        return (arrived - in_ramp) / self._rate + self._ramp_s

    def verdict(self) -> tuple[bool, str] | None:
        """Whether the rate was held, and a sentence with the rate that was reached; None without a
        rate, or with too few queries."""
        if self._rate is None or self.sent < 2 or not self._due_s:
            return None
        late_s = self._sent_s - self._due_s
        held = late_s < _SLACK_S or self._due_s / self._sent_s >= _HELD
        # Of the plan, whose intervals are random or rise, the share that was reached.
        reached = self._rate * min(1.0, self._due_s / self._sent_s)
        wanted = f"the rate of {rate(self._rate)}/s"
        in_ramp = self._due_s < self._ramp_s
        if held:
            took = f"{count(self.sent)} queries in {duration(self._sent_s)}"
            if in_ramp:
                return True, f"{wanted} was not asked for yet: the ramp was held: {took}"
            return True, f"{wanted} was held: {took}"
        failed = (
            "the ramp could not be held: "
            if in_ramp
            else (f"{wanted} could not be held: {rate(reached)}/s were reached, and ")
        )
        return False, (
            f"{failed}the last query was sent {duration(late_s)} late; the waits are part of the "
            "latencies (more --workers may help)"
        )
