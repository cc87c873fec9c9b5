"""A run as a page of Markdown, for a CI's job page: short, and what matters first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pilotcli.analysis.comparison import Comparison
from pilotcli.common.errors import PilotError
from pilotcli.common.quantities import count, duration, plural
from pilotcli.common.records import QueryResult
from pilotcli.reports.comparisons import as_markdown, markdown_cell
from pilotcli.storage.journal import EventTotals, JournalReader

QUERIES_SHOWN = 6
LINES_SHOWN = 5
"""Reasons, failed queries, events and models, each: the page stays within 70 lines."""
CELL_CHARS = 200
FAILURES_READ = 1_000


def summary_text(
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None = None,
    reasons: Sequence[str] = (),
) -> str:
    """How the run ended and why, its counts and latencies, the comparison, events and models."""
    return "\n".join(_lines(journal, run_id, comparison, reasons)) + "\n"


def not_begun_text(problem: PilotError) -> str:
    """The page of a run that did not begin."""
    lines = [f"## ❌ pilot run: did not begin, exit code {problem.exit_code}", ""]
    lines += [f"- **{_cell(line)}**" for line in problem.message.splitlines()]
    lines += ["", _cell(problem.hint)] if problem.hint else []
    return "\n".join(lines) + "\n"


def _lines(
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None,
    reasons: Sequence[str],
) -> Iterator[str]:
    record, statistics = journal.run(run_id), journal.statistics(run_id)
    mark = "✅" if record.exit_code == 0 else "❌"
    code = "" if record.exit_code is None else f", exit code {record.exit_code}"
    yield f"## {mark} pilot run {run_id}: {record.outcome}{code}"
    yield ""
    yield f"{_cell(record.workload)} on {_cell(record.database)}"
    yield ""
    all_reasons = [
        *reasons,
        *(reason for reason in record.summary.get("reasons", ()) if reason not in reasons),
    ]
    if all_reasons:
        yield from (f"- **{_cell(reason)}**" for reason in all_reasons[:LINES_SHOWN])
        yield from _more(len(all_reasons), "- ")
        yield ""
    if comparison is not None:
        yield as_markdown(comparison, QUERIES_SHOWN, changes_only=True)
    failed = statistics.total - statistics.counts.get("ok", 0)
    compared = journal.compared_statistics(record)
    if compared is not None:
        learned = statistics.total - compared.total
        yield f"{plural(learned, 'execution')} to learn from; the times are those of the others"
        yield ""
    timed = compared or statistics
    yield "| executions | failed or timed out | p50 | p95 | p99 | slowest |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    values = (timed.p50_s, timed.p95_s, timed.p99_s, timed.max_s)
    yield _row(count(statistics.total), count(failed), *map(duration, values))
    yield ""
    if failed:
        yield from _failures(journal.results(run_id, failed=True, limit=FAILURES_READ), failed)
    yield from _events(journal.event_totals(run_id, 1))
    newest = {version.model: version for version in journal.models(run_id)}
    for version in list(newest.values())[:LINES_SHOWN]:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())
        measured = f" ({_cell(metrics)})" if metrics else ""
        yield f"- saved {_cell(version.model)} version {version.version}{measured}"
    yield from _more(len(newest), "- ")


def _failures(results: Iterable[QueryResult], failed: int) -> Iterator[str]:
    """A table of the queries that failed, of `failed` executions: each once, however often it did
    in the same way."""
    counted = Counter(
        (result.seq, result.label, result.status, result.error or "") for result in results
    )
    yield "| failed query | status | error | executions |"
    yield "| --- | --- | --- | ---: |"
    shown = list(counted.items())[:LINES_SHOWN]
    for (_, label, status, error), times in shown:
        yield _row(_cell(label), status, _cell(error), count(times))
    if left := failed - sum(times for _, times in shown):
        yield f"\nand {count(left)} more"
    yield ""


def _events(events: Sequence[EventTotals]) -> Iterator[str]:
    """A table of the events, those that failed first."""
    if not events:
        return
    yield "| event | fired | failed | took in all | error |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for event in sorted(events, key=lambda event_totals: -event_totals.failed)[:LINES_SHOWN]:
        error = event.failures[0].error if event.failures else None
        yield _row(
            _cell(event.event),
            count(event.fired),
            count(event.failed),
            duration(event.duration_s),
            _cell(error or ""),
        )
    yield from _more(len(events))
    yield ""


def _more(number: int, before: str = "\n") -> Iterator[str]:
    """A line that says how many were left out, where any were."""
    if number > LINES_SHOWN:
        yield f"{before}and {count(number - LINES_SHOWN)} more"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return markdown_cell(text if len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…")
