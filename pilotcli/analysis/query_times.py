"""The times of a query in one run: what an execution counts, and the means over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median

from pilotcli.analysis.comparison import QueryTimes
from pilotcli.analysis.statistics import Sample
from pilotcli.common.records import QueryResult

TIMEOUT_FACTOR = 2.0
"""PAR2: a time-out counts as twice its limit (penalised average runtime, as in the SAT and
algorithm-selection competitions)."""
LEAST_TIME_S = 1e-7


def times_of(results: Sequence[QueryResult]) -> QueryTimes:
    """Returns the times of a query in one run, which are those of `results`, one at least."""
    timed = [result for result in results if result.status in ("ok", "timeout")]
    errors = [result for result in results if result.status not in ("ok", "timeout")]
    values = [_penalised_s(result) for result in timed]
    return QueryTimes(
        seq=results[0].seq,
        executions=len(results),
        ok=sum(result.ok for result in results),
        timeouts=sum(result.status == "timeout" for result in results),
        failed=len(errors),
        mean_s=fmean(values) if values else None,
        median_s=median(values) if values else None,
        planning_s=of_known(fmean, (result.planning_s for result in timed)),
        execution_s=of_known(fmean, (result.execution_s for result in timed)),
        inference_s=of_known(fmean, (result.inference_s for result in timed)) or 0.0,
        steering_s=of_known(fmean, (result.steering_s for result in timed)) or 0.0,
        collection_s=of_known(fmean, (result.collection_s for result in timed)) or 0.0,
        row_count=next((result.row_count for result in reversed(results) if result.ok), None),
        error=next((result.error for result in errors if result.error), None),
    )


def _penalised_s(result: QueryResult) -> float:
    return result.elapsed_s * (TIMEOUT_FACTOR if result.status == "timeout" else 1.0)


def whole_time_s(result: QueryResult) -> float:
    """Returns the seconds that one execution counts: the user's wait, a time-out twice (PAR2)."""
    whole = _penalised_s(result) + result.inference_s + result.steering_s
    return max(whole, LEAST_TIME_S)


def sample_of(a: Sequence[QueryResult], b: Sequence[QueryResult], paired: bool) -> Sample:
    """Returns the whole times of a query: of the rounds that both have, where they are pairs."""
    if paired:
        by_round = {result.round: result for result in b}
        both = [(result, by_round[result.round]) for result in a if result.round in by_round]
        if both:
            a, b = zip(*both, strict=True)
    return Sample(list(map(whole_time_s, a)), list(map(whole_time_s, b)))


def of_known(total: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    """Returns the `total`, a sum or a mean, of the known values; None without any."""
    found = [value for value in values if value is not None]
    return total(found) if found else None
