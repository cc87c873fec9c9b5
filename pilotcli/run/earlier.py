"""Chooses queries by how they ended in an earlier run of the same workload."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import listed
from pilotcli.common.records import STOPPED
from pilotcli.common.sql_commands import command_of
from pilotcli.config.model import RunSection
from pilotcli.run.request import RunRequest
from pilotcli.storage.journal import Journal, JournalReader, QueryRecord, RunRecord
from pilotcli.workload import open_workload
from pilotcli.workload.selection import Selectable, Selection, chosen_numbers

_SHOWN = 3
_BY_ANOTHER_RUN = "Choose by another run: --failed-of RUN; see: pilot runs list"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What to choose of an earlier run: its `failed` queries, or its `slowest`, or the slowest of
    the failed ones. `run` is the number or the name of the run; None is the newest one of the
    workload, with all folds of its cross-validation.

    Of a paired run only what was compared counts, not what drivers learned from before.
    """

    failed: bool = False
    slowest: int | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    """A query of the earlier run, with the seconds of its slowest execution."""

    query: QueryRecord
    slowest_s: float
    failed: bool


def narrowed(request: RunRequest, earlier: Earlier, notify: Callable[[str], object]) -> RunRequest:
    """The request for those queries alone, as `run.select`, so that a continued run has the same.

    What the config selects is chosen from. `notify` receives which of them are left out, because
    the workload does not have them. Raises `UsageError` if there is no such run, nothing to choose
    in it, or nothing of it in the workload; `WorkloadError` and `StorageError`.
    """
    journal = Journal.open_existing(request.config.home)
    if journal is None:
        raise _no_earlier_run(request)
    with journal:
        records = _runs(journal, request, earlier.run)
        ended = _ended(journal, records)
    chosen = _chosen(ended, request.config.run, earlier)
    names = listed([str(record.run_id) for record in records], len(records))
    runs = f"run {names}" if len(records) == 1 else f"runs {names}"
    if not chosen:
        what = "failed" if earlier.failed else "ended"
        message = f"nothing is selected: no query {what} in {runs}"
        raise UsageError(message, hint=_BY_ANOTHER_RUN)
    texts, missing = _texts(chosen, _in_workload(request, ended))
    if missing:
        what = f"the {'failed' if earlier.failed else 'slowest'} queries of {runs}"
        labels = listed([query.label for query in missing], _SHOWN)
        if not texts:
            message = f"nothing is selected: the workload has none of {what}: {labels}"
            raise UsageError(message, hint=_BY_ANOTHER_RUN)
        notify(f"{len(missing)} of {what} left out, not in the workload: {labels}")
    run = replace(request.config.run, select=tuple(texts))
    return replace(
        request,
        config=replace(request.config, run=run),
        overrides=(*request.overrides, f"--select={_as_yaml(texts)}"),
    )


def _as_yaml(texts: Iterable[str]) -> str:
    """The texts as a value for the config, where `${` begins a variable."""
    return json.dumps(list(texts), ensure_ascii=False).replace("${", "$${")


def _runs(journal: Journal, request: RunRequest, name: str | None) -> Sequence[RunRecord]:
    """The run of that name; without one, the newest run of the workload, or the driver's runs of
    all folds of its cross-validation."""
    if name is not None:
        record = journal.named_run(name)
        if record.kind != "run":
            raise UsageError(
                f"run {record.run_id} is a `pilot {record.kind}`, without queries",
                hint="Name another run: pilot runs list",
            )
        return [record]
    paths = _absolute(request.paths, str(Path.cwd()))
    own = [
        record
        for record in journal.runs(limit=None)
        if record.kind == "run" and record.arm != "baseline" and not record.alive
    ]
    for record in own:
        stored: dict[str, Any] = dict(journal.request(record.run_id)[0])
        if paths == _absolute(stored.get("workload", ()), stored.get("folder", "")):
            if record.experiment is None:
                return [record]
            folds = [one for one in own if one.experiment == record.experiment]
            return sorted(folds, key=lambda one: one.run_id)
    raise _no_earlier_run(request)


