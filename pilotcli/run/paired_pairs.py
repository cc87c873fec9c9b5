"""The pairs of a paired run: a query's results in all arms, and whether their answers are the same.

With more than two arms a pair has more than two halves; each baseline is compared with the driver.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from pilotcli.analysis.comparison import Answers
from pilotcli.analysis.result_digest import comparable, compare_answers
from pilotcli.common.errors import QueryError
from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import Notice, PairFinished
from pilotcli.common.sql_commands import command_of, may_repeat
from pilotcli.replay.answers import AnswerDigests
from pilotcli.run.paired_answer import ROWS_KEPT, ArmAnswers, always
from pilotcli.run.paired_arms import Arm, Pending, Seat, Seats
from pilotcli.run.paired_progress import SoFar
from pilotcli.run.paired_resume import ended_pairs, result_of


class Pairs:
    """Runs queries in one arm after the other, the driver's being the first of `arms`, and compares
    those that have ended in all. Safe for several workers.

    With `by_rounds` an arm ends a whole round before the next begins it, so that long results are
    not kept for the others.
    """

    def __init__(self, arms: Sequence[Arm], *, by_rounds: bool) -> None:
        self.count = 0
        """Queries that have ended in all arms."""
        self._arms = arms
        self._driver, *self._baselines = arms
        self._by_rounds = by_rounds
        self._bus = self._driver.run.scheduler.bus
        self._digests = AnswerDigests(self._driver.run.scheduler.target)
        self._so_far = {arm: SoFar(arm.name) for arm in self._baselines}
        self._pending: dict[int, Pending] = {}
        self._lock = threading.Lock()

    def restore(self, learning_rounds: int) -> None:
        """Count the pairs that have ended in earlier parts of a continued run."""
        for arm in self._baselines:
            runs = (self._driver.run, arm.run)
            for query, driver, baseline, answers in ended_pairs(*runs, learning_rounds):
                self.count += arm is self._baselines[0]
                self._so_far[arm].add(query, driver, baseline, answers)

    def run(self, seats: Seats, arm: Arm, query: Query, round: int) -> None:
        """Run the query in this arm; compare it if it has ended in all."""
        with self._lock:
            pending = self._pending.get(query.seq)
            if pending is None:
                pending = self._pending[query.seq] = self._begun_before(seats, arm, query, round)
        pending.results[arm] = seats[arm].worker.run(query, round, pending.answers)
        if len(pending.results) == len(self._arms):
            with self._lock:
                self._pending.pop(query.seq, None)
                if command_of(query.command).compared:
                    self._add(query, pending)

    def half_done(
        self, seats: Seats, arm: Arm, unit: Sequence[Query], round: int
    ) -> Iterator[Query]:
        """Yield the queries of the unit that had ended in this arm, and not in all."""
        for query in unit:
            ended = [seats[other].left.ended(query, round) for other in self._arms]
            if seats[arm].left.ended(query, round) and not all(ended):
                yield query

    def take_half_done(self, seats: Seats, arm: Arm, unit: Sequence[Query], round: int) -> None:
        """Take what had ended in this arm and not in all, with its rows, while the arm's changes
        are in effect."""
        for query in self.half_done(seats, arm, unit, round):
            result = result_of(arm.run, query, round)
            if result is None:
                continue
            answers = ArmAnswers(self._digests, bounded=True)
            pending = self._pending.setdefault(query.seq, Pending(answers))
            _continue(pending, seats[arm], result, always(self._rows_again(seats[arm], query)))

    def end_round(self) -> None:
        """Forget what has not ended in all arms of the round."""
        self._pending.clear()

    def report(self) -> None:
        """Emit the comparison with each baseline so far."""
        with self._lock:
            for so_far in self._so_far.values():
                self._bus.emit(so_far.compared())

    def _begun_before(self, seats: Seats, arm: Arm, query: Query, round: int) -> Pending:
        """What other arms have of a query from an earlier part of the run."""
        pending = Pending(ArmAnswers(self._digests, bounded=self._by_rounds))
        for other in self._arms:
            seat = seats[other]
            if other is arm or not seat.left.ended(query, round):
                continue
            result = result_of(other.run, query, round)
            if result is not None:
                _continue(pending, seat, result, partial(self._rows_again, seat, query))
        return pending

    def _rows_again(self, seat: Seat, query: Query) -> Sequence[tuple[object, ...]]:
        """The rows that a query gives in an arm now; none where it must not run again, or gives
        many."""
        if not may_repeat(query.command, query.sql):
            return ()
        seat.left.catch_up()
        try:
            rows = seat.worker.rows_of(query)
        except QueryError:
            return ()
        many = self._by_rounds and len(rows.rows) > ROWS_KEPT
        return () if many else comparable(rows)

    def _add(self, query: Query, pending: Pending) -> None:
        self.count += 1
        driver = pending.results[self._driver]
        for arm in self._baselines:
            baseline = pending.results[arm]
            answers: Answers = "unknown"
            if driver.ok and baseline.ok and driver.answer and baseline.answer:
                answers = compare_answers(driver.answer, baseline.answer)
            so_far = self._so_far[arm]
            before = so_far.different
            so_far.add(query, driver, baseline, answers)
            if so_far.different > before:
                than = "the baseline" if len(self._baselines) == 1 else arm.name
                self._bus.emit(Notice("error", f"{query.label} gives other rows than {than}"))
            if self._bus.hears(PairFinished):
                self._bus.emit(
                    PairFinished(
                        query.label,
                        query.seq,
                        driver.round,
                        _whole_s(driver),
                        _whole_s(baseline),
                        driver.status,
                        baseline.status,
                        answers,
                        arm.name,
                    )
                )


def _continue(
    pending: Pending,
    seat: Seat,
    result: QueryResult,
    rows: Callable[[], Sequence[tuple[object, ...]]],
) -> None:
    pending.results[seat.arm] = result
    if result.answer is not None:
        pending.answers.continue_after(result.answer, rows)


def _whole_s(result: QueryResult) -> float:
    return result.elapsed_s + result.inference_s + result.steering_s
