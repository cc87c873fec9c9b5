"""The report's page, put together from what was read and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from statistics import median

from pilotcli.analysis.plans import q_error
from pilotcli.common.extras import install
from pilotcli.common.quantities import count
from pilotcli.reports.html import charts, queries, run_charts, svg, tables
from pilotcli.reports.html.answer import answer, belief, heading
from pilotcli.reports.html.data import HtmlReport, RunPart
from pilotcli.reports.html.facts import facts
from pilotcli.reports.html.markup import text

_COLOURS_KEY = (
    '<span class="key faster">■ faster</span> <span class="key slower">■ slower</span> '
    '<span class="key same">■ same or unclear</span>'
)


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
        f"<title>{text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _body(report: HtmlReport) -> Iterator[str]:
    comparison = report.comparison
    yield heading(report)
    yield facts(report)
    yield from answer(report)
    if comparison is not None:
        yield belief(comparison)
    if report.ranking is not None:
        yield tables.ranking(report.ranking)
    yield from _charts(report)
    yield tables.updates(report.run)
    if comparison is not None:
        yield tables.costs(comparison)
        yield queries.compared_queries(report, comparison)
        yield tables.unmatched(comparison)
    else:
        yield queries.queries_of_run(report.run)
    yield "<footer><p>Made by pilot.</p></footer>"


def _charts(report: HtmlReport) -> Iterator[str]:
    run, comparison = report.run, report.comparison
    if not svg.can_draw():
        yield f'<p class="doubt">{text(without_charts(report))}</p>'
        return
    if comparison is not None and any(query.speedup for query in comparison.queries):
        yield "<h2>Speed-up of each query</h2>" + _figure(
            charts.speedups(comparison.queries),
            "The baseline's time divided by this run's; thin lines are intervals. A bar leads to "
            "its query below.",
            key=_COLOURS_KEY,
        )
    pair = list(_times(report))
    if pair:
        yield f'<h2>Times</h2><div class="pair">{"".join(pair)}</div>'
    if run.results:
        first = "" if run.whole else f" Of the first {count(len(run.results))} executions."
        yield "<h2>The run</h2>" + _figure(
            run_charts.timeline(run.results, run.firings, run.models),
            f"Each execution by its start, with events (lines) and checkpoints (triangles).{first}",
        )
    pair = list(_learned(report))
    if pair:
        yield f'<h2>Models and estimates</h2><div class="pair">{"".join(pair)}</div>'


def without_charts(report: HtmlReport) -> str:
    """Why the page has no charts, and how to get them."""
    return (
        "The charts are left out, because matplotlib is not installed. For a page with charts: "
        f"{install('charts')}, then pilot runs report {report.run.record.run_id} -o FILE."
    )


def _times(report: HtmlReport) -> Iterator[str]:
    comparison, other = report.comparison, report.baseline
    if comparison is not None and any(query.speedup for query in comparison.queries):
        yield _figure(
            charts.scatter(comparison.queries),
            "Each query's mean time; below the dashed line it is faster in this run. A dot leads "
            "to its query below.",
        )
    times = _executions(report.run)
    if times:
        both = _executions(other) if other is not None else []
        better = " The higher line has more of them done." if both else ""
        yield _figure(
            charts.distributions(times, both),
            f"The share of executions that are done within a time.{better}",
        )


def _learned(report: HtmlReport) -> Iterator[str]:
    drawing = run_charts.metrics(report.run.models)
    if drawing is not None:
        yield _figure(drawing, "What the drivers measured when they saved a model.")
    points = _estimates(report.run)
    others = _estimates(report.baseline) if report.baseline is not None else []
    if points or others:
        typical = [
            f"{name} {median(q_error(*node) for node in known):,.3g}x"
            for name, known in (("this run", points), ("baseline", others))
            if known
        ]
        yield _figure(
            run_charts.estimates(points, others),
            "Each node of the plans, its rows in each loop; on the dashed line the planner was "
            f"right. Half of the nodes are off by no more than: {', '.join(typical)}.",
        )


def _figure(drawing: svg.Drawing, caption: str, *, key: str = "") -> str:
    kind = "chart wide" if drawing.narrow else "chart"
    parts = [f'<div class="{kind}">{drawing.svg}</div>']
    if drawing.narrow:
        parts.append(f'<div class="chart narrow">{drawing.narrow}</div>')
    text_below = f"{caption} {drawing.left_out}".strip()
    shown = f"<p>{key}</p>" if key else ""
    return f"<figure>{shown}{''.join(parts)}<figcaption>{text(text_below)}</figcaption></figure>"


def _executions(run: RunPart) -> list[float]:
    return [
        result.elapsed_s
        for results in run.by_query.values()
        for result in results
        if result.status in ("ok", "timeout")
    ]


def _estimates(run: RunPart) -> list[tuple[float, float]]:
    return [
        (node.estimated / node.loops, node.actual / node.loops)
        for tree in run.plans.values()
        for node in tree.walk()
        if node.actual is not None and node.loops
    ]
