"""The page's tables: queries with their SQL and plans, costs, updates of models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotcli.analysis.comparison import Comparison, QueryComparison, QueryTimes, whole_s
from pilotcli.analysis.wording import factor, interval, push_text, training_text
from pilotcli.common.quantities import MISSING, count, duration, listed, plural
from pilotcli.common.records import QueryResult
from pilotcli.reports.html.data import HtmlReport, RunPart
from pilotcli.reports.html.markup import Room, alarm, cell, cut, label, table, text
from pilotcli.reports.html.plan_tree import KEY, plan_tree

ROWS_SHOWN = 1_000
UPDATES_SHOWN = 50
NAMES_SHOWN = 20
SQL_SHOWN = 8_000
ERROR_SHOWN = 1_000
ROOM = 1_500_000
"""Bytes that SQL, errors and plans may take together: those of the first queries are shown."""
_LABEL_COLUMNS = (("query", "number extra"), ("label", "label"))


def compared_queries(report: HtmlReport, comparison: Comparison) -> str:
    """All queries that both runs have, each with its SQL and both plans."""
    columns = (
        *_LABEL_COLUMNS,
        ("verdict", ""),
        ("speed-up", "number"),
        ("interval", "extra"),
        ("baseline", "number extra"),
        ("this run", "number extra"),
        ("rows", "extra"),
        ("plan", "extra"),
    )
    rows = (
        (_compared_cells(query), _compared_detail(report, query), row_name(query.seq))
        for query in comparison.queries[:ROWS_SHOWN]
    )
    intro = "What needs a look first comes first; press a heading to sort."
    return _queries(intro, columns, rows, len(comparison.queries))


def queries_of_run(run: RunPart) -> str:
    """The queries of a run that is compared with none, failed ones first, then the slowest."""
    worst: dict[int, QueryResult] = {}
    for result in run.results:
        known = worst.get(result.seq)
        if known is None or (result.ok, -result.elapsed_s) < (known.ok, -known.elapsed_s):
            worst[result.seq] = result
    if not worst:
        return ""
    shown = sorted(worst.values(), key=lambda result: (result.ok, -result.elapsed_s))[:ROWS_SHOWN]
    columns = (*_LABEL_COLUMNS, ("status", ""), ("worst", "number"), ("rows", "number"))
    rows = ((_result_cells(result), _result_detail(run, result), "") for result in shown)
    intro = "Each with its worst execution; press a heading to sort."
    return _queries(intro, columns, rows, len(worst))


def updates(run: RunPart) -> str:
    """What changed after each update of a model; of many, the last ones."""
    judged = [update for update in run.updates if update.queries]
    rollbacks = run.record.summary.get("rollbacks", ())
    if not judged and not rollbacks:
        return ""
    undone = "".join(alarm(f"Undone: {text(update)}") for update in rollbacks)
    columns = (
        ("event", "label extra"),
        ("after query", "number extra"),
        ("saved", "label"),
        ("queries", "number extra"),
        ("speed-up", "number"),
        ("interval", "extra"),
        ("verdict", ""),
    )
    rows = "".join(
        "<tr>"
        + cell(update.event, "label extra")
        + cell(count(update.after_query), "number extra", update.after_query)
        + cell(", ".join(update.versions), "label")
        + cell(count(update.queries), "number extra", update.queries)
        + cell(factor(update.speedup), "number", update.speedup)
        + cell(interval(update.low, update.high), "extra")
        + cell(update.verdict, update.verdict)
        + "</tr>"
        for update in judged[-UPDATES_SHOWN:]
    )
    left_out = len(judged) - UPDATES_SHOWN
    more = f"<p>{plural(left_out, 'earlier update')} left out.</p>" if left_out > 0 else ""
    return (
        "<h2>After each update of a model</h2><p>The queries that ran after an update, against "
        f"the same queries before it.</p>{undone}{more}"
        f"{table(columns, f'<tbody>{rows}</tbody>')}"
    )


def costs(comparison: Comparison) -> str:
    """Where the time of both runs goes."""
    a, b = comparison.costs_a, comparison.costs_b
    rows = [
        ("queries", b.query_s, a.query_s),
        ("… planning", b.planning_s, a.planning_s),
        ("… execution", b.execution_s, a.execution_s),
        ("the driver's inference", b.inference_s, a.inference_s),
        ("steering", b.steering_s, a.steering_s),
        ("collection", b.collection_s, a.collection_s),
        ("training, in the whole run", b.training_s, a.training_s),
        ("other events, in the whole run", b.events_s, a.events_s),
    ]
    body = "".join(
        f"<tr>{cell(name, 'label')}{_seconds(baseline_s)}{_seconds(other)}</tr>"
        for name, baseline_s, other in rows
    )
    columns = (("a replay", "label"), ("baseline", "number"), ("this run", "number"))
    training = ""
    if a.training_s:
        training = f"<p>Training: {text(training_text(comparison))}.</p>"
    return f"<h2>Where the time goes</h2>{table(columns, f'<tbody>{body}</tbody>')}{training}"


def unmatched(comparison: Comparison) -> str:
    """The queries that one of both runs has alone."""
    parts = []
    for name, only in (("this run", comparison.only_a), ("the baseline", comparison.only_b)):
        if only:
            labels = listed([text(label(query.label)) for query in only], NAMES_SHOWN)
            parts.append(f"<p>Only in {name}: {labels}</p>")
    return f"<h2>Not compared</h2>{''.join(parts)}" if parts else ""


def _queries(
    intro: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[tuple[Sequence[str], str, str]],
    total: int,
) -> str:
    """The section of a table, whose rows are cells, what opens below them, and their name."""
    room, bodies, full = Room(ROOM), [], 0
    for cells, detail, name in rows:
        fits = room.fits(detail)
        full += not fits
        bodies.append(_body(cells, detail if fits else "", name))
    notes = []
    if left_out := total - len(bodies):
        notes.append(f"{plural(left_out, 'more query', 'more queries')} not shown.")
    if full:
        notes.append(
            f"SQL and plans of {plural(full, 'query', 'queries')} are left out, to keep this page "
            "small: pilot runs diff shows them, as does the workload."
        )
    notes_html = f"<p>{' '.join(notes)}</p>" if notes else ""
    whole = table(columns, "".join(bodies), "sortable")
    return f"<h2>Queries</h2><p>{intro}</p>{KEY}{notes_html}{whole}"


def row_name(seq: int) -> str:
    """The name, in the page, of the row about a query."""
    return f"q{seq}"


def _body(cells: Sequence[str], detail: str, name: str) -> str:
    more = f'<tr class="more"><td colspan="{len(cells)}">{detail}</td></tr>' if detail else ""
    known = f' id="{name}"' if name else ""
    return f"<tbody{known}><tr>{''.join(cells)}</tr>{more}</tbody>"


def _result_cells(result: QueryResult) -> Sequence[str]:
    return (
        cell(str(result.seq), "number extra", result.seq),
        cell(result.label, "label"),
        cell(result.status, "" if result.ok else "failed"),
        cell(duration(result.elapsed_s), "number", result.elapsed_s),
        cell(count(result.row_count), "number", result.row_count),
    )


def _result_detail(run: RunPart, result: QueryResult) -> str:
    query = run.queries.get(result.seq)
    place = f"{result.file}:{result.line}" if result.file else ""
    sql = query.sql if query is not None else ""
    plans = plan_tree("plan", run.plans.get(result.seq))
    return _detail(place, result.error, sql, plans, pushes=_pushes(run, result.seq))


def _compared_cells(query: QueryComparison) -> Sequence[str]:
    cells = [
        cell(str(query.seq), "number extra", query.seq),
        cell(query.label, "label"),
        cell(query.verdict, query.verdict),
        cell(factor(query.speedup), "number", query.speedup),
        cell(interval(query.low, query.high), "extra"),
    ]
    for times in (query.b, query.a):
        value = whole_s(times) if times.mean_s is not None else None
        cells.append(cell(_time_text(times), "number extra", value))
    cells += [cell(query.answers, f"extra {query.answers}"), cell(_plans_text(query), "extra")]
    return cells


def _time_text(times: QueryTimes) -> str:
    words = duration(whole_s(times)) if times.mean_s is not None else "failed"
    return f"{words} (time-out)" if times.timeouts else words


def _plans_text(query: QueryComparison) -> str:
    return {None: "", True: "another", False: "same"}[query.plan_changed]


def _compared_detail(report: HtmlReport, query: QueryComparison) -> str:
    plans = ""
    if report.baseline is not None:
        plans = plan_tree("baseline", report.baseline.plans.get(query.b.seq))
        plans += plan_tree("this run", report.run.plans.get(query.a.seq))
    times = f"baseline {_time_text(query.b)}, this run {_time_text(query.a)}"
    facts = [f"query {query.seq}", times, f"rows: {query.answers}"]
    around = interval(query.low, query.high)
    facts += [f"interval: {around}"] if around else []
    facts += [f"plan: {_plans_text(query)}"] if query.plan_changed is not None else []
    place = f"{query.file}:{query.line}" if query.file else ""
    pushes = _pushes(report.run, query.a.seq)
    error = query.a.error or query.b.error
    return _detail(place, error, query.sql, plans, ", ".join(facts), pushes)


def _pushes(run: RunPart, seq: int) -> str:
    """What was pushed into a query, as HTML, a line each."""
    report = run.steering.get(seq)
    if report is None:
        return ""
    cards = dict(report.cards)
    lines = [f"pushed: {push_text(push, cards)}" for push in report.applied]
    lines += [f"not applied: {push}: {reason}" for push, reason in report.ignored]
    lines += [f"ran unsteered: {report.native}"] if report.native else []
    return f"<pre>{text(cut(chr(10).join(lines), SQL_SHOWN))}</pre>" if lines else ""


def _detail(
    place: str, error: str | None, sql: str, plans: str, facts: str = "", pushes: str = ""
) -> str:
    """What opens below a row; `plans` and `pushes` are HTML, `facts` what a phone has no columns
    for."""
    what = "SQL and plans" if plans else "SQL"
    parts = [f"<summary>{what} {text(place)}</summary>"]
    if facts:
        parts.append(f'<p class="facts">{text(facts)}</p>')
    if error:
        parts.append(f'<p class="failed">{text(cut(error, ERROR_SHOWN))}</p>')
    parts += [f"<pre>{text(cut(sql, SQL_SHOWN))}</pre>", pushes]
    if plans:
        parts.append(f'<div class="plans">{plans}</div>')
    return f"<details>{''.join(parts)}</details>"


def _seconds(seconds: float | None) -> str:
    words = MISSING if seconds is None else duration(seconds) if seconds else "none"
    return cell(words, "number", seconds)
