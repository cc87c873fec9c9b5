"""What naming and pushing sub-plans costs a query, against a plain EXPLAIN in the same run.

    python tests/benchmarks/bench_subplans.py [ROUNDS]

The ways take turns; shown are medians in milliseconds and what they are of the EXPLAIN. "First" is
the pull of a session that has never met the query, "again" that of one that has. Empty tables are
the worst case: they are planned fastest. TPC-DS is measured where `duckdb` and
`duckdb-extension-tpcds` are installed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("support", "steering/subplans")]

from forum_demo import SCHEMA as FORUM_SCHEMA
from forum_queries import FORUM
from oracle.tpc import NotAvailable, benchmark
from server_folder import server_folder

from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.workload import leading_keyword

SIZES = (2, 4, 6, 8, 10, 11)
EMPTY = "; ".join(
    f"CREATE TABLE t{number} (id int PRIMARY KEY, f int, g int, txt text)"
    for number in range(1, max(SIZES) + 1)
)


class Ways:
    """The ways in which one session gets a query's sub-plans."""

    def __init__(self, target: PostgresTarget, planner: str = "auto") -> None:
        config = target.config
        assert isinstance(config, PostgreSQLConfig)
        config.planner = planner
        self.session = target.session()
        assert isinstance(self.session, PostgresSession)
        self.abilities = Abilities(self.session, config)
        self.puller = self._steering(Pulls(subquery_cards=True))
        self.pusher = self._steering(Pulls())

    def _steering(self, pulls: Pulls) -> SessionSteering:
        return SessionSteering(self.session, self.abilities, pulls, skip_missing=False)

    def explain(self, sql: str) -> None:
        self.session.execute(f"EXPLAIN {sql}")

    def each(self, sqls: Iterable[str]) -> None:
        for sql in sqls:
            self.session.execute(sql)

    def pull(self, sql: str) -> Steered:
        return _checked(self.puller.run(_query(sql), None, execute=False))

    def first(self, sql: str) -> Steered:
        self.abilities.forget_schema()
        return self.pull(sql)

    def push(self, sql: str, cards: dict[str, float]) -> Steered:
        return _checked(self.pusher.run(_query(sql), Pushes(cards=cards), execute=False))


def _query(sql: str) -> Query:
    return Query(seq=1, label="query", sql=sql, command=leading_keyword(sql))


def _checked(steered: Steered) -> Steered:
    if steered.error is not None:
        raise steered.error
    return steered


def chain(size: int) -> str:
    """A join of `size` empty tables, two of them filtered."""
    tables = ", ".join(f"t{number}" for number in range(1, size + 1))
    joins = [f"t{number}.f = t{number + 1}.id" for number in range(1, size)]
    return f"SELECT count(*) FROM {tables} WHERE {' AND '.join(joins)} AND t1.g < 5"


def take_turns(rounds: int, *ways: Callable[[], object]) -> list[float]:
    """The median time of each way in milliseconds."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, times, strict=True):
            began = time.perf_counter()
            way()
            taken.append((time.perf_counter() - began) * 1e3)
    return [statistics.median(taken) for taken in times]


def show(what: str, base: float, **others: float) -> None:
    """Print one comparison."""
    parts = [f"{name} {value:8.2f} ({value / base:4.2f}x)" for name, value in others.items()]
    print(f"  {what:32} EXPLAIN {base:8.2f}  {'  '.join(parts)}")


def pulls(ways: Ways, sqls: Iterable[tuple[str, str]], rounds: int) -> None:
    """Pull each query's sub-plans."""
    for name, sql in sqls:
        steered = ways.first(sql)
        base, first, again = take_turns(
            rounds,
            partial(ways.explain, sql),
            partial(ways.first, sql),
            partial(ways.pull, sql),
        )
        show(f"{name}, {len(steered.cards or ())} sub-plans", base, first=first, again=again)


