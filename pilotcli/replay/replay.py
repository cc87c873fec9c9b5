"""The replay of a workload: rounds of queries, with one or several workers, until it is stopped.

Workers take units (see `pilotcli.replay.units`) in the workload's order, or in a random one.
"""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from pilotcli.common.records import Query
from pilotcli.common.signals import Notice
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import Session
from pilotcli.replay.answers import AnswerDigests
from pilotcli.replay.scheduler import PilotScheduler
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


class Replay:
    """Replays `workload` through `scheduler`, in as many rounds and workers as `options` say."""

    def __init__(
        self,
        scheduler: PilotScheduler,
        workload: Iterable[Query],
        options: RunSection,
        stop: threading.Event,
        progress: Progress | None = None,
        total: int | None = None,
    ) -> None:
        """`total` is the number of queries in all rounds, where it is known."""
        self.tally = Tally()
        self.complete = False
        """Whether every round has ended."""
        self.begun: float | None = None
        """`time.perf_counter()` when the first round began, after warm-up."""
        self._scheduler = scheduler
        self._workload = workload
        self._options = options
        self._stop = stop
        self._progress = progress or Progress()
        self._whole = self._progress.is_whole(total)
        self._warmup = 0
        scheduler.add_observer(self.tally)
        self._answer = AnswerDigests(scheduler.target) if options.answers else None
        self._sessions: list[Session] = []
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Warm up, then replay every round. Returns early when a stop is requested.

        Raises `DatabaseError` when the database is lost for good, `WorkloadError` when the
        workload cannot be read on.
        """
        options = self._options
        # The objects that exist now stay: the garbage collector need not check them repeatedly.
        gc.freeze()
        first = next(iter(self._workload), None) if self._scheduler.steering.for_workload else None
        # A run that was killed while its changes were undone needs none of them again.
        self._scheduler.before_workload(
            first.sql if first is not None else "", handlers=not self._whole
        )
        self._scheduler.fire_due()
        # A run that is resumed in a round has been warmed up before.
        warmups = 0 if self._progress.rounds else options.warmup
        rounds = itertools.chain((0,) * warmups, range(1, options.repeat + 1))
        for number, round in enumerate(rounds):
            if self._over():
                return
            if round and self.begun is None:
                self.begun = time.perf_counter()
            self._warmup = number
            units = self._units(round)
            if options.workers > 1:
                units = Shared(units)
            workers = [
                threading.Thread(
                    target=self._work, args=(units, round, number), name=f"pilot-worker-{number}"
                )
                for number in range(1, options.workers)
            ]
            for worker in workers:
                worker.start()
            self._work(units, round, 0)
            for worker in workers:
                worker.join()
            if self._errors:
                raise self._errors[0]
        self.complete = not self._over()

    def cancel(self) -> None:
        """Cancel the running queries; may be called from any thread."""
        for session in tuple(self._sessions):
            session.cancel()

    @property
    def stopped_early(self) -> bool:
        """Whether `fail_fast` ended the replay."""
        if not self._options.fail_fast:
            return False
        failed = self.tally.too_many(self._options.max_failures)
        return failed or bool(self._scheduler.event_runner.failures)

    def _units(self, round: int) -> Iterator[Sequence[Query]]:
        progress = self._progress
        done = progress.rounds.get(round) if round else progress.warmups.get(self._warmup)
        units = self._all_units(round)
        if done is None:
            return units
        left = left_units(units, done, one_session=self._options.workers == 1)
        return self._warn_of_effects(left) if round and progress.killed else left

    def _warn_of_effects(self, units: Iterator[Sequence[Query]]) -> Iterator[Sequence[Query]]:
        """Yield the units; warn of those that may have been running when the run was killed."""
        for number, unit in enumerate(units):
            if number < self._options.workers:
                query = may_have_taken_effect(unit)
                if query is not None:
                    self._scheduler.bus.emit(Notice("warning", effect_text(query)))
            yield unit

    def _all_units(self, round: int) -> Iterator[Sequence[Query]]:
        if self._options.shuffle or self._options.workers > 1:
            return ordered_units(self._workload, self._options, round)
        return ((query,) for query in self._workload)

    def _work(self, units: Iterator[Sequence[Query]], round: int, number: int) -> None:
        worker = Worker(self._scheduler, self._options, self._stop, self._sessions, number)
        try:
            worker.connect()
            while not self._over():
                unit = next(units, None)
                if unit is None:
                    break
                if type(unit) is Begun:
                    worker.repeat(unit[: unit.again])
                    unit = unit[unit.again :]
                for query in unit:
                    if len(unit) > 1 and self._over():
                        break
                    if round:
                        worker.run(query, round, self._answer)
                    else:
                        worker.warm(query, self._warmup)
        except BaseException as exc:  # noqa: BLE001 - raised again by run()
            self._errors.append(exc)
            self.cancel()
        finally:
            worker.leave()

    def _over(self) -> bool:
        if self._stop.is_set() or self._errors:
            return True
        return self._options.fail_fast and self.stopped_early
