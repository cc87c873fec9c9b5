"""A comparison of two runs, as a terminal shows it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence

from pilotcli.analysis.comparison import Comparison, Costs, Effect, QueryComparison, whole_s
from pilotcli.views.console import err, out, wants_live
from pilotcli.views.layout import Column
from pilotcli.views.tables import UNLIMITED, show_table
from pilotcli.views.text import MISSING, clean, clip, count, duration, joined, plural

__all__ = ["SORTS", "factor", "interval", "show_comparison", "show_reasons"]

BAD_SPEEDUP = 0.5
"""A query that is slower than this is told before anything else."""
UNMATCHED_SHOWN = 5

SORTS: Mapping[str, Callable[[QueryComparison], tuple[float, int]]] = {
    "speedup": lambda one: (one.speedup if one.speedup is not None else 1e9, one.seq),
    "lost": lambda one: (-one.lost_s, one.seq),
    "time": lambda one: (-(one.a.mean_s or 0.0), one.seq),
    "query": lambda one: (0.0, one.seq),
}
"""Other orders than the comparison's own, by name."""


def show_comparison(comparison: Comparison, *, limit: int = 20, sort: str | None = None) -> None:
    """Write a comparison: what came of it, then the queries, those that need a look first."""
    wide = shutil.get_terminal_size().columns if wants_live(sys.stdout) else UNLIMITED
    for line in headline(comparison):
        out(clip(line, wide))
    out()
    for name, text in _facts(comparison).items():
        out(f"{name:<10} {clean(text)}")
    for warning in comparison.warnings:
        out(f"{'note':<10} {clean(warning)}")
    out()
    _show_parts(comparison.costs_a, comparison.costs_b)
    queries = list(comparison.queries)
    if sort is not None:
        queries.sort(key=SORTS[sort])
    if not queries or not limit:
        return
    out()
    _show_queries(queries[:limit])
    if len(queries) > limit:
        out(f"… {plural(len(queries) - limit, 'more query', 'more queries')} (--limit)")


def show_reasons(reasons: Sequence[str]) -> None:
    """Write why a comparison fails, a line each, to standard error."""
    for reason in reasons:
        err(f"fails: {clean(reason)}")


def headline(comparison: Comparison) -> list[str]:
    """What has to be known first: wrong answers, failures and disasters before any average."""
    lines = []
    if comparison.different:
        lines.append(f"WRONG     other rows than the baseline: {_named(comparison.different)}")
    failed = [one for one in comparison.queries if one.verdict == "failed"]
    if failed:
        lines.append(f"FAILED    in the driver's run only: {_named(failed)}")
    worst = [
        one
        for one in comparison.queries
        if one.verdict == "slower" and one.speedup is not None and one.speedup < BAD_SPEEDUP
    ]
    if worst:
        told = [f"{clean(one.label)} {1 / one.speedup:.1f}x" for one in worst[:3] if one.speedup]
        more = f" and {len(worst) - 3} more" if len(worst) > 3 else ""
        lines.append(f"SLOWER    by far: {', '.join(told)}{more}")
    a, b = comparison.run_a.run_id, comparison.run_b.run_id
    lines.append(f"run {a} against run {b}: {verdict_text(comparison.total)}")
    return lines


def verdict_text(effect: Effect) -> str:
    """A speed-up in words, with its interval."""
    words = {
        "faster": f"{factor(effect.speedup)} faster",
        "slower": f"{_slowdown(effect.speedup)} slower",
        "same": f"the same within the noise ({factor(effect.speedup)})",
    }
    told = words.get(effect.verdict, f"unclear ({factor(effect.speedup)} measured)")
    around = interval(effect.low, effect.high)
    return f"{told}, {effect.confidence:.0%} interval {around}" if around else told


def factor(speedup: float | None) -> str:
    """A speed-up: `1.25x`."""
    if speedup is None:
        return MISSING
    return f"{speedup:,.0f}x" if speedup >= 99.5 else f"{speedup:.3g}x"


def interval(low: float | None, high: float | None) -> str:
    """An interval of speed-ups, empty where there is none."""
    return f"{factor(low)} to {factor(high)}" if low is not None and high is not None else ""


def _slowdown(speedup: float | None) -> str:
    if not speedup:
        return MISSING
    share = 1 / speedup - 1
    return f"{share:.0%}" if share < 1 else f"{1 / speedup:.3g}x"


