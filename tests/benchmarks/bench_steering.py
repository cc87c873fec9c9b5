"""What steering and collecting cost a query, against raw psycopg2 in the same run.

    python tests/benchmarks/bench_steering.py [QUERIES]

Each way in turn, ROUNDS times; medians, and what is more than raw. First as the machine places
client and server, then with both on one core. Point selects inside one session, and by a whole
`pilot run` that collects each query's plan and server times into the store's table; then a join of
five tables with three settings and ten cardinalities, which are the planner's own, so that the
plan is the same, beside the join as it stands and with its sub-plans pulled.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pilotcli.common.records import Query
from pilotcli.common.signals import Bus
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.run.commands import RunRequest, run
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.requests import Pulls, Pushes
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.views.view import make_view

ROUNDS = 5

COLLECTED = """
home: {home}
collect: {{table: seen, physical_plan: true, server_times: true}}
"""


def main() -> None:
    queries = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for cores in (os.sched_getaffinity(0), {max(os.sched_getaffinity(0))}):
        os.sched_setaffinity(0, cores)
        compare(queries, "one core" if len(cores) == 1 else "as placed")


def compare(queries: int, placement: str) -> None:
    with tempfile.TemporaryDirectory(prefix="pilot-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        target = open_target(PostgreSQLConfig(home=folder / ".pilot"))
        assert isinstance(target, PostgresTarget)
        session = target.session()
        session.execute("CREATE TABLE point (id int PRIMARY KEY, v int)")
        session.execute("INSERT INTO point SELECT n, n FROM generate_series(1, 1000) AS n")
        session.execute("VACUUM ANALYZE point")
        session.close()
        statements = [f"SELECT v FROM point WHERE id = {n % 1000 + 1}" for n in range(queries)]
        (folder / "points.sql").write_text(";\n".join(statements))
        (folder / "pilot.yaml").write_text(COLLECTED.format(home=folder / ".pilot"))
        ways: dict[str, Callable[[], float]] = {
            "raw psycopg2": lambda: raw(target, statements),
            "nothing pushed": lambda: steered(target, statements, Pulls(), None),
            "three settings": lambda: steered(target, statements, Pulls(), settings()),
            "plan and time": lambda: steered(
                target, statements, Pulls(physical_plan=True, execution_time=True), None
            ),
            "pilot run, stored": lambda: whole(folder, queries),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, measure in ways.items():
                times[way].append(measure() / queries * 1e6)
        joins = measure_joins(target, queries // 10)
        target.close()
    print(f"{queries} point selects, {placement}, medians of {ROUNDS}:")
    show(times)
    print(f"{queries // 10} joins of five tables, {placement}:")
    show(joins)


def show(times: dict[str, list[float]]) -> None:
    base = statistics.median(next(iter(times.values())))
    for way, measured in times.items():
        median = statistics.median(measured)
        print(f"  {way:<20} {median:7.1f} us  {median - base:+7.1f} us  {median / base:5.2f}x")


def measure_joins(target: PostgresTarget, queries: int) -> dict[str, list[float]]:
    session = target.session()
    for name in "abcde":
        session.execute(
            f"CREATE TABLE {name} AS SELECT n AS id, n % 7 AS v FROM generate_series(1, 50) n"
        )
        session.execute(f"ANALYZE {name}")
    session.close()
    join = (
        "SELECT count(*) FROM a, b, c, d, e"
        " WHERE a.id = b.id AND b.id = c.id AND c.id = d.id AND d.id = e.id AND a.v = 3"
    )
    session = target.session()
    pulls = Pulls(subquery_cards=True)
    steerer = SessionSteering(session, Abilities(session, target.config), pulls, skip_missing=False)
    pulled = steerer.run(Query(1, "join", join, command="SELECT"), None, execute=False)
    session.close()
    assert pulled.cards is not None
    pushes = settings()
    pushes.hints["enable_nestloop"] = "on"
    pushes.hints["random_page_cost"] = "4"
    pushes.add_cards(dict(list(pulled.cards.items())[:10]))
    statements = [join] * queries
    ways: dict[str, Callable[[], float]] = {
        "raw psycopg2": lambda: raw(target, statements),
        "steered": lambda: steered(target, statements, Pulls(), pushes),
        "sub-plans pulled": lambda: steered(target, statements, pulls, None),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, measure in ways.items():
            times[way].append(measure() / queries * 1e6)
    return times


def settings() -> Pushes:
    pushes = Pushes()
    pushes.add_hints({"enable_nestloop": "off", "work_mem": "8MB", "random_page_cost": "1.5"})
    return pushes


def raw(target: PostgresTarget, statements: list[str]) -> float:
    session = target.session()
    assert isinstance(session, PostgresSession)
    cursor = session.connection.cursor()
    started = time.perf_counter()
    for statement in statements:
        cursor.execute(statement)
        cursor.fetchall()
    elapsed_s = time.perf_counter() - started
    session.close()
    return elapsed_s


def steered(
    target: PostgresTarget, statements: list[str], pulls: Pulls, pushes: Pushes | None
) -> float:
    session = target.session()
    steerer = SessionSteering(session, Abilities(session, target.config), pulls, skip_missing=False)
    queries = [Query(n, "q", sql, command="SELECT") for n, sql in enumerate(statements)]
    started = time.perf_counter()
    for query in queries:
        assert steerer.run(query, pushes).error is None
    elapsed_s = time.perf_counter() - started
    session.close()
    return elapsed_s


def whole(folder: Path, queries: int) -> float:
    config = load_config(folder / "pilot.yaml")
    with make_view(format="plain", stream=io.StringIO()) as view:
        finished = run(RunRequest(config, (str(folder / "points.sql"),)), Bus(view))
    assert finished.ok == queries, finished
    return finished.elapsed_s


if __name__ == "__main__":
    main()
