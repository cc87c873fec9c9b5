"""The report's page, put together from what was read and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from pilotcli.analysis.comparison import Comparison, QueryComparison, whole_s
from pilotcli.analysis.plans import PlanNode
from pilotcli.analysis.words import (
    alarms,
    factor,
    interval,
    rounds_text,
    slowdown_text,
    training_text,
    verdict_text,
    whole_costs_s,
)
from pilotcli.quantities import MISSING, count, duration, plural
from pilotcli.records import QueryResult
from pilotcli.reports.html import charts
from pilotcli.reports.html.data import HtmlReport, RunPart

__all__ = ["page"]

ROWS_SHOWN = 1_000
PLANS_SHOWN = 200
SQL_SHOWN = 20_000
NODES_SHOWN = 300
UPDATES_SHOWN = 50
Q_ERRORS = ((100.0, "q4"), (10.0, "q3"), (2.0, "q2"), (0.0, "q1"))


def page(report: HtmlReport) -> str:
    """The whole page, which needs nothing besides itself."""
    resources = files("pilotcli.reports.html")
    style = resources.joinpath("style.css").read_text("utf-8")
    script = resources.joinpath("script.js").read_text("utf-8")
    record = report.run.record
    title = f"pilot: run {record.run_id}"
    if report.comparison is not None:
        title += f" against run {report.comparison.run_b.run_id}"
    body = "\n".join(part for part in _body(report) if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing is loaded from anywhere, whatever a workload's text may look like.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{_text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _body(report: HtmlReport) -> Iterator[str]:
    comparison = report.comparison
    yield _heading(report)
    if comparison is not None:
        yield _answer(comparison)
        yield _tiles(comparison)
        yield _notes(comparison)
    else:
        yield _run_tiles(report.run)
    for reason in report.reasons:
        yield f'<p class="alarm">{_text(reason)}</p>'
    yield from _charts(report)
    yield _updates(report.run)
    if comparison is not None:
        yield _costs(comparison)
        yield _queries(report, comparison)
        yield _unmatched(comparison)
    else:
        yield _results(report.run)
    yield _facts(report)


def _heading(report: HtmlReport) -> str:
    record = report.run.record
    if report.comparison is None:
        return f"<h1>Run {record.run_id}</h1>\n<p>{_text(record.workload)}</p>"
    b = report.comparison.run_b
    return (
        f"<h1>Does the driver help? Run {record.run_id} against run {b.run_id}</h1>\n"
        f"<p>{_text(record.workload)}</p>"
    )


def _answer(comparison: Comparison) -> str:
    """What has to be known first: wrong rows, failures and disasters before any average."""
    parts = []
    for words, queries in alarms(comparison):
        names = [
            f"{_text(one.label)} ({slowdown_text(one.speedup)})"
            if words == "slower by far"
            else _text(one.label)
            for one in queries[:5]
        ]
        more = f" and {len(queries) - 5} more" if len(queries) > 5 else ""
        told = f"{_counted(queries)} {words}: {', '.join(names)}{more}"
        parts.append(f'<p class="alarm">{told}</p>')
    parts.append(
        f'<p class="answer">The whole workload is <b>{_text(verdict_text(comparison.total))}</b>: '
        f"{duration(whole_costs_s(comparison.costs_b))} → "
        f"{duration(whole_costs_s(comparison.costs_a))} a replay. Each query counting alike, it is "
        f"<b>{_text(verdict_text(comparison.geometric))}</b>.</p>"
    )
    return "\n".join(parts)


def _tiles(comparison: Comparison) -> str:
    tiles = [
        (factor(comparison.total.speedup), "whole workload"),
        (factor(comparison.geometric.speedup), "geometric mean"),
        (count(comparison.count("faster")), "queries faster"),
        (count(comparison.count("slower")), "queries slower"),
        (count(comparison.count("same")), "same within noise"),
        (count(comparison.count("unclear")), "unclear"),
    ]
    for number, words in (
        (comparison.count("failed"), "failed"),
        (comparison.count("mended"), "no longer failing"),
        (len(comparison.different), "other rows"),
    ):
        if number:
            tiles.append((count(number), words))
    return _as_tiles(tiles)


def _run_tiles(run: RunPart) -> str:
    statistics = run.statistics
    failed = statistics.total - statistics.counts.get("ok", 0)
    return _as_tiles(
        [
            (count(statistics.total), "executions"),
            (count(failed), "failed or timed out"),
            (duration(statistics.p50_s), "p50"),
            (duration(statistics.p95_s), "p95"),
            (duration(statistics.p99_s), "p99"),
            (duration(statistics.max_s), "slowest"),
            (duration(statistics.query_s), "in queries"),
        ]
    )


def _as_tiles(tiles: Sequence[tuple[str, str]]) -> str:
    told = "".join(
        f'<div class="tile"><b>{_text(value)}</b><span>{_text(words)}</span></div>'
        for value, words in tiles
    )
    return f'<div class="tiles">{told}</div>'


def _notes(comparison: Comparison) -> str:
    rank = comparison.p_value
    told = [f"Rounds: {rounds_text(comparison)}."]
    if rank is not None:
        told.append(f"Wilcoxon's signed-rank test over the queries: p = {rank:.2g}.")
    told += [f"Keep in mind: {one}." for one in comparison.warnings]
    told.append(
        f"Intervals are at {comparison.total.confidence:.0%}; total: {comparison.total.method}; "
        f"geometric mean: {comparison.geometric.method}."
    )
    return "".join(f"<p>{_text(one)}</p>" for one in told)


def _charts(report: HtmlReport) -> Iterator[str]:
    run, other, comparison = report.run, report.baseline, report.comparison
    if comparison is not None and any(one.speedup for one in comparison.queries):
        drawn, left_out = charts.speedups(comparison.queries)
        more = f" {count(left_out)} in between are left out." if left_out else ""
        yield "<h2>Speed-up of each query</h2>" + _figure(
            drawn,
            f"Time of the baseline by that of this run; the lines are intervals.{more}",
            wide=True,
        )
    pair = []
    if comparison is not None and any(one.speedup for one in comparison.queries):
        pair.append(
            _figure(
                charts.scatter(comparison.queries),
                "A query below the dashed line is faster in this run.",
            )
        )
    rounds = _shared_rounds(report)
    times = _times(run.results, rounds)
    if times:
        both = _times(other.results, rounds) if other is not None else []
        pair.append(
            _figure(
                charts.distributions(times, both), "How many executions are done within a time."
            )
        )
    if pair:
        yield "<h2>Times</h2>" + f'<div class="pair">{"".join(pair)}</div>'
    if run.results:
        first = "" if run.whole else f" The first {count(len(run.results))} results are drawn."
        yield "<h2>The run</h2>" + _figure(
            charts.timeline(run.results, run.firings, run.models),
            f"Each execution, with events (lines) and checkpoints (triangles).{first}",
            wide=True,
        )
    models = charts.metrics(run.models)
    points = _estimates(run)
    pair = [_figure(models, "What the drivers measured when they saved a model.")] if models else []
    if points:
        others = _estimates(other) if other is not None else []
        pair.append(
            _figure(
                charts.estimates(points, others),
                "Each node of the plans; on the dashed line the planner was right.",
            )
        )
    if pair:
        yield "<h2>Models and estimates</h2>" + f'<div class="pair">{"".join(pair)}</div>'


def _figure(svg: str, caption: str, *, wide: bool = False) -> str:
    kind = "chart wide" if wide else "chart"
    return (
        f'<figure><div class="{kind}">{svg}</div><figcaption>{_text(caption)}</figcaption></figure>'
    )


def _shared_rounds(report: HtmlReport) -> set[int] | None:
    """The rounds that both of two paired runs have: in others the driver learned alone."""
    if report.comparison is None or not report.comparison.paired or report.baseline is None:
        return None
    a, b = ({one.round for one in part.results} for part in (report.run, report.baseline))
    return a & b


def _times(results: Sequence[QueryResult], rounds: set[int] | None) -> list[float]:
    return [
        max(one.elapsed_s, 1e-6)
        for one in results
        if one.status in ("ok", "timeout") and (rounds is None or one.round in rounds)
    ]


def _estimates(run: RunPart) -> list[tuple[float, float]]:
    return [
        (node.estimated, node.actual)
        for tree in run.plans.values()
        for node in tree.walk()
        if node.actual is not None and node.loops
    ]


def _updates(run: RunPart) -> str:
    """What changed behind each update of a model; of many, the last ones."""
    judged = [one for one in run.updates if one.queries]
    if not judged and not run.record.summary.get("rollbacks"):
        return ""
    undone = "".join(
        f'<p class="alarm">Undone: {_text(one)}</p>'
        for one in run.record.summary.get("rollbacks", ())
    )
    rows = "".join(
        f'<tr><td class="label">{_text(one.event)}</td><td class="number">{one.after_query}</td>'
        f"<td>{_text(', '.join(one.versions))}</td>"
        f'<td class="number">{count(one.queries)}</td>'
        f'<td class="number">{factor(one.speedup)}</td><td>{interval(one.low, one.high)}</td>'
        f'<td class="{one.verdict}">{one.verdict}</td></tr>'
        for one in judged[-UPDATES_SHOWN:]
    )
    left_out = len(judged) - UPDATES_SHOWN
    more = f"<p>{plural(left_out, 'earlier update')} left out.</p>" if left_out > 0 else ""
    return (
        "<h2>Behind each update of a model</h2><p>Its queries against the same ones before it.</p>"
        f'{undone}{more}<div class="scroll"><table><thead><tr><th>event</th>'
        '<th class="number">after query</th><th>saved</th><th class="number">queries</th>'
        '<th class="number">speed-up</th><th>interval</th><th>verdict</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _costs(comparison: Comparison) -> str:
    a, b = comparison.costs_a, comparison.costs_b
    rows = [
        ("queries", b.query_s, a.query_s),
        ("… of which planning", b.planning_s, a.planning_s),
        ("… of which execution", b.execution_s, a.execution_s),
        ("the driver's inference", b.inference_s, a.inference_s),
        ("steering", b.steering_s, a.steering_s),
        ("collection", b.collection_s, a.collection_s),
    ]
    told = "".join(
        f'<tr><td>{_text(name)}</td><td class="number">{_known(one)}</td>'
        f'<td class="number">{_known(other)}</td></tr>'
        for name, one, other in rows
    )
    training = ""
    if a.training_s:
        training = f"<p>Training: {_text(training_text(comparison))}.</p>"
    return (
        '<h2>Where the time goes</h2><div class="scroll"><table><thead><tr><th>a replay</th>'
        '<th class="number">baseline</th><th class="number">this run</th></tr></thead>'
        f"<tbody>{told}</tbody></table></div>{training}"
    )


def _known(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else MISSING


def _queries(report: HtmlReport, comparison: Comparison) -> str:
    columns = (
        ("query", "number"),
        ("label", ""),
        ("verdict", ""),
        ("speed-up", "number"),
        ("interval", ""),
        ("baseline", "number"),
        ("this run", "number"),
        ("rows", ""),
        ("plan", ""),
    )
    head = "".join(f'<th class="{kind}">{_text(name)}</th>' for name, kind in columns)
    shown = comparison.queries[:ROWS_SHOWN]
    bodies = "".join(
        _query_row(report, one, len(columns), with_plans=place < PLANS_SHOWN)
        for place, one in enumerate(shown)
    )
    left_out = len(comparison.queries) - len(shown)
    more = f"<p>{plural(left_out, 'more query', 'more queries')} not shown.</p>" if left_out else ""
    some = ""
    if len(shown) > PLANS_SHOWN:
        some = f"<p>Plans are here for the first {PLANS_SHOWN}; pilot runs diff has all.</p>"
    return (
        "<h2>Queries</h2><p>What needs a look first comes first; press a heading to sort.</p>"
        f'{some}<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>'
        f"{bodies}</table></div>{more}"
    )


def _query_row(report: HtmlReport, one: QueryComparison, columns: int, *, with_plans: bool) -> str:
    speedup = "" if one.speedup is None else repr(one.speedup)
    times = {"a": one.a, "b": one.b}
    cells = [
        _cell(str(one.seq), "number", str(one.seq)),
        _cell(one.label, "label", one.label),
        _cell(one.verdict, one.verdict, one.verdict),
        _cell(factor(one.speedup), "number", speedup),
        _cell(interval(one.low, one.high), "", "" if one.low is None else repr(one.low)),
    ]
    for arm in ("b", "a"):
        known = times[arm].mean_s is not None
        value = whole_s(times[arm]) if known else None
        told = duration(value) if value is not None else "failed"
        if times[arm].timeouts:
            told += " (time-out)"
        cells.append(_cell(told, "number", "" if value is None else repr(value)))
    cells.append(_cell(one.answers, one.answers, one.answers))
    plan = {None: "", True: "another", False: "same"}[one.plan_changed]
    cells.append(_cell(plan, "", plan))
    detail = _detail(report, one, with_plans=with_plans)
    return (
        f"<tbody><tr>{''.join(cells)}</tr>"
        f'<tr class="more"><td colspan="{columns}">{detail}</td></tr></tbody>'
    )


def _cell(text: str, kind: str, value: str) -> str:
    return f'<td class="{kind}" data-value="{_text(value)}">{_text(text)}</td>'


def _detail(report: HtmlReport, one: QueryComparison, *, with_plans: bool) -> str:
    place = f"{one.file}:{one.line}" if one.file else ""
    error = one.a.error or one.b.error
    parts = [f"<summary>SQL and plans {_text(place)}</summary>"]
    if error:
        parts.append(f'<p class="failed">{_text(error)}</p>')
    parts.append(f"<pre>{_text(_cut(one.sql))}</pre>")
    if with_plans and report.baseline is not None:
        plans = [
            _plan("baseline", report.baseline.plans.get(one.b.seq)),
            _plan("this run", report.run.plans.get(one.a.seq)),
        ]
        if any(plans):
            parts.append(f'<div class="plans">{"".join(plans)}</div>')
    return f"<details>{''.join(parts)}</details>"


def _plan(title: str, tree: PlanNode | None) -> str:
    if tree is None:
        return ""
    left = [NODES_SHOWN]
    return f"<div><b>{_text(title)}</b><ul>{_node(tree, left)}</ul></div>"


def _node(node: PlanNode, left: list[int], depth: int = 0) -> str:
    left[0] -= 1
    if left[0] < 0 or depth > 60:
        return "<li>…</li>" if left[0] in (-1, 0) or depth > 60 else ""
    rows = f"{node.estimated:,.0f}"
    kind = ""
    if node.actual is not None and node.q_error is not None:
        rows += f" → {node.actual:,.0f}"
        kind = next(name for least, name in Q_ERRORS if node.q_error >= least)
        if node.q_error >= Q_ERRORS[-2][0]:
            rows += f" (off by {node.q_error:,.0f}x)"
    conditions = "".join(f'<div class="condition">{_text(one)}</div>' for one in node.conditions)
    below = "".join(_node(child, left, depth + 1) for child in node.children)
    nested = f"<ul>{below}</ul>" if below else ""
    return f'<li>{_text(node.title)} <span class="{kind}">{rows}</span>{conditions}{nested}</li>'


def _unmatched(comparison: Comparison) -> str:
    parts = []
    for name, only in (("this run", comparison.only_a), ("the baseline", comparison.only_b)):
        if only:
            labels = ", ".join(_text(one.label) for one in only[:20])
            more = f" and {len(only) - 20} more" if len(only) > 20 else ""
            parts.append(f"<p>Only in {name}: {labels}{more}</p>")
    return f"<h2>Not compared</h2>{''.join(parts)}" if parts else ""


def _results(run: RunPart) -> str:
    """The queries of a run that is compared with none, slowest first."""
    worst: dict[int, QueryResult] = {}
    for one in run.results:
        known = worst.get(one.seq)
        if known is None or (one.ok, -one.elapsed_s) < (known.ok, -known.elapsed_s):
            worst[one.seq] = one
    shown = sorted(worst.values(), key=lambda one: (one.ok, -one.elapsed_s))[:ROWS_SHOWN]
    bodies = []
    for place, one in enumerate(shown):
        query = run.queries.get(one.seq)
        cells = (
            _cell(str(one.seq), "number", str(one.seq)),
            _cell(one.label, "label", one.label),
            _cell(one.status, "" if one.ok else "failed", one.status),
            _cell(duration(one.elapsed_s), "number", repr(one.elapsed_s)),
            _cell("" if one.row_count is None else count(one.row_count), "number",
                  "" if one.row_count is None else str(one.row_count)),
        )  # fmt: skip
        parts = ["<summary>SQL and plan</summary>"]
        if one.error:
            parts.append(f'<p class="failed">{_text(one.error)}</p>')
        parts.append(f"<pre>{_text(_cut(query.sql if query is not None else ''))}</pre>")
        plan = _plan("plan", run.plans.get(one.seq)) if place < PLANS_SHOWN else ""
        if plan:
            parts.append(f'<div class="plans">{plan}</div>')
        bodies.append(
            f'<tbody><tr>{"".join(cells)}</tr><tr class="more"><td colspan="{len(cells)}">'
            f"<details>{''.join(parts)}</details></td></tr></tbody>"
        )
    if not bodies:
        return "<p>No query has ended.</p>"
    left_out = len(worst) - len(shown)
    more = f"<p>{plural(left_out, 'more query', 'more queries')} not shown.</p>" if left_out else ""
    return (
        "<h2>Queries</h2><p>Each with its worst execution; press a heading to sort.</p>"
        '<div class="scroll"><table class="sortable"><thead><tr><th class="number">query</th>'
        '<th>label</th><th>status</th><th class="number">worst</th><th class="number">rows</th>'
        f"</tr></thead>{''.join(bodies)}</table></div>{more}"
    )


def _facts(report: HtmlReport) -> str:
    told = []
    parts = [("this run", report.run)]
    if report.baseline is not None:
        parts.append(("the baseline", report.baseline))
    for name, part in parts:
        record = part.record
        began = datetime.fromtimestamp(record.started_at).astimezone()
        told.append(
            f"<p>{name}: run {record.run_id}, {began:%Y-%m-%d %H:%M:%S %Z}, "
            f"{_text(record.database)}, config {_text(record.config_path or 'none')}, "
            f"{count(part.statistics.total)} executions.</p>"
        )
    return f"<footer>{''.join(told)}<p>Made by pilot.</p></footer>"


def _counted(queries: Sequence[QueryComparison]) -> str:
    return plural(len(queries), "query", "queries")


def _cut(sql: str) -> str:
    if len(sql) <= SQL_SHOWN:
        return sql
    return f"{sql[:SQL_SHOWN]}\n… {len(sql) - SQL_SHOWN:,} more characters"


def _text(value: object) -> str:
    """`value` as text of the page; characters that HTML does not allow are replaced."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    bare = "".join(
        char if char in "\n\t" or (char >= " " and not "\x7f" <= char <= "\x9f") else "\ufffd"
        for char in text
    )
    return escape(bare)
