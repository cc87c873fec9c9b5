"""A paired run: each query runs twice, with the driver and without it (or with another one).

The two take turns, query by query, so that what the machine does besides meets both alike. Which
of them goes first is a coin for each query, and changes from round to round: what the first leaves
in the caches serves each of them as often.

Each arm is a run of its own in the journal, and each names the other.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pilotcli.analysis.answers import answer_of, is_undetermined, same_rows
from pilotcli.analysis.compare import NOT_COMPARED, compare
from pilotcli.analysis.comparison import Answers, Comparison
from pilotcli.analysis.so_far import SoFar
from pilotcli.config import RunConfig
from pilotcli.config.model import RunSection
from pilotcli.databases.base import Rows, Session
from pilotcli.errors import PilotError, QueryError, UsageError
from pilotcli.plan_log import PlanLog, keep_plans
from pilotcli.preparing import Begin, Ready, Reason, prepared
from pilotcli.records import Query, QueryResult
from pilotcli.replay_worker import Worker
from pilotcli.run_request import Asked, RunRequest
from pilotcli.signals import (
    Bus,
    DriverOutput,
    Notice,
    PairFinished,
    RunFinished,
    Signal,
    StepStarted,
)
from pilotcli.steering.requests import Pulls
from pilotcli.tally import Tally
from pilotcli.units import Effects, transaction_units
from pilotcli.workload import Workload, open_workload

if TYPE_CHECKING:
    from pilotcli.analysis.gates import Gate

__all__ = ["NATIVE", "PairedRequest", "run_paired"]

NATIVE = "native"
"""The baseline without events, handlers and models."""
_TOLD_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class PairedRequest:
    """A run, and what it is compared with.

    `baseline` is the config of the other arm, `against` its name in words. `gates` are the
    conditions under which the run fails.
    """

    run: RunRequest
    baseline: RunConfig
    against: str = NATIVE
    gates: tuple[Gate, ...] = ()


def native(config: RunConfig) -> RunConfig:
    """The same database without the driver."""
    return replace(config, events=(), handlers=(), models=(), collect=None)


def run_paired(
    request: PairedRequest, bus: Bus, *, abort: Callable[[], None] = lambda: None
) -> tuple[RunFinished, Comparison | None]:
    """Replay a workload in both arms. Raises as `pilotcli.runner.run` does; the second value is
    None when the run ended before there was anything to compare."""
    config = request.run.config
    options = config.run
    if options.workers > 1:
        raise UsageError(
            "a paired run has one worker: two queries at once would disturb each other's times",
            hint="Leave --workers and run.workers out.",
        )
    paths = request.run.workload or config.workload
    stop = threading.Event()
    baseline = replace(
        request.baseline,
        run=replace(options, pretraining=request.baseline.run.pretraining),
    )
    with open_workload(paths, stdin=request.run.stdin, limit=options.limit) as workload:
        counted = workload.count()
        total = counted * (options.learn + options.repeat) if counted is not None else None
        asked = Asked.now(config, request.run.overrides, paths, request.run.events, total)
        begin = Begin("run", workload.description, asked, workload.digest(), None, False)
        arm_bus = Bus(_Told(bus))
        with (
            prepared(config, request.run.events, bus, begin, workload, stop=stop) as driver,
            prepared(
                baseline, None, arm_bus, begin, workload, stop=stop, keep_in=config.home
            ) as other,
        ):
            driver.resumable = other.resumable = False
            driver.against = request.against
            driver.log.set_pair(other.log.run_id, "driver")
            other.log.set_pair(driver.log.run_id, "baseline")
            replay = _PairedReplay(driver, other, workload, options, stop)
            compared: list[Comparison] = []

            def work() -> None:
                other.scheduler.init(other.progress)
                driver.scheduler.init(driver.progress)
                if not stop.is_set():
                    replay.run()

            def cancel() -> None:
                replay.cancel()
                for ready in (driver, other):
                    ready.scheduler.cancel()

            def judge() -> Sequence[Reason]:
                ended = other.concluded(replay.baseline.tally, (), replay.elapsed_s)
                other.log.finish(ended)
                driver.log.flush()
                if not replay.pairs:
                    return ()
                # The driver's own run has not ended in the journal yet: that is no news.
                comparison = compare(
                    driver.journal, driver.log.run_id, other.journal, other.log.run_id
                )
                compared.append(comparison)
                return _reasons(comparison, request.gates)

            driver.announce(total)
            finished = driver.carry_out(work, cancel, abort, replay, judge)
            if compared:
                record = driver.journal.run(driver.log.run_id)
                compared[0] = replace(compared[0], run_a=record)
            return finished, compared[0] if compared else None


def _reasons(comparison: Comparison, gates: Sequence[Gate]) -> list[Reason]:
    from pilotcli.analysis.gates import GATE_EXIT_CODE, failed_gates

    reasons: list[Reason] = []
    different = len(comparison.different)
    told = failed_gates(comparison, gates)
    if different and not any(gate.metric == "results.differ" for gate, _ in told):
        noun = "query gives" if different == 1 else "queries give"
        reasons.append((1, f"{different} {noun} other rows than the baseline"))
    reasons.extend((GATE_EXIT_CODE, reason) for _, reason in told)
    return reasons


class _Told:
    """Hands on what the baseline's arm has to say to the user."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __call__(self, signal: Signal) -> None:
        if isinstance(signal, Notice):
            self._bus.emit(Notice(signal.level, f"baseline: {signal.text}"))
        elif isinstance(signal, (DriverOutput, StepStarted)):
            self._bus.emit(signal)


