"""Comparing past runs, by the names that a user gives them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.common.errors import StorageError, UsageError
from pilotcli.storage.journal import Journal

__all__ = ["compare_runs", "named_run", "open_journal"]


def compare_runs(home: Path, run: str, baseline: str | None) -> Comparison:
    """Compare `run` with `baseline`, each a number, or `FOLDER:NUMBER` for a run of another home
    than `home`; without `baseline` with the run with which `run` took turns.

    Raises `UsageError` and `StorageError`.
    """
    home_a, id_a = named_run(home, run)
    with ExitStack() as stack:
        journal_a = stack.enter_context(open_journal(home_a))
        if baseline is None:
            pair = journal_a.run(id_a)
            if pair.paired_with is None:
                raise UsageError(
                    f"run {pair.run_id} took turns with no other run",
                    hint=f"Name the run to compare it with: pilot runs compare {pair.run_id} B",
                )
            driver = pair.arm != "baseline"
            ids = (pair.run_id, pair.paired_with)
            id_a, id_b = ids if driver else ids[::-1]
            return compare(journal_a, id_a, journal_a, id_b)
        home_b, id_b = named_run(home, baseline)
        if home_b == home_a:
            return compare(journal_a, id_a, journal_a, id_b)
        return compare(journal_a, id_a, stack.enter_context(open_journal(home_b)), id_b)


def named_run(home: Path, name: str) -> tuple[Path, int]:
    """Returns the home and the number of the run that `name` means. Raises `UsageError`."""
    folder, _, number = name.rpartition(":")
    if not number.isdecimal():
        raise UsageError(
            f"{name!r} is not a run",
            hint="Write its number, or FOLDER:NUMBER for one of another home: pilot runs list",
        )
    return (Path(folder) if folder else home), int(number)


def open_journal(home: Path) -> Journal:
    """Returns the journal in `home`. Raises `StorageError` where there is none."""
    journal = Journal.open_existing(home)
    if journal is None:
        raise StorageError(f"there are no runs in {home} yet", hint="Begin one: pilot run WORKLOAD")
    return journal
