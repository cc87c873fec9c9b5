"""Reading the journal."""

from __future__ import annotations

import json
import math
import platform
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from pilotcli.errors import StorageError
from pilotcli.processes import is_running
from pilotcli.records import EventKind, ModelVersion, QueryResult, QueryStatus, SteeringReport
from pilotcli.storage.journal.records import (
    FiringRecord,
    PretrainingState,
    QueryRecord,
    RunRecord,
    RunStatistics,
)
from pilotcli.storage.journal.schema import journal_errors

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["JournalReader"]

_RUN_COLUMNS = (
    "run_id, kind, workload, config_path, config_text, database, options, started_at, "
    "finished_at, status, exit_code, summary, host, pid, pid_start"
)


class JournalReader:
    """The reading half of a journal. Each method raises `StorageError` when SQLite fails."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    def runs(self, limit: int | None = 20) -> list[RunRecord]:
        """The newest runs, newest first; all of them with `limit=None`."""
        rows = self._all(
            f"SELECT {_RUN_COLUMNS} FROM runs ORDER BY run_id DESC LIMIT ?",  # noqa: S608
            -1 if limit is None else limit,
        )
        return [_run(row) for row in rows]

    def run(self, run_id: int | None = None) -> RunRecord:
        """The run `run_id`, or the newest. Raises `StorageError` when there is none."""
        wanted = "" if run_id is None else "WHERE run_id = ?"
        rows = self._all(
            f"SELECT {_RUN_COLUMNS} FROM runs {wanted} ORDER BY run_id DESC LIMIT 1",  # noqa: S608
            *(() if run_id is None else (run_id,)),
        )
        if rows:
            return _run(rows[0])
        if run_id is None:
            raise StorageError(
                f"there are no runs in {self.path.parent} yet", hint="Begin one: pilot run WORKLOAD"
            )
        raise StorageError(
            f"there is no run {run_id} in {self.path.parent}", hint="See: pilot runs list"
        )

    def results(
        self,
        run_id: int,
        *,
        order: Literal["seq", "slowest"] = "seq",
        status: QueryStatus | None = None,
        failed: bool = False,
        limit: int | None = None,
    ) -> Iterator[QueryResult]:
        """The results of a run, one at a time: by round and query, or slowest first.

        `status` keeps those with that status; `failed` those that did not end `ok`.
        """
        wanted, arguments = "run_id = ?", [run_id]
        if status is not None:
            wanted += " AND status = ?"
            arguments.append(status)  # type: ignore[arg-type]
        if failed:
            wanted += " AND status <> 'ok'"
        # A journal of an older pilot that cannot be written to is read as it is.
        known = {row[1] for row in self._all("PRAGMA table_info(results)")}
        steering = "steering" if "steering" in known else "NULL"
        attempts = "attempts" if "attempts" in known else "1"
        by = {"seq": "round, seq, result", "slowest": "elapsed_s DESC, result"}[order]
        outer = by.replace(" seq", " chosen.seq")
        # The rows are chosen and ordered by the narrow columns alone; only those that are asked
        # for are joined with their texts.
        rows = self._each(
            "SELECT chosen.seq, label, status, started_at, elapsed_s, row_count, error, sqlstate, "  # noqa: S608
            f"inference_s, collection_s, round, worker, file, line, {steering}, "
            f"{attempts} "
            f"FROM (SELECT * FROM results WHERE {wanted} ORDER BY {by} LIMIT ?) AS chosen "
            "JOIN queries ON queries.run_id = chosen.run_id AND queries.seq = chosen.seq "
            f"ORDER BY {outer}",
            *arguments,
            -1 if limit is None else limit,
        )
        return (
            QueryResult(*row[:-2])._replace(steering=_steering(row[-2]), attempts=row[-1])
            for row in rows
        )

    def queries(self, run_id: int, *, seq: int | None = None) -> Iterator[QueryRecord]:
        """The queries of a run in their order, each once; only `seq` when that is given."""
        wanted, arguments = "run_id = ?", [run_id]
        if seq is not None:
            wanted += " AND seq = ?"
            arguments.append(seq)
        rows = self._each(
            "SELECT seq, label, file, line, command, sql, sql_chars FROM queries "  # noqa: S608
            f"WHERE {wanted} ORDER BY seq",
            *arguments,
        )
        return (QueryRecord(*row) for row in rows)

    def firings(self, run_id: int) -> list[FiringRecord]:
        """Every firing of an event in a run, in order."""
        rows = self._all(
            "SELECT event, kind, reason, after_query, outcome, duration_s, fired, fired_at, "
            "error, traceback FROM firings WHERE run_id = ? ORDER BY firing_id",
            run_id,
        )
        return [FiringRecord(row[0], EventKind(row[1]), *row[2:]) for row in rows]

    def counters(self, run_id: int) -> dict[str, int]:
        """The events' counters as of the last firing that was recorded."""
        return dict(self._all("SELECT name, value FROM counters WHERE run_id = ?", run_id))

    def models(self, run_id: int) -> list[ModelVersion]:
        """The checkpoints that a run saved, oldest first."""
        rows = self._all(
            "SELECT model, version, path, created_at, size_bytes, sha256, event, query_seq, "
            "run_id, trained_rows, metrics FROM models WHERE run_id = ? "
            "ORDER BY created_at, model, version",
            run_id,
        )
        return [
            ModelVersion(*[*row[:2], Path(row[2]), *row[3:10], json.loads(row[10])]) for row in rows
        ]

    def counts(self, run_id: int) -> dict[QueryStatus, int]:
        """How many query executions of a run ended in which way."""
        rows = self._all(
            "SELECT status, count(*) FROM results WHERE run_id = ? GROUP BY status", run_id
        )
        return dict(rows)

    def counted_after(self, run_id: int, result: int, *, ok: bool) -> int:
        """How many results came after the one of that number in the run; only those that were
        `ok` with `ok`."""
        wanted = " AND status = 'ok'" if ok else ""
        sql = f"SELECT count(*) FROM results WHERE run_id = ? AND result > ?{wanted}"  # noqa: S608
        return int(self._all(sql, run_id, result)[0][0])

    def steering_reports(self, run_id: int) -> Iterator[SteeringReport]:
        """What became of the pushes for each query of a run for which there were any."""
        rows = self._each(
            "SELECT steering FROM results WHERE run_id = ? AND steering IS NOT NULL", run_id
        )
        return (report for row in rows if (report := _steering(row[0])) is not None)

    def elapsed_s(self, run_id: int) -> float:
        """Seconds from the first query to the last of each part of a run, summed: without the
        pauses before it was resumed."""
        ends = [
            row[0]
            for row in self._all(
                "SELECT after_result FROM resumes WHERE run_id = ? ORDER BY resumed_at", run_id
            )
        ]
        elapsed_s, begin = 0.0, 0
        for end in ends:
            ((first, last),) = self._all(
                "SELECT min(started_at), max(started_at + elapsed_s) FROM results "
                "WHERE run_id = ? AND result > ? AND result <= ?",
                run_id,
                begin,
                end,
            )
            elapsed_s += (last - first) if first is not None else 0.0
            begin = end
        return elapsed_s

    def statistics(self, run_id: int) -> RunStatistics:
        """Counts per status and latency percentiles of a run, without loading its results."""
        counts = self.counts(run_id)
        timed = counts.get("ok", 0) + counts.get("timeout", 0)
        ((query_s,),) = self._all("SELECT total(elapsed_s) FROM results WHERE run_id = ?", run_id)
        ranks = [max(1, math.ceil(share * timed)) for share in (0.50, 0.95, 0.99, 1.0)]
        # The latencies are sorted once for all of them.
        found = dict(
            self._all(
                "SELECT * FROM (SELECT row_number() OVER (ORDER BY elapsed_s) AS rank, elapsed_s "
                "FROM results WHERE run_id = ? AND status IN ('ok', 'timeout')) "
                "WHERE rank IN (?, ?, ?, ?)",
                run_id,
                *ranks,
            )
        )
        p50_s, p95_s, p99_s, max_s = (found.get(rank) for rank in ranks)
        return RunStatistics(sum(counts.values()), counts, query_s, p50_s, p95_s, p99_s, max_s)

    def pretraining(self, event: str, fingerprint: str) -> PretrainingState | None:
        """How far the pretraining of `event` has come; None when it never began."""
        rows = self._all(
            "SELECT event, fingerprint, table_name, row_count, iterations, collected, trained, "
            "updated_at FROM pretraining WHERE event = ? AND fingerprint = ?",
            event,
            fingerprint,
        )
        if not rows:
            return None
        values = [*rows[0][:5], bool(rows[0][5]), bool(rows[0][6]), rows[0][7]]
        return PretrainingState(*values)

    def _all(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with journal_errors(self.path):
            return self._connection.execute(sql, arguments).fetchall()

    def _each(self, sql: str, *arguments: object) -> Iterator[tuple[Any, ...]]:
        with journal_errors(self.path):
            yield from self._connection.execute(sql, arguments)


def _steering(told: str | None) -> SteeringReport | None:
    if told is None:
        return None
    read = json.loads(told)
    return SteeringReport(
        tuple(read.get("applied", ())),
        tuple((what, why) for what, why in read.get("ignored", ())),
        read.get("native"),
    )


def _run(row: tuple[Any, ...]) -> RunRecord:
    status, (host, pid, pid_start) = row[9], row[12:]
    # Nothing is known about the processes of another machine that shares the folder.
    alive = status == "running" and (host != platform.node() or is_running(pid, pid_start))
    values = [*row[:6], json.loads(row[6]), *row[7:11], json.loads(row[11]), alive]
    return RunRecord(*values)
