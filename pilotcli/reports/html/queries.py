"""The page's table of queries, which can be sorted, searched and filtered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pilotcli.analysis.comparison import Comparison, QueryComparison, QueryTimes, whole_s
from pilotcli.analysis.wording import factor, interval
from pilotcli.common.quantities import count, duration, plural
from pilotcli.common.records import QueryResult
from pilotcli.reports.html.data import HtmlReport, RunPart
from pilotcli.reports.html.markup import Room, cell, table, text
from pilotcli.reports.html.plan_tree import KEY, plan_json
from pilotcli.reports.html.query_detail import compared_detail, plans_text, result_detail, time_text

ROWS_SHOWN = 1_000
ROOM = 1_500_000
"""Bytes that SQL, errors and plans may take together: those of the first queries are shown."""
JSON_ROOM = 1_000_000
"""Bytes that plans to be copied may take together."""
_LABEL_COLUMNS = (("query", "number extra"), ("label", "label"))
_FILTERS = {
    "": "all",
    "-unclear": "all but unclear",
    "hurt": "only hurt",
    "helped": "only helped",
    "same": "same within noise",
    "unclear": "unclear",
    "different": "other rows",
    "failed": "failed",
    "steered": "only steered",
    "other-plan": "another plan",
}
"""What the table can be filtered by: the mark of a row, after a minus the rows without it."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row: its cells, what opens below it, the plans to be copied by where they stand in that,
    its name in the page, and what it can be filtered by."""

    cells: Sequence[str]
    detail: str
    plans: str
    name: str
    marks: Sequence[str]


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
    rows = (_compared_row(report, query) for query in comparison.queries[:ROWS_SHOWN])
    intro = "What needs a look first comes first; press a heading to sort."
    return _queries(intro, columns, rows, len(comparison.queries))


def queries_of_run(run: RunPart) -> str:
    """The queries of a run that is compared with none, failed ones first, then the slowest. Where
    the run has repeats, with the figures of each query over its executions."""
    worst: dict[int, QueryResult] = {}
    for result in run.results:
        known = worst.get(result.seq)
        if known is None or (result.ok, -result.elapsed_s) < (known.ok, -known.elapsed_s):
            worst[result.seq] = result
    if not worst:
        return ""
    shown = sorted(worst.values(), key=lambda result: (result.ok, -result.elapsed_s))[:ROWS_SHOWN]
    repeated = any(query.executions > 1 for query in run.repeats.values())
    columns: Sequence[tuple[str, str]] = (*_LABEL_COLUMNS, ("status", ""), ("worst", "number"))
    if repeated:
        columns = (
            *columns,
            ("mean", "number"),
            ("median", "number extra"),
            ("deviation", "number extra"),
            ("least", "number extra"),
            ("times", "number extra"),
        )
    columns = (*columns, ("rows", "number"))
    rows = (
        _Row(
            list(_result_cells(run, result, repeated)),
            result_detail(run, result),
            plan_json("plan", run.plan_texts.get(result.seq)),
            row_name(result.seq),
            _marks_of_result(run, result),
        )
        for result in shown
    )
    intro = "Each with its worst execution; press a heading to sort."
    if repeated:
        intro = "Each with its worst execution, and its times over all; press a heading to sort."
    return _queries(intro, columns, rows, len(worst))


def row_name(seq: int) -> str:
    """The name, in the page, of the row about a query."""
    return f"q{seq}"


def _queries(
    intro: str, columns: Sequence[tuple[str, str]], rows: Iterable[_Row], total: int
) -> str:
    """The section of a table, with what filters it."""
    rows = list(rows)
    counted = {name: sum(_passes(name, row.marks) for row in rows) for name in _FILTERS}
    room, json_room, full, without = Room(ROOM), Room(JSON_ROOM), 0, 0
    bodies = [""] * len(rows)
    # Unclear rows are folded: what there is room for is for the others first.
    for at in sorted(range(len(rows)), key=lambda at: "unclear" in rows[at].marks):
        row = rows[at]
        fits = room.fits(row.detail)
        copied = row.plans if fits and row.plans and json_room.fits(row.plans) else ""
        full += not fits
        without += fits and bool(row.plans) and not copied
        bodies[at] = _body(row, row.detail + copied if fits else "")
    notes = []
    if left_out := total - len(bodies):
        notes.append(f"{plural(left_out, 'more query', 'more queries')} not shown.")
    if full:
        notes.append(
            f"SQL and plans of {plural(full, 'query', 'queries')} are left out, to keep this page "
            "small: pilot runs diff shows them, as does the workload."
        )
    if without:
        notes.append(
            f"The plans of {plural(without, 'query', 'queries')} cannot be copied as JSON, to keep "
            "this page small: pilot runs diff --format json has them."
        )
    notes_html = f"<p>{' '.join(notes)}</p>" if notes else ""
    whole = table(columns, "".join(bodies), "sortable")
    return f"<h2>Queries</h2><p>{intro}</p>{KEY}{notes_html}{_filter(counted)}{whole}{_UNFOLD}"


_UNFOLD = '<p><button type="button" class="unfold" hidden></button></p>'
"""What shows the folded rows; the script writes how many there are."""


def _passes(name: str, marks: Sequence[str]) -> bool:
    if name.startswith("-"):
        return name[1:] not in marks
    return not name or name in marks


def _filter(counted: dict[str, int]) -> str:
    """Search and filter, which need the script, and are hidden without it.

    Unclear rows are folded, unless there is nothing else.
    """
    total = counted[""]
    chosen = "-unclear" if 0 < counted["-unclear"] < total else ""
    options = "".join(
        f'<option value="{name}"{" selected" if name == chosen else ""}>'
        f"{text(words)} ({count(counted[name])})</option>"
        for name, words in _FILTERS.items()
        if name == chosen or not name or 0 < counted[name] < total
    )
    return (
        '<form class="filter" role="search" hidden><label>Search '
        '<input type="search" placeholder="label, SQL, pushes"></label>'
        f"<label>Show <select>{options}</select></label>"
        '<output aria-live="polite"></output></form>'
    )


def _body(row: _Row, detail: str) -> str:
    more = f'<tr class="more"><td colspan="{len(row.cells)}">{detail}</td></tr>' if detail else ""
    marks = " ".join(row.marks)
    return (
        f'<tbody id="{row.name}" data-marks="{marks}"><tr>{"".join(row.cells)}</tr>{more}</tbody>'
    )


def _compared_row(report: HtmlReport, query: QueryComparison) -> _Row:
    plans = ""
    if report.baseline is not None:
        plans = plan_json("the baseline's plan", report.baseline.plan_texts.get(query.b.seq))
        plans += plan_json("this run's plan", report.run.plan_texts.get(query.a.seq))
    return _Row(
        list(_compared_cells(query)),
        compared_detail(report, query),
        plans,
        row_name(query.seq),
        list(_marks(report.run, query)),
    )


def _marks(run: RunPart, query: QueryComparison) -> Iterator[str]:
    different = query.answers == "different"
    if different:
        yield "different"
    if different or query.verdict in ("failed", "slower"):
        yield "hurt"
    elif query.verdict in ("faster", "mended"):
        yield "helped"
    if query.verdict in ("same", "failed"):
        yield query.verdict
    if query.verdict == "unclear" and not different:
        yield "unclear"
    if _is_steered(run, query.a.seq):
        yield "steered"
    if query.plan_changed:
        yield "other-plan"


def _marks_of_result(run: RunPart, result: QueryResult) -> Sequence[str]:
    marks = [] if result.ok else ["failed"]
    return [*marks, "steered"] if _is_steered(run, result.seq) else marks


def _is_steered(run: RunPart, seq: int) -> bool:
    report = run.steering.get(seq)
    return report is not None and bool(report.applied)


def _result_cells(run: RunPart, result: QueryResult, repeated: bool) -> Iterator[str]:
    yield cell(str(result.seq), "number extra", result.seq)
    yield cell(result.label, "label")
    yield cell(result.status, "" if result.ok else "failed")
    yield cell(duration(result.elapsed_s), "number", result.elapsed_s)
    figures = run.repeats.get(result.seq)
    if repeated and figures is None:
        yield cell("", "number") + cell("", "number extra") * 4
    elif repeated and figures is not None:
        yield cell(duration(figures.mean_s), "number", figures.mean_s)
        for value in (figures.median_s, figures.deviation_s, figures.least_s):
            yield cell(duration(value), "number extra", value)
        yield cell(count(figures.executions), "number extra", figures.executions)
    yield cell(count(result.row_count), "number", result.row_count)


def _compared_cells(query: QueryComparison) -> Iterator[str]:
    yield cell(str(query.seq), "number extra", query.seq)
    yield cell(query.label, "label")
    yield cell(query.verdict, query.verdict)
    yield cell(factor(query.speedup), "number", query.speedup)
    yield cell(interval(query.low, query.high), "extra")
    for times in (query.b, query.a):
        yield _time_cell(times)
    yield cell(query.answers, f"extra {query.answers}")
    yield cell(plans_text(query), "extra")


def _time_cell(times: QueryTimes) -> str:
    value = whole_s(times) if times.mean_s is not None else None
    return cell(time_text(times), "number extra", value)
