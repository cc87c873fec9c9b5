"""How fast rows get into the store and results into the journal. Run it, it prints its figures.

    python tests/benchmarks/bench_store.py [rows]

Starts a PostgreSQL of its own. Every figure is the median of five rounds; the rounds of what is
compared take turns, so that a busy machine is unfair to none.
"""

from __future__ import annotations

import io
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from pilotcli.common.records import Query, QueryResult
from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.opening import connect_store, open_target
from pilotcli.storage.journal import Journal
from pilotcli.storage.store.data_manager import DataManager

ROUNDS = 5
DDL = "(id bigint, label text, cost double precision, ok boolean, plan_rows bigint)"
COLUMNS = ("id", "label", "cost", "ok", "plan_rows")


def rows_of(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "label": f"query {number}",
            "cost": number / 7,
            "ok": number % 3 == 0,
            "plan_rows": None if number % 5 == 0 else number * 11,
        }
        for number in range(count)
    ]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench_store(home: Path, count: int) -> None:
    config = PostgreSQLConfig(home=home)
    target = open_target(config)
    manager = DataManager(config)
    raw = connect_store(config)
    rows = rows_of(count)
    figures: dict[str, list[float]] = {}
    try:
        for _ in range(ROUNDS):
            for name, work in (
                ("save_data_batch", lambda: manager.save_data_batch("ours", rows)),
                ("psycopg2 execute_values", lambda: by_execute_values(raw, rows)),
                ("psycopg2 COPY by hand", lambda: by_copy(raw, rows)),
            ):
                manager.remove_table_and_tracker("ours")
                execute(raw, "DROP TABLE IF EXISTS theirs", f"CREATE TABLE theirs {DDL}")
                figures.setdefault(name, []).append(timed(work))
        manager.save_data_batch("ours", rows)
        for _ in range(ROUNDS):
            figures.setdefault("read_all", []).append(timed(lambda: manager.read_all("ours")))
    finally:
        raw.close()
        manager.close()
        target.close()
    for name, seconds in figures.items():
        rate = count / statistics.median(seconds)
        print(f"{name:<26} {rate:>12,.0f} rows/s   ({count:,} rows of 5 columns)")


def execute(raw: Any, *statements: str) -> None:
    with raw.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    raw.commit()


def by_execute_values(raw: Any, rows: list[dict[str, Any]]) -> None:
    with raw.cursor() as cursor:
        values = [tuple(row.values()) for row in rows]
        execute_values(cursor, "INSERT INTO theirs VALUES %s", values, page_size=1000)
    raw.commit()


def by_copy(raw: Any, rows: list[dict[str, Any]]) -> None:
    """The least that could be done for exactly these rows: no escapes, no types looked at."""
    lines = (
        f"{row['id']}\t{row['label']}\t{row['cost']!r}\t{'t' if row['ok'] else 'f'}\t"
        f"{'' if row['plan_rows'] is None else row['plan_rows']}\n"
        for row in rows
    )
    with raw.cursor() as cursor:
        cursor.copy_expert(
            "COPY theirs FROM STDIN WITH (NULL '')", io.StringIO("".join(lines)), 1 << 18
        )
    raw.commit()


def bench_journal(home: Path, count: int = 20_000) -> None:
    """The cost of one result, in a burst, and beside queries that wait 50 microseconds each."""
    pairs = [
        (
            Query(seq, f"q{seq}", f"SELECT * FROM t WHERE id = {seq}", "w.sql", seq, "SELECT"),
            QueryResult(seq, f"q{seq}", "ok", 1.7e9 + seq, seq / 1e6, 1),
        )
        for seq in range(1, count + 1)
    ]
    calls, bursts = [], []
    with Journal.open(home) as journal:
        for _ in range(ROUNDS):
            for figures, pause_s in ((calls, 50e-6), (bursts, 0.0)):
                run = journal.start_run(
                    kind="run",
                    workload="bench",
                    config_path=None,
                    config_text="",
                    database="",
                    options={},
                )
                spent = 0.0
                for query, result in pairs:
                    if pause_s:
                        time.sleep(pause_s)
                    start = time.perf_counter()
                    run.add_result(query, result)
                    spent += time.perf_counter() - start
                flush = timed(run.flush)
                figures.append((spent + (0 if pause_s else flush)) / count * 1e6)
                run.close()
        last = journal.run().run_id
        shown = statistics.median(timed(lambda: journal.statistics(last)) for _ in range(ROUNDS))
    print(f"{'add_result in a replay':<26} {statistics.median(calls):>12.2f} us a call")
    print(f"{'add_result in a burst':<26} {statistics.median(bursts):>12.2f} us a call, with flush")
    print(f"{'journal statistics':<26} {shown * 1e3:>12.2f} ms   ({count:,} results)")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    folder = Path(tempfile.mkdtemp(prefix="pilot-bench-"))
    try:
        print(f"Python {sys.version.split()[0]}, psycopg2 {psycopg2.__version__.split()[0]}")
        bench_journal(folder / "journal")
        bench_store(folder / "home", count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
