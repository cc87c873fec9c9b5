"""Completes the numbers of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pilotcli.cli.completions.given import Found, Parameters, journal_of
from pilotcli.storage.journal.records import RunRecord

NEWEST_RUNS = 50


def runs(parameters: Parameters, incomplete: str) -> Found:
    """The newest runs, by number, with what they were."""
    for record in _records(parameters):
        yield str(record.run_id), _run_text(record)


def resumable_runs(parameters: Parameters, incomplete: str) -> Found:
    """The runs that were interrupted or killed."""
    for record in _records(parameters):
        if record.outcome in ("interrupted", "killed") and record.arm != "baseline":
            yield str(record.run_id), _run_text(record)


def _records(parameters: Parameters) -> Sequence[RunRecord]:
    journal = journal_of(parameters)
    if journal is None:
        return ()
    with journal:
        return journal.runs(NEWEST_RUNS)


def _run_text(record: RunRecord) -> str:
    started = time.strftime("%d %b %H:%M", time.localtime(record.started_at))
    what = record.arm or record.kind
    return f"{record.name or ''} {started} {what} {record.outcome}: {record.workload}".strip()
