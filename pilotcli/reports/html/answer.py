"""The top of the page: the result, the worst first, and whether it can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotcli.analysis import wording
from pilotcli.analysis.comparison import Comparison, QueryComparison
from pilotcli.common.quantities import count, duration, plural
from pilotcli.reports.html.data import HtmlReport, RunPart
from pilotcli.reports.html.markup import alarm, label, text

NAMES_SHOWN = 5


def heading(report: HtmlReport) -> str:
    """What the page is about."""
    title = f"Run {report.run.record.run_id}"
    if report.comparison is not None:
        title = f"Does the driver help? Run {report.run.record.run_id} against run "
        title += str(report.comparison.run_b.run_id)
    return f"<h1>{title}</h1>"


def answer(report: HtmlReport) -> Iterator[str]:
    """What the reader must know first: wrong rows and failures before any average."""
    comparison = report.comparison
    if comparison is not None:
        yield _judged(comparison)
        for difference in comparison.differences:
            mark = '<b class="warning">Not the same in both runs:</b>'
            yield f"<p>{mark} {text(difference)}.</p>"
        yield from _alarms(comparison)
    for reason in report.reasons:
        yield alarm(text(reason))
    if comparison is None:
        yield _run_answer(report.run)
        yield _run_tiles(report.run)
        return
    total, mean = (
        text(wording.verdict_text(effect)) for effect in (comparison.total, comparison.geometric)
    )
    yield (
        f'<p class="answer">The whole workload is <b>{total}</b>: '
        f"{duration(comparison.costs_b.whole_s)} → {duration(comparison.costs_a.whole_s)} a replay."
        f" Each query counting alike, it is <b>{mean}</b>.</p>"
    )
    yield _tiles(comparison)


def belief(comparison: Comparison) -> str:
    """How the result was measured, and what speaks against it."""
    a, b = comparison.rounds_a, comparison.rounds_b
    rounds = plural(a, "round") if a == b else f"{a} and {b} rounds"
    if comparison.by_rounds:
        notes = [
            f"Both runs took turns by rounds, since handlers change the database: {rounds}. What a "
            "round meets is one run's alone, which the intervals of the whole allow for."
        ]
    elif comparison.paired:
        notes = [f"Both runs took turns, so that drift of the machine cancels: {rounds}."]
    else:
        notes = [f"One run came after the other: {rounds}."]
    if comparison.part is not None:
        notes.append(f"A part of the workload is compared: {text(comparison.part)}.")
    notes += [f'<b class="warning">Keep in mind:</b> {text(note)}.' for note in comparison.warnings]
    if unclear := wording.unclear_text(comparison):
        notes.append(f"{unclear}.")
    if comparison.p_value is not None:
        notes.append(
            f"Over all queries, Wilcoxon's signed-rank test gives p = {comparison.p_value:.2g}: "
            "the smaller, the harder chance alone explains what was measured."
        )
    if comparison.costs_a.training_s:
        notes.append(text(f"Training took {wording.training_text(comparison)}."))
    total, mean = comparison.total, comparison.geometric
    notes.append(
        text(
            f"Intervals are at {total.confidence:.0%}; of the whole workload: {total.method}; of "
            f"the geometric mean: {mean.method}."
        )
    )
    items = "".join(f"<li>{note}</li>" for note in notes)
    return f"<h2>Can it be believed?</h2>\n<ul>{items}</ul>"


def _judged(comparison: Comparison) -> str:
    judged = wording.judged_text(comparison)
    if not judged:
        return ""
    learned = text(wording.learning_text(comparison))
    workload = text(comparison.run_a.workload)
    return f'<p class="judged"><b>{judged}.</b> It learned {learned}. Workload: {workload}.</p>'


def _alarms(comparison: Comparison) -> Iterator[str]:
    for words, queries in wording.alarms(comparison):
        names = _names(queries, " ({})" if words == "slower by far" else "")
        yield alarm(f"{_counted(queries)} {words}: {names}")
    doubtful = [
        query
        for query in comparison.queries
        if query.verdict == "unclear" and query.speedup and query.speedup < wording.BAD_SPEEDUP
    ]
    if doubtful:
        doubtful.sort(key=lambda query: query.speedup or 0.0)
        yield (
            f'<p class="doubt">{_counted(doubtful)} measured to be slower by far, which may be '
            f"noise: {_names(doubtful, ' ({})')}</p>"
        )


def _counted(queries: Sequence[QueryComparison]) -> str:
    return plural(len(queries), "query", "queries")


def _names(queries: Sequence[QueryComparison], slowdown: str) -> str:
    return wording.names_text(queries, NAMES_SHOWN, lambda whole: text(label(whole)), slowdown)


def _tiles(comparison: Comparison) -> str:
    tiles = [
        (wording.factor(comparison.total.speedup), "whole workload"),
        (wording.factor(comparison.geometric.speedup), "geometric mean"),
        (count(comparison.count("faster")), "queries faster"),
        (count(comparison.count("slower")), "queries slower"),
        (count(comparison.count("same")), "same within noise"),
        (count(comparison.count("unclear")), "unclear"),
    ]
    rare = [
        (comparison.count("failed"), "failed"),
        (comparison.count("mended"), "no longer failing"),
        (len(comparison.different), "other rows"),
    ]
    return _as_tiles([*tiles, *((count(number), words) for number, words in rare if number)])


def _run_answer(run: RunPart) -> str:
    total, well = run.statistics.total, run.statistics.counts.get("ok", 0)
    if not total:
        return '<p class="answer">No query has ended.</p>'
    number = "all" if total == well else count(well)
    executions = plural(total, "execution")
    return f'<p class="answer">{executions} of queries: <b>{number} of them ended well</b>.</p>'


def _run_tiles(run: RunPart) -> str:
    statistics = run.statistics
    failed = statistics.total - statistics.counts.get("ok", 0)
    return _as_tiles(
        [
            (count(statistics.total), "execution" if statistics.total == 1 else "executions"),
            (count(failed), "failed or timed out"),
            (duration(statistics.p50_s), "p50"),
            (duration(statistics.p95_s), "p95"),
            (duration(statistics.p99_s), "p99"),
            (duration(statistics.max_s), "slowest"),
            (duration(statistics.query_s), "in queries"),
        ]
    )


def _as_tiles(tiles: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<div class="tile"><b>{text(value)}</b><span>{text(words)}</span></div>'
        for value, words in tiles
    )
    return f'<div class="tiles">{items}</div>'
