"""Replay of point selects through the whole of pilot against a raw psycopg2 loop, in one run.

    python tests/benchmarks/bench_replay.py [QUERIES]

Both go over the embedded server's Unix socket, in turn: each run of pilot, five of them, stands
between two raw loops, and its ratio is to their mean, so that a machine whose speed changes
meanwhile changes both. pilot's time is that of
`pilot run` from its first query to its last event, with the journal, two events and the plain view
at work; the raw loop calls `execute` and `fetchall` for the same statements. First as the scheduler
of the machine places client and server, then with both on one core, where nothing of pilot's work
runs beside the server's.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pilotcli.common.signals import Bus
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.databases.controller import get_db_controller
from pilotcli.databases.opening import open_target
from pilotcli.run.commands import RunRequest, run
from pilotcli.views.view import make_view

ROUNDS = 5

EVENTS = """
from pilotcli import QueryFinishEvent, PeriodicModelUpdateEvent

class Count(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        pass

class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return None
"""

CONFIG = """
home: {home}
events:
  - {{class: "ev.py:Count", args: {{interval_count: 100}}}}
  - {{class: "ev.py:Update", args: {{interval_count: 1000}}}}
"""


def main() -> None:
    queries = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    for cores in (os.sched_getaffinity(0), {max(os.sched_getaffinity(0))}):
        os.sched_setaffinity(0, cores)
        compare(queries, "one core" if len(cores) == 1 else "as placed")


def compare(queries: int, placement: str) -> None:
    with tempfile.TemporaryDirectory(prefix="pilot-bench-") as name:
        folder = Path(name)
        (folder / "ev.py").write_text(EVENTS)
        (folder / "pilot.yaml").write_text(CONFIG.format(home=folder / ".pilot"))
        statements = [f"SELECT v FROM point WHERE id = {1 + n % 1000}" for n in range(queries)]
        (folder / "points.sql").write_text(";\n".join(statements) + ";\n")
        target = open_target(PostgreSQLConfig(home=folder / ".pilot"))
        controller = get_db_controller(target.config, target=target)
        controller.execute("CREATE TABLE point (id int PRIMARY KEY, v int)")
        controller.execute("INSERT INTO point SELECT n, n FROM generate_series(1, 1000) AS n")
        controller.execute("VACUUM ANALYZE point")
        raw, piloted = [raw_loop(target, statements)], []
        for _ in range(ROUNDS):
            piloted.append(pilot_run(folder, queries))
            raw.append(raw_loop(target, statements))
        controller.close()
        target.close()
    slow, fast = statistics.median(piloted), statistics.median(raw)
    ratios = [
        run_s * 2 / (before_s + after_s)
        for run_s, before_s, after_s in zip(piloted, raw, raw[1:], strict=False)
    ]
    print(f"{queries} point selects, {placement}, medians of {ROUNDS}:")
    print(f"  raw psycopg2  {fast:.3f} s  {fast / queries * 1e6:.1f} us a query")
    print(f"  pilot run     {slow:.3f} s  {slow / queries * 1e6:.1f} us a query")
    print(f"  ratio         {statistics.median(ratios):.2f}")
    print(f"  of the runs   {', '.join(f'{ratio:.2f}' for ratio in sorted(ratios))}")


def raw_loop(target: object, statements: list[str]) -> float:
    session = target.session()  # type: ignore[attr-defined]
    connection = session.connection
    cursor = connection.cursor()
    started = time.perf_counter()
    for statement in statements:
        cursor.execute(statement)
        cursor.fetchall()
    elapsed_s = time.perf_counter() - started
    session.close()
    return elapsed_s


def pilot_run(folder: Path, queries: int) -> float:
    config = load_config(folder / "pilot.yaml")
    with make_view(format="plain", stream=io.StringIO()) as view:
        finished = run(RunRequest(config, (str(folder / "points.sql"),)), Bus(view))
    assert finished.ok == queries, finished
    return finished.elapsed_s


if __name__ == "__main__":
    main()
