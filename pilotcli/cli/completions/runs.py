"""Completes the numbers and names of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pilotcli.cli.completions.given import Found, Parameters, journal_of
from pilotcli.storage.journal.records import RunRecord

NEWEST_RUNS = 50


def runs(parameters: Parameters, incomplete: str) -> Found:
    """The newest runs, by number and by name, with what they were."""
    for record in _records(parameters):
        yield from _named(record)


def resumable_runs(parameters: Parameters, incomplete: str) -> Found:
    """The runs that were interrupted or killed."""
    for record in _records(parameters):
        if record.outcome in ("interrupted", "killed") and record.arm != "baseline":
            yield from _named(record)


def _records(parameters: Parameters) -> Sequence[RunRecord]:
    journal = journal_of(parameters)
    if journal is None:
        return ()
    with journal:
        return journal.runs(NEWEST_RUNS)


def _named(record: RunRecord) -> Found:
    started = time.strftime("%d %b %H:%M", time.localtime(record.started_at))
    what = record.arm or record.kind
    text = f"{started} {what} {record.outcome}: {record.workload}"
    if record.name is not None:
        yield record.name, f"run {record.run_id} {text}"
        text = f"{record.name} {text}"
    yield str(record.run_id), text
