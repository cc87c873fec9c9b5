"""One query in two runs: its plans, what steered them, and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pilotcli.analysis.compare_named import named_pair, open_journal
from pilotcli.analysis.comparison import QueryTimes, whole_s
from pilotcli.analysis.logged import logged_lines
from pilotcli.analysis.plan_changes import plan_changes
from pilotcli.analysis.plans import PlanNode, plans_that_ran, tree_of
from pilotcli.analysis.query_times import times_of
from pilotcli.analysis.slowdown import why_slower
from pilotcli.common.errors import UsageError
from pilotcli.common.suggestions import did_you_mean
from pilotcli.storage.journal import JournalReader, QueryRecord, RunRecord


@dataclass(frozen=True, slots=True)
class PlanSide:
    """A query in one run.

    `plan` is its last plan, with actual rows where they were taken; None where none was kept.
    `replanned` says that actual rows were taken, but with another plan than in the rounds.
    `mean_s` is the mean of its whole times in seconds, where a time-out counts as twice its limit;
    None when it never ended well. `times` has the parts of that. `timeouts` counts time-outs,
    `error` is the last error. `steering` is what was pushed into its last execution, `cards` the
    rows for each sub-plan query in it, `not_applied` what was not applied with the reason, and
    `native` why it ran unsteered. `logged` are the values that handlers have logged for it, in
    words, beside what came. In a paired run only the rounds that both arms have count: in
    others the driver learned alone.
    """

    run_id: int
    name: str
    mean_s: float | None
    timeouts: int
    error: str | None
    steering: Sequence[str]
    cards: Sequence[tuple[str, float]]
    plan: Mapping[str, Any] | None
    replanned: bool
    times: QueryTimes | None = None
    not_applied: Sequence[tuple[str, str]] = ()
    native: str | None = None
    logged: Sequence[str] = ()

    @property
    def tree(self) -> PlanNode | None:
        """The plan as a tree."""
        return None if self.plan is None else tree_of(self.plan)


@dataclass(frozen=True, slots=True)
class PlanPair:
    """A query in run `a` and in the baseline `b`; `changes` is what `a` does differently."""

    label: str
    sql: str
    file: str | None
    line: int | None
    a: PlanSide
    b: PlanSide

    @property
    def changes(self) -> list[str]:
        """What the plan of `a` does differently from that of `b`, in words."""
        if self.a.plan is None or self.b.plan is None:
            return []
        return plan_changes(self.b.plan, self.a.plan)

    @property
    def reasons(self) -> list[str]:
        """Why `a` is slower than `b`, in words; empty where it is not."""
        if self.a.times is None or self.b.times is None:
            return []
        return why_slower(self.a.times, self.b.times, self.a.plan, self.b.plan)

    def as_json(self) -> dict[str, Any]:
        """Returns all of it as plain values."""
        return {
            "label": self.label,
            "sql": self.sql,
            "file": self.file,
            "line": self.line,
            "changes": self.changes,
            "reasons": self.reasons,
            "run": asdict(self.a),
            "baseline": asdict(self.b),
        }


def plan_pair(home: Path, run: str, baseline: str | None, query: str) -> PlanPair:
    """The plans of `query` (its number in `run`, or its label) in both runs, which are named as in
    `compare_runs`. Raises `UsageError` and `StorageError`."""

    def hint(run_id: int) -> str:
        return f"Name the other one: pilot runs diff {run_id} B --query {query}"

    (home_a, id_a), (home_b, id_b) = named_pair(home, run, baseline, hint)
    with open_journal(home_a) as journal_a, open_journal(home_b) as journal_b:
        records = journal_a.run(id_a), journal_b.run(id_b)
        paired = home_a == home_b and records[0].took_turns_with(records[1])
        found = _find(journal_a, id_a, query)
        if (home_a, id_a) == (home_b, id_b):
            raise UsageError(
                f"run {id_a} would be compared with itself",
                hint="Name two runs; see: pilot runs list",
            )
        rounds = _compared_rounds(journal_a, records, found.seq) if paired else None
        side_a = _side(journal_a, id_a, found, _name(journal_a, id_a, "A", paired), rounds)
        name = _name(journal_b, id_b, "B", paired)
        # A long statement is kept by its beginning and its length.
        text = found.sql, found.sql_chars
        same_text = (q for q in journal_b.queries(id_b) if (q.sql, q.sql_chars) == text)
        other = next(same_text, None)
        if other is None:
            raise UsageError(
                f"run {id_b} has no query with the text of {found.label}",
                hint="Statements that write run in the driver's arm alone, where both arms share a "
                "database."
                if paired
                else "Queries are matched by their text: compare runs of the same workload.",
            )
        side_b = _side(journal_b, id_b, other, name, rounds)
    return PlanPair(found.label, found.sql, found.file, found.line, side_a, side_b)


def _name(journal: JournalReader, run_id: int, letter: str, paired: bool) -> str:
    """Returns what to call a run. Raises `StorageError` when there is none of that number."""
    arm = journal.run(run_id).arm
    return f"the {arm}" if paired and arm is not None else letter


def _find(journal: JournalReader, run_id: int, query: str) -> QueryRecord:
    if query.isdecimal():
        found = next(iter(journal.queries(run_id, seq=int(query))), None)
        if found is not None:
            return found
    labels: list[str] = []
    for record in journal.queries(run_id):
        if record.label == query:
            return record
        labels.append(record.label)
    hint = did_you_mean(query, labels, listed="It has")
    raise UsageError(f"run {run_id} has no query {query!r}", hint=hint)


def _compared_rounds(
    journal: JournalReader, pair: tuple[RunRecord, RunRecord], seq: int
) -> set[int] | None:
    """Returns the rounds in which both arms ran the query after they had learned; None where only
    one did."""
    learned = max(int(run.options.get("learn") or 0) for run in pair)
    a, b = ({result.round for result in journal.results(run.run_id, seq=seq)} for run in pair)
    return {round for round in a & b if round > learned} or None


def _side(
    journal: JournalReader, run_id: int, query: QueryRecord, name: str, rounds: set[int] | None
) -> PlanSide:
    every = journal.results(run_id, seq=query.seq)
    results = [result for result in every if rounds is None or result.round in rounds]
    times = times_of(results) if results else None
    report = results[-1].steering if results else None
    plans = list(journal.plans(run_id, seq=query.seq))
    kept = plans_that_ran(plans).get(query.seq)
    return PlanSide(
        run_id=run_id,
        name=name,
        mean_s=None if times is None or times.mean_s is None else whole_s(times),
        steering=() if report is None else tuple(report.applied),
        cards=() if report is None else tuple(report.cards),
        plan=None if kept is None else kept.plan,
        timeouts=sum(result.status == "timeout" for result in results),
        error=next(
            (result.error for result in reversed(results) if result.error and not result.ok), None
        ),
        replanned=kept is not None and kept.round != 0 and any(plan.round == 0 for plan in plans),
        times=times,
        not_applied=() if report is None else tuple(report.ignored),
        native=None if report is None else report.native,
        logged=tuple(logged_lines(results)),
    )
