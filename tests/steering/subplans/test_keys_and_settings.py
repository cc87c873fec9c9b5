"""The queries of sub-plans have the same text in every session, and count the same rows there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from test_subplans_both_ways import keys_of_module, keys_of_text

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.subplans import GraphCatalog

SCHEMA = """
CREATE TABLE logs (id int, at timestamptz, on_day date, long interval, share float8, raw bytea);
INSERT INTO logs SELECT i, '2020-01-01 00:00+00'::timestamptz + i * interval '1 day',
    '2020-01-01'::date + i, i * interval '1 hour', i / 7.0, decode(lpad(to_hex(i), 4, '0'), 'hex')
FROM generate_series(1, 400) AS i;
CREATE VIEW early AS SELECT id, share FROM logs
    WHERE at < '2020-07-08 06:00+00' AND share < 24.142857142857142;
"""
# Each condition as a session with the usual settings writes it, and as one with others does.
SESSIONS = {
    "TimeZone": ("Asia/Tokyo", "l.at > '2020-04-05 00:00+00'", "l.at > '2020-04-05 09:00'"),
    "DateStyle": ("SQL, DMY", "l.at > '2020-04-05 00:00'", "l.at > '05/04/2020 00:00'"),
    "datestyle": ("German", "l.on_day > '2020-04-05'", "l.on_day > '05.04.2020'"),
    "IntervalStyle": ("sql_standard", "l.long > '-1 day -2:00'", "l.long > '-1 2:00:00'"),
    "intervalstyle": ("iso_8601", "l.long > '1 day 2:00'", "l.long > 'P1DT2H'"),
    "extra_float_digits": (
        "-3",
        "l.share > 24.142857142857142::float8",
        "l.share > 24.142857142857142::float8",
    ),
    "bytea_output": ("escape", r"l.raw > '\x0064'", r"l.raw > '\x0064'"),
    "quote_all_identifiers": ("on", "l.share > 24", "l.share > 24"),
}
QUERY = "SELECT * FROM logs l, parts p WHERE l.id = p.id AND p.kind = 2 AND {}"
OTHERS = (
    "SELECT * FROM early e JOIN parts p ON p.id = e.id",
    "SELECT * FROM parts p JOIN (VALUES (1, '2020-04-05 00:00+00'::timestamptz), "
    "(2, '2021-01-01 00:00+00')) v (id, at) ON v.id = p.id",
    "SELECT * FROM parts p JOIN (SELECT id, max(share) AS most FROM logs "
    "WHERE share < 24.142857142857142::float8 GROUP BY id) g ON g.id = p.id",
)


@pytest.fixture(scope="module")
def logs(small_session: PostgresSession, small: GraphCatalog) -> Iterator[PostgresSession]:
    small_session.execute(SCHEMA)
    small.forget()
    yield small_session
    small_session.execute("DROP TABLE logs CASCADE")
    small.forget()


@contextmanager
def setting(session: PostgresSession, name: str, value: str) -> Iterator[None]:
    session.execute(f"SET {name} = {value}" if name.lower() == "datestyle" else _set(name, value))
    try:
        yield
    finally:
        session.execute(f"RESET {name}")


def _set(name: str, value: str) -> str:
    return f"SET {name} = '{value}'"


def keys(session: PostgresSession, sql: str, *, planner: bool) -> set[str]:
    return keys_of_module(session, sql) if planner else keys_of_text(GraphCatalog(session), sql)


def counts(session: PostgresSession, queries: set[str]) -> dict[str, int]:
    return {key: session.execute(key).rows[0][0] for key in queries}


@pytest.mark.usefixtures("with_planner")
@pytest.mark.parametrize("planner", [True, False], ids=["module", "text"])
@pytest.mark.parametrize("name", SESSIONS)
def test_a_key_is_the_same_in_every_session(
    name: str, planner: bool, logs: PostgresSession
) -> None:
    value, usual, other = SESSIONS[name]
    logs.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'")
    usual_queries = [QUERY.format(usual), *OTHERS]
    expected = [keys(logs, sql, planner=planner) for sql in usual_queries]
    assert all(expected)
    counted = counts(logs, set().union(*expected))
    with setting(logs, name, value):
        found = [keys(logs, sql, planner=planner) for sql in [QUERY.format(other), *OTHERS]]
        assert logs.execute(f"SHOW {name}").rows[0][0].startswith(value)
        assert counts(logs, counted.keys()) == counted
    assert found == expected


@pytest.mark.usefixtures("with_planner")
def test_the_module_writes_a_backslash_the_same_in_every_session(logs: PostgresSession) -> None:
    if logs.connection.server_version >= 190000:
        pytest.skip("standard_conforming_strings cannot be off from PostgreSQL 19 on")
    sql = "SELECT * FROM logs l, marks m WHERE l.id = m.id AND m.mark <> E'a\\\\b'"
    expected = keys_of_module(logs, sql)
    assert any("'a\\b'" in key for key in expected)
    with setting(logs, "standard_conforming_strings", "off"):
        assert keys_of_module(logs, sql) == expected
