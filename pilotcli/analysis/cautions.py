"""What to keep in mind about a comparison: what the runs lack, and what drivers knew before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pilotcli.analysis.compared_runs import ComparedRun
from pilotcli.analysis.comparison import QueryComparison
from pilotcli.common.quantities import plural
from pilotcli.storage.journal import RunRecord


def warnings_about(
    a: ComparedRun, b: ComparedRun, queries: Sequence[QueryComparison], *, paired: bool
) -> Iterator[str]:
    """Yields what to keep in mind about the comparison of run A with the baseline B."""
    fewest = min(a.rounds, b.rounds)
    if not paired:
        yield (
            "the two runs did not take turns: what the machine did differently meanwhile counts "
            "as a difference (pilot run --against measures both together)"
        )
    if fewest < 2:
        yield "one round: nothing separates noise from difference in one query (--rounds 3)"
    for run in (a.record, b.record):
        if run.outcome in ("interrupted", "killed"):
            yield f"run {run.run_id} is not complete: it was {run.outcome}"
    failed = sum(bool(query.a.failed or query.b.failed) for query in queries)
    if failed:
        counts = "counts" if failed == 1 else "count"
        noun = plural(failed, "query", "queries")
        yield f"{noun} failed in one of the runs or in both, and {counts} in neither time"
    timeouts = sum(bool(query.a.timeouts or query.b.timeouts) for query in queries)
    if timeouts:
        noun = plural(timeouts, "query", "queries")
        yield f"{noun} ran into the time-out, which counts as twice its limit (PAR2)"
    if a.saved_late:
        yield (
            f"the driver saved {plural(a.saved_late, 'version')} of models between the rounds that "
            "are compared: what it learned there counts as noise (--learn lets it learn before)"
        )
    if a.same == len(queries):
        apart = any(a.record.options.get(key) for key in ("learn_on", "split", "folds"))
        hint = "" if apart else " (--learn-on FILE, --split 80/20)"
        yield (
            "the driver learned from these same queries: nothing here says what it is worth on "
            f"others{hint}"
        )
    elif a.same:
        yield f"the driver learned from {a.same} of the {len(queries)} compared queries"
    if a.alike:
        yield (
            f"{a.alike} of the {len(queries)} compared queries differ in their values only from "
            "queries that the driver learned from (--split 80/20 --split-by template keeps "
            "them together)"
        )
    if a.learned and not a.saved_before and _has_models(a.record):
        yield (
            "no model was saved while the driver learned: what it does here, it does without "
            "having learned anything (when its events fire: pilot events plan)"
        )
    if a.failed_trainings:
        yield (
            f"{a.failed_trainings} of {plural(a.trainings, 'training')} of models failed: the "
            f"driver knows less than it could have learned (pilot runs show {a.record.run_id})"
        )
    if a.trained_before:
        yield "a model was trained before this run, which its training time does not have"


def _has_models(run: RunRecord) -> bool:
    return bool(json.loads(run.config_text or "{}").get("models"))
