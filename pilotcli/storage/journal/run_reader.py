"""Finding runs in the journal: by number, by name, or by what they have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pilotcli.common.errors import StorageError
from pilotcli.common.labels import NEWEST
from pilotcli.common.suggestions import did_you_mean
from pilotcli.storage.journal.records import ANY_RUN, RunFilter, RunRecord
from pilotcli.storage.journal.run_lock import is_alive
from pilotcli.storage.journal.statistics import StatisticsReader

_COLUMNS = (
    "run_id, kind, workload, config_path, config_text, database, options, started_at, "
    "finished_at, status, exit_code, summary"
)
_LATER_COLUMNS = (
    *("paired_with", "arm"),
    *("name", "tags", "note", "provenance", "experiment", "fold"),
)
"""Columns that the journal of an older pilot does not have."""


class RunReader(StatisticsReader):
    """Reads which runs there are. Each method raises `StorageError` when SQLite fails."""

    def runs(self, limit: int | None = 20, wanted: RunFilter = ANY_RUN) -> list[RunRecord]:
        """The newest runs that `wanted` lets through, newest first; all with `limit=None`."""
        conditions, arguments = _conditions(wanted)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        # A subquery, since the conditions may name columns that an older pilot's journal has not.
        rows = self._each(
            f"SELECT * FROM (SELECT {self._run_columns()} FROM runs) {where} "  # noqa: S608
            "ORDER BY run_id DESC",
            *arguments,
        )
        found = (_run(row, self.path.parent) for row in rows)
        kept = (run for run in found if wanted.status in (None, run.outcome))
        return list(islice(kept, limit))

    def count_runs(self) -> int:
        """The number of runs."""
        ((found,),) = self._all("SELECT count(*) FROM runs")
        return int(found)

    def run(self, run_id: int | None = None) -> RunRecord:
        """The run `run_id`, or the newest. Raises `StorageError` when there is none."""
        wanted, arguments = where(run_id=run_id)
        rows = self._all(
            f"SELECT {self._run_columns()} FROM runs {wanted} "  # noqa: S608
            "ORDER BY run_id DESC LIMIT 1",
            *arguments,
        )
        if rows:
            return _run(rows[0], self.path.parent)
        if run_id is None:
            raise StorageError(
                f"there are no runs in {self.path.parent} yet", hint="Begin one: pilot run WORKLOAD"
            )
        removed = self._columns("removed") and self._all(
            "SELECT 1 FROM removed WHERE run_id = ?", run_id
        )
        what = f"run {run_id} was removed from" if removed else f"there is no run {run_id} in"
        raise StorageError(f"{what} {self.path.parent}", hint="See: pilot runs list")

    def named_run(self, name: str) -> RunRecord:
        """The run that a user calls `name`: its number, its name, or `last`.

        Of several runs with that name it is the newest, and of those of a pair the driver's. Raises
        `StorageError` when there is none.
        """
        if name == NEWEST or name.isdecimal():
            return self.run(int(name) if name.isdecimal() else None)
        found = self.runs(1, RunFilter(name=name, baselines=False))
        if found:
            return found[0]
        names = {run.name for run in self.runs(None) if run.name is not None}
        hint = did_you_mean(name, names, listed="Names are") if names else "See: pilot runs list"
        raise StorageError(f"there is no run named {name!r} in {self.path.parent}", hint=hint)

    def request(self, run_id: int) -> tuple[dict[str, Any], str | None]:
        """The request and the workload's digest that `start_run` stored for a run."""
        ((request, digest),) = self._all(
            "SELECT request, workload_digest FROM runs WHERE run_id = ?", run_id
        )
        return json.loads(request), digest

    def baselines_of(self, run_id: int) -> tuple[int, ...]:
        """The runs with which a driver's run takes turns, in their order."""
        if "arm" not in self._columns("runs"):
            return ()
        sql = "SELECT run_id FROM runs WHERE paired_with = ? AND arm = 'baseline' ORDER BY run_id"
        return tuple(found for (found,) in self._all(sql, run_id))

    def _run_columns(self) -> str:
        known = self._columns("runs")
        later = (name if name in known else f"NULL AS {name}" for name in _LATER_COLUMNS)
        return ", ".join((_COLUMNS, *later))


def _conditions(wanted: RunFilter) -> tuple[list[str], list[Any]]:
    """The conditions of a filter in SQL, and their arguments; without that of the status `killed`,
    which the journal does not know."""
    status = "running" if wanted.status == "killed" else wanted.status
    given: list[tuple[str, object]] = [
        ("name = ?", wanted.name),
        ("status = ?", status),
        ("started_at >= ?", wanted.since),
        ("instr(workload, ?)", wanted.workload),
        ("instr(config_path, ?)", wanted.config),
        *(("instr(tags, ?)", json.dumps(tag)) for tag in wanted.tags),
    ]
    conditions = [condition for condition, value in given if value is not None]
    if not wanted.baselines:
        conditions.append("arm IS NOT 'baseline'")
    return conditions, [value for _, value in given if value is not None]


def _run(row: Sequence[Any], home: Path) -> RunRecord:
    alive = row[9] == "running" and is_alive(home, row[0])
    tags, provenance = row[15], row[17]
    values = [*row[:6], json.loads(row[6]), *row[7:11], json.loads(row[11]), alive, *row[12:15]]
    values += [tuple(json.loads(tags or "[]")), row[16], json.loads(provenance or "{}"), *row[18:]]
    return RunRecord(*values)


def where(**values: object) -> tuple[str, list[Any]]:
    """A condition on the columns that have a value, and its arguments."""
    given = {name: value for name, value in values.items() if value is not None}
    conditions = " AND ".join(f"{name} = ?" for name in given)
    return f"WHERE {conditions}" if given else "", list(given.values())
