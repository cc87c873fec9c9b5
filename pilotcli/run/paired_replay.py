"""The replay of a paired run: learning, warm-up, the compared rounds in turns, and the plans.

The arms take turns query by query. If several work on one database, and the handlers of one change
knobs or indexes for a whole workload, the arms take turns by rounds: the changes are in effect in
the rounds of that arm only.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from pilotcli.common.errors import PilotError
from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import ExecutionFinished, Notice, PhaseStarted
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import Session, UndoesChanges
from pilotcli.replay.collected_row import pulls_for
from pilotcli.replay.hooks import COLD_TEXT, around_run
from pilotcli.replay.tally import Tally
from pilotcli.replay.units import Effects, Shared, ordered_units
from pilotcli.run.paired_arms import (
    Arm,
    Halves,
    Seats,
    database_of,
    order_of,
    seated,
)
from pilotcli.run.paired_pairs import Pairs
from pilotcli.run.paired_phases import PairedSizes
from pilotcli.run.plan_log import keep_plans
from pilotcli.run.run import OpenRun
from pilotcli.steering.requests import Pulls
from pilotcli.workload.parts import Queries

_REPORT_EVERY_S = 1.0


class _Turn(NamedTuple):
    """A unit to run, and the arms that run it, in their order; `alone` if others do not, since it
    writes to a database that they share."""

    unit: Sequence[Query]
    arms: Sequence[Arm]
    alone: bool


_Act = Callable[[Seats, Arm, _Turn], None]
"""Runs a unit in one arm."""


class PairedReplay:
    """Replays `workload` in all arms, the driver's first; see the module's text.

    The arms learn from `learning` before, where it is another workload.
    """

    def __init__(
        self,
        arms: Sequence[tuple[OpenRun, str]],
        workload: Queries,
        options: RunSection,
        stop: threading.Event,
        learning: Queries | None = None,
    ) -> None:
        self.complete = False
        """Whether every round was completed."""
        self.begun: float | None = None
        """`time.perf_counter()` when the first round began."""
        self.ended: float | None = None
        """The same when the last round ended."""
        self._workload = workload
        self._learning = workload if learning is None else learning
        self._options = options
        self._stop = stop
        self.arms = [self._arm(run, name) for run, name in arms]
        self.driver, *self.baselines = self.arms
        self._bus = self.driver.run.scheduler.bus
        self._reported_at = 0.0
        self._firsts = _firsts(self.arms)
        self._shared = len(self._firsts) < len(self.arms)
        self._by_rounds = any(self._changes(arm) for arm in self.arms)
        self._answered: set[Arm] = set()
        """Arms whose handlers for the workload have answered for the comparison."""
        self._warned = False
        self._alone: set[int] = set()
        """Numbers of the queries that only one arm of a database runs."""
        self._alone_last = 0
        """Units of the last round among them."""
        self._pairs = Pairs(self.arms, by_rounds=self._by_rounds)
        self._reporting = threading.Lock()
        self._errors: list[BaseException] = []
        watch = self.driver.run.driver.watch
        if watch and self._by_rounds:
            self.driver.run.scheduler.add_observer(watch)
        elif watch:
            # Both halves of a pair run one right after the other: updates are judged by pairs.
            for arm in self.arms[:2]:
                halves = Halves(watch, arm is self.driver, self._is_in_pair)
                arm.run.scheduler.add_observer(halves)

    @property
    def tally(self) -> Tally:
        """The counts of the driver's arm."""
        return self.driver.tally

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first round began."""
        return 0.0 if self.begun is None else time.perf_counter() - self.begun

    @cached_property
    def _written_alone(self) -> int:
        """Queries of the workload that write to a database that arms share."""
        return sum(len(unit) for unit, alone in self._units(0) if alone) if self._shared else 0

    @property
    def sizes(self) -> PairedSizes:
        """How many executions the phases have."""
        queries, learned = self._workload.count(), self._learning.count()
        measured = plans = None
        if queries is not None:
            alone = self._written_alone
            measured = queries * len(self.arms) - alone * (len(self.arms) - len(self._firsts))
            plans = (queries - alone) * len(self.arms)
        return PairedSizes(
            self._options,
            None if learned is None else learned * len(self._learners),
            measured,
            plans,
            [arm.run.past for arm in self.arms if arm.run.past is not None],
        )

    @property
    def pairs(self) -> int:
        """Queries that have ended in all arms."""
        return self._pairs.count

    def restore(self) -> None:
        """Count the pairs that have ended in earlier parts of a continued run."""
        self._pairs.restore(self._options.learning_rounds)

    def run(self) -> None:
        """Let the arms learn, warm up, and replay every round. Raises as `Replay.run` does."""
        gc.freeze()
        if self._options.cold:
            self._bus.emit(Notice("info", COLD_TEXT))
        with contextlib.ExitStack() as stack:
            for arm in self._firsts:
                target = arm.run.scheduler.target
                around = around_run(self._options, target, arm.sessions, self._stop)
                stack.enter_context(around)
            self._before_workload()
            self.begun = time.perf_counter()
            self._learn()
            self._compare()
            self.ended = time.perf_counter()
            self.complete = not self._stop.is_set()
            if self.complete:
                self._take_plans()

    def cancel(self) -> None:
        """Cancel what runs; may be called from any thread."""
        for arm in self.arms:
            for session in tuple(arm.sessions):
                session.cancel()

    def _arm(self, run: OpenRun, name: str) -> Arm:
        # All pull the same data about each query, so that all pay the same for it.
        keep_plans(run.scheduler, run.log)
        arm = Arm(run, name, database_of(run))
        run.scheduler.add_observer(arm.tally)
        return arm

    def _changes(self, arm: Arm) -> bool:
        """Whether the arm's handlers change a database on which other arms work, too."""
        own = [other for other in self.arms if other.database == arm.database]
        return len(own) > 1 and arm.run.scheduler.steering.for_workload

    def _before_workload(self) -> None:
        learns = self._options.learning_rounds > 0
        first_sql = _first_sql(self._learning if learns else self._workload)
        for arm in self.arms:
            handlers = not (self._by_rounds and self._changes(arm))
            arm.run.scheduler.before_workload(first_sql, handlers=handlers)
            arm.run.scheduler.event_runner.frozen = self._options.frozen and self._compares(arm)
            arm.run.scheduler.fire_due()

    def _compares(self, arm: Arm) -> bool:
        """Whether a continued run has begun to compare."""
        past, learned = arm.run.past, self._options.learning_rounds
        return past is not None and any(round > learned for round in past.done)

    # Phases

    def _learn(self) -> None:
        """Let each arm with events replay what it learns from, alone."""
        rounds = self._options.learning_rounds
        if not rounds:
            return
        self._bus.emit(PhaseStarted("learning", self.sizes.learning_left, rounds))
        with seated(self._learners, self._options, self._stop) as workers:
            for round in range(1, rounds + 1):
                for arm in self._learners:
                    self._learn_round(workers, arm, round)

    @property
    def _learners(self) -> Sequence[Arm]:
        return [arm for arm in self.arms if arm.learns]

    def _learn_round(self, workers: Sequence[Seats], arm: Arm, round: int) -> None:
        def learn(seats: Seats, arm: Arm, turn: _Turn) -> None:
            for query in seats[arm].left.of(turn.unit, round):
                if self._over():
                    return
                seats[arm].worker.run(query, round)

        units = ordered_units(self._learning, self._options, round)
        turns = (_Turn(unit, [arm], True) for unit in units)
        left = workers[0][arm].left
        again = ordered_units(self._learning, self._options, round)
        needed = any(left.has_left(unit, round) for unit in again)
        with self._changed(arm, self._learning, needed=needed, again=False):
            self._replay(workers, turns, learn)

    def _compare(self) -> None:
        if self._over():
            return
        options, sizes = self._options, self.sizes
        pulls = self._pulls()
        hints = any(arm.run.scheduler.steering.needs_hints for arm in self.arms)
        for arm in self.arms:
            arm.run.scheduler.begin_comparison(pulls, frozen=options.frozen)
            arm.run.scheduler.steering.loads_hints = hints
        with seated(self.arms, options, self._stop) as workers:
            if options.warmup:
                self._bus.emit(PhaseStarted("warm-up", sizes.warmup_left, options.warmup))
            for number in range(options.warmup):
                self._warm(workers, number)
            if self._over():
                return
            self._bus.emit(PhaseStarted("comparison", sizes.comparison_left, options.repeat))
            first = options.learning_rounds + 1
            for round in range(first, first + options.repeat):
                self._compare_round(workers, round)
        if self._alone_last:
            noun = "statement writes" if self._alone_last == 1 else "statements write"
            text = f"{self._alone_last} {noun}, and the arms share one database: only one arm ran"
            self._bus.emit(Notice("info", f"{text} them, and they are not compared"))

    def _pulls(self) -> Pulls:
        """What is pulled about each compared query, in all arms alike: its plan and the server's
        times, and what a config insists on (`collect.compared`)."""
        pulls = Pulls(execution_time=True, physical_plan=True, node_times=False)
        for arm in self.arms:
            collect = arm.run.config.collect
            if collect is not None and collect.compared:
                pulls = pulls.union(pulls_for(collect))
        return pulls

    def _warm(self, workers: Sequence[Seats], number: int) -> None:
        def warm(seats: Seats, arm: Arm, turn: _Turn) -> None:
            for query in seats[arm].left.of(turn.unit, -number):
                if self._over():
                    return
                seats[arm].worker.warm(query, number)

        self._round(workers, -number, warm)

    def _compare_round(self, workers: Sequence[Seats], round: int) -> None:
        last = round == self._options.learning_rounds + self._options.repeat

        def compare(seats: Seats, arm: Arm, turn: _Turn) -> None:
            left = seats[arm].left.of(turn.unit, round)
            if self._by_rounds:
                self._pairs.take_half_done(seats, arm, turn.unit, round)
            if turn.alone and last and arm is turn.arms[0]:
                self._alone_last += 1
            for query in left:
                if self._over():
                    return
                if turn.alone:
                    seats[arm].worker.run(query, round)
                else:
                    self._pairs.run(seats, arm, query, round)
            if time.monotonic() - self._reported_at > _REPORT_EVERY_S:
                self._report()

        self._round(workers, round, compare)
        self._pairs.end_round()
        self._report()

    def _take_plans(self) -> None:
        """Run each query once more in all arms, unmeasured, for its plan with actual rows."""
        self._bus.emit(PhaseStarted("plans", self.sizes.plans))
        sessions: dict[Arm, Session] = {}

        def take(seats: Seats, arm: Arm, turn: _Turn) -> None:
            for query in turn.unit:
                if turn.alone or sessions[arm].closed or self._over():
                    return
                steered, _ = arm.run.scheduler.steering.run(sessions[arm], query)
                if steered.plan_text is not None:
                    arm.run.log.add_plan(query.seq, 0, steered.plan_text)
                name = None if arm is self.driver else arm.name
                self._bus.emit(
                    ExecutionFinished(query.label, query.seq, "plans", name, steered.elapsed_s)
                )

        try:
            for arm in self.arms:
                scheduler = arm.run.scheduler
                scheduler.steering.pulls = Pulls(physical_plan=True, actual_rows=True)
                sessions[arm] = scheduler.open_session(self._options.timeout)
                arm.sessions.append(sessions[arm])
            self._round([{}], 0, take)
        except PilotError as exc:
            self._bus.emit(Notice("warning", f"not all plans could be taken: {exc.message}"))
        finally:
            for session in sessions.values():
                session.close()

    # Rounds

    def _round(self, workers: Sequence[Seats], round: int, act: _Act) -> None:
        """Run the units of a round in all arms: in turns, or arm by arm."""
        if not self._by_rounds:
            self._replay(workers, self._turns(round), act)
            return
        for arm in order_of(self.arms, self._options.seed, 0, round):
            seats = workers[0]
            needed = not seats or any(
                seats[arm].left.has_left(turn.unit, round)
                or any(self._pairs.half_done(seats, arm, turn.unit, round))
                for turn in self._turns_of(arm, round)
            )
            again = arm in self._answered
            with self._changed(arm, self._workload, needed=needed, again=again):
                if needed:
                    self._answered.add(arm)
                self._replay(workers, self._turns_of(arm, round), act)

    def _replay(self, workers: Sequence[Seats], turns: Iterator[_Turn], act: _Act) -> None:
        """Run the turns, each in a free worker."""
        if len(workers) > 1:
            turns = Shared(turns)
        threads = [
            threading.Thread(
                target=self._work, args=(seats, turns, act), name=f"pilot-worker-{number}"
            )
            for number, seats in enumerate(workers[1:], 1)
        ]
        for thread in threads:
            thread.start()
        self._work(workers[0], turns, act)
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self, seats: Seats, turns: Iterator[_Turn], act: _Act) -> None:
        try:
            for turn in turns:
                for arm in turn.arms:
                    act(seats, arm, turn)
                if self._over():
                    return
        except BaseException as exc:  # noqa: BLE001 - raised again by _replay()
            self._errors.append(exc)
            self.cancel()

    def _turns(self, round: int) -> Iterator[_Turn]:
        for unit, alone in self._units(round):
            arms = self._firsts if alone else self.arms
            yield _Turn(unit, order_of(arms, self._options.seed, unit[0].seq, round), alone)

    def _turns_of(self, arm: Arm, round: int) -> Iterator[_Turn]:
        """Yield the turns of a round that the arm takes."""
        for unit, alone in self._units(round):
            if not alone or arm in self._firsts:
                yield _Turn(unit, [arm], alone)

    def _units(self, round: int) -> Iterator[tuple[Sequence[Query], bool]]:
        """Yield the units of a round in order, and whether each writes to a shared database."""
        effects = Effects()
        for unit in ordered_units(self._workload, self._options, round):
            if self._over():
                return
            alone = effects.writes(unit) and self._shared
            if alone:
                self._alone.update(query.seq for query in unit)
            yield unit, alone

    @contextlib.contextmanager
    def _changed(
        self, arm: Arm, workload: Iterable[Query], *, needed: bool, again: bool
    ) -> Iterator[None]:
        """Put the changes of the arm's handlers for a whole workload in effect meanwhile; `again`
        as in `PilotScheduler.push_for_workload`."""
        target = arm.run.scheduler.target
        if not (needed and self._by_rounds and self._changes(arm)):
            yield
            return
        assert isinstance(target, UndoesChanges)
        with target.for_a_while():
            arm.run.scheduler.push_for_workload(_first_sql(workload), again=again)
            yield

    def _over(self) -> bool:
        if self._stop.is_set() or self._errors:
            return True
        if not self._options.fail_fast:
            return False
        scheduler = self.driver.run.scheduler
        failed = self.tally.too_many(self._options.max_failures)
        return failed or bool(scheduler.event_runner.failures)

    def _is_in_pair(self, result: QueryResult) -> bool:
        return result.round > self._options.learning_rounds and result.seq not in self._alone

    def _report(self) -> None:
        self._pairs.report()
        with self._reporting:
            self._reported_at = time.monotonic()
            target = self.driver.run.scheduler.target
            if self._warned or not self._shared or not isinstance(target, UndoesChanges):
                return
            if not self._by_rounds and target.has_changes():
                self._warned = True
                text = (
                    "an event has changed knobs or indexes of the database, which holds for the "
                    "baseline too: give it a database of its own (--against other.yaml)"
                )
                self._bus.emit(Notice("warning", text))


def _firsts(arms: Sequence[Arm]) -> list[Arm]:
    """The first arm of each database."""
    return list({arm.database: arm for arm in reversed(arms)}.values())[::-1]


def _first_sql(workload: Iterable[Query]) -> str:
    first = next(iter(workload), None)
    return first.sql if first is not None else ""
