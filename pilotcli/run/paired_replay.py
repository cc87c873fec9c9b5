"""The replay of a paired run: units in turns, answers compared, plans taken at the end.

The arms take turns query by query. If both work on one database, and the driver's handlers change
knobs or indexes for a whole workload, the arms take turns by rounds: the changes are in effect in
the driver's rounds only.
"""

from __future__ import annotations

import contextlib
import gc
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pilotcli.analysis.comparison import Answers
from pilotcli.analysis.result_digest import comparable
from pilotcli.common.errors import PilotError, QueryError
from pilotcli.common.records import ModelVersion, Query, QueryResult
from pilotcli.common.signals import Notice, PairFinished, StepStarted
from pilotcli.common.sql_commands import command_of, may_repeat
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import Session, UndoesChanges
from pilotcli.replay.answers import AnswerDigests
from pilotcli.replay.hooks import COLD_TEXT, around_run
from pilotcli.replay.observers import RunObserver
from pilotcli.replay.tally import Tally
from pilotcli.replay.units import Effects, ordered_units
from pilotcli.replay.worker import Worker
from pilotcli.run.model_rollback import RegressionWatch
from pilotcli.run.paired_answer import ROWS_KEPT, PairAnswer, always
from pilotcli.run.paired_progress import SoFar
from pilotcli.run.paired_resume import LeftOfArm, ended_pairs, result_of
from pilotcli.run.plan_log import keep_plans
from pilotcli.run.run import OpenRun
from pilotcli.steering.requests import Pulls
from pilotcli.workload import Workload

_REPORT_EVERY_S = 1.0


@dataclass(slots=True, eq=False)
class _Arm:
    """One of the two arms: its run, its session, and its counts so far."""

    run: OpenRun
    worker: Worker
    sessions: list[Session]
    left: LeftOfArm
    tally: Tally = field(default_factory=Tally)


@dataclass(slots=True)
class _Half:
    """A query that has ended in one arm only."""

    result: QueryResult
    answer: PairAnswer


