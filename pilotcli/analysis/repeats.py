"""The executions of each query of one run, as figures: how long it takes, and how steadily."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median, stdev

from pilotcli.common.records import QueryResult


@dataclass(frozen=True, slots=True)
class QueryRepeats:
    """A query's times in seconds over its executions that ended `ok` or at their time-out.

    A time-out counts as long as it took. The times are those of the client, without the driver's
    inference and steering (`elapsed_s`). `executions` counts all, `timed` those with a time; the
    figures are None without any, and the standard deviation (of the sample) with only one.
    """

    seq: int
    label: str
    executions: int
    timed: int
    mean_s: float | None
    median_s: float | None
    deviation_s: float | None
    least_s: float | None
    most_s: float | None


def repeats_of(results: Iterable[QueryResult], after_round: int = 0) -> dict[int, QueryRepeats]:
    """Returns the figures of each query of a run by its number, in the order of the numbers.

    Only rounds after `after_round` count; round 0 is warm-up. Needs eight bytes for each execution.
    """
    times: dict[int, array[float]] = {}
    counts: dict[int, int] = {}
    labels: dict[int, str] = {}
    for result in results:
        if result.round <= after_round:
            continue
        labels[result.seq] = result.label
        counts[result.seq] = counts.get(result.seq, 0) + 1
        own = times.setdefault(result.seq, array("d"))
        if result.status in ("ok", "timeout"):
            own.append(result.elapsed_s)
    return {seq: _figures(seq, labels[seq], counts[seq], times[seq]) for seq in sorted(counts)}


def _figures(seq: int, label: str, executions: int, times: array[float]) -> QueryRepeats:
    some = len(times) > 0
    return QueryRepeats(
        seq=seq,
        label=label,
        executions=executions,
        timed=len(times),
        mean_s=fmean(times) if some else None,
        median_s=median(times) if some else None,
        deviation_s=stdev(times) if len(times) > 1 else None,
        least_s=min(times, default=None),
        most_s=max(times, default=None),
    )
