"""How a workload is cut into what one worker runs without another in between."""

from __future__ import annotations

import pytest

from pilotcli.common.records import STOPPED, Query, QueryResult
from pilotcli.replay.tally import Tally
from pilotcli.replay.units import Begun, may_have_taken_effect, remember, transaction_units
from pilotcli.workload import leading_keyword

QUERY = Query(1, "q", "SELECT 1")


def queries(*statements: str) -> list[Query]:
    return [
        Query(seq, f"q{seq}", sql, command=leading_keyword(sql))
        for seq, sql in enumerate(statements, 1)
    ]


@pytest.mark.parametrize(
    ("statements", "units"),
    [
        (["SELECT 1", "SELECT 2"], [1, 1]),
        (["SELECT 0", "BEGIN", "SELECT 1", "COMMIT", "SELECT 2"], [1, 3, 1]),
        (["start transaction", "SELECT 1", "end"], [3]),
        (["BEGIN", "SAVEPOINT s", "ROLLBACK TO s", "ROLLBACK TO SAVEPOINT s", "ROLLBACK"], [5]),
        (["BEGIN", "SELECT 1", "COMMIT AND CHAIN", "SELECT 2", "COMMIT"], [5]),
        (["BEGIN", "COMMIT AND NO CHAIN", "SELECT 1"], [2, 1]),
        (["BEGIN", "PREPARE p AS SELECT 1", "EXECUTE p", "ABORT", "SELECT 1"], [4, 1]),
        (["BEGIN", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'"], [2, 1]),
        (["BEGIN", "SELECT 1"], [2]),
        (["BEGIN", "COMMIT PREPARED 'x'", "COMMIT", "SELECT 1"], [3, 1]),
        ([], []),
    ],
)
def test_blocks_stay_whole(statements: list[str], units: list[int]) -> None:
    cut = list(transaction_units(queries(*statements)))
    assert [len(unit) for unit in cut] == units
    assert [query.seq for unit in cut for query in unit] == list(range(1, len(statements) + 1))


@pytest.mark.parametrize(
    ("statements", "kept"),
    [
        (["SET a.b = 1", "LISTEN x", "UNLISTEN x", "SELECT 1"], [1, 2, 3]),
        (["BEGIN", "SET a.b = 1", "INSERT INTO t VALUES (1)"], [1, 2, 3]),
        (["BEGIN", "SET a.b = 1", "SELECT 1", "COMMIT"], [2]),
        (["BEGIN", "SET a.b = 1", "PREPARE TRANSACTION 'x'"], [2]),
        (["BEGIN", "SET a.b = 1", "ROLLBACK"], []),
        (["BEGIN", "SET a.b = 1", "INSERT INTO t VALUES (1)", "COMMIT AND CHAIN"], [2, 1]),
        (["BEGIN", "SELECT 1", "ROLLBACK AND CHAIN", "SELECT 2"], [1, 4]),
    ],
)
def test_what_a_new_session_needs(statements: list[str], kept: list[int]) -> None:
    settings: list[Query] = []
    block: list[Query] = []
    for query in queries(*statements):
        remember(query, settings, block)
    assert [query.seq for query in [*settings, *block]] == kept


@pytest.mark.parametrize(
    ("sql", "may"),
    [
        ("SELECT 1", False),
        ("EXPLAIN DELETE FROM t", False),
        ("SET a.b = 1", False),
        ("BEGIN", False),
        ("SELECT nextval('s')", True),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", True),
        ("COMMIT PREPARED 'x'", True),
        ("VACUUM", True),
    ],
)
def test_what_may_have_taken_effect_when_a_run_was_killed(sql: str, may: bool) -> None:
    (query,) = queries(sql)
    assert may_have_taken_effect([query]) == (query if may else None)


@pytest.mark.parametrize(
    ("sql", "may"),
    [
        ("INSERT INTO t VALUES (1)", False),
        ("ROLLBACK", False),
        ("COMMIT", True),
        ("COMMIT AND CHAIN", True),
        ("PREPARE TRANSACTION 'x'", True),
    ],
)
def test_of_a_block_only_its_commit_may_have(sql: str, may: bool) -> None:
    begin, query = queries("BEGIN", sql)
    unit = Begun([begin, query])
    unit.again = 1
    assert may_have_taken_effect(unit) == (query if may else None)


def test_the_tally_keeps_the_slowest_in_order() -> None:
    tally = Tally()
    for seq, elapsed_s in enumerate([5, 1, 9, 9, 3, 7, 2, 8, 6, 4, 0, 10], 1):
        tally.query_finished(QUERY, QueryResult(seq, f"q{seq}", "ok", 0.0, float(elapsed_s)))
    assert [result.elapsed_s for result in tally.slowest] == [10, 9, 9, 8, 7, 6, 5, 4, 3, 2]
    assert [result.seq for result in tally.slowest][1:3] == [3, 4]
    assert tally.queries == 12
    assert tally.query_s == 64


def test_a_query_is_among_the_slowest_once() -> None:
    tally = Tally()
    for elapsed_s in (5.0, 7.0, 6.0):
        for seq in range(1, 13):
            tally.query_finished(
                QUERY, QueryResult(seq, f"q{seq}", "ok", 0.0, elapsed_s + seq / 100)
            )
    assert [one.seq for one in tally.slowest] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert {round(one.elapsed_s) for one in tally.slowest} == {7}


def test_what_the_user_cancelled_is_no_failure() -> None:
    tally = Tally()
    for status in ("ok", "timeout", "cancelled", "error", "steering_error"):
        error = STOPPED if status == "cancelled" else None
        tally.query_finished(QUERY, QueryResult(1, "q", status, 0.0, 0.1, error=error))  # type: ignore[arg-type]
    assert tally.failures == 3
    tally.query_finished(
        QUERY, QueryResult(1, "q", "cancelled", 0.0, 0.1, error="canceling statement")
    )
    assert tally.failures == 4
