"""Comparing two runs of one or two journals: matches their queries, judges their times.

Queries are matched by their text; those with the same text in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pilotcli.analysis.cautions import warnings_about
from pilotcli.analysis.compared_runs import ComparedRun, joined, matched, prepare, read_run
from pilotcli.analysis.comparison import (
    Answers,
    Comparison,
    Costs,
    Fold,
    Learning,
    QueryComparison,
    QueryTimes,
    Unmatched,
    Verdict,
    whole_s,
)
from pilotcli.analysis.part import ALL_QUERIES, WantedQueries, narrow
from pilotcli.analysis.plans import same_plan
from pilotcli.analysis.query_times import of_known, sample_of, times_of
from pilotcli.analysis.result_digest import compare_answers
from pilotcli.analysis.round_effects import (
    geometric_of_round,
    took_turns_by_rounds,
    total_of_round,
    widened,
)
from pilotcli.analysis.run_differences import run_differences
from pilotcli.analysis.slowdown import why_slower
from pilotcli.analysis.statistics import (
    Difference,
    Sample,
    differences,
    geometric_interval,
    signed_rank,
    total_interval,
)
from pilotcli.analysis.verdicts import agreeing, effect_of, query_verdict
from pilotcli.analysis.wording import BAD_SPEEDUP
from pilotcli.common.errors import UsageError
from pilotcli.common.records import QueryResult
from pilotcli.storage.journal import JournalReader


def compare(
    journal_a: JournalReader,
    run_a: int | None,
    journal_b: JournalReader,
    run_b: int | None,
    wanted: WantedQueries = ALL_QUERIES,
) -> Comparison:
    """Compare run A with the baseline B; see `Comparison`. Only the `wanted` queries count.

    Raises `UsageError` when the two have no query in common, or are the same run, or nothing is
    selected; and `StorageError` when there is no such run.
    """
    a, b, paired = _read(journal_a, run_a, journal_b, run_b)
    part = narrow(wanted, [(a, b)])
    return replace(_compare(a, b, paired=paired), part=part)


def compare_folds(
    journal: JournalReader, pairs: Sequence[tuple[int, int]], wanted: WantedQueries = ALL_QUERIES
) -> Comparison:
    """Compare the folds of a cross-validation, each a driver's run and its baseline, in one: each
    query is judged in the fold that has not learned from it. `wanted` chooses among the queries of
    all folds.

    Raises as `compare`.
    """
    read = []
    for run_a, run_b in pairs:
        a, b = read_run(journal, run_a), read_run(journal, run_b)
        prepare(journal, a, journal, b)
        read.append((a, b))
    part = narrow(wanted, read)
    folds = []
    for number, (a, b) in enumerate(read, 1):
        if a.results and b.results:
            found = _compare(a, b, paired=True)
            fold = Fold(number, *pairs[number - 1], len(found.queries), found.total)
            folds.append(fold)
    a, b = (joined([pair[at] for pair in read]) for at in (0, 1))
    return replace(_compare(a, b, paired=True), folds=tuple(folds), part=part)


def compared_numbers(
    journal_a: JournalReader,
    run_a: int,
    journal_b: JournalReader,
    run_b: int,
    wanted: WantedQueries,
) -> Sequence[int]:
    """Returns the numbers in A of the `wanted` queries that both runs have. Raises as `compare`."""
    a, b, _ = _read(journal_a, run_a, journal_b, run_b)
    narrow(wanted, [(a, b)])
    return sorted(seq_a for seq_a, _ in _common(a, b)[0])


def _read(
    journal_a: JournalReader, run_a: int | None, journal_b: JournalReader, run_b: int | None
) -> tuple[ComparedRun, ComparedRun, bool]:
    """Returns both runs, and whether they took turns."""
    a, b = read_run(journal_a, run_a), read_run(journal_b, run_b)
    _refuse_itself(journal_a, a, journal_b, b)
    return a, b, prepare(journal_a, a, journal_b, b)


def _refuse_itself(
    journal_a: JournalReader, a: ComparedRun, journal_b: JournalReader, b: ComparedRun
) -> None:
    if journal_a.path == journal_b.path and a.record.run_id == b.record.run_id:
        raise UsageError(
            f"run {a.record.run_id} would be compared with itself",
            hint="Name two runs; see: pilot runs list",
        )


def _compare(a: ComparedRun, b: ComparedRun, *, paired: bool) -> Comparison:
    return _compared(a, b, *_common(a, b), paired=paired)


def _common(
    a: ComparedRun, b: ComparedRun
) -> tuple[Sequence[tuple[int, int]], Sequence[Unmatched], Sequence[Unmatched]]:
    """As `matched`. Raises `UsageError` where the runs have no query in common."""
    for run in (a, b):
        if not run.results:
            raise UsageError(
                f"no query of run {run.record.run_id} has ended that could be compared",
                hint=f"See how it ended: pilot runs show {run.record.run_id}",
            )
    pairs, only_a, only_b = matched(a, b)
    if not pairs:
        raise UsageError(
            f"runs {a.record.run_id} and {b.record.run_id} have no query in common",
            hint="Queries are matched by their text: compare runs of the same workload.",
        )
    return pairs, only_a, only_b


def _compared(
    a: ComparedRun,
    b: ComparedRun,
    pairs: Sequence[tuple[int, int]],
    only_a: Sequence[Unmatched],
    only_b: Sequence[Unmatched],
    *,
    paired: bool,
) -> Comparison:
    times = [(times_of(a.results[seq_a]), times_of(b.results[seq_b])) for seq_a, seq_b in pairs]
    samples: list[Sample | None] = []
    for (seq_a, seq_b), (times_a, times_b) in zip(pairs, times, strict=True):
        failed = times_a.mean_s is None or times_b.mean_s is None
        failed = failed or bool(times_a.failed or times_b.failed)
        samples.append(None if failed else sample_of(a.results[seq_a], b.results[seq_b], paired))
    timed = [sample for sample in samples if sample is not None]
    judged = iter(differences(timed, paired=paired))
    queries = [
        _query(a, b, pair, both, None if sample is None else next(judged))
        for pair, both, sample in zip(pairs, times, samples, strict=True)
    ]
    rank = signed_rank(timed)
    whole, mean = total_interval(timed, paired=paired), geometric_interval(timed)
    by_rounds = paired and len(pairs) > 1 and took_turns_by_rounds(a.all_results(), b.all_results())
    if by_rounds:
        whole = widened(whole, timed, total_of_round)
        mean = widened(mean, timed, geometric_of_round)
    least = min((min(len(sample.a), len(sample.b)) for sample in timed), default=0)
    total = effect_of(whole, rank, rounds=least)
    geometric = effect_of(mean, rank, rounds=1)
    rank = agreeing(rank, geometric)
    both_ran = [both for both, sample in zip(times, samples, strict=True) if sample is not None]
    costs_a, costs_b = _costs(a, both_ran, 0), _costs(b, both_ran, 1)
    sum_a, sum_b = (sum(whole_s(both[at]) for both in both_ran) for at in (0, 1))
    gain_s = sum_b - sum_a
    rounds = max(1, a.rounds)
    trained = sum_a + a.training_s / rounds
    return Comparison(
        run_a=a.record,
        run_b=b.record,
        paired=paired,
        rounds_a=a.rounds,
        rounds_b=b.rounds,
        total=total,
        geometric=geometric,
        p_value=rank,
        queries=tuple(sorted(queries, key=_by_weight)),
        only_a=tuple(only_a),
        only_b=tuple(only_b),
        costs_a=costs_a,
        costs_b=costs_b,
        payback=a.training_s / gain_s if gain_s > 0 and total.verdict == "faster" else None,
        trained_speedup=sum_b / trained if trained > 0 else None,
        warnings=tuple(warnings_about(a, b, queries, paired=paired)),
        by_rounds=by_rounds,
        differences=run_differences(a.record, b.record),
        learning=_learning(a),
    )


def _query(
    a: ComparedRun,
    b: ComparedRun,
    pair: tuple[int, int],
    times: tuple[QueryTimes, QueryTimes],
    difference: Difference | None,
) -> QueryComparison:
    query = a.queries[pair[0]]
    times_a, times_b = times
    verdict, certain, tested = query_verdict(times_a, times_b, difference)
    plan_a, plan_b = a.plans.get(pair[0]), b.plans.get(pair[1])
    changed = None
    if plan_a is not None and plan_b is not None:
        changed = not same_plan(plan_a.plan, plan_b.plan)
    reasons: Sequence[str] = ()
    far = difference is not None and difference.speedup < BAD_SPEEDUP
    if verdict == "slower" or (verdict == "unclear" and far):
        plans = (None if kept is None else kept.plan for kept in (plan_a, plan_b))
        reasons = why_slower(times_a, times_b, *plans)
    return QueryComparison(
        label=query.label,
        sql=query.sql,
        file=query.file,
        line=query.line,
        a=times_a,
        b=times_b,
        verdict=verdict,
        speedup=None if difference is None else difference.speedup,
        low=None if tested is None else tested.low,
        high=None if tested is None else tested.high,
        p_value=None if tested is None else tested.corrected,
        certain=certain,
        answers=_answers(a.results[pair[0]], b.results[pair[1]]),
        plan_changed=changed,
        reasons=reasons,
    )


def _answers(a: Sequence[QueryResult], b: Sequence[QueryResult]) -> Answers:
    known_a = {result.round: result.answer for result in a if result.answer is not None}
    known_b = {result.round: result.answer for result in b if result.answer is not None}
    if not known_a or not known_b:
        return "unknown"
    shared = known_a.keys() & known_b.keys()
    if shared:
        found = {compare_answers(known_a[round], known_b[round]) for round in shared}
    elif set(known_a.values()) == set(known_b.values()):
        return "same"
    else:
        found = {
            compare_answers(one, other) for one in known_a.values() for other in known_b.values()
        }
    return next(worst for worst in ("different", "undetermined", "same") if worst in found)


def _learning(run: ComparedRun) -> Learning | None:
    if not run.learned:
        return None
    frozen, fresh = (bool(run.record.options.get(name)) for name in ("freeze", "fresh"))
    return Learning(
        queries=run.learned_queries,
        rounds=run.record.learning_rounds,
        same=run.same,
        alike=run.alike,
        frozen=frozen,
        fresh=fresh,
        elapsed_s=run.learning_s,
        collection_s=run.collection_s,
    )


def _costs(run: ComparedRun, times: Sequence[tuple[QueryTimes, QueryTimes]], at: int) -> Costs:
    own = [both[at] for both in times]
    return Costs(
        query_s=sum(query.mean_s for query in own if query.mean_s is not None),
        planning_s=of_known(sum, (query.planning_s for query in own)),
        execution_s=of_known(sum, (query.execution_s for query in own)),
        inference_s=sum(query.inference_s for query in own),
        steering_s=sum(query.steering_s for query in own),
        collection_s=sum(query.collection_s for query in own),
        training_s=run.training_s,
        events_s=run.events_s,
    )


_VERDICTS: Sequence[Verdict] = ("failed", "slower", "unclear", "same", "mended", "faster")
_ORDER = {verdict: place for place, verdict in enumerate(_VERDICTS, 1)}


def _by_weight(query: QueryComparison) -> tuple[int, float, int]:
    place = 0 if query.answers == "different" else _ORDER[query.verdict]
    if place == _ORDER["slower"]:
        return place, query.speedup or 0.0, query.seq
    return place, -query.lost_s, query.seq
