"""The replay of a workload: rounds of queries, with one or several workers, until it is stopped.

Workers take units (see `pilotcli.replay.units`) in the workload's order, or in a random one.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from pilotcli.common.errors import UsageError
from pilotcli.common.records import Query
from pilotcli.common.signals import Notice, PhaseStarted
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import Session
from pilotcli.replay.answers import AnswerDigests
from pilotcli.replay.hooks import COLD_TEXT, around_run
from pilotcli.replay.intervals import Intervals
from pilotcli.replay.load import Load
from pilotcli.replay.phases import PhaseSizes
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.replay.sessions import Sessions
from pilotcli.replay.tally import Tally
from pilotcli.replay.units import (
    Begun,
    Progress,
    Shared,
    effect_text,
    left_units,
    may_have_taken_effect,
    ordered_units,
)
from pilotcli.replay.worker import Worker

_LONGEST_WAIT_S = 0.5
"""The longest wait for a query's time without a look at whether the replay has ended."""

Stream = Iterator[tuple[int, Sequence[Query]]]
"""Units, each with its round."""


class Replay:
    """Replays `workload` through `scheduler`, in as many rounds and workers as `options` say."""

    def __init__(
        self,
        scheduler: PilotScheduler,
        workload: Iterable[Query],
        options: RunSection,
        stop: threading.Event,
        progress: Progress | None = None,
        queries: int | None = None,
    ) -> None:
        """`queries` is the number of queries in the workload, where it is known."""
        self.tally = Tally()
        self.complete = False
        """Whether every round has ended."""
        self.begun: float | None = None
        """`time.perf_counter()` when the first round began, after warm-up."""
        self.ended: float | None = None
        """The same when the last round ended."""
        self._scheduler = scheduler
        self._workload = workload
        self._options = options
        self._stop = stop
        self._progress = progress or Progress()
        self.sizes = PhaseSizes(options, queries, self._progress)
        self._whole = self._progress.is_whole(self.sizes.total)
        self._warmup = 0
        scheduler.add_observer(self.tally)
        self._answer = AnswerDigests(scheduler.target) if options.answers else None
        self._load = Load(options)
        self._ends = math.inf
        """`time.perf_counter()` when no further query begins."""
        self.elapsed_before_s = 0.0
        """The seconds that earlier parts of a continued run took."""
        self._intervals: Intervals | None = None
        if options.every is not None:
            self._intervals = Intervals(scheduler.bus, options.every)
            scheduler.add_observer(self._intervals)
        self._has_sessions = self._explained = False
        self._ready: threading.Barrier | None = None
        """Where workers wait for each other before the first query."""
        self._sessions_open: list[Session] = []
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Warm up, then replay every round. Returns early when a stop is requested.

        Raises `DatabaseError` when the database is lost for good, `WorkloadError` when the
        workload cannot be read on, and `UsageError` when what the config does around it fails.
        """
        target = self._scheduler.target
        if self._options.cold:
            self._scheduler.bus.emit(Notice("info", COLD_TEXT))
        with around_run(self._options, target, self._sessions_open, self._stop):
            self._run_all()

    def _run_all(self) -> None:
        options = self._options
        # The objects that exist now stay: the garbage collector need not check them repeatedly.
        gc.freeze()
        first = next(iter(self._workload), None)
        # A run that was killed while its changes were undone needs none of them again.
        self._scheduler.before_workload(
            first.sql if first is not None else "", handlers=not self._whole
        )
        self._scheduler.fire_due()
        self._has_sessions = first is not None and first.facts.session is not None
        sizes, bus = self.sizes, self._scheduler.bus
        if sizes.warmups:
            bus.emit(PhaseStarted("warm-up", sizes.warmups_left, sizes.warmups))
        for number in range(sizes.warmups):
            self._warmup = number
            self._replay_with_all(self._streams(iter([0])))
        if self._over():
            return
        bus.emit(PhaseStarted("replay", sizes.rounds_left, options.repeat))
        try:
            self._rounds()
        finally:
            self.ended = time.perf_counter()
            if self._intervals is not None:
                self._intervals.stop()
        self.complete = not self._over()
        if (verdict := self._load.verdict()) is not None:
            held, text = verdict
            self._scheduler.bus.emit(Notice("info" if held else "warning", text))

    def _begin(self) -> None:
        """The first round begins now."""
        self.begun = time.perf_counter()
        if self._options.duration is not None:
            self._ends = self.begun + self._options.duration - self.elapsed_before_s
        if self._intervals is not None:
            self._intervals.start()

    def _rounds(self) -> None:
        """Replay the rounds: one after the other, or, where a load goes on through all rounds, all
        of them over the same connections."""
        options = self._options
        rounds: Iterator[int] = iter(range(1, options.repeat + 1))
        if options.duration is not None:
            # Each worker may have left a unit of an earlier round, no more.
            newest = max(self._progress.rounds, default=1)
            rounds = itertools.count(max(1, newest - options.workers))
        goes_on = options.rate is not None or (options.duration is not None and not options.pace)
        if goes_on and not self._has_sessions:
            # Of a rate, no query is late because the workers are only connecting.
            if options.rate is not None:
                self._ready = threading.Barrier(options.workers, self._begin)
            else:
                self._begin()
            self._replay_with_all(self._streams(rounds))
        else:
            self._begin()
            for round in rounds:
                if self._over() or self._time_is_up():
                    return
                self._load.begin_round()
                self._replay_with_all(self._streams(iter([round])))

    def _replay_with_all(self, streams: Callable[[], Iterator[Stream]]) -> None:
        """Replay with all workers what `streams` gives to each of them."""
        if self._over():
            return
        workers = [
            threading.Thread(
                target=self._work, args=(streams, number), name=f"pilot-worker-{number}"
            )
            for number in range(1, self._options.workers)
        ]
        for worker in workers:
            worker.start()
        self._work(streams, 0)
        for worker in workers:
            worker.join()
        if self._errors:
            raise self._errors[0]

    def _streams(self, rounds: Iterator[int]) -> Callable[[], Iterator[Stream]]:
        """Returns what gives a worker its streams, each of which it replays over one connection:
        one that all workers share, or a session at a time."""
        if self._has_sessions:
            return self._sessions(next(rounds))
        shared: Stream = ((round, unit) for round in rounds for unit in self._units(round))
        if self._options.workers > 1:
            shared = Shared(shared)
        return lambda: iter([shared])

    def _sessions(self, round: int) -> Callable[[], Iterator[Stream]]:
        bus, options = self._scheduler.bus, self._options
        if options.shuffle:
            raise UsageError(
                "a workload with sessions cannot be shuffled: each session keeps its order",
                hint="Leave --shuffle out, or the column `session`.",
            )
        sessions = Sessions(self._workload, self._done(round))
        if (text := sessions.explained(options.workers)) is not None and not self._explained:
            self._explained = True
            bus.emit(Notice("warning" if options.pace is not None else "info", text))

        def streams() -> Iterator[Stream]:
            for units in sessions:
                if round and self._progress.killed:
                    units = self._warn_of_effects(units, 1)
                yield ((round, unit) for unit in units)

        return streams

    def cancel(self) -> None:
        """Cancel the running queries; may be called from any thread."""
        for session in tuple(self._sessions_open):
            session.cancel()

    @property
    def stopped_early(self) -> bool:
        """Whether `fail_fast` ended the replay."""
        if not self._options.fail_fast:
            return False
        failed = self.tally.too_many(self._options.max_failures)
        return failed or bool(self._scheduler.event_runner.failures)

    def _done(self, round: int) -> bytearray | None:
        progress = self._progress
        return progress.rounds.get(round) if round else progress.warmups.get(self._warmup)

    def _units(self, round: int) -> Iterator[Sequence[Query]]:
        done = self._done(round)
        units = self._all_units(round)
        if done is None:
            return units
        left = left_units(units, done, one_session=self._options.workers == 1)
        killed = round and self._progress.killed
        return self._warn_of_effects(left, self._options.workers) if killed else left

    def _warn_of_effects(
        self, units: Iterator[Sequence[Query]], first: int
    ) -> Iterator[Sequence[Query]]:
        """Yield the units; warn of those of the `first` that may have been running when the run was
        killed."""
        for number, unit in enumerate(units):
            if number < first:
                query = may_have_taken_effect(unit)
                if query is not None:
                    self._scheduler.bus.emit(Notice("warning", effect_text(query)))
            yield unit

    def _all_units(self, round: int) -> Iterator[Sequence[Query]]:
        if self._options.shuffle or self._options.workers > 1:
            return ordered_units(self._workload, self._options, round)
        return ((query,) for query in self._workload)

    def _work(self, streams: Callable[[], Iterator[Stream]], number: int) -> None:
        options = self._options
        try:
            if options.ramp is not None and options.rate is None and self.begun is not None:
                self._wait_until(self.begun + options.ramp * number / options.workers)
            for stream in streams():
                if self._over() or self._time_is_up():
                    break
                self._replay(stream, number)
        except BaseException as exc:  # noqa: BLE001 - raised again by run()
            self._errors.append(exc)
            self.cancel()
        finally:
            if self._ready is not None:  # nobody waits for a worker that has left
                self._ready.abort()

    def _replay(self, stream: Stream, number: int) -> None:
        """Replay a stream over a connection of its own."""
        think_s = self._options.think
        worker = Worker(self._scheduler, self._options, self._stop, self._sessions_open, number)
        try:
            worker.connect()
            if self._ready is not None:
                with contextlib.suppress(threading.BrokenBarrierError):  # the replay is over
                    self._ready.wait()
            while not self._over() and not self._time_is_up():
                round, unit = next(stream, (0, None))
                if unit is None:
                    break
                if type(unit) is Begun:
                    worker.repeat(unit[: unit.again])
                    unit = unit[unit.again :]
                for place, query in enumerate(unit):
                    if len(unit) > 1 and self._over():
                        break
                    if not round:
                        worker.warm(query, self._warmup)
                    elif not self._run(worker, query, round, first=not place):
                        return
                if think_s is not None and round:
                    self._wait_until(time.perf_counter() + think_s)
        finally:
            worker.leave()

    def _run(self, worker: Worker, query: Query, round: int, *, first: bool) -> bool:
        """Run a query when it is due; returns False if the replay ends before, or, for the first of
        a unit, the time is up."""
        due: float | None = None
        if self._load.is_open and (due := self._load.due(query)) is not None:
            self._wait_until(due)
            if self._over() or (first and self._time_is_up()):
                return False
            self._load.note_sent(due)
        worker.run(query, round, self._answer, due)
        return True

    def _wait_until(self, moment: float) -> None:
        """Wait, unless the replay ends before."""
        while (left_s := min(moment, self._ends) - time.perf_counter()) > 0 and not self._over():
            self._stop.wait(min(left_s, _LONGEST_WAIT_S))

    def _time_is_up(self) -> bool:
        return time.perf_counter() >= self._ends

    def _over(self) -> bool:
        if self._stop.is_set() or self._errors:
            return True
        return self._options.fail_fast and self.stopped_early
