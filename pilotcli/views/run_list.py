"""What `pilot runs list` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotcli.common.records import QueryStatus
from pilotcli.storage.journal import RunRecord
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import as_json, show_json, show_table, when
from pilotcli.views.text import clean, count, duration

__all__ = ["run_status", "show_runs"]


def show_runs(
    runs: Sequence[tuple[RunRecord, Mapping[QueryStatus, int]]], home: object, format: str
) -> None:
    """One line a run, newest first."""
    if format == "json":
        show_json([{**as_json(run), "counts": counts} for run, counts in runs])
        return
    if not runs:
        out(f"There are no runs in {clean(home)} yet. Begin one: pilot run WORKLOAD")
        return
    columns = (
        Column("RUN", right=True),
        Column("STARTED"),
        Column("TOOK", right=True),
        Column("STATUS"),
        Column("QUERIES", right=True),
        Column("FAILED", right=True),
        Column("KIND", drop=1),
        Column("WORKLOAD", least=12, flexible=True, drop=2),
    )
    rows = [
        (
            str(run.run_id),
            when(run.started_at),
            duration(run.elapsed_s),
            run_status(run),
            count(sum(counts.values())),
            count(sum(counts.values()) - counts.get("ok", 0)),
            run.kind,
            run.workload,
        )
        for run, counts in runs
    ]
    show_table(columns, rows)


def run_status(run: RunRecord) -> str:
    """How a run ended, or that it still goes on."""
    return "killed" if run.status == "running" and not run.alive else run.status
