"""Gates: the conditions under which a comparison fails, as `--fail-if` states them.

Only what is outside the noise fails: a slow-down counts when its verdict is `slower`, and then by
how much was measured; a speed-up below a limit, when its whole interval lies below. Where no query
ran well in both there is nothing to pass by, and what looks at the whole fails.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pilotcli.analysis.comparison import Comparison, Effect, QueryComparison
from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import listed
from pilotcli.common.suggestions import did_you_mean

GATE_EXIT_CODE = 5
LABELS_SHOWN = 3

METRICS = {
    "total.slowdown": "how much longer the whole workload takes",
    "total.speedup": "baseline's time by the run's, for the whole workload",
    "geometric.slowdown": "as total.slowdown, by the geometric mean: each query counts alike",
    "geometric.speedup": "as total.speedup, by the geometric mean",
    "any.slowdown": "how much longer any one query takes",
    "any.timeouts": "queries that run into their time-out in the run, and not in the baseline",
    "results.differ": "queries that give other rows",
    "queries.slower": "queries that are slower",
    "queries.faster": "queries that are faster",
    "queries.failed": "queries that fail in the run, and not in the baseline",
    "queries.unmatched": "queries that only one of the two has",
}
"""What a gate may look at, in words."""
_BARE = frozenset({"results.differ", "any.timeouts", "queries.failed", "queries.unmatched"})
"""Metrics without a limit: one query is enough to fail."""
_NOTHING = "nothing could be measured: no query ran well in both"
_WANTED = frozenset({"queries.faster"})
"""Good numbers: only too few of them are a failure."""
_FORM = re.compile(
    r"\s*(?P<metric>[a-z]+\.[a-z]+)\s*(?:(?P<sign>>=|<=|>|<)\s*(?P<number>\d+(?:\.\d+)?)\s*"
    r"(?P<unit>%|x)?)?\s*"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: `metric` `sign` `limit`. Slow-downs are shares (0.05 for 5 %), speed-ups
    factors, all else numbers. `text` is the condition as it was written."""

    text: str
    metric: str
    sign: str
    limit: float


def parse_gate(text: str) -> Gate:
    """Read a gate as it is written: `total.slowdown > 5%`, `any.slowdown > 1.5x`,
    `total.speedup < 1.2`, `results.differ`, `queries.slower > 3`.

    Raises `UsageError` for anything else.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--fail-if {text!r} is no condition",
            hint="Write for instance: --fail-if 'total.slowdown > 5%' or --fail-if results.differ",
        )
    metric, sign, number, unit = found["metric"], found["sign"], found["number"], found["unit"]
    if metric not in METRICS:
        hint = did_you_mean(metric, list(METRICS), listed="There are")
        raise UsageError(f"--fail-if {text!r}: there is no {metric}", hint=hint)
    kind = metric.partition(".")[2]
    if sign is None:
        if metric not in _BARE:
            raise UsageError(
                f"--fail-if {text!r} has no limit", hint=f"Write for instance: {_example(metric)}"
            )
        return Gate(text.strip(), metric, ">", 0.0)
    wrong_sign = sign[0] == (">" if metric in _WANTED or kind == "speedup" else "<")
    wrong_unit = unit is not None and not (
        kind == "slowdown" or (kind == "speedup" and unit == "x")
    )
    if wrong_sign or wrong_unit:
        what = f"{metric} {sign}" if wrong_sign else f"{unit} of {metric}"
        raise UsageError(
            f"--fail-if {text!r}: {what} says nothing about a failure",
            hint=f"Write for instance: {_example(metric)}",
        )
    limit = float(number)
    if kind == "slowdown" and unit is None and limit >= 1:
        raise UsageError(
            f"--fail-if {text!r}: {number} without a unit stands for {limit:.0%}",
            hint=f"Write '{metric} {sign} {number}%', or '{metric} {sign} {limit:.0%}'.",
        )
    if kind == "slowdown" and unit == "x" and limit < 1:
        raise UsageError(
            f"--fail-if {text!r}: {number} times as long is no slow-down",
            hint=f"Write for instance: --fail-if '{metric} > 1.05x'",
        )
    if kind == "slowdown":
        limit = limit / 100 if unit == "%" else limit - 1 if unit == "x" else limit
    return Gate(text.strip(), metric, sign, limit)


def _example(metric: str) -> str:
    limits = {"slowdown": "> 5%", "speedup": "< 1.2", "faster": "< 3"}
    limit = limits.get(metric.partition(".")[2], "> 3")
    return f"--fail-if '{metric} {limit}'"


def failed_gates(comparison: Comparison | None, gates: Iterable[Gate]) -> list[tuple[Gate, str]]:
    """The gates that did not hold, each with a line that says why. `comparison` is None where no
    query ran in both."""
    found = []
    for gate in gates:
        reason = _reason(comparison, gate)
        if reason is not None:
            found.append((gate, f"{gate.text}: {reason}"))
    return found


def gate_reasons(reasons: Iterable[str]) -> list[str]:
    """Returns those of a run's reasons that come from `failed_gates`."""
    found = []
    for reason in reasons:
        text, colon, _ = reason.partition(": ")
        form = _FORM.fullmatch(text)
        if colon and form is not None and form["metric"] in METRICS:
            found.append(reason)
    return found


