"""A run as a page of Markdown, for a CI's job page: short, and what matters first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pilotcli.analysis.comparison import Comparison
from pilotcli.quantities import count, duration
from pilotcli.reports.comparisons import as_markdown, markdown_cell
from pilotcli.reports.files import write_whole
from pilotcli.storage.journal import JournalReader

__all__ = ["summary_text", "write_summary"]

QUERIES_SHOWN = 10
LINES_SHOWN = 10


def write_summary(
    path: Path,
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """Write the summary to `path`, whole or not at all. Raises `StorageError`."""
    write_whole(path, summary_text(journal, run_id, comparison, reasons))


def summary_text(
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None = None,
    reasons: Sequence[str] = (),
) -> str:
    """How the run ended and why, its counts and latencies, the comparison, events and models."""
    return "\n".join(_lines(journal, run_id, comparison, reasons)) + "\n"


def _lines(
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None,
    reasons: Sequence[str],
) -> Iterator[str]:
    record, statistics = journal.run(run_id), journal.statistics(run_id)
    mark = "✅" if record.exit_code == 0 else "❌"
    code = "" if record.exit_code is None else f", exit code {record.exit_code}"
    yield f"## {mark} pilot run {run_id}: {record.status}{code}"
    yield ""
    yield f"{markdown_cell(record.workload)} on {markdown_cell(record.database)}"
    yield ""
    told = [*reasons, *(one for one in record.summary.get("reasons", ()) if one not in reasons)]
    for reason in told[:LINES_SHOWN]:
        yield f"- **{markdown_cell(reason)}**"
    if told:
        yield ""
    if comparison is not None:
        yield as_markdown(comparison, QUERIES_SHOWN, told_apart=True)
    failed = statistics.total - statistics.counts.get("ok", 0)
    yield "| executions | failed or timed out | p50 | p95 | p99 | slowest |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    values = (statistics.p50_s, statistics.p95_s, statistics.p99_s, statistics.max_s)
    cells = (count(statistics.total), count(failed), *(duration(one) for one in values))
    yield f"| {' | '.join(cells)} |"
    yield ""
    if failed:
        yield "| failed query | status | error |"
        yield "| --- | --- | --- |"
        for one in journal.results(run_id, failed=True, limit=LINES_SHOWN):
            cells = (markdown_cell(one.label), one.status, markdown_cell(_short(one.error or "")))
            yield f"| {' | '.join(cells)} |"
        yield ""
    events = journal.event_totals(run_id, 0)
    if events:
        yield "| event | fired | failed | took |"
        yield "| --- | ---: | ---: | ---: |"
        for event in events[:LINES_SHOWN]:
            cells = (
                markdown_cell(event.event),
                count(event.fired),
                count(event.failed),
                duration(event.duration_s),
            )
            yield f"| {' | '.join(cells)} |"
        yield ""
    models = journal.models(run_id)
    newest = {one.model: one for one in models}
    for version in list(newest.values())[:LINES_SHOWN]:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())
        told_metrics = f" ({markdown_cell(metrics)})" if metrics else ""
        yield f"- saved {markdown_cell(version.model)} version {version.version}{told_metrics}"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