def total(ways: Ways, sqls: Iterable[str], rounds: int) -> None:
    """Pull the sub-plans of all queries together."""
    found = [
        take_turns(rounds, partial(ways.explain, sql), partial(ways.first, sql)) for sql in sqls
    ]
    base, first = (sum(part) for part in zip(*found, strict=True))
    show(f"all {len(found)} queries", base, first=first)


def pushes(ways: Ways, name: str, sql: str, rounds: int) -> None:
    """Push a number for each sub-plan of a query."""
    cards = {key: rows * 1.5 + 1 for key, rows in (ways.pull(sql).cards or {}).items()}
    report = ways.push(sql, cards).report
    assert report is not None and not report.ignored
    base, pushed = take_turns(rounds, partial(ways.push, sql, {}), partial(ways.push, sql, cards))
    show(f"{name}, {len(cards)} sub-plans", base, pushed=pushed)


def without_module(target: PostgresTarget, sqls: Iterable[tuple[str, str]], rounds: int) -> None:
    """Pull each query's sub-plans by EXPLAIN."""
    ways = Ways(target, "never")
    for name, sql in sqls:
        cards = ways.first(sql).cards or {}
        explains = [f"EXPLAIN {key}" for key in cards]
        base, at_once, first, again = take_turns(
            rounds,
            partial(ways.each, explains),
            partial(ways.session.execute, "; ".join(explains)),
            partial(ways.first, sql),
            partial(ways.pull, sql),
        )
        name = f"{name}, {len(cards)} sub-plans"
        show(name, base, at_once=at_once, first=first, again=again)
    ways.session.close()


def opened(home: Path, database: str, setup: Path) -> PostgresTarget:
    """The database of a benchmark's queries."""
    config = PostgreSQLConfig(home=home, db=database, embedded=True)
    config.setup = (setup,)
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    return target


def main() -> None:
    """Start a server, measure, and clean up."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with server_folder() as folder, tempfile.TemporaryDirectory(dir=folder) as scripts:
        Path(scripts).chmod(0o755)
        empty = Path(scripts) / "empty.sql"
        empty.write_text(EMPTY)
        chains = [(f"chain of {size}", chain(size)) for size in SIZES]
        target = opened(folder / ".pilot", "chains", empty)
        ways = Ways(target)
        print("Pull from empty tables, ms")
        pulls(ways, chains, rounds)
        print("Push to empty tables, ms")
        pushes(ways, "chain of 6", chain(6), rounds * 10)
        print("Without the module, empty tables; EXPLAIN is the sum over all sub-plans, each a")
        print("message of its own, and at once all in one message; ms")
        without_module(target, chains, rounds)
        ways.session.close()
        target.close()

        target = opened(folder / ".pilot", "forum", FORUM_SCHEMA)
        ways = Ways(target)
        largest = max(FORUM.items(), key=lambda item: len(ways.pull(item[1]).cards or ()))
        print("The forum, ms")
        total(ways, FORUM.values(), max(3, rounds // 10))
        pushes(ways, largest[0], largest[1], rounds)
        without_module(target, [largest], rounds)
        ways.session.close()
        target.close()

        try:
            script, cases = benchmark("tpcds", Path(scripts))
        except NotAvailable as error:
            print(f"TPC-DS: left out, {error}")
            return
        for rows in Path(scripts).iterdir():
            rows.chmod(0o644)
        target = opened(folder / ".pilot", "tpcds", script)
        ways = Ways(target)
        sqls = []
        for case in cases:
            try:
                ways.pull(case.sql)
            except Exception as error:  # noqa: BLE001 - DuckDB's spelling, which is shown
                print(f"  {case.label}: left out, {error}")
            else:
                sqls.append((case.label, case.sql))
        print("TPC-DS, ms")
        total(ways, [sql for _, sql in sqls], 3)
        pulls(ways, [(name, sql) for name, sql in sqls if name == "tpcds:64"], 3)
        ways.session.close()
        target.close()


if __name__ == "__main__":
    main()