def _reason(comparison: Comparison | None, gate: Gate) -> str | None:
    part, _, kind = gate.metric.partition(".")
    if part == "any" and kind == "slowdown":
        return None if comparison is None else _any_slower(comparison, gate)
    if kind in ("slowdown", "speedup"):
        if comparison is None:
            return _NOTHING
        effect = comparison.total if part == "total" else comparison.geometric
        return _of_effect(effect, gate, kind)
    queries = () if comparison is None else _counted(comparison, gate.metric)
    if not _SIGNS[gate.sign](len(queries), gate.limit):
        return None
    return f"{len(queries)} ({listed(queries, LABELS_SHOWN)})" if queries else "0"


def _of_effect(effect: Effect, gate: Gate, kind: str) -> str | None:
    if effect.speedup is None:
        return _NOTHING
    if effect.low is None or effect.high is None:
        return None
    holds = _SIGNS[gate.sign]
    interval = f"({effect.confidence:.0%} interval {effect.low:.2f}x to {effect.high:.2f}x)"
    if kind == "speedup":
        if not holds(effect.high, gate.limit):
            return None
        return f"it is {effect.speedup:.2f}x {interval}"
    slowdown = 1 / effect.speedup - 1
    if effect.verdict != "slower" or not holds(slowdown, gate.limit):
        return None
    return f"it is {_by(slowdown)} slower, a speed-up of {effect.speedup:.2f}x {interval}"


def _any_slower(comparison: Comparison, gate: Gate) -> str | None:
    slower = [
        (1 / query.speedup - 1, query.label)
        for query in comparison.queries
        if query.verdict == "slower"
        and query.speedup
        and _SIGNS[gate.sign](1 / query.speedup - 1, gate.limit)
    ]
    if not slower:
        return None
    labels = [f"{label} by {_by(slowdown)}" for slowdown, label in sorted(slower, reverse=True)]
    return f"slower: {listed(labels, LABELS_SHOWN)}"


def _by(slowdown: float) -> str:
    return f"{slowdown:.1%}" if slowdown < 1 else f"a factor of {slowdown + 1:.1f}"


def _counted(comparison: Comparison, metric: str) -> Sequence[str]:
    def chosen(wanted: Callable[[QueryComparison], bool]) -> list[str]:
        return [query.label for query in comparison.queries if wanted(query)]

    if metric == "results.differ":
        return chosen(lambda query: query.answers == "different")
    if metric == "any.timeouts":
        return chosen(lambda query: bool(query.a.timeouts) and not query.b.timeouts)
    if metric == "queries.unmatched":
        return [query.label for query in (*comparison.only_a, *comparison.only_b)]
    verdict = metric.partition(".")[2]
    return chosen(lambda query: query.verdict == verdict)
