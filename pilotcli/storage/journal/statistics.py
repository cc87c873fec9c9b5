"""Counts and latencies of a run, read from the journal."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pilotcli.common.closing import Closing
from pilotcli.common.errors import StorageError
from pilotcli.common.records import QueryStatus
from pilotcli.storage.journal.records import RunRecord, RunStatistics, TimelinePart
from pilotcli.storage.journal.schema import connect, journal_errors
from pilotcli.storage.journal.summary import (
    SAVE_AFTER,
    TIMED,
    RunSummary,
    read_summary,
    save_summary,
)

_SHARES = (0.50, 0.95, 0.99)
EXACT_RESULTS = 50_000
"""The most results of a run whose percentiles are computed from the results themselves."""

log = logging.getLogger(__name__)


class StatisticsReader(Closing):
    """Reads counts and latencies. Each method raises `StorageError` when SQLite fails."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._all(f"PRAGMA table_info({table})")}

    def _all(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with journal_errors(self.path):
            return self._connection.execute(sql, arguments).fetchall()

    def _each(self, sql: str, *arguments: object) -> Iterator[tuple[Any, ...]]:
        with journal_errors(self.path):
            # Not `yield from`, which closes the cursor of a reader that is left halfway, also when
            # the journal has been closed meanwhile.
            for row in self._connection.execute(sql, arguments):  # noqa: UP028
                yield row

    def counts(self, run_id: int) -> dict[QueryStatus, int]:
        """The number of query executions of a run by status."""
        return dict(self._summary(run_id).counts)

    def counted_after(self, run_id: int, result: int, *, ok: bool) -> int:
        """The number of results after the one numbered `result`; with `ok`, only of those that
        ended `ok`."""
        wanted = " AND status = 'ok'" if ok else ""
        sql = f"SELECT count(*) FROM results WHERE run_id = ? AND result > ?{wanted}"  # noqa: S608
        return int(self._all(sql, run_id, result)[0][0])

    def last_result(self, run_id: int) -> int:
        """The number of a run's last result; 0 without any."""
        sql = "SELECT coalesce(max(result), 0) FROM results WHERE run_id = ?"
        return int(self._all(sql, run_id)[0][0])

    def rounds(self, run_id: int) -> int:
        """The number of rounds from a run's first result to its last; 0 without any. The baseline
        of a pair begins after the rounds in which the driver learned alone."""
        chosen = "SELECT round FROM results WHERE run_id = ? ORDER BY result {} LIMIT 1"
        first, last = (self._all(chosen.format(order), run_id) for order in ("ASC", "DESC"))
        return last[0][0] - first[0][0] + 1 if first and last else 0

    def elapsed_s(self, run_id: int) -> float:
        """Seconds from the first query to the last of each part of a run, summed: without the
        pauses before it was resumed."""
        elapsed_s, begin = 0.0, 0
        sql = "SELECT after_result FROM resumes WHERE run_id = ? ORDER BY resumed_at"
        for (end,) in self._all(sql, run_id):
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

    def compared_statistics(self, run: RunRecord) -> RunStatistics | None:
        """As `statistics`, of the rounds in which an arm of a paired run was compared; None where
        it did not learn before, or no such round has begun."""
        learned = self.learned_rounds(run)
        return self._statistics_after(run.run_id, learned) if learned else None

    def learned_rounds(self, run: RunRecord) -> int:
        """The first rounds of an arm of a paired run, in which it learned and was not compared; 0
        where it has no results in them, or none after them."""
        learned = run.learning_rounds
        if not learned:
            return 0
        sql = "SELECT min(round) <= ? AND max(round) > ? FROM results WHERE run_id = ?"
        return learned if self._all(sql, learned, learned, run.run_id)[0][0] else 0

    def statistics(self, run_id: int) -> RunStatistics:
        """Counts per status and latency percentiles of a run, without loading its results."""
        summary = self._summary(run_id)
        timed = sum(summary.counts[status] for status in TIMED)
        exact = not self._is_long(run_id)
        p50_s, p95_s, p99_s = (
            self._ranked(run_id, [max(1, math.ceil(share * timed)) for share in _SHARES])
            if exact
            else summary.percentiles(*_SHARES)
        )
        max_s = summary.max_s if timed else None
        counts = dict(summary.counts)
        return RunStatistics(
            sum(counts.values()), counts, summary.query_s, p50_s, p95_s, p99_s, max_s, exact
        )

    def _statistics_after(self, run_id: int, round: int) -> RunStatistics:
        """As `statistics`, of the results after a round: all of them are read."""
        counted = self._all(
            "SELECT status, count(*), sum(elapsed_s), max(elapsed_s) FROM results "
            "WHERE run_id = ? AND round > ? GROUP BY status",
            run_id,
            round,
        )
        counts = {status: number for status, number, _, _ in counted}
        timed = sum(number for status, number in counts.items() if status in TIMED)
        ranks = [max(1, math.ceil(share * timed)) for share in _SHARES]
        p50_s, p95_s, p99_s = self._ranked(run_id, ranks, round)
        query_s = sum(own_s for _, _, own_s, _ in counted)
        max_s = max((most_s for status, _, _, most_s in counted if status in TIMED), default=None)
        return RunStatistics(sum(counts.values()), counts, query_s, p50_s, p95_s, p99_s, max_s)

    def timeline(self, run_id: int, parts: int) -> list[TimelinePart]:
        """A run in up to `parts` parts of equally many executions, in the order in which these
        ended; empty for a run of more than 50,000 executions, since all would be read."""
        ((total,),) = self._all("SELECT max(result) FROM results WHERE run_id = ?", run_id)
        if not total or total > EXACT_RESULTS:
            return []
        rows = self._all(
            "SELECT count(*), sum(status <> 'ok'), avg(elapsed_s), max(elapsed_s) FROM results "
            "WHERE run_id = ? GROUP BY (result - 1) * ? / ? ORDER BY min(result)",
            run_id,
            min(parts, total),
            total,
        )
        return [TimelinePart(*row) for row in rows]

    def _ranked(self, run_id: int, ranks: Sequence[int], round: int = 0) -> list[float | None]:
        """The latencies after a round at these places from the fastest, 1, on; None where there is
        none."""
        found = dict(
            self._all(
                "SELECT * FROM (SELECT row_number() OVER (ORDER BY elapsed_s) AS rank, elapsed_s "  # noqa: S608
                f"FROM results WHERE run_id = ? AND round > ? AND status IN {TIMED}) "
                f"WHERE rank IN ({', '.join('?' * len(ranks))})",
                run_id,
                round,
                *ranks,
            )
        )
        return [found.get(rank) for rank in ranks]

    def _is_long(self, run_id: int) -> bool:
        """Whether a run has so many results that its summary is used instead of them."""
        ((results,),) = self._all("SELECT max(result) FROM results WHERE run_id = ?", run_id)
        return (results or 0) > EXACT_RESULTS

    def _summary(self, run_id: int) -> RunSummary:
        with journal_errors(self.path):
            summary = read_summary(self._connection, run_id)
        if summary.upto - summary.saved > 2 * SAVE_AFTER:
            # An older pilot made no summary of the run: save it for next time.
            try:
                with closing(connect(self.path.parent)) as writing, journal_errors(self.path):
                    save_summary(writing, run_id, summary)
            except StorageError as error:
                log.debug("the summary of run %s is not kept: %s", run_id, error)
        return summary
