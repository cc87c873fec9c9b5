"""Chooses queries by how they ended in an earlier run of the same workload."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pilotcli.common.errors import UsageError
from pilotcli.common.records import STOPPED
from pilotcli.common.sql_commands import command_of
from pilotcli.run.request import RunRequest
from pilotcli.storage.journal import Journal, JournalReader, RunRecord
from pilotcli.workload.selection import Selection, chosen_numbers


@dataclass(frozen=True, slots=True)
class Earlier:
    """What to choose of an earlier run: its `failed` queries, or its `slowest`, or the slowest of
    the failed ones. `run` is the number or the name of the run; None is the newest one of the
    workload."""

    failed: bool = False
    slowest: int | None = None
    run: str | None = None


def narrowed(request: RunRequest, earlier: Earlier) -> RunRequest:
    """The request for those queries alone, as `run.select`, so that a continued run has the same.

    What the config selects is chosen from. Raises `UsageError` if there is no such run, or nothing
    to choose in it, and `StorageError`.
    """
    journal = Journal.open_existing(request.config.home)
    if journal is None:
        raise _no_earlier_run(request)
    with journal:
        record = _run(journal, request, earlier.run)
        labels = list(_chosen(journal, record, request, earlier))
    if not labels:
        what = "failed" if earlier.failed else "ended"
        raise UsageError(
            f"nothing is selected: no query {what} in run {record.run_id}",
            hint="Choose by another run: --failed-of RUN; see: pilot runs list",
        )
    run = replace(request.config.run, select=tuple(labels))
    return replace(
        request,
        config=replace(request.config, run=run),
        overrides=(*request.overrides, f"--select={_as_yaml(labels)}"),
    )


def _as_yaml(texts: Iterable[str]) -> str:
    """The texts as a value for the config, where `${` begins a variable."""
    return json.dumps(list(texts), ensure_ascii=False).replace("${", "$${")


def _run(journal: Journal, request: RunRequest, name: str | None) -> RunRecord:
    if name is not None:
        record = journal.named_run(name)
        if record.kind != "run":
            raise UsageError(
                f"run {record.run_id} is a `pilot {record.kind}`, without queries",
                hint="Name another run: pilot runs list",
            )
        return record
    paths = _absolute(request.paths, str(Path.cwd()))
    for record in journal.runs(limit=None):
        if record.kind == "run" and record.arm != "baseline" and not record.alive:
            stored: dict[str, Any] = dict(journal.request(record.run_id)[0])
            if paths == _absolute(stored.get("workload", ()), stored.get("folder", "")):
                return record
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


def _chosen(
    journal: JournalReader, record: RunRecord, request: RunRequest, earlier: Earlier
) -> Iterator[str]:
    """Yields the label of each query, or its number where others have the same label."""
    queries = {query.seq: query for query in journal.queries(record.run_id)}
    run = request.config.run
    wanted = chosen_numbers(Selection(run.select, run.exclude), queries.values())
    wanted = {seq for seq in wanted if command_of(queries[seq].command).compared}
    if earlier.failed:
        failures = journal.results(record.run_id, failed=True)
        wanted &= {result.seq for result in failures if result.error != STOPPED}
    if earlier.slowest is not None:
        slowest = (result.seq for result in journal.slowest(record.run_id, len(queries)))
        kept = [seq for seq in slowest if seq in wanted]
        wanted = set(kept[: earlier.slowest])
    labels = Counter(query.label for query in queries.values())
    for seq in sorted(wanted):
        label = queries[seq].label
        yield label if labels[label] == 1 else str(seq)
