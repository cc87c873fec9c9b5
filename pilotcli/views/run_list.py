"""What `pilot runs list` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pilotcli.common.quantities import MISSING, count, duration
from pilotcli.common.records import QueryStatus
from pilotcli.storage.journal import RunRecord
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import as_json, show_items, show_json, when
from pilotcli.views.text import clean

_TO_MINUTES = len("2026-01-31 12:34")


def show_runs(
    runs: Sequence[tuple[RunRecord, Mapping[QueryStatus, int]]],
    home: object,
    format: str,
    *,
    all_: bool = True,
) -> None:
    """One line per run, newest first. `all_` is False where only some were asked for."""
    if format == "json":
        show_json([{**as_json(run), "counts": counts} for run, counts in runs])
        return
    if not runs and not all_:
        out(f"No run in {clean(home)} fits. All runs: pilot runs list")
        return
    if not runs:
        out(f"There are no runs in {clean(home)} yet. Begin one: pilot run WORKLOAD")
        return
    show_items(
        runs,
        [
            (Column("RUN", right=True), lambda item: str(item[0].run_id)),
            (Column("STARTED"), lambda item: when(item[0].started_at)[:_TO_MINUTES]),
            (Column("TOOK", right=True), lambda item: duration(item[0].elapsed_s)),
            (Column("STATUS"), lambda item: item[0].outcome),
            (Column("QUERIES", right=True), lambda item: count(sum(item[1].values()))),
            (Column("FAILED", right=True), lambda item: count(_failed(item[1]))),
            (
                Column("NAME", least=8, flexible=True, optional=True),
                lambda item: item[0].name or "",
            ),
            (Column("ARM", drop=1, optional=True), lambda item: item[0].arm or ""),
            (
                Column("TAGS", least=6, flexible=True, drop=2, optional=True),
                lambda item: ", ".join(item[0].tags),
            ),
            (Column("KIND", drop=5), lambda item: item[0].kind),
            (Column("CONFIG", least=12, flexible=True, drop=4), lambda item: _config(item[0])),
            (Column("WORKLOAD", least=12, flexible=True, drop=3), lambda item: item[0].workload),
        ],
    )


def _config(run: RunRecord) -> str:
    """The name of the config's file; its folder is in `pilot runs show`."""
    return MISSING if run.config_path is None else Path(run.config_path).name


def _failed(counts: Mapping[QueryStatus, int]) -> int:
    return sum(counts.values()) - counts.get("ok", 0)
