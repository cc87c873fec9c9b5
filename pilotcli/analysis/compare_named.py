"""Comparing past runs, by the names that a user gives them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from pilotcli.analysis.arms import Ranking, rank
from pilotcli.analysis.compare import compare, compare_folds, compared_numbers
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.part import ALL_QUERIES, WantedQueries
from pilotcli.common.errors import StorageError, UsageError
from pilotcli.common.labels import NEWEST, is_run_name
from pilotcli.common.suggestions import nearest
from pilotcli.config.home import shown_path
from pilotcli.storage.journal import Journal, JournalReader, RunRecord
from pilotcli.storage.journal.schema import FILE_NAME


def compare_runs(
    home: Path, run: str, baseline: str | None, wanted: WantedQueries = ALL_QUERIES
) -> Comparison:
    """Compare `run` with `baseline`, each as `named_run` takes it; without `baseline` with the run
    with which `run` took turns, or, if `run` is a fold of a cross-validation, all folds of it. Only
    the `wanted` queries count.

    Raises `UsageError` and `StorageError`.
    """
    if baseline is None:
        home_a, id_a = named_run(home, run)
        with open_journal(home_a) as journal:
            experiment = journal.run(id_a).experiment
            if experiment is not None:
                return compare_experiment(journal, experiment, wanted)
    what_next = "Name the run to compare it with: pilot runs compare {} B"
    (home_a, id_a), (home_b, id_b) = named_pair(home, run, baseline, what_next.format)
    with open_journal(home_a) as journal_a, open_journal(home_b) as journal_b:
        return compare(journal_a, id_a, journal_b, id_b, wanted)


def selected_queries(
    home: Path, run: str, baseline: str | None, wanted: WantedQueries
) -> Sequence[int]:
    """Returns the numbers in `run` of the `wanted` queries that both runs have; the runs are named
    as in `compare_runs`, a fold of a cross-validation for itself. Raises `UsageError` and
    `StorageError`."""
    what_next = "Name the other one: pilot runs diff {} B"
    (home_a, id_a), (home_b, id_b) = named_pair(home, run, baseline, what_next.format)
    with open_journal(home_a) as journal_a, open_journal(home_b) as journal_b:
        return compared_numbers(journal_a, id_a, journal_b, id_b, wanted)


def compare_experiment(
    journal: JournalReader, experiment: int, wanted: WantedQueries = ALL_QUERIES
) -> Comparison:
    """Compare the folds of a cross-validation; `experiment` is the driver's run of the first one.

    Raises `UsageError` where no fold has ended.
    """
    runs = [run for run in journal.runs(limit=None) if run.experiment == experiment]
    pairs = [
        (run.run_id, run.paired_with)
        for run in sorted(runs, key=lambda run: run.run_id)
        if run.arm == "driver" and run.paired_with is not None
    ]
    return compare_folds(journal, pairs, wanted)


def rank_arms(
    journal: JournalReader, run: RunRecord, compared: Sequence[Comparison] = ()
) -> Ranking | None:
    """The ranking of the arms of a paired run, by its driver's run; None for fewer than three.
    `compared` as in `rank`."""
    baselines = journal.baselines_of(run.run_id)
    if len(baselines) < 2:
        return None
    against = journal.request(run.run_id)[0].get("against") or ()
    names = {run.run_id: "driver" if run.config_path is None else shown_path(Path(run.config_path))}
    for number, baseline in enumerate(baselines):
        name = against[number] if number < len(against) else f"run {baseline}"
        names[baseline] = shown_path(Path(name)) if name.startswith("/") else name
    return rank(journal, names, baselines[0], compared)


def named_pair(
    home: Path, run: str, baseline: str | None, hint: Callable[[int], str]
) -> tuple[tuple[Path, int], tuple[Path, int]]:
    """Returns the homes and numbers of `run` and `baseline`; without `baseline` those of the pair
    of `run`, the driver's run first.

    Raises `UsageError`, with the `hint` for the run's number where `run` belongs to no pair.
    """
    named = named_run(home, run)
    if baseline is not None:
        return named, named_run(home, baseline)
    with open_journal(named[0]) as journal:
        record = journal.run(named[1])
    if record.paired_with is None:
        message = f"run {record.run_id} took turns with no other run"
        raise UsageError(message, hint=hint(record.run_id))
    other = (named[0], record.paired_with)
    return (other, named) if record.arm == "baseline" else (named, other)


def named_run(home: Path, name: str) -> tuple[Path, int]:
    """Returns the home and the number of the run that `name` means: its number or its name, or
    those of a run in another home after `FOLDER:`. Raises `UsageError`, and `StorageError` where no
    run has that name."""
    folder, _, run = name.rpartition(":")
    home = Path(folder) if folder else home
    if run.isdecimal():
        return home, int(run)
    if not is_run_name(run) and run != NEWEST:
        raise UsageError(
            f"{name!r} is not a run",
            hint="Write its number or its name, or FOLDER:NUMBER for one of another home: "
            "pilot runs list",
        )
    with open_journal(home) as journal:
        return home, journal.named_run(run).run_id


def open_journal(home: Path) -> Journal:
    """Returns the journal in `home`. Raises `StorageError` where there is none."""
    journal = Journal.open_existing(home)
    if journal is None:
        meant = _similar_home(home)
        hint = f"Did you mean {meant}?" if meant else "Begin one: pilot run WORKLOAD"
        raise StorageError(f"there are no runs in {home} yet", hint=hint)
    return journal


def _similar_home(home: Path) -> Path | None:
    """A folder with runs: `home` with similar names for what does not exist, or a home in it."""
    found = Path()
    with contextlib.suppress(OSError):
        for part in home.parts:
            if (found / part).exists():
                found /= part
            else:
                folders = [entry.name for entry in found.iterdir() if entry.is_dir()]
                found /= nearest(part, folders) or part
        for meant in (found, found / ".pilot"):
            if (meant / FILE_NAME).exists():
                return meant
    return None
