"""A paired run that is continued: what is left of each arm, and the pairs that ended before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotcli.analysis.comparison import Answers
from pilotcli.analysis.result_digest import compare_answers
from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import Bus, Notice
from pilotcli.common.sql_commands import command_of
from pilotcli.replay.units import Begun, effect_text, may_have_taken_effect, remember
from pilotcli.replay.worker import Worker
from pilotcli.run.run import OpenRun
from pilotcli.storage.journal import Journal, PastRun


class LeftOfArm:
    """Says which queries of an arm are left to do, and brings its session to the state that the
    first of them needs: settings, and the start of an open block."""

    def __init__(self, run: OpenRun, worker: Worker, *, one_session: bool) -> None:
        """`one_session`: the arm has no other session, so that its state is that of its queries."""
        self._past: PastRun | None = run.past
        self._bus: Bus = run.scheduler.bus
        self._worker = worker
        self._settings: list[Query] = []
        self._block: list[Query] = []
        self._waits = one_session
        self._one_session = one_session
        self._warned = False

    def ended(self, query: Query, round: int) -> bool:
        """Whether the query has ended before: in a round, from 1, or a warm-up, from 0 down."""
        if self._past is None:
            return False
        past = self._past.done.get(round) if round > 0 else self._past.warmed.get(-round)
        return past is not None and query.seq < len(past) and past[query.seq] == 1

    def has_left(self, unit: Sequence[Query], round: int) -> bool:
        """Whether a query of the unit is left to do."""
        return not all(self.ended(query, round) for query in unit)

    def of(self, unit: Sequence[Query], round: int) -> Sequence[Query]:
        """The queries of a unit that are left to do. Call this for each unit of each round, in
        order: it runs again, without a record, what brings the session to the same state."""
        if self._past is None:
            return unit
        again = sum(self.ended(query, round) for query in unit)
        if again == len(unit):
            for query in unit if self._one_session else ():
                remember(query, self._settings, self._block)
            if not self._waits:
                self._bring()
            return ()
        head = [*self._settings, *self._block]
        self._settings, self._block, self._waits = [], [], False
        rest = Begun([*head, *unit])
        rest.again = len(head) + again
        if round > 0 and self._past.killed and not self._warned:
            self._warned = True
            if (uncertain := may_have_taken_effect(rest)) is not None:
                self._bus.emit(Notice("warning", effect_text(uncertain)))
        if rest.again:
            self._worker.repeat(rest[: rest.again])
        return rest[rest.again :]

    def catch_up(self) -> None:
        """Bring the session to the state that it had after the last unit given to `of`."""
        if self._waits:
            self._waits = False
            self._bring()

    def _bring(self) -> None:
        self._worker.repeat([*self._settings, *self._block])
        self._settings, self._block = [], []


def ended_pairs(
    driver: OpenRun, baseline: OpenRun, after_round: int
) -> Iterator[tuple[Query, QueryResult, QueryResult, Answers]]:
    """The pairs that have ended before, in the rounds after `after_round`: query, both results, and
    whether their answers are the same."""
    if driver.past is None or baseline.past is None:
        return
    run_id, other_id = driver.log.run_id, baseline.log.run_id
    commands = {query.seq: query.command for query in driver.journal.queries(run_id)}
    others = _by_place(baseline.journal, other_id)
    other = next(others, None)
    for place, result in _by_place(driver.journal, run_id):
        while other is not None and other[0] < place:
            other = next(others, None)
        if other is None:
            return
        command = commands.get(result.seq, "")
        if other[0] != place or place[0] <= after_round or not command_of(command).compared:
            continue
        answers: Answers = "unknown"
        first, second = result.answer, other[1].answer
        if result.ok and other[1].ok and first is not None and second is not None:
            answers = compare_answers(first, second)
        yield Query(result.seq, result.label, "", command=command), result, other[1], answers


def _by_place(journal: Journal, run_id: int) -> Iterator[tuple[tuple[int, int], QueryResult]]:
    return (((result.round, result.seq), result) for result in journal.results(run_id))


def result_of(run: OpenRun, query: Query, round: int) -> QueryResult | None:
    """The result that a query had in this round, in an earlier part of the run."""
    found = run.journal.results(run.log.run_id, seq=query.seq)
    return next((result for result in found if result.round == round), None)
