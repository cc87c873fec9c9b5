"""Says which part of a workload two runs are compared by."""

from __future__ import annotations

from collections.abc import Collection

from pilotcli.storage.journal import QueryRecord, RunRecord
from pilotcli.workload.selection import Selection, chosen_numbers


def part_text(
    selection: Selection, a: RunRecord, b: RunRecord, queries: Collection[QueryRecord]
) -> str | None:
    """Which of the `queries` of run A are compared with run B: those of `selection`, or what the
    runs themselves replayed of their workload; None where it is all of it.

    Raises `UsageError` if nothing is selected.
    """
    texts = []
    if selection:
        unknown: list[str] = []
        kept = len(chosen_numbers(selection, queries, unknown.append))
        texts = [f"{kept} of {len(queries)} queries: {selection}", *unknown]
    own = {record.run_id: _replayed(record) for record in (a, b)}
    if len({*own.values()}) == 1:
        own = {0: own[a.run_id]}
    for run_id, replayed in own.items():
        if replayed:
            runs = f"run {run_id} has" if run_id else "both runs have"
            texts.append(f"{runs} replayed only a part of the workload: {replayed}")
    return "; ".join(texts) or None


def _replayed(record: RunRecord) -> Selection:
    """What a run was told to replay."""
    given = (record.options.get(name, ()) for name in ("select", "exclude"))
    return Selection(*map(tuple, given))
