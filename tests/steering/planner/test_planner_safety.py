"""Whatever is pushed, results stay the same, the server stays up, and its memory stays flat."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from forum_demo import ROOT, forum_config
from query_maker import QueryMaker
from steered import KINDS, Steered, estimates, home_of, postgres_bin

from pilotcli.common.errors import QueryError
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planner import Planner, Report, load
from pilotcli.workload import open_workload

pytestmark = pytest.mark.slow

ABSURD = (0.0, 0.4, 1.0, 7.0, 12345.0, 1e9, 1e30, 1e100, 1e300)
SETTINGS = (
    "",
    "SET LOCAL geqo_threshold = 2; ",
    "SET LOCAL enable_partitionwise_join = on; SET LOCAL enable_partitionwise_aggregate = on; ",
    "SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0; "
    "SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_index_scan_size = 0; ",
    "SET LOCAL join_collapse_limit = 2; SET LOCAL from_collapse_limit = 2; ",
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_seqscan = off; ",
)


def absurd_rows(report: Report, source: random.Random) -> dict[str, float]:
    """Something to push for about half of what the planner considered."""
    pushed = {
        " ".join(sorted(subplan.names)): source.choice(ABSURD)
        for subplan in estimates(report)
        if source.random() < 0.5 and not any(" " in name for name in subplan.names)
    }
    pushed[source.choice(["nowhere", "a1 nowhere"])] = source.choice(ABSURD)
    return pushed


def test_240_queries_return_the_same(steered: Steered, kind: str) -> None:
    """Each is run as it is, and with absurd numbers for much of what the planner considers.

    Each server runs queries of its own. One that takes too long is skipped: how many do depends
    on the machine.
    """
    maker = QueryMaker(seed=20 + KINDS.index(kind))
    source = random.Random(21)
    settings = itertools.cycle(SETTINGS)
    steered.session.execute("SET statement_timeout = '400ms'; SET jit = off")
    applied = compared = empty = 0
    for number in range(2000):
        if compared == 240:
            break
        sql = maker.query()
        try:
            usual, report = steered.run(sql, report="blocks")
        except QueryError as error:
            assert error.sqlstate == "57014", f"{sql}\n{error}"
            continue
        pushed = absurd_rows(report, source)
        setting = next(settings)
        try:
            found, report = steered.run_after(setting, sql, pushed, "blocks,actual,time")
        except QueryError as error:
            assert error.sqlstate == "57014", f"query {number}: {setting}{sql}\n{pushed}\n{error}"
            continue
        assert found == usual, f"query {number}: {setting}{sql}\n{pushed}"
        assert sorted([*report.applied, *dict(report.ignored)]) == list(range(len(pushed)))
        assert report.plan is not None
        applied += len(report.applied)
        empty += found[0][0] == 0
        compared += 1
    assert compared == 240
    assert applied > 500
    assert empty < 0.6 * compared


@pytest.fixture
def forum(homes: Path, kind: str, cache: Path) -> Iterator[Steered]:
    """A session in a database with the forum's tables."""
    target = open_target(forum_config(home_of(kind, homes), "forum", postgres_bin(kind)))
    session = target.session()
    assert isinstance(session, PostgresSession)
    assert isinstance(load(session, cache=cache, pg_config=None, may_build=False), Planner)
    yield Steered(session)
    session.close()
    target.close()


