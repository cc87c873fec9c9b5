"""A comparison of two runs, as a terminal shows it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from pilotcli.analysis import wording
from pilotcli.analysis.comparison import (
    Answers,
    Comparison,
    Costs,
    QueryComparison,
    QueryTimes,
    whole_s,
)
from pilotcli.analysis.ordering import most_helped, most_hurt
from pilotcli.common.quantities import count, duration, listed, plural
from pilotcli.views.console import columns, err, out
from pilotcli.views.layout import Column
from pilotcli.views.tables import show_items, show_table
from pilotcli.views.text import clean, clip, joined

UNMATCHED_SHOWN = 5

ENDS_SHOWN = 5
"""The most hurt queries that are listed by default, and the most helped."""
REASONS_SHOWN = 2
"""Reasons why a query is slower that stand below it."""


def show_comparison(
    comparison: Comparison,
    *,
    limit: int | None = None,
    answer_last: bool = False,
) -> None:
    """Write a comparison: its result, then its first `limit` queries in their order, or with None
    those that are hurt and helped most. With `answer_last` the other way round, for reading it from
    the end of a terminal."""
    if not answer_last:
        _show_answer(comparison)
        out()
    _show_parts(comparison.costs_a, comparison.costs_b)
    _show_listed(comparison, limit, "" if not answer_last else _command(comparison))
    if answer_last:
        out()
        _show_answer(comparison)


def show_headline(comparison: Comparison) -> None:
    """Write only what the reader must know first, and the total."""
    for line in headline(comparison):
        out(clip(line, columns()))


def _show_answer(comparison: Comparison) -> None:
    if comparison.differences:
        _show_facts([("differs", text) for text in comparison.differences])
        out()
    show_headline(comparison)
    out()
    notes = (("note", text) for text in _notes(comparison))
    _show_facts([*_facts(comparison).items(), *notes])


def _notes(comparison: Comparison) -> list[str]:
    mostly_unclear = comparison.count("unclear") > len(comparison.queries) / 2
    return [*comparison.warnings, *[wording.unclear_text(comparison)] * mostly_unclear]


def show_shared(comparisons: Sequence[Comparison]) -> None:
    """Write what is to know about the comparisons of one run with several others: the answers, what
    was learned, what the training took, and notes. What is about some of the runs only is said with
    them."""
    facts = [_facts(found) for found in comparisons]
    told = [
        (name, [[own[name]] if name in own else [] for own in facts])
        for name in ("answers", "learned", "training")
    ]
    told.append(("note", list(map(_notes, comparisons))))
    for name, by_run in told:
        for text in dict.fromkeys(itertools.chain.from_iterable(by_run)):
            about = [found for found, own in zip(comparisons, by_run, strict=True) if text in own]
            runs = listed([_title(found) for found in about], len(about))
            whole = len(about) == len(comparisons)
            _show_facts([(name, text if whole else f"{runs}: {text}")])


def _show_facts(facts: Sequence[tuple[str, str]]) -> None:
    for name, text in facts:
        line = f"{name:<10} {clean(text)}"
        for part in wrap(line, columns(), subsequent_indent=" " * 11, break_on_hyphens=False):
            out(part)


def _command(comparison: Comparison) -> str:
    return f"pilot runs compare {comparison.run_a.run_id} "


def _show_listed(comparison: Comparison, limit: int | None, command: str) -> None:
    queries = comparison.queries
    if limit is None:
        shown = _show_ends(comparison)
    else:
        shown = min(limit, len(queries))
        if shown:
            out()
            _show_queries(queries[:shown])
    left_out = len(queries) - shown
    if left_out and limit != 0:
        more = plural(left_out, "more query", "more queries")
        text = f"… and {more}" if shown else plural(left_out, "query", "queries")
        out(f"{chr(10) if limit is None else ''}{text}: {command}--all")


def _show_ends(comparison: Comparison) -> int:
    """Write the queries that are hurt most and those that are helped most; returns how many."""
    shown = 0
    for word, comparative, queries in (
        ("hurt", "slower", most_hurt(comparison, ENDS_SHOWN)),
        ("helped", "faster", most_helped(comparison, ENDS_SHOWN)),
    ):
        if not queries:
            continue
        unsure = all(query.verdict == "unclear" for query in queries)
        out()
        out(f"measured to be {comparative}, which may be noise" if unsure else f"most {word}")
        _show_queries(queries)
        shown += len(queries)
    return shown


def show_more(comparison: Comparison, page: Path | None) -> None:
    """Write where there is more: the page that was written, and the commands."""
    run = comparison.run_a.run_id
    if page is not None:
        out(f"{'page':<10} {clean(page)}")
    slower = [found for found in comparison.queries if found.verdict == "slower"]
    query = slower[0].seq if slower else comparison.queries[0].seq if comparison.queries else 1
    out(f"{'more':<10} pilot runs compare {run}; pilot runs diff {run} --query {query}")


def show_reasons(reasons: Sequence[str]) -> None:
    """Write why a comparison fails, a line each, to standard error."""
    for reason in reasons:
        err(f"fails: {clean(reason)}")


def headline(comparison: Comparison) -> list[str]:
    """What the reader must know first: wrong answers and failures before any average."""
    marks = {
        "other rows than the baseline": "WRONG",
        "failed, and not in the baseline": "FAILED",
        "slower by far": "SLOWER",
    }
    lines = []
    for words, queries in wording.alarms(comparison):
        mark = marks[words]
        names = wording.names_text(queries, 3, clean, " {}" if mark == "SLOWER" else "")
        lines.append(f"{mark:<9} {words.removeprefix('slower ')}: {names}")
    part = "" if comparison.part is None else ", a part of the workload"
    lines.append(f"{_title(comparison)}{part}: {wording.verdict_text(comparison.total)}")
    return lines


def _title(comparison: Comparison) -> str:
    if comparison.folds:
        folds = plural(len(comparison.folds), "fold")
        every = "all " if comparison.part is None else ""
        return f"{every}{folds} of run {comparison.run_a.run_id}"
    return f"run {comparison.run_a.run_id} against run {comparison.run_b.run_id}"


def _facts(comparison: Comparison) -> dict[str, str]:
    a, b = comparison.costs_a, comparison.costs_b
    rank = f", Wilcoxon p {comparison.p_value:.2g}" if comparison.p_value is not None else ""
    facts = {} if comparison.part is None else {"part": comparison.part}
    facts |= {
        "rounds": wording.rounds_text(comparison),
        "total": f"{duration(b.whole_s)} → {duration(a.whole_s)} a replay: "
        f"{wording.verdict_text(comparison.total)}",
        "each query": f"{wording.verdict_text(comparison.geometric)} (geometric mean{rank})",
        "queries": wording.counts_text(comparison),
        "answers": _answers(comparison),
    }
    if comparison.learning is not None:
        facts["learned"] = wording.learning_text(comparison)
    if a.training_s or b.training_s:
        facts["training"] = wording.training_text(comparison)
    # The table calls the two so, whatever they were called when they were asked for.
    for title, only in (("only run", comparison.only_a), ("only base", comparison.only_b)):
        if only:
            facts[title] = listed([clean(found.label) for found in only], UNMATCHED_SHOWN)
    return facts


def _answers(comparison: Comparison) -> str:
    counts = Counter(found.answers for found in comparison.queries)
    words: dict[Answers, str] = {
        "same": "the same",
        "different": "DIFFERENT",
        "undetermined": "not determined by their query",
        "unknown": "not known",
    }
    return joined([f"{count(counts[word])} {words[word]}" for word in words if counts[word]])


def _show_parts(a: Costs, b: Costs) -> None:
    """What the time of a replay went into, in both."""
    parts: list[tuple[str, float | None, float | None]] = [
        ("all of it", b.whole_s + b.collection_s, a.whole_s + a.collection_s),
        ("  queries", b.query_s, a.query_s),
    ]
    for name, base, run in (
        ("    planning", b.planning_s, a.planning_s),
        ("    execution", b.execution_s, a.execution_s),
        ("  inference", b.inference_s, a.inference_s),
        ("  steering", b.steering_s, a.steering_s),
        ("  collection", b.collection_s, a.collection_s),
    ):
        if base or run:
            parts.append((name, base, run))
    titles = (Column("A REPLAY"), Column("BASELINE", right=True), Column("RUN", right=True))
    show_table(titles, [(name, duration(base), duration(run)) for name, base, run in parts])


def _show_queries(queries: Sequence[QueryComparison]) -> None:
    plans = {None: "", True: "another", False: "same"}
    show_items(
        queries,
        [
            (Column("QUERY", right=True), lambda query: str(query.seq)),
            (Column("LABEL", least=10, flexible=True), lambda query: query.label),
            (
                Column("VERDICT"),
                lambda query: query.verdict + "!" * (query.certain and query.verdict == "slower"),
            ),
            (Column("SPEED-UP", right=True), lambda query: wording.factor(query.speedup)),
            (
                Column("INTERVAL", drop=2, optional=True),
                lambda query: wording.interval(query.low, query.high),
            ),
            (Column("BASELINE", right=True, drop=1), lambda query: _mean(query.b)),
            (Column("RUN", right=True, drop=1), lambda query: _mean(query.a)),
            (Column("ANSWERS", drop=3), lambda query: query.answers),
            (Column("PLAN", drop=4), lambda query: plans[query.plan_changed]),
            (
                Column("ERROR", least=10, flexible=True, drop=5, optional=True),
                lambda query: query.a.error or query.b.error or "",
            ),
        ],
        lambda query: query.reasons[:REASONS_SHOWN],
    )


def _mean(times: QueryTimes) -> str:
    if times.mean_s is None:
        return "failed"
    return duration(whole_s(times)) + (" T" if times.timeouts else "")
