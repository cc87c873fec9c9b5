"""The orders in which the queries of a comparison can be listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pilotcli.analysis.comparison import Comparison, QueryComparison, QueryTimes, whole_s
from pilotcli.common.errors import UsageError
from pilotcli.common.suggestions import did_you_mean

_Key = Callable[[QueryComparison], float | str | None]

SORTS: Mapping[str, _Key] = {
    "speedup": lambda query: query.speedup,
    "saved": lambda query: None if query.speedup is None else -query.lost_s,
    "lost": lambda query: None if query.speedup is None else query.lost_s,
    "time": lambda query: _time(query.a),
    "baseline": lambda query: _time(query.b),
    "label": lambda query: query.label,
    "verdict": lambda query: query.verdict,
    "query": lambda query: query.seq,
}
"""What queries can be sorted by, the least first; None stands last in both directions."""


def ordered(queries: Sequence[QueryComparison], sort: str | None) -> list[QueryComparison]:
    """Returns the queries sorted by a name of `SORTS`, with `-` in front of it the largest first;
    without a name as they are. Raises `UsageError` for another name."""
    if sort is None:
        return list(queries)
    key = SORTS.get(sort.removeprefix("-"))
    if key is None:
        raise UsageError(
            f"nothing can be sorted by {sort!r}", hint=did_you_mean(sort.lstrip("-"), SORTS)
        )
    known = [query for query in queries if key(query) is not None]
    known.sort(key=lambda query: query.seq)
    known.sort(key=key, reverse=sort.startswith("-"))  # type: ignore[arg-type]
    return known + [query for query in queries if key(query) is None]


def most_hurt(comparison: Comparison, most: int) -> list[QueryComparison]:
    """Returns the queries that need a look, at most `most` of them, the worst first: those with
    other rows, those that failed, those that are slower. Where no query is slower beyond the noise,
    those that were measured to be slower."""
    sure = [
        query
        for query in comparison.queries
        if query.answers == "different" or query.verdict in ("failed", "slower")
    ]
    unclear = (query for query in comparison.queries if query.verdict == "unclear")
    measured = [query for query in unclear if query.speedup and query.speedup < 1]
    return (sure or ordered(measured, "saved"))[:most]


def most_helped(comparison: Comparison, most: int) -> list[QueryComparison]:
    """Returns the queries that gain, at most `most` of them, what gains most first: those that no
    longer fail, and those that are faster. Where no query is faster beyond the noise, those that
    were measured to be faster."""
    right = [query for query in comparison.queries if query.answers != "different"]
    sure = [query for query in right if query.verdict == "mended"]
    sure += ordered([query for query in right if query.verdict == "faster"], "-saved")
    unclear = (query for query in right if query.verdict == "unclear")
    measured = [query for query in unclear if query.speedup and query.speedup > 1]
    return (sure or ordered(measured, "-saved"))[:most]


def _time(times: QueryTimes) -> float | None:
    return None if times.mean_s is None else whole_s(times)
