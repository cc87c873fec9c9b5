"""Which units of a workload write to what other sessions see."""

from __future__ import annotations

import pytest

from pilotcli.common.records import Query
from pilotcli.replay.units import Effects
from pilotcli.workload import leading_keyword


def query(sql: str) -> Query:
    return Query(1, "q", sql, command=leading_keyword(sql))


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("SELECT 1", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", True),
        ("SELECT * INTO t2 FROM t", True),
        ("SELECT nextval('s')", True),
        ("INSERT INTO t VALUES (1)", True),
        ("UPDATE ONLY t SET a = 1", True),
        ("CREATE TABLE t (a int)", True),
        ("CREATE INDEX ON t (a)", True),
        ("ANALYZE", True),
        ("VACUUM t", True),
        ("SET work_mem = '1MB'", False),
        ("BEGIN", False),
        ("COMMIT", False),
        ("SAVEPOINT s", False),
        ("EXECUTE unknown(1)", True),
        ("EXPLAIN ANALYZE DELETE FROM t", True),
        ("EXPLAIN DELETE FROM t", False),
        ("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE", False),
        ("COMMIT PREPARED 'x'", True),
        ("CALL p()", True),
    ],
)
def test_single_statements(sql: str, writes: bool) -> None:
    assert Effects().writes([query(sql)]) == writes


def test_what_is_written_to_a_temporary_table_stays_with_its_session() -> None:
    effects = Effects()
    told = {
        sql: effects.writes([query(sql)])
        for sql in (
            "INSERT INTO mine VALUES (0)",
            "CREATE TEMP TABLE IF NOT EXISTS Mine (a int)",
            "INSERT INTO mine VALUES (1)",
            "DELETE FROM mine",
            "CREATE INDEX IF NOT EXISTS i ON mine (a)",
            "ANALYZE mine",
            "DROP TABLE IF EXISTS mine",
            "INSERT INTO yours VALUES (1)",
        )
    }
    assert list(told.values()) == [True, False, False, False, False, False, False, True]


def test_a_prepared_statement_is_what_it_was_prepared_from() -> None:
    effects = Effects()
    assert not effects.writes([query("PREPARE reads (int) AS SELECT $1")])
    assert not effects.writes([query("EXECUTE reads(1)")])
    assert not effects.writes([query("PREPARE other AS INSERT INTO t VALUES (1)")])
    assert effects.writes([query("EXECUTE other")])


def test_a_block_writes_when_any_of_it_does() -> None:
    block = [query("BEGIN"), query("SELECT 1"), query("DELETE FROM t"), query("COMMIT")]
    assert Effects().writes(block)
    assert not Effects().writes([*block[:2], block[3]])


def test_all_of_a_block_is_looked_at_also_behind_what_writes() -> None:
    effects = Effects()
    assert effects.writes([query("DELETE FROM t"), query("CREATE TEMP TABLE mine (a int)")])
    assert not effects.writes([query("INSERT INTO mine VALUES (1)")])