def test_the_forum_returns_the_same(forum: Steered, kind: str) -> None:
    source = random.Random(5)
    forum.session.execute("SET statement_timeout = '1s'; SET jit = off")
    compared = 0
    queries = list(open_workload([ROOT / "workloads" / "forum.sql"]))
    for query in queries[KINDS.index(kind) % 2 :: 2]:  # each server runs every other one
        try:
            usual, report = forum.run(query.sql, report="blocks")
        except QueryError as error:
            assert error.sqlstate == "57014", f"{query.label}: {error}"
            continue
        pushed = {
            " ".join(sorted(subplan.names)): max(1.0, rows * source.choice([0.2, 1, 9]))
            for subplan, rows in estimates(report).items()
        }
        try:
            found, report = forum.run(query.sql, pushed, "plan")
        except QueryError as error:
            assert error.sqlstate == "57014", f"{query.label}: {error}"
            continue
        assert report.applied
        if "LIMIT" not in query.sql:  # what is cut off is free to choose among equals
            assert sorted(map(repr, found)) == sorted(map(repr, usual)), query.label
            compared += 1
    assert compared > 10


PIECES = ('"p"', '"v"', '"', "=", ",", ";", "1", "-1", "1e999", "nan", "0x10", ".", "#2", " ", "é")


def test_garbage_is_refused_or_understood_and_never_hurts(steered: Steered) -> None:
    source = random.Random(3)
    sql = "SELECT count(*) FROM posts p JOIN votes v ON v.post_id = p.id"
    usual, _ = steered.run(sql)
    refused = 0
    for _ in range(1500):
        text = "".join(source.choice(PIECES) for _ in range(source.randint(1, 14)))
        if source.random() < 0.1:
            text = '"p"=1;' * 300 + text
        literal = text.replace("'", "''")
        try:
            steered.session.execute(f"SET LOCAL pilot_planner.rows = '{literal}'; EXPLAIN {sql}")
        except QueryError as error:
            assert error.sqlstate == "22023", f"{text!r}: {error}"
            assert "Entry " in error.message
            refused += 1
        for name in ("report", "rows"):
            value = steered.session.execute(f"SHOW pilot_planner.{name}").rows[0][0]
            assert value == ""
    assert refused > 300
    assert steered.run(sql)[0] == usual


@pytest.mark.parametrize("text", ["rows", "time plan", "time,,plan", "time;plan", "TIME", ","])
def test_an_unknown_report_is_refused(steered: Steered, text: str) -> None:
    with pytest.raises(QueryError, match="list of blocks, plan"):
        steered.session.execute(f"SET pilot_planner.report = '{text}'")


def resident_kb(session: PostgresSession) -> int:
    """The memory of the session's server process that is its own (data, in kB)."""
    pid = session.execute("SELECT pg_backend_pid()").rows[0][0]
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1])


def test_memory_stays_flat(steered: Steered) -> None:
    """Many queries in one message each, so that it is the server that works."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc")
    sql = "SELECT count(*) FROM posts p JOIN users u ON u.id = p.owner_id WHERE p.id = 7;"
    message = steered.message(sql * 50, {"p": 3, "u": 9, "p u": 5}, "blocks,plan,time")

    def run(times: int) -> None:
        for _ in range(times):
            steered.session.connection.notices = []
            steered.session.execute(message)

    run(20)
    before = resident_kb(steered.session)
    run(100)
    assert resident_kb(steered.session) - before < 300


def test_errors_leave_nothing_behind(steered: Steered) -> None:
    failing = "SELECT 1 / (p.score - p.score) FROM posts p JOIN users u ON u.id = p.owner_id"
    for _ in range(50):
        with pytest.raises(QueryError, match="division by zero"):
            steered.run(failing, {"p": 3, "p u": 5}, "blocks,actual,time")
        with pytest.raises(QueryError):
            steered.run("SELECT * FROM posts p WHERE p.nothing = 1", {"p": 3}, "blocks,time")
    assert steered.session.execute("SHOW pilot_planner.rows").rows == [("",)]
    plain = "EXPLAIN SELECT * FROM posts p WHERE p.score = 3"
    steered.session.connection.notices = []
    usual = steered.session.execute(plain).rows
    assert steered.session.connection.notices == []
    _, report = steered.run(plain, {"p": 3}, "blocks")
    assert report.applied == (0,)
    assert steered.session.execute(plain).rows == usual
