"""Reading the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pilotcli.common.records import (
    EventKind,
    ModelVersion,
    PretrainingProgress,
    QueryResult,
    QueryStatus,
    SteeringReport,
)
from pilotcli.storage.journal.records import (
    EventTotals,
    FiringRecord,
    PlanRecord,
    QueryRecord,
)
from pilotcli.storage.journal.rows import (
    FIRING_COLUMNS,
    MODEL_COLUMNS,
    QUERY_COLUMNS,
    RESULT_FIELDS,
    default_sql,
    result_of,
    steering_report,
)
from pilotcli.storage.journal.run_reader import RunReader, where
from pilotcli.storage.journal.summary import SLOWEST_KEPT

_FIRINGS = f"SELECT {', '.join(FIRING_COLUMNS)} FROM"


class JournalReader(RunReader):
    """The reading half of a journal. Each method raises `StorageError` when SQLite fails."""

    def results(
        self,
        run_id: int,
        *,
        seq: int | None = None,
        status: QueryStatus | None = None,
        failed: bool = False,
        limit: int | None = None,
    ) -> Iterator[QueryResult]:
        """The results of a run, one at a time, by round and query.

        `seq` selects those of one query, `status` those with that status, `failed` those that did
        not end `ok`, and `limit` the first so many of them to end.
        """
        wanted, arguments = where(run_id=run_id, seq=seq, status=status)
        if failed:
            # By itself SQLite takes the key, which is in order, and looks at every result.
            wanted = f"INDEXED BY results_failed {wanted} AND status <> 'ok'"
        if limit is not None:
            wanted += " ORDER BY result LIMIT ?"
            arguments.append(limit)
        chosen = f"SELECT * FROM results {wanted}"  # noqa: S608
        return self._chosen(chosen, arguments, "round, chosen.seq, result")

    def slowest(self, run_id: int, limit: int, after_round: int = 0) -> list[QueryResult]:
        """The slowest queries of a run, each once with its worst result, slowest first; with
        `after_round` of the later rounds only.

        For a run of more than 50,000 results up to 100 queries come from its summary; to find more,
        all results are read.
        """
        if limit <= SLOWEST_KEPT and not after_round and self._is_long(run_id):
            numbers = self._summary(run_id).slowest(limit)
            choice = f"run_id = ? AND result IN ({', '.join('?' * len(numbers))})"
            arguments = [run_id, *numbers]
        else:
            # Of a group's rows SQLite takes the one with the maximum
            # (https://www.sqlite.org/lang_select.html#bareagg).
            choice = (
                "run_id = ? AND round > ? GROUP BY seq ORDER BY max(elapsed_s) DESC, result LIMIT ?"
            )
            arguments = [run_id, after_round, limit]
        chosen = f"SELECT * FROM results WHERE {choice}"  # noqa: S608
        return list(self._chosen(chosen, arguments, "elapsed_s DESC, result"))

    def _chosen(
        self, chosen: str, arguments: Sequence[object], order: str
    ) -> Iterator[QueryResult]:
        """The results that the query `chosen` selects by the narrow columns, joined with their
        texts."""
        # A journal of an older pilot that cannot be written to is read as it is.
        known = self._columns("results")
        columns = ", ".join(
            f"{'chosen' if field.table == 'results' else 'queries'}.{name}"
            if field.table == "queries" or name in known
            else default_sql(name)
            for name, field in RESULT_FIELDS.items()
        )
        rows = self._each(
            f"SELECT {columns} FROM ({chosen}) AS chosen "  # noqa: S608
            "JOIN queries ON queries.run_id = chosen.run_id AND queries.seq = chosen.seq "
            f"ORDER BY {order}",
            *arguments,
        )
        return (result_of(row) for row in rows)

    def queries(self, run_id: int, *, seq: int | None = None) -> Iterator[QueryRecord]:
        """The queries of a run in their order, each once; only `seq` when that is given."""
        wanted, arguments = where(run_id=run_id, seq=seq)
        rows = self._each(
            f"SELECT {', '.join(QUERY_COLUMNS)} FROM queries {wanted} ORDER BY seq",  # noqa: S608
            *arguments,
        )
        return (QueryRecord(*row) for row in rows)

    def plans(self, run_id: int, *, seq: int | None = None) -> Iterator[PlanRecord]:
        """The plans of a run's queries, by query and round; only of `seq` when that is given.

        Each round has those that differ from the plan before, round 0 those with actual rows.
        """
        if not self._columns("plans"):  # of an older pilot
            return iter(())
        wanted, arguments = where(run_id=run_id, seq=seq)
        rows = self._each(
            f"SELECT seq, round, plan FROM plans {wanted} ORDER BY seq, round",  # noqa: S608
            *arguments,
        )
        return (PlanRecord(seq, round, json.loads(plan)) for seq, round, plan in rows)

    def began_trained(self, run_id: int) -> bool:
        """Whether the run began with the checkpoint of a model."""
        if not self._columns("loaded"):  # of an older pilot
            return False
        sql = "SELECT 1 FROM loaded WHERE run_id = ? AND version IS NOT NULL LIMIT 1"
        return bool(self._all(sql, run_id))

    def firings(self, run_id: int) -> list[FiringRecord]:
        """Every firing of an event in a run, in order."""
        return list(self.each_firing(run_id))

    def each_firing(self, run_id: int) -> Iterator[FiringRecord]:
        """The same, one at a time."""
        rows = self._each(f"{_FIRINGS} firings WHERE run_id = ? ORDER BY firing_id", run_id)
        return (_firing(row) for row in rows)

    def event_totals(self, run_id: int, failures: int) -> list[EventTotals]:
        """Counts and times of each event's firings in a run, in the order of their first firings,
        each with its first `failures` failed ones."""
        failed_firings: dict[str, list[FiringRecord]] = {}
        for row in self._all(
            f"{_FIRINGS} (SELECT *, row_number() OVER "  # noqa: S608
            "(PARTITION BY event ORDER BY firing_id) AS place FROM firings "
            "WHERE run_id = ? AND outcome = 'failed') WHERE place <= ? ORDER BY firing_id",
            run_id,
            failures,
        ):
            failed_firings.setdefault(row[0], []).append(_firing(row))
        rows = self._all(
            "SELECT event, kind, count(*), sum(outcome = 'failed'), max(after_query), "
            "sum(duration_s) FROM firings WHERE run_id = ? GROUP BY event ORDER BY min(firing_id)",
            run_id,
        )
        return [
            EventTotals(*[event, EventKind(kind), *counts, failed_firings.get(event, ())])
            for event, kind, *counts in rows
        ]

    def counters(self, run_id: int) -> dict[str, int]:
        """For each event that fired at its interval: the query after which its count restarted."""
        return dict(self._all("SELECT name, value FROM counters WHERE run_id = ?", run_id))

    def models(self, run_id: int) -> list[ModelVersion]:
        """The checkpoints that a run saved, oldest first."""
        rows = self._all(
            f"SELECT {', '.join(MODEL_COLUMNS)} FROM models "  # noqa: S608
            "WHERE run_id = ? ORDER BY created_at, model, version",
            run_id,
        )
        return [
            ModelVersion(*[*row[:2], Path(row[2]), *row[3:10], json.loads(row[10])]) for row in rows
        ]

    def steering_reports(self, run_id: int) -> Iterator[SteeringReport]:
        """The steering reports of a run's results that have one."""
        rows = self._each(
            "SELECT steering FROM results WHERE run_id = ? AND steering IS NOT NULL", run_id
        )
        return (steering_report(row[0]) for row in rows)

    def pretraining(self, event: str, fingerprint: str) -> PretrainingProgress | None:
        """The progress of the pretraining of `event`, over all runs of this journal; None when it
        never began. `fingerprint` is the caller's digest of the event's class and arguments."""
        rows = self._all(
            "SELECT row_count, iterations, collected, trained FROM pretraining "
            "WHERE event = ? AND fingerprint = ?",
            event,
            fingerprint,
        )
        for rows_saved, iterations, collected, trained in rows:
            return PretrainingProgress(rows_saved, iterations, bool(collected), bool(trained))
        return None


def _firing(row: tuple[Any, ...]) -> FiringRecord:
    return FiringRecord(row[0], EventKind(row[1]), *row[2:])
