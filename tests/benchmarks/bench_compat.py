"""PilotScope's own measurements, on its names in pilot, against raw psycopg2 in the same run.

    python tests/benchmarks/bench_compat.py [QUERIES]

Client and server are pinned to one core. Each figure is the median of five, each of them between
two raw loops, whose mean it is compared with.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

import pilotcli.compat.pilotscope  # noqa: F401 - makes the names below importable
from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.Factory.SchedulerFactory import SchedulerFactory
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig
from pilotcli.compat.pilotscope.PilotEvent import QueryFinishEvent

ROUNDS = 5
CHEAP = "SELECT kind FROM item WHERE id = 7"


class Count(QueryFinishEvent):
    def process(self, db_controller: Any, data_manager: Any) -> None:
        pass


def main() -> None:
    queries = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="pilot-bench-") as name:
        Path(name).chmod(0o711)  # as root the server is another user's
        config = PostgreSQLConfig(home=Path(name) / ".pilot", db="bench")
        controller = DBControllerFactory.get_db_controller(config)
        controller.execute("CREATE TABLE item (id int PRIMARY KEY, kind int)")
        controller.execute("INSERT INTO item SELECT g, g % 10 FROM generate_series(1, 1000) AS g")
        controller.execute("ANALYZE item")
        raw = psycopg2.connect(**controller.session().connection.get_dsn_parameters())
        raw.autocommit = True
        cursor = raw.cursor()
        cursor.execute("CREATE TABLE raw_kept (sql text, plan text, cost float)")
        # As the store's commits do: each waits for the disk.
        cursor.execute("SET synchronous_commit = on")

        plain = SchedulerFactory.create_scheduler(config)
        plain.init()
        compare("a cheap query", queries, lambda: cheap(cursor), lambda: plain.execute(CHEAP), 2.0)

        stored = SchedulerFactory.create_scheduler(config)
        stored.register_required_data("kept", pull_estimated_cost=True, pull_physical_plan=True)
        stored.register_events(Count(config, 10))
        stored.init()
        compare(
            "cost and plan pulled and stored, an event every 10",
            queries // 5,
            lambda: cheap_kept(cursor),
            lambda: stored.execute(CHEAP),
            1.2,
        )
        saved(config)
        stored.close()
        plain.close()
        raw.close()
        controller.close()


def cheap(cursor: Any) -> None:
    cursor.execute(CHEAP)
    cursor.fetchall()


def cheap_kept(cursor: Any) -> None:
    cursor.execute(CHEAP)
    cursor.fetchall()
    cursor.execute(f"EXPLAIN (FORMAT JSON) {CHEAP}")
    plan = cursor.fetchone()[0]
    cost = plan[0]["Plan"]["Total Cost"]
    cursor.execute("INSERT INTO raw_kept VALUES (%s, %s, %s)", (CHEAP, str(plan), cost))


def compare(
    what: str, queries: int, raw: Callable[[], object], ours: Callable[[], object], limit: float
) -> None:
    taken(raw, queries // 10)
    taken(ours, queries // 10)
    ratios, times = [], []
    before = taken(raw, queries)
    for _ in range(ROUNDS):
        mine = taken(ours, queries)
        after = taken(raw, queries)
        ratios.append(2 * mine / (before + after))
        times.append((mine, (before + after) / 2))
        before = after
    mine, base = (1e6 * statistics.median(one) for one in zip(*times, strict=True))
    print(f"{what}: {mine:.1f} us, raw {base:.1f} us, ratio {statistics.median(ratios):.2f} "
          f"(limit {limit}; {min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def taken(call: Callable[[], object], queries: int) -> float:
    """Seconds a call."""
    began = time.perf_counter()
    for _ in range(queries):
        call()
    return (time.perf_counter() - began) / queries


def saved(config: PostgreSQLConfig) -> None:
    rows = [{"id": n, "cost": n / 3, "plan": "x" * 50} for n in range(5_000)]
    rates = []
    with DataManager(config) as manager:
        for number in range(ROUNDS):
            began = time.perf_counter()
            manager.save_data_batch(f"rows_{number}", rows)
            rates.append(len(rows) / (time.perf_counter() - began))
    rate = statistics.median(rates)
    print(f"save_data_batch of 5,000 rows: {rate:,.0f} rows/s (PilotScope 1,760; limit 50 times)")


if __name__ == "__main__":
    main()
