"""A comparison of two runs, as a terminal shows it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap

from pilotcli.analysis.comparison import Comparison, Costs, QueryComparison, whole_s
from pilotcli.analysis.wording import (
    alarms,
    counts_text,
    factor,
    interval,
    rounds_text,
    slowdown_text,
    training_text,
    verdict_text,
    whole_costs_s,
)
from pilotcli.views.console import err, out, wants_live
from pilotcli.views.layout import Column
from pilotcli.views.tables import UNLIMITED, show_table
from pilotcli.views.text import clean, clip, count, duration, joined, plural

__all__ = ["SORTS", "headline", "show_comparison", "show_headline", "show_more", "show_reasons"]

UNMATCHED_SHOWN = 5

SORTS: Mapping[str, Callable[[QueryComparison], tuple[float, int]]] = {
    "speedup": lambda one: (one.speedup if one.speedup is not None else 1e9, one.seq),
    "lost": lambda one: (-one.lost_s, one.seq),
    "time": lambda one: (-(one.a.mean_s or 0.0), one.seq),
    "query": lambda one: (0.0, one.seq),
}
"""Other orders than the comparison's own, by name."""


def show_comparison(
    comparison: Comparison,
    *,
    limit: int = 20,
    sort: str | None = None,
    answer_last: bool = False,
) -> None:
    """Write a comparison: what came of it, then the queries, those that need a look first. With
    `answer_last` the other way round, for whoever reads it from the end of a terminal."""
    if answer_last:
        _show_listed(comparison, limit, sort)
        out()
    _show_answer(comparison)
    if not answer_last:
        out()
        _show_listed(comparison, limit, sort)


def show_headline(comparison: Comparison) -> None:
    """Write only what has to be known first, and the total."""
    wide = shutil.get_terminal_size().columns if wants_live(sys.stdout) else UNLIMITED
    for line in headline(comparison):
        out(clip(line, wide))


def _show_answer(comparison: Comparison) -> None:
    show_headline(comparison)
    out()
    wide = shutil.get_terminal_size().columns if wants_live(sys.stdout) else UNLIMITED
    told = [*_facts(comparison).items(), *(("note", one) for one in comparison.warnings)]
    for name, text in told:
        line = f"{name:<10} {clean(text)}"
        for part in wrap(line, wide, subsequent_indent=" " * 11, break_on_hyphens=False):
            out(part)


def _show_listed(comparison: Comparison, limit: int, sort: str | None) -> None:
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


def show_more(comparison: Comparison, page: Path | None) -> None:
    """Write where there is more: the page that was written, and the commands."""
    run = comparison.run_a.run_id
    if page is not None:
        out(f"{'page':<10} {clean(page)}")
    slower = [one for one in comparison.queries if one.verdict == "slower"]
    query = slower[0].seq if slower else comparison.queries[0].seq if comparison.queries else 1
    out(f"{'more':<10} pilot runs compare {run}; pilot runs diff {run} --query {query}")


def show_reasons(reasons: Sequence[str]) -> None:
    """Write why a comparison fails, a line each, to standard error."""
    for reason in reasons:
        err(f"fails: {clean(reason)}")


def headline(comparison: Comparison) -> list[str]:
    """What has to be known first: wrong answers, failures and disasters before any average."""
    marks = ("WRONG", "FAILED", "SLOWER")
    kinds = ("other rows than the baseline", "failed, and not in the baseline", "slower by far")
    lines = []
    for words, queries in alarms(comparison):
        mark = marks[kinds.index(words)]
        names = [
            f"{clean(one.label)} {slowdown_text(one.speedup)}"
            if mark == "SLOWER"
            else clean(one.label)
            for one in queries[:3]
        ]
        more = f" and {len(queries) - 3} more" if len(queries) > 3 else ""
        lines.append(f"{mark:<9} {words.removeprefix('slower ')}: {', '.join(names)}{more}")
    a, b = comparison.run_a.run_id, comparison.run_b.run_id
    lines.append(f"run {a} against run {b}: {verdict_text(comparison.total)}")
    return lines


def _facts(comparison: Comparison) -> dict[str, str]:
    a, b = comparison.costs_a, comparison.costs_b
    rank = f", Wilcoxon p {comparison.p_value:.2g}" if comparison.p_value is not None else ""
    facts = {
        "rounds": rounds_text(comparison),
        "total": f"{duration(whole_costs_s(b))} → {duration(whole_costs_s(a))} a replay: "
        f"{verdict_text(comparison.total)}",
        "each query": f"{verdict_text(comparison.geometric)} (geometric mean{rank})",
        "queries": counts_text(comparison),
        "answers": _answers(comparison),
    }
    if a.training_s or b.training_s:
        facts["training"] = training_text(comparison)
    # The table calls the two so, whatever they were called when they were asked for.
    for title, only in (("only run", comparison.only_a), ("only base", comparison.only_b)):
        if only:
            labels = ", ".join(clean(one.label) for one in only[:UNMATCHED_SHOWN])
            more = f" and {len(only) - UNMATCHED_SHOWN} more" if len(only) > UNMATCHED_SHOWN else ""
            facts[title] = f"{labels}{more}"
    return facts


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
    parts = [("all of it", whole_costs_s(b) + b.collection_s, whole_costs_s(a) + a.collection_s)]
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