@dataclass(slots=True)
class _Arm:
    """One of the two: its run, its session, and what came of it so far."""

    ready: Ready
    worker: Worker
    sessions: list[Session]
    tally: Tally = field(default_factory=Tally)


class _PairedReplay:
    """Replays a workload in both arms; see the module's text."""

    def __init__(
        self,
        driver: Ready,
        baseline: Ready,
        workload: Workload,
        options: RunSection,
        stop: threading.Event,
    ) -> None:
        self.complete = False
        self.begun: float | None = None
        self.pairs = 0
        self._workload = workload
        self._options = options
        self._stop = stop
        self._bus = driver.bus
        self._so_far = SoFar()
        self._told_at = 0.0
        self._shared = _same_database(driver, baseline)
        self._alone = 0
        """Units that only the driver's arm ran, since they write."""
        self.driver, self.baseline = (self._arm(one) for one in (driver, baseline))

    @property
    def tally(self) -> Tally:
        """What the driver's arm came to."""
        return self.driver.tally

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first round began."""
        return 0.0 if self.begun is None else time.perf_counter() - self.begun

    def _arm(self, ready: Ready) -> _Arm:
        scheduler, sessions = ready.scheduler, list[Session]()
        # Both are asked for the same about each query: what asking costs is in both.
        keep_plans(scheduler, ready.log)
        worker = Worker(scheduler, self._options, self._stop, sessions, 0)
        arm = _Arm(ready, worker, sessions)
        scheduler.on_result = arm.tally.add
        return arm

    def run(self) -> None:
        """Warm up, then replay every round. Raises as `Replay.run` does."""
        gc.freeze()
        arms = (self.driver, self.baseline)
        try:
            for arm in arms:
                arm.worker.connect()
            first = next(iter(self._workload), None)
            for arm in arms:
                arm.ready.scheduler.before_workload(first.sql if first is not None else "")
            for number in range(self._options.warmup):
                for unit, _, order in self._turns(0):
                    for arm in order:
                        for query in unit:
                            arm.worker.warm(query, number)
            self.begun = time.perf_counter()
            learned = self._options.learn
            for round in range(1, learned + 1):
                for unit, _, _ in self._turns(round):
                    self._run_unit(unit, (self.driver,), round)
            for round in range(learned + 1, learned + self._options.repeat + 1):
                for unit, _, order in self._turns(round):
                    self._run_unit(unit, order, round)
                self._tell(round == learned + self._options.repeat)
                if self._stop.is_set():
                    return
            self.complete = not self._stop.is_set()
            if self.complete:
                self._take_plans()
        finally:
            for arm in arms:
                arm.worker.leave()

    def cancel(self) -> None:
        """Cancel what runs; may be called from any thread."""
        for arm in (self.driver, self.baseline):
            for session in tuple(arm.sessions):
                session.cancel()

    def _turns(self, round: int) -> Iterator[tuple[Sequence[Query], bool, Sequence[_Arm]]]:
        """Each unit, whether the driver runs it alone, and the arms in their order."""
        units: Iterable[Sequence[Query]] = transaction_units(self._workload)
        effects = Effects()
        if self._options.shuffle:
            shuffled = list(units)
            random.Random(f"{self._options.seed}/{round}").shuffle(shuffled)
            units = shuffled
        for unit in units:
            if self._stop.is_set() or self._stopped_early:
                return
            if effects.writes(unit) and self._shared:
                self._alone += round == self._options.learn + 1
                yield unit, True, (self.driver,)
                continue
            coin = random.Random(f"{self._options.seed}/{unit[0].seq}").random() < 0.5
            arms = (self.driver, self.baseline)
            yield unit, False, arms if coin == bool(round % 2) else arms[::-1]

    @property
    def _stopped_early(self) -> bool:
        if not self._options.fail_fast:
            return False
        scheduler = self.driver.ready.scheduler
        failed = self.tally.failures > self._options.max_failures
        return failed or bool(scheduler.event_runner.failures)

    def _run_unit(self, unit: Sequence[Query], order: Sequence[_Arm], round: int) -> None:
        answers = [_Answer() for _ in unit]
        results: dict[int, list[QueryResult]] = {id(arm): [] for arm in order}
        for arm in order:
            for query, answer in zip(unit, answers, strict=True):
                if self._stop.is_set():
                    return
                single = len(order) == 1
                results[id(arm)].append(arm.worker.run(query, round, None if single else answer))
        if len(order) == 1:
            return
        both = zip(unit, results[id(self.driver)], results[id(self.baseline)], answers, strict=True)
        for query, driver, baseline, answer in both:
            if query.command not in NOT_COMPARED:
                self._add(query, driver, baseline, answer)
        if time.monotonic() - self._told_at > _TOLD_EVERY_S:
            self._tell()

    def _add(
        self, query: Query, driver: QueryResult, baseline: QueryResult, answer: _Answer
    ) -> None:
        self.pairs += 1
        answers: Answers = "unknown"
        if driver.ok and baseline.ok:
            answers = answer.verdict
            if answers == "different" and is_undetermined(query.sql):
                answers = "undetermined"
        before = self._so_far.different
        self._so_far.add(query, driver, baseline, answers)
        if answers == "different" and self._so_far.different > before:
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

    def _tell(self, at_end: bool = False) -> None:
        self._bus.emit(self._so_far.told())
        self._told_at = time.monotonic()
        if at_end and self._alone:
            noun = "statement writes" if self._alone == 1 else "statements write"
            text = f"{self._alone} {noun}, and the arms share one database: only the driver's ran"
            self._bus.emit(Notice("info", f"{text} them, and they are not compared"))

    def _take_plans(self) -> None:
        """Run each query once more in both arms, apart from all that is measured, for its plan with
        actual rows."""
        self._bus.emit(StepStarted("taking the plans with actual rows"))
        sessions: list[tuple[_Arm, Session]] = []
        try:
            for arm in (self.driver, self.baseline):
                scheduler = arm.ready.scheduler
                scheduler.steering.pulls = Pulls(physical_plan=True, actual_rows=True)
                scheduler.on_plan = PlanLog(arm.ready.log).add_actual
                session = scheduler.open_session(self._options.timeout)
                arm.sessions.append(session)
                sessions.append((arm, session))
            for unit, alone, _ in self._turns(-1):
                if alone:
                    continue
                for arm, session in sessions:
                    for query in unit:
                        if session.closed or self._stop.is_set():
                            return
                        arm.ready.scheduler.run_in(session, query)
        except (QueryError, PilotError) as exc:
            self._bus.emit(Notice("warning", f"not all plans could be taken: {exc.message}"))
        finally:
            for _, session in sessions:
                session.close()


class _Answer:
    """Makes the digests of a query's rows in both arms, and says whether they are the same.

    The rows of the first are kept until the second has run. Where the digests differ and the rows
    are the same but for the last digits of floats, the second gets the first one's digest.
    """

    def __init__(self) -> None:
        self._first: tuple[str, Sequence[tuple[object, ...]]] | None = None
        self.verdict: Answers = "unknown"

    def __call__(self, rows: Rows) -> str:
        kept = rows.rows
        told = answer_of(rows)
        if self._first is None:
            self._first = told, kept
            return told
        before, others = self._first
        self._first = None
        if told != before and others and same_rows(others, kept):
            told = before
        self.verdict = "same" if told == before else "different"
        return told


def _same_database(a: Ready, b: Ready) -> bool:
    """Whether both arms work on one database, so that what one writes the other finds."""
    identities: list[Mapping[str, object]] = []
    for ready in (a, b):
        controller = ready.scheduler.db_controller
        sql = "SELECT current_database(), pg_postmaster_start_time(), inet_server_port()"
        identities.append({"is": controller.execute(sql, fetch=True)})
    return identities[0] == identities[1]
