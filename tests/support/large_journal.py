"""Journals of any size, made by SQL: what took hours to run is there in seconds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pilotcli.storage.journal import Journal
from pilotcli.storage.journal.schema import connect

_QUERIES = """
INSERT INTO queries (run_id, seq, label, file, line, command, sql, sql_chars)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :queries)
SELECT :run_id, i, 'q' || i, 'w.sql', i, 'SELECT', 'SELECT ' || i, 12 FROM n
"""
_RESULTS = """
INSERT INTO results (run_id, result, seq, round, worker, status, started_at, elapsed_s, row_count)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :results)
SELECT :run_id, i, 1 + (i - 1) % :queries, 1 + (i - 1) / :queries, 0,
    CASE WHEN i % 1000 = 0 THEN 'error' WHEN i % 1500 = 1 THEN 'timeout' ELSE 'ok' END,
    1e9 + i, 0.001 + (i * 7919 % 1000003) / 1e6, 1 FROM n
"""
_FIRINGS = """
INSERT INTO firings (run_id, event, kind, reason, after_query, outcome, duration_s, fired, fired_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :firings)
SELECT :run_id, 'E' || (i % 10), 'query_finish', 'interval', i * 10,
    CASE WHEN i % 5000 = 1 THEN 'failed' ELSE 'ok' END, 0.001, i, 1e9 + i FROM n
"""


def make_journal(home: Path, results: int, *, queries: int = 1000, firings: int = 100) -> int:
    """Add a run of so many results to the journal in `home`, as a pilot would have written it that
    made no summary; its number.

    A query's latency is between 1 ms and 1 s, evenly, and its slowest ones are those that are
    multiples of a prime, so that they are spread over the whole run.
    """
    with Journal.open(home) as journal:
        run = journal.start_run(
            kind="run",
            workload="w.sql",
            config_path=None,
            config_text="",
            database="embedded PostgreSQL",
            options={},
        )
        run.finish("finished", 0, {})
        run.close()
    numbers = {"run_id": run.run_id, "results": results, "queries": queries, "firings": firings}
    with closing(connect(home)) as connection:
        connection.execute("BEGIN")
        for statement in (_QUERIES, _RESULTS, _FIRINGS if firings else "SELECT 1"):
            connection.execute(statement, numbers)
        connection.execute("DELETE FROM summaries WHERE run_id = ?", (run.run_id,))
        connection.execute("COMMIT")
    return run.run_id
