"""What `pilot runs list` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotcli.common.quantities import count, duration
from pilotcli.common.records import QueryStatus
from pilotcli.storage.journal import RunRecord
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import as_json, show_items, show_json, when
from pilotcli.views.text import clean


def show_runs(
    runs: Sequence[tuple[RunRecord, Mapping[QueryStatus, int]]], home: object, format: str
) -> None:
    """One line per run, newest first."""
    if format == "json":
        show_json([{**as_json(run), "counts": counts} for run, counts in runs])
        return
    if not runs:
        out(f"There are no runs in {clean(home)} yet. Begin one: pilot run WORKLOAD")
        return
    show_items(
        runs,
        [
            (Column("RUN", right=True), lambda item: str(item[0].run_id)),
            (Column("STARTED"), lambda item: when(item[0].started_at)),
            (Column("TOOK", right=True), lambda item: duration(item[0].elapsed_s)),
            (Column("STATUS"), lambda item: item[0].outcome),
            (Column("QUERIES", right=True), lambda item: count(sum(item[1].values()))),
            (Column("FAILED", right=True), lambda item: count(_failed(item[1]))),
            (Column("KIND", drop=1), lambda item: item[0].kind),
            (Column("WORKLOAD", least=12, flexible=True, drop=2), lambda item: item[0].workload),
        ],
    )


def _failed(counts: Mapping[QueryStatus, int]) -> int:
    return sum(counts.values()) - counts.get("ok", 0)