class PairedReplay:
    """Replays `workload` in both arms; see the module's text."""

    def __init__(
        self,
        driver: OpenRun,
        baseline: OpenRun,
        workload: Workload,
        options: RunSection,
        stop: threading.Event,
    ) -> None:
        self.complete = False
        """Whether every round was completed."""
        self.begun: float | None = None
        """`time.perf_counter()` when the first round began, after warm-up."""
        self.ended: float | None = None
        """The same when the last round ended."""
        self.pairs = 0
        """Queries that have ended in both arms."""
        self._workload = workload
        self._options = options
        self._stop = stop
        self._bus = driver.scheduler.bus
        self._so_far = SoFar()
        self._digests = AnswerDigests(driver.scheduler.target)
        self._reported_at = 0.0
        self._shared = _same_database(driver, baseline)
        self._by_rounds = self._shared and driver.scheduler.steering.for_workload
        self._warned = False
        self._in_pair = False
        """Whether what the driver's arm runs is one half of a pair."""
        self.driver, self.baseline = (self._arm(run) for run in (driver, baseline))
        watch = driver.driver.watch
        if watch and self._by_rounds:
            driver.scheduler.add_observer(watch)
        elif watch:
            # Both halves of a pair run one right after the other: updates are judged by pairs.
            for run in (driver, baseline):
                run.scheduler.add_observer(_Halves(watch, run is driver, lambda: self._in_pair))

    @property
    def tally(self) -> Tally:
        """The counts of the driver's arm."""
        return self.driver.tally

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first round began."""
        return 0.0 if self.begun is None else time.perf_counter() - self.begun

    def restore(self) -> None:
        """Count the pairs that have ended in earlier parts of a continued run."""
        arms = (self.driver.run, self.baseline.run)
        for query, driver, baseline, answers in ended_pairs(*arms, self._options.learn):
            self.pairs += 1
            self._so_far.add(query, driver, baseline, answers)

    def run(self) -> None:
        """Warm up, then replay every round. Raises as `Replay.run` does."""
        gc.freeze()
        arms = (self.driver, self.baseline)
        if self._options.cold:
            self._bus.emit(Notice("info", COLD_TEXT))
        with contextlib.ExitStack() as stack:
            for arm in arms[:1] if self._shared else arms:
                target = arm.run.scheduler.target
                around = around_run(self._options, target, arm.sessions, self._stop)
                stack.enter_context(around)
            for arm in arms:
                stack.callback(arm.worker.leave)
                arm.worker.connect()
            first = next(iter(self._workload), None)
            first_sql = first.sql if first is not None else ""
            for arm in arms:
                handlers = not (arm is self.driver and self._by_rounds)
                arm.run.scheduler.before_workload(first_sql, handlers=handlers)
                arm.run.scheduler.fire_due()
            self._rounds(first_sql)
            self.ended = time.perf_counter()
            self.complete = not self._stop.is_set()
            if self.complete:
                self._take_plans(first_sql)

    def cancel(self) -> None:
        """Cancel what runs; may be called from any thread."""
        for arm in (self.driver, self.baseline):
            for session in tuple(arm.sessions):
                session.cancel()

    def _arm(self, run: OpenRun) -> _Arm:
        scheduler, sessions = run.scheduler, list[Session]()
        # Both pull the same data about each query, so that both pay the same for it.
        keep_plans(scheduler, run.log)
        worker = Worker(scheduler, self._options, self._stop, sessions, 0)
        arm = _Arm(run, worker, sessions, LeftOfArm(run, worker))
        scheduler.add_observer(arm.tally)
        return arm

    def _rounds(self, first_sql: str) -> None:
        options = self._options
        for number in range(options.warmup):
            for arm, unit, _ in self._turns(-number, first_sql):
                for query in arm.left.of(unit, -number):
                    arm.worker.warm(query, number)
        self.begun = time.perf_counter()
        for round in range(1, options.learn + 1):
            units = (unit for unit, _ in self._units(round))
            for unit in self._in_change(self.driver, units, round, first_sql):
                for query in self.driver.left.of(unit, round):
                    self.driver.worker.run(query, round)
        last = options.learn + options.repeat
        alone_last = 0  # units of the last round that only the driver's arm ran, since they write
        for round in range(options.learn + 1, last + 1):
            halves: dict[int, _Half] = {}
            for arm, unit, alone in self._turns(round, first_sql):
                alone_last += alone and round == last
                left = arm.left.of(unit, round)
                if self._by_rounds:
                    self._take_halves(arm, unit, round, halves)
                for query in left:
                    if self._stop.is_set():
                        return
                    self._run(arm, query, round, halves, alone=alone)
                if time.monotonic() - self._reported_at > _REPORT_EVERY_S:
                    self._report()
            self._report()
        if alone_last:
            noun = "statement writes" if alone_last == 1 else "statements write"
            text = f"{alone_last} {noun}, and the arms share one database: only the driver's ran"
            self._bus.emit(Notice("info", f"{text} them, and they are not compared"))

    def _turns(self, round: int, first_sql: str) -> Iterator[tuple[_Arm, Sequence[Query], bool]]:
        """Yield the arm and the unit to run next, and whether only the driver runs the unit."""
        arms = (self.driver, self.baseline)
        if self._by_rounds:
            coin = random.Random(self._options.seed).random() < 0.5
            for arm in arms if coin == bool(round % 2) else arms[::-1]:
                alone_units: set[int] = set()
                units = self._units_of(arm, round, alone_units)
                for unit in self._in_change(arm, units, round, first_sql):
                    yield arm, unit, unit[0].seq in alone_units
            return
        for unit, alone in self._units(round):
            if alone:
                yield self.driver, unit, True
                continue
            coin = random.Random(f"{self._options.seed}/{unit[0].seq}").random() < 0.5
            for arm in arms if coin == bool(round % 2) else arms[::-1]:
                yield arm, unit, False

    def _units_of(self, arm: _Arm, round: int, alone_units: set[int]) -> Iterator[Sequence[Query]]:
        """Yield the units of a round that the arm runs; `alone_units` gets the first number of each
        that only the driver runs."""
        for unit, alone in self._units(round):
            if alone:
                alone_units.add(unit[0].seq)
            if not (alone and arm is self.baseline):
                yield unit

    def _in_change(
        self, arm: _Arm, units: Iterator[Sequence[Query]], round: int, first_sql: str
    ) -> Iterator[Sequence[Query]]:
        """Yield the units; the changes of the arm's handlers are in effect from the first that is
        left to do."""
        with contextlib.ExitStack() as stack:
            begun = False
            for unit in units:
                needed = arm.left.has_left(unit, round) or any(self._half_done(arm, unit, round))
                if not begun and needed:
                    begun = True
                    stack.enter_context(self._changed(arm, first_sql))
                yield unit

    def _units(self, round: int) -> Iterator[tuple[Sequence[Query], bool]]:
        """Yield the units of a round in order, and whether each writes to a shared database."""
        effects = Effects()
        for unit in ordered_units(self._workload, self._options, round):
            if self._stop.is_set() or self._stopped_early:
                return
            yield unit, effects.writes(unit) and self._shared

    @contextlib.contextmanager
    def _changed(self, arm: _Arm, first_sql: str) -> Iterator[None]:
        """Put the changes of the arm's handlers for a whole workload in effect meanwhile."""
        target = arm.run.scheduler.target
        if not (self._by_rounds and arm is self.driver and isinstance(target, UndoesChanges)):
            yield
            return
        with target.for_a_while():
            arm.run.scheduler.push_for_workload(first_sql)
            yield

    @property
    def _stopped_early(self) -> bool:
        if not self._options.fail_fast:
            return False
        scheduler = self.driver.run.scheduler
        failed = self.tally.too_many(self._options.max_failures)
        return failed or bool(scheduler.event_runner.failures)

    def _run(
        self, arm: _Arm, query: Query, round: int, halves: dict[int, _Half], *, alone: bool
    ) -> None:
        self._in_pair = not alone
        if alone:
            arm.worker.run(query, round)
            return
        other = halves.pop(query.seq, None) or self._half_before(arm, query, round)
        answer = (
            other.answer
            if other is not None
            else PairAnswer(self._digests, bounded=self._by_rounds)
        )
        result = arm.worker.run(query, round, answer)
        if other is None:
            halves[query.seq] = _Half(result, answer)
        elif command_of(query.command).compared:
            both = (result, other.result) if arm is self.driver else (other.result, result)
            self._add(query, *both, answer)

    def _half_before(self, arm: _Arm, query: Query, round: int) -> _Half | None:
        """The half of a pair that had ended in the other arm when the run was interrupted."""
        first = self.baseline if arm is self.driver else self.driver
        if not first.left.ended(query, round):
            return None
        result = result_of(first.run, query, round)
        if result is None:
            return None
        answer = PairAnswer(self._digests, bounded=self._by_rounds)
        if result.answer is not None:
            answer.continue_after(result.answer, lambda: self._rows_again(first, query))
        return _Half(result, answer)

    def _half_done(self, arm: _Arm, unit: Sequence[Query], round: int) -> Iterator[Query]:
        """Yield the queries of the unit that had ended in this arm only."""
        second = self.baseline if arm is self.driver else self.driver
        for query in unit:
            if arm.left.ended(query, round) and not second.left.ended(query, round):
                yield query

    def _take_halves(
        self, arm: _Arm, unit: Sequence[Query], round: int, halves: dict[int, _Half]
    ) -> None:
        """Take what had ended in this arm only as halves of pairs, with their rows, while the arm's
        changes are in effect."""
        second = self.baseline if arm is self.driver else self.driver
        for query in self._half_done(arm, unit, round):
            half = self._half_before(second, query, round)
            if half is not None:
                rows = self._rows_again(arm, query)
                if half.result.answer is not None:
                    half.answer.continue_after(half.result.answer, always(rows))
                halves[query.seq] = half

    def _rows_again(self, arm: _Arm, query: Query) -> Sequence[tuple[object, ...]]:
        """The rows that a query gives in an arm now; none where it must not run again, or gives
        many."""
        if not may_repeat(query.command, query.sql):
            return ()
        arm.left.catch_up()
        try:
            rows = arm.worker.rows_of(query)
        except QueryError:
            return ()
        many = self._by_rounds and len(rows.rows) > ROWS_KEPT
        return () if many else comparable(rows)

    def _add(
        self, query: Query, driver: QueryResult, baseline: QueryResult, answer: PairAnswer
    ) -> None:
        self.pairs += 1
        answers: Answers = "unknown"
        if driver.ok and baseline.ok:
            answers = answer.verdict
        before = self._so_far.different
        self._so_far.add(query, driver, baseline, answers)
        if self._so_far.different > before:
            text = f"{query.label} gives other rows than the baseline"
            self._bus.emit(Notice("error", text))
        if self._bus.hears(PairFinished):
            self._bus.emit(
                PairFinished(
                    query.label,
                    query.seq,
                    driver.round,
                    driver.elapsed_s + driver.inference_s + driver.steering_s,
                    baseline.elapsed_s + baseline.inference_s + baseline.steering_s,
                    driver.status,
                    baseline.status,
                    answers,
                )
            )

    def _report(self) -> None:
        self._bus.emit(self._so_far.compared())
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

    def _take_plans(self, first_sql: str) -> None:
        """Run each query once more in both arms, unmeasured, for its plan with actual rows."""
        self._bus.emit(StepStarted("taking the plans with actual rows"))
        sessions: dict[_Arm, Session] = {}
        try:
            for arm in (self.driver, self.baseline):
                arm.left.forget()
                scheduler = arm.run.scheduler
                scheduler.steering.pulls = Pulls(physical_plan=True, actual_rows=True)
                sessions[arm] = scheduler.open_session(self._options.timeout)
                arm.sessions.append(sessions[arm])
            for arm, unit, alone in self._turns(0, first_sql):
                for query in unit:
                    if sessions[arm].closed or self._stop.is_set():
                        return
                    if alone:
                        continue
                    steered, _ = arm.run.scheduler.steering.run(sessions[arm], query)
                    if steered.plan_text is not None:
                        arm.run.log.add_plan(query.seq, 0, steered.plan_text)
        except PilotError as exc:
            self._bus.emit(Notice("warning", f"not all plans could be taken: {exc.message}"))
        finally:
            for session in sessions.values():
                session.close()


def _same_database(a: OpenRun, b: OpenRun) -> bool:
    """Whether both arms work on one database, so that each reads what the other writes."""
    sql = "SELECT current_database(), pg_postmaster_start_time(), inet_server_port()"
    one, other = (run.scheduler.db_controller.execute(sql, fetch=True) for run in (a, b))
    return bool(one == other)


@dataclass(frozen=True, slots=True)
class _Halves(RunObserver):
    """Passes the results of one arm to `watch`: as halves of pairs, or, if only the driver's arm
    runs a query, as whole results."""

    watch: RegressionWatch
    driver: bool
    in_pair: Callable[[], bool]

    def query_finished(self, query: Query, result: QueryResult) -> None:
        if self.in_pair():
            self.watch.add_half(result, driver=self.driver)
        else:
            self.watch.query_finished(query, result)

    def model_saved(self, version: ModelVersion) -> None:
        if self.driver:
            self.watch.model_saved(version)
