"""What a report shows, read from the journals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from pilotcli.analysis.arms import Ranking
from pilotcli.analysis.compare import compare
from pilotcli.analysis.compare_named import named_run, open_journal, rank_arms
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.model_updates import UpdateEffect, update_effects
from pilotcli.analysis.plans import PlanNode, plans_that_ran, tree_of
from pilotcli.analysis.repeats import QueryRepeats, repeats_of
from pilotcli.common.errors import UsageError
from pilotcli.common.records import ModelVersion, QueryResult, SteeringReport
from pilotcli.storage.journal import (
    FiringRecord,
    JournalReader,
    QueryRecord,
    RunRecord,
    RunStatistics,
)

RESULTS_READ = 200_000
"""Results of a run that a report reads; the first of a longer one."""


@dataclass(frozen=True)
class RunPart:
    """One run: its results in the order in which they ended, and each query's last plan."""

    record: RunRecord
    results: Sequence[QueryResult]
    queries: Mapping[int, QueryRecord]
    firings: Sequence[FiringRecord]
    models: Sequence[ModelVersion]
    plans: Mapping[int, PlanNode]
    statistics: RunStatistics
    updates: Sequence[UpdateEffect] = ()
    """What changed after each update of a model."""
    plan_texts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """The plans as the server gave them: objects with the key `Plan`."""
    rounds: frozenset[int] | None = None
    """The rounds that are compared; None for all. In others the driver learned."""

    @cached_property
    def steering(self) -> Mapping[int, SteeringReport]:
        """What was pushed into each query's last execution that had pushes."""
        return {
            result.seq: result.steering for result in self.results if result.steering is not None
        }

    @cached_property
    def by_query(self) -> Mapping[int, Sequence[QueryResult]]:
        """The results of each query in the rounds that count, in the order in which they began."""
        found: dict[int, list[QueryResult]] = defaultdict(list)
        for result in self.results:
            if self.rounds is None or result.round in self.rounds:
                found[result.seq].append(result)
        return found

    @cached_property
    def repeats(self) -> Mapping[int, QueryRepeats]:
        """The figures of each query over its executions in the rounds that count."""
        return repeats_of(chain.from_iterable(self.by_query.values()))

    @property
    def whole(self) -> bool:
        """Whether all results are here."""
        return len(self.results) == self.statistics.total


@dataclass(frozen=True, slots=True)
class HtmlReport:
    """A run, and what it is compared with."""

    run: RunPart
    baseline: RunPart | None = None
    comparison: Comparison | None = None
    reasons: Sequence[str] = ()
    """Why the run failed, a line each."""
    ranking: Ranking | None = None
    """The arms of a run that took turns with several others."""


def read_report(home: Path, run: str, against: str | None) -> HtmlReport:
    """The report of `run` in `home`, against another one; by default that with which it took turns.
    Both are named as in `compare_runs`. Raises `UsageError` and `StorageError`."""
    home_a, id_a = named_run(home, run)
    with open_journal(home_a) as journal_a:
        record = journal_a.run(id_a)
        home_b, id_b = home_a, record.paired_with
        if against is not None:
            home_b, id_b = named_run(home, against)
        elif record.arm == "baseline" and id_b is not None:
            raise UsageError(
                f"run {id_a} is the baseline of run {id_b}",
                hint=f"Ask for that one: pilot runs report {id_b}",
            )
        reasons = tuple(map(str, record.summary.get("reasons", ())))
        alone = HtmlReport(_part(journal_a, id_a), reasons=reasons)
        if id_b is None:
            return alone
        with open_journal(home_b) as journal_b:
            try:
                comparison = compare(journal_a, id_a, journal_b, id_b)
            except UsageError:
                if against is not None:
                    raise
                # A paired run that ended before any query had ended in both is shown alone.
                return alone
            report = _compared(alone, _part(journal_b, id_b), comparison)
        ranked = rank_arms(journal_a, record) if record.arm == "driver" else None
        return replace(report, ranking=ranked)


def _compared(alone: HtmlReport, baseline: RunPart, comparison: Comparison) -> HtmlReport:
    run = alone.run
    if comparison.paired:
        parts = (run, baseline)
        of_both = ({result.round for result in part.results} for part in parts)
        learned = max(int(part.record.options.get("learn") or 0) for part in parts)
        rounds = frozenset(round for round in set.intersection(*of_both) if round > learned)
        run, baseline = replace(run, rounds=rounds), replace(baseline, rounds=rounds)
    return replace(alone, run=run, baseline=baseline, comparison=comparison)


def _part(journal: JournalReader, run_id: int) -> RunPart:
    results = journal.results(run_id, limit=RESULTS_READ)
    plans = plans_that_ran(journal.plans(run_id))
    trees = {seq: tree_of(plan.plan) for seq, plan in plans.items()}
    return RunPart(
        record=journal.run(run_id),
        results=sorted(results, key=lambda result: result.started_at),
        queries={query.seq: query for query in journal.queries(run_id)},
        firings=journal.firings(run_id),
        models=journal.models(run_id),
        plans={seq: tree for seq, tree in trees.items() if tree is not None},
        plan_texts={seq: plan.plan for seq, plan in plans.items()},
        statistics=journal.statistics(run_id),
        updates=update_effects(journal, run_id),
    )