def _absolute(paths: Iterable[str], folder: str) -> list[str]:
    return [
        path if path == "-" else os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
        for path in map(str, paths)
    ]


def _no_earlier_run(request: RunRequest) -> UsageError:
    return UsageError(
        f"there is no earlier run of this workload in {request.config.home}",
        hint="Run it first, or name a run: --failed-of RUN; see: pilot runs list",
    )


def _ended(journal: JournalReader, records: Iterable[RunRecord]) -> dict[int, _Ended]:
    """The queries that ended where it counts, the slowest of each run first, by their numbers.

    A part of a workload, as of a split or a fold, has the numbers of the whole.
    """
    found: dict[int, _Ended] = {}
    for record in records:
        run_id, learned = record.run_id, _rounds_apart(journal, record)
        queries = {query.seq: query for query in journal.queries(run_id)}
        failures = journal.results(run_id, failed=True)
        failed = {one.seq for one in failures if one.round > learned and one.error != STOPPED}
        for result in journal.slowest(run_id, len(queries), learned):
            seq = result.seq
            before = found.get(seq, _Ended(queries[seq], 0.0, failed=False))
            slowest_s = max(result.elapsed_s, before.slowest_s)
            found[seq] = _Ended(queries[seq], slowest_s, before.failed or seq in failed)
    return found


def _rounds_apart(journal: JournalReader, record: RunRecord) -> int:
    """The first rounds of a run, which do not count because its drivers learned in them; 0 where it
    has no other rounds, unless their queries are those of another workload."""
    if record.options.get("learn_on") or journal.learned_rounds(record):
        return record.learning_rounds
    return 0


def _chosen(ended: dict[int, _Ended], run: RunSection, earlier: Earlier) -> Sequence[QueryRecord]:
    """The queries to choose, in the order of their numbers."""
    if not ended:
        return ()
    queries = [one.query for one in ended.values()]
    selected = chosen_numbers(Selection(run.select, run.exclude), queries)
    wanted = [
        one
        for seq, one in ended.items()
        if seq in selected
        and command_of(one.query.command).compared
        and (one.failed or not earlier.failed)
    ]
    if earlier.slowest is not None:
        wanted = sorted(wanted, key=lambda one: -one.slowest_s)[: earlier.slowest]
    return sorted((one.query for one in wanted), key=lambda query: query.seq)


def _in_workload(request: RunRequest, ended: dict[int, _Ended]) -> Iterable[Selectable]:
    """The queries of the workload. Standard input can be read only once: its queries are taken for
    those of the earlier run."""
    if "-" in request.paths:
        return [one.query for one in ended.values()]
    return open_workload(request.paths)


def _texts(
    chosen: Sequence[QueryRecord], workload: Iterable[Selectable]
) -> tuple[Sequence[str], Sequence[QueryRecord]]:
    """Returns what selects the `chosen` queries in the workload, each by its label, or by its
    number where others have the same label; and those that are not there."""
    labels = {query.label for query in chosen}
    labelled: dict[str, list[Selectable]] = defaultdict(list)
    for query in workload:
        if query.label in labels:
            labelled[query.label].append(query)
    found = [(query, _text(query, labelled[query.label])) for query in chosen]
    texts = dict.fromkeys(text for _, text in found if text is not None)
    return list(texts), [query for query, text in found if text is None]


def _text(query: QueryRecord, labelled: Sequence[Selectable]) -> str | None:
    """What selects `query` among those with its label; None if it is not among them."""
    if len(labelled) == 1:
        return query.label

    def likeness(other: Selectable) -> tuple[bool, bool]:
        has_text = other.sql == query.sql or (query.truncated and other.sql.startswith(query.sql))
        return has_text, other.seq == query.seq

    best = max(labelled, key=likeness, default=None)
    return str(best.seq) if best is not None and any(likeness(best)) else None
