"""The values that handlers have logged for a query, beside what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import count, duration, number, plural
from pilotcli.common.records import LoggedValue, QueryResult

VALUES_SHOWN = 4
_PREDICTIONS = ("predicted", "expected", "estimated")


def logged_lines(results: Sequence[QueryResult]) -> list[str]:
    """Returns what was logged for one query in its executions `results`, a line for each name.

    A prediction of seconds (`predicted_s`) or rows (`predicted_rows`) stands beside the measured
    ones, each the mean over the executions. Other values that differ are counted.
    """
    names = dict.fromkeys(name for result in results for name in result.logged or {})
    return [f"{name}: {_text(name, results)}" for name in names]


def _text(name: str, results: Sequence[QueryResult]) -> str:
    with_value = [result for result in results if name in (result.logged or {})]
    values = [result.logged[name] for result in with_value if result.logged is not None]
    numbers = [
        float(value)
        for value in values
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    what, _, unit = name.rpartition("_")
    if len(numbers) == len(values) and unit in ("s", "rows") and what in _PREDICTIONS:
        return _prediction(unit, numbers, with_value)
    if unit == "s" and len(numbers) == len(values):
        return duration(fmean(numbers))
    counts = Counter(_shown(value) for value in values)
    if len(counts) == 1:
        return next(iter(counts))
    if len(counts) > VALUES_SHOWN and len(numbers) == len(values):
        return f"{number(min(numbers))} to {number(max(numbers))}, mean {number(fmean(numbers))}"
    shown = [f"{text} ({count(times)}x)" for text, times in counts.most_common(VALUES_SHOWN)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {plural(more, 'other value')}" if more else "")


def _prediction(unit: str, numbers: Sequence[float], results: Sequence[QueryResult]) -> str:
    """Returns a prediction beside what came in the executions that ended well."""
    predicted = fmean(numbers)
    came = [
        result.elapsed_s if unit == "s" else result.row_count
        for result in results
        if result.ok and (unit == "s" or result.row_count is not None)
    ]
    measured = fmean(value for value in came if value is not None) if came else None
    text = duration(predicted) if unit == "s" else f"{predicted:,.0f}"
    if measured is None:
        return text
    text += f", measured {duration(measured) if unit == 's' else f'{measured:,.0f}'}"
    if predicted <= 0 or measured <= 0:
        return text
    high = predicted >= measured
    ratio = predicted / measured if high else measured / predicted
    return f"{text}: {factor(ratio)} too {'high' if high else 'low'}" if ratio >= 1.1 else text


def _shown(value: LoggedValue) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value)
