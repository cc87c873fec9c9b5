"""What changed after each update of a model: a run's queries before it and after it.

Each execution between an update and the next one is compared with the last execution of the same
query before the update. In a paired run both are first divided by the baseline's time in the same
round, so that drift of the machine cancels.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from pilotcli.analysis.comparison import TimeVerdict
from pilotcli.analysis.query_times import whole_time_s
from pilotcli.analysis.statistics import LEAST_QUERIES, student_half
from pilotcli.analysis.verdicts import verdict_on
from pilotcli.common.records import EventKind, QueryResult
from pilotcli.common.sql_commands import command_of
from pilotcli.storage.journal import FiringRecord, JournalReader

MOST_RESULTS = 200_000
"""Runs with more results are not analysed."""
_UPDATES = (EventKind.PERIODIC_UPDATE, EventKind.PRETRAINING)


@dataclass(frozen=True, slots=True)
class UpdateEffect:
    """One update and the queries after it.

    `speedup` is their geometric mean: above 1, they are faster than before. `queries` counts those
    that also ran before; `verdict` is `unclear` for fewer than six of them.
    """

    event: str
    after_query: int
    fired_at: float
    versions: Sequence[str]
    """The versions of models that it saved: `corrections v3`."""
    queries: int
    speedup: float | None
    low: float | None
    high: float | None
    verdict: TimeVerdict


def update_effects(journal: JournalReader, run_id: int) -> list[UpdateEffect]:
    """Returns the updates of a run that went well, in their order; none for too many results."""
    firings = [
        firing
        for firing in journal.firings(run_id)
        if firing.kind in _UPDATES and firing.outcome == "ok" and firing.reason != "pretraining"
    ]
    if not firings or journal.statistics(run_id).total > MOST_RESULTS:
        return []
    skipped = {q.seq for q in journal.queries(run_id) if not command_of(q.command).compared}
    results = _timed(journal, run_id, skipped)
    baseline = _baseline(journal, run_id, skipped)
    saved: dict[tuple[str | None, int | None], list[str]] = {}
    for model in journal.models(run_id):
        saved.setdefault((model.event, model.query_seq), []).append(
            f"{model.model} v{model.version}"
        )
    firings.sort(key=lambda firing: firing.fired_at)
    starts = [result.started_at for result in results]
    places = [bisect_left(starts, firing.fired_at) for firing in firings]
    before: dict[int, QueryResult] = {}
    changes = []
    for number in range(len(firings)):
        first = places[number - 1] if number else 0
        before.update((result.seq, result) for result in results[first : places[number]])
        end = places[number + 1] if number + 1 < len(firings) else len(results)
        after = results[places[number] : end]
        changes.append([_change(before[r.seq], r, baseline) for r in after if r.seq in before])
    judged = sum(len(own) >= LEAST_QUERIES for own in changes)
    return [
        _effect(firing, own, judged, tuple(saved.get((firing.event, firing.after_query), ())))
        for firing, own in zip(firings, changes, strict=True)
    ]


def _timed(journal: JournalReader, run_id: int, skipped: set[int]) -> list[QueryResult]:
    results = [
        result
        for result in journal.results(run_id)
        if result.status in ("ok", "timeout") and result.seq not in skipped
    ]
    return sorted(results, key=lambda result: result.started_at)


def _baseline(
    journal: JournalReader, run_id: int, skipped: set[int]
) -> dict[tuple[int, int], float]:
    """Returns the baseline's seconds by query and round, for a driver's run that has one."""
    record = journal.run(run_id)
    if record.paired_with is None or record.arm != "driver":
        return {}
    return {
        (result.seq, result.round): whole_time_s(result)
        for result in _timed(journal, record.paired_with, skipped)
    }


def _effect(
    firing: FiringRecord, changes: Sequence[float], judged: int, versions: Sequence[str]
) -> UpdateEffect:
    """Judges one of `judged` updates by the logarithms of its queries' speed-ups."""
    speedup = low = high = None
    verdict: TimeVerdict = "unclear"
    if changes:
        middle = fmean(changes)
        speedup = math.exp(middle)
        if len(changes) >= LEAST_QUERIES:
            half = student_half(changes, judged)
            low, high = math.exp(middle - half), math.exp(middle + half)
        verdict = verdict_on(speedup, low, high)
    return UpdateEffect(
        event=firing.event,
        after_query=firing.after_query,
        fired_at=firing.fired_at,
        versions=versions,
        queries=len(changes),
        speedup=speedup,
        low=low,
        high=high,
        verdict=verdict,
    )


def _change(
    before: QueryResult, after: QueryResult, baseline: dict[tuple[int, int], float]
) -> float:
    """Returns the logarithm of the speed-up, without the drift that the baseline shows."""
    change = math.log(whole_time_s(before) / whole_time_s(after))
    old = baseline.get((before.seq, before.round))
    new = baseline.get((after.seq, after.round))
    return change if old is None or new is None else change - math.log(old / new)
