"""Removing runs from the journal: which ones go together, and what stays.

Rows in the store and checkpoints stay: other runs may have learned from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import UsageError
from pilotcli.storage.journal import Journal, RunRecord
from pilotcli.storage.journal.deletion import Freed, compact, delete_runs
from pilotcli.storage.store.unsaved_rows import runs_with_rows


@dataclass(frozen=True, slots=True)
class Outdated:
    """What a prune removes: `runs`; and how many old runs it keeps, because they have a name, tags
    or a note (`labelled`), or because they run or have rows to save (`needed`)."""

    runs: Sequence[RunRecord]
    labelled: int
    needed: int


def groups(runs: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """The runs in the groups that go together, the newest first: the arms of a paired run, and the
    folds of an experiment."""
    first_of: dict[int, int] = {}

    def first(run_id: int) -> int:
        while (before := first_of.get(run_id, run_id)) != run_id:
            run_id = before
        return run_id

    runs = sorted(runs, key=lambda run: run.run_id)
    for run in runs:
        for other in (run.paired_with, run.experiment):
            if other is not None:
                low, high = sorted((first(run.run_id), first(other)))
                first_of[high] = low
    found: dict[int, list[RunRecord]] = {}
    for run in runs:
        found.setdefault(first(run.run_id), []).append(run)
    return sorted(found.values(), key=lambda group: -group[-1].run_id)


def with_others(journal: Journal, wanted: Collection[int]) -> list[RunRecord]:
    """The runs `wanted` and those that go with them, by number."""
    chosen = [
        group for group in groups(journal.runs(None)) if any(run.run_id in wanted for run in group)
    ]
    return sorted((run for group in chosen for run in group), key=lambda run: run.run_id)


def outdated(
    journal: Journal, home: Path, *, keep: int, before: float | None, labelled: bool
) -> Outdated:
    """The runs beyond the newest `keep` that began earlier than `before` (seconds since the epoch,
    None: at any time). A paired run, and an experiment, count as one. With `labelled` also those
    that have a name, tags or a note."""
    runs: list[RunRecord] = []
    spared = needed = 0
    waiting = runs_with_rows(home)
    for group in groups(journal.runs(None))[keep:]:
        if before is not None and group[-1].started_at >= before:
            continue
        if any(run.alive or run.run_id in waiting for run in group):
            needed += len(group)
        elif not labelled and any(run.name or run.tags or run.note for run in group):
            spared += len(group)
        else:
            runs += group
    return Outdated(sorted(runs, key=lambda run: run.run_id), spared, needed)


def refuse_needed(home: Path, runs: Sequence[RunRecord]) -> None:
    """Raise `UsageError` if one of `runs` still runs, or has rows that are not in the store yet."""
    for run in runs:
        if run.alive:
            raise UsageError(
                f"run {run.run_id} is still running",
                hint="Wait for it, or end it with Ctrl-C in its terminal.",
            )
    waiting = [run.run_id for run in runs if run.run_id in runs_with_rows(home)]
    if waiting:
        raise UsageError(
            f"rows that run {waiting[0]} collected are not in the store yet: they are in "
            f"{home}/run-{waiting[0]}.rows-*",
            hint="Any run with the same config saves them; or delete these files.",
        )


def remove(home: Path, runs: Sequence[RunRecord]) -> Freed:
    """Remove `runs` from the journal, and give their space back unless something runs in `home`.

    Raises `StorageError`, also when one of them runs meanwhile; then nothing is removed.
    """
    delete_runs(home, [run.run_id for run in runs])
    return compact(home)