def _facts(comparison: Comparison) -> dict[str, str]:
    a, b = comparison.costs_a, comparison.costs_b
    paired = "took turns" if comparison.paired else "one after the other"
    rounds = comparison.rounds_a
    if rounds != comparison.rounds_b:
        told_rounds = f"{rounds} and {comparison.rounds_b} rounds"
    else:
        told_rounds = plural(rounds, "round")
    rank = f", Wilcoxon p {comparison.p_value:.2g}" if comparison.p_value is not None else ""
    verdicts = {
        "faster": "faster",
        "slower": "slower",
        "same": "same within noise",
        "unclear": "unclear",
        "failed": "failed",
        "mended": "no longer failing",
    }
    counted = [
        f"{count(number)} {word}"
        for verdict, word in verdicts.items()
        if (number := comparison.count(verdict))  # type: ignore[arg-type]
    ]
    facts = {
        "rounds": f"{told_rounds}, {paired}",
        "total": f"{duration(_whole(b))} → {duration(_whole(a))} a replay: "
        f"{verdict_text(comparison.total)}",
        "each query": f"{verdict_text(comparison.geometric)} (geometric mean{rank})",
        "queries": f"{count(len(comparison.queries))}: {joined(counted)}",
        "answers": _answers(comparison),
    }
    if a.training_s or b.training_s:
        facts["training"] = _training(comparison)
    for title, only in (("only in A", comparison.only_a), ("only in B", comparison.only_b)):
        if only:
            labels = ", ".join(clean(one.label) for one in only[:UNMATCHED_SHOWN])
            more = f" and {len(only) - UNMATCHED_SHOWN} more" if len(only) > UNMATCHED_SHOWN else ""
            facts[title] = f"{labels}{more}"
    return facts


def _whole(costs: Costs) -> float:
    return costs.query_s + costs.inference_s + costs.steering_s


def _answers(comparison: Comparison) -> str:
    counts = {
        word: sum(one.answers == word for one in comparison.queries)
        for word in ("same", "different", "undetermined", "unknown")
    }
    words = {
        "same": "the same",
        "different": "DIFFERENT",
        "undetermined": "not determined by their query",
        "unknown": "not known",
    }
    return joined([f"{count(counts[word])} {words[word]}" for word in words if counts[word]])


def _show_parts(a: Costs, b: Costs) -> None:
    """What the time of a replay went into, in both."""
    parts = [("all of it", _whole(b) + b.collection_s, _whole(a) + a.collection_s)]
    parts.append(("  queries", b.query_s, a.query_s))
    for name, one, other in (
        ("    planning", b.planning_s, a.planning_s),
        ("    execution", b.execution_s, a.execution_s),
        ("  inference", b.inference_s, a.inference_s),
        ("  steering", b.steering_s, a.steering_s),
        ("  collection", b.collection_s, a.collection_s),
    ):
        if one or other:
            parts.append((name, one or 0.0, other or 0.0))
    columns = (Column("A REPLAY"), Column("BASELINE", right=True), Column("RUN", right=True))
    show_table(columns, [(name, duration(one), duration(other)) for name, one, other in parts])


def _training(comparison: Comparison) -> str:
    told = f"{duration(comparison.costs_a.training_s)} in this run"
    if comparison.trained_speedup is not None:
        told += f"; with it {factor(comparison.trained_speedup)}"
    if comparison.payback is None:
        return f"{told}; it does not pay back: nothing is gained"
    replays = comparison.payback
    shown = f"{replays:,.0f}" if replays >= 9.5 else f"{replays:.1f}"
    return f"{told}; pays back after {shown} replays of this workload"


def _named(queries: Sequence[QueryComparison]) -> str:
    more = f" and {len(queries) - 3} more" if len(queries) > 3 else ""
    return ", ".join(clean(one.label) for one in queries[:3]) + more


def _show_queries(queries: Sequence[QueryComparison]) -> None:
    columns = (
        Column("QUERY", right=True),
        Column("LABEL", least=10, flexible=True),
        Column("VERDICT"),
        Column("SPEED-UP", right=True),
        Column("INTERVAL", drop=2),
        Column("BASELINE", right=True, drop=1),
        Column("RUN", right=True, drop=1),
        Column("ANSWERS", drop=3),
        Column("PLAN", drop=4),
        Column("ERROR", least=10, flexible=True, drop=5),
    )
    rows = [
        (
            str(one.seq),
            one.label,
            one.verdict + ("!" if one.certain and one.verdict == "slower" else ""),
            factor(one.speedup),
            interval(one.low, one.high),
            _mean(one, "b"),
            _mean(one, "a"),
            one.answers,
            {None: "", True: "another", False: "same"}[one.plan_changed],
            one.a.error or one.b.error or "",
        )
        for one in queries
    ]
    kept = [place for place, _ in enumerate(columns) if place < 9 or any(row[9] for row in rows)]
    show_table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])


def _mean(one: QueryComparison, arm: str) -> str:
    times = one.a if arm == "a" else one.b
    if times.mean_s is None:
        return "failed"
    told = duration(whole_s(times))
    return f"{told} T" if times.timeouts else told
