"""What opens below a query of the page: why it is slower, its times, what the driver did, its SQL
and its plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotcli.analysis.comparison import QueryComparison, QueryTimes, whole_s
from pilotcli.analysis.logged import logged_lines
from pilotcli.analysis.plan_changes import plan_changes
from pilotcli.analysis.repeats import QueryRepeats
from pilotcli.analysis.wording import interval, push_kind, push_text
from pilotcli.common.quantities import count, duration
from pilotcli.common.records import QueryResult
from pilotcli.reports.html.data import HtmlReport, RunPart
from pilotcli.reports.html.markup import cell, cut, table, text
from pilotcli.reports.html.plan_tree import plan_tree

SQL_SHOWN = 8_000
ERROR_SHOWN = 1_000


def compared_detail(report: HtmlReport, query: QueryComparison) -> str:
    """What opens below a query that both runs have."""
    plans = ""
    if report.baseline is not None:
        plans = plan_tree("baseline", report.baseline.plans.get(query.b.seq))
        plans += plan_tree("this run", report.run.plans.get(query.a.seq))
    times = f"baseline {time_text(query.b)}, this run {time_text(query.a)}"
    facts = [f"query {query.seq}", times, f"rows: {query.answers}"]
    around = interval(query.low, query.high)
    facts += [f"interval: {around}"] if around else []
    facts += [f"plan: {plans_text(query)}"] if query.plan_changed is not None else []
    place = f"{query.file}:{query.line}" if query.file else ""
    return _detail(
        place,
        [
            _line(", ".join(facts), "facts"),
            _listed(_why(query), query.reasons),
            _error(query.a.error or query.b.error),
            _times(report, query),
            _driver(report.run, query.a.seq),
            _sql(query.sql),
            _changes(report, query),
        ],
        plans,
    )


def result_detail(run: RunPart, result: QueryResult) -> str:
    """What opens below a query of a run that is compared with none."""
    query = run.queries.get(result.seq)
    return _detail(
        f"{result.file}:{result.line}" if result.file else "",
        [
            _error(result.error),
            _driver(run, result.seq),
            _sql(query.sql if query is not None else ""),
        ],
        plan_tree("plan", run.plans.get(result.seq)),
    )


def time_text(times: QueryTimes) -> str:
    """The time of a query in one run, in words."""
    words = duration(whole_s(times)) if times.mean_s is not None else "failed"
    return f"{words} (time-out)" if times.timeouts else words


def plans_text(query: QueryComparison) -> str:
    """Whether a query has another plan than in the baseline, in words."""
    return {None: "", True: "another", False: "same"}[query.plan_changed]


def _why(query: QueryComparison) -> str:
    return "Why it is slower" if query.verdict == "slower" else "Why it may be slower"


def _times(report: HtmlReport, query: QueryComparison) -> str:
    """The parts of the query's time, and how steady it is, in both runs."""
    columns = (
        ("run", "label"),
        ("mean", "number"),
        ("… planning", "number extra"),
        ("… execution", "number"),
        ("… inference", "number extra"),
        ("… steering", "number extra"),
        ("median", "number extra"),
        ("deviation", "number"),
        ("least", "number extra"),
        ("times", "number extra"),
    )
    parts = (("baseline", query.b, report.baseline), ("this run", query.a, report.run))
    rows = "".join(
        f"<tr>{''.join(_time_cells(name, times, part))}</tr>"
        for name, times, part in parts
        if part is not None
    )
    return table(columns, f"<tbody>{rows}</tbody>", "parts")


def _time_cells(name: str, times: QueryTimes, part: RunPart) -> Iterator[str]:
    figures: QueryRepeats | None = part.repeats.get(times.seq)
    whole = whole_s(times) if times.mean_s is not None else None
    yield cell(name, "label")
    yield cell(duration(whole), "number")
    yield cell(duration(times.planning_s), "number extra")
    yield cell(duration(times.execution_s), "number")
    for value in (times.inference_s, times.steering_s):
        yield cell(duration(value) if value else "none", "number extra")
    yield cell(duration(times.median_s), "number extra")
    yield cell(duration(figures.deviation_s if figures else None), "number")
    yield cell(duration(figures.least_s if figures else None), "number extra")
    yield cell(count(times.executions), "number extra")


def _driver(run: RunPart, seq: int) -> str:
    """What the driver did for the query: its pushes, and the values that it logged."""
    lines = [f"logged {line}" for line in logged_lines(run.by_query.get(seq, ()))]
    report = run.steering.get(seq)
    if report is not None:
        cards = dict(report.cards)
        lines += [
            f"pushed {push_kind(push, cards)}: {push_text(push, cards)}" for push in report.applied
        ]
        lines += [f"not applied: {push}: {reason}" for push, reason in report.ignored]
        lines += [f"ran unsteered: {report.native}"] if report.native else []
    if not lines:
        return ""
    shown = text(cut("\n".join(lines), SQL_SHOWN))
    return f"<h4>What the driver did</h4><pre>{shown}</pre>"


def _changes(report: HtmlReport, query: QueryComparison) -> str:
    """What its plan does differently from that of the baseline, besides the reasons."""
    if report.baseline is None or not query.plan_changed:
        return ""
    a = report.run.plan_texts.get(query.a.seq)
    b = report.baseline.plan_texts.get(query.b.seq)
    if a is None or b is None:
        return ""
    changes = [change for change in plan_changes(b, a) if change not in query.reasons]
    return _listed("What else differs" if query.reasons else "What differs in its plan", changes)


def _sql(sql: str) -> str:
    return f"<h4>SQL</h4><pre>{text(cut(sql, SQL_SHOWN))}</pre>"


def _error(error: str | None) -> str:
    return _line(cut(error, ERROR_SHOWN), "failed") if error else ""


def _line(words: str, kind: str) -> str:
    return f'<p class="{kind}">{text(words)}</p>'


def _listed(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<h4>{text(title)}</h4><ul>{items}</ul>" if lines else ""


def _detail(place: str, parts: Sequence[str], plans: str) -> str:
    what = "SQL and plans" if plans else "SQL"
    below = f'<div class="plans">{plans}</div>' if plans else ""
    summary = f"<summary>{what} {text(place)}</summary>"
    return f"<details>{summary}{''.join(parts)}{below}</details>"
