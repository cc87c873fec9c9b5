"""The query in a statement that plans one, found in its text."""

from __future__ import annotations

import pytest

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.not_applied import REMOVED, why_not_planned
from pilotcli.steering.planned_query import fills_view, planned_query, refreshed_view
from pilotcli.steering.subplans import GraphCatalog

QUERIES = {
    "EXPLAIN SELECT 1": "SELECT 1",
    "/* a */ explain (analyze, format json) select 1": "select 1",
    "EXPLAIN ANALYZE VERBOSE SELECT 1": "SELECT 1",
    "EXPLAIN (SELECT 1)": "(SELECT 1)",
    "EXPLAIN ((SELECT 1))": "((SELECT 1))",
    "EXPLAIN (ANALYZE) CREATE TABLE a AS SELECT 1": "SELECT 1",
    "CREATE TEMP TABLE x (a, b) AS SELECT 'as' AS q WITH NO DATA": "SELECT 'as' AS q",
    "CREATE UNLOGGED TABLE x WITH (fillfactor = 50) AS TABLE y": "TABLE y",
    'CREATE MATERIALIZED VIEW IF NOT EXISTS a."b as" AS (SELECT 1) WITH DATA;': "(SELECT 1)",
    "CREATE TABLE x AS SELECT 'WITH DATA'": "SELECT 'WITH DATA'",
    "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1 FOR UPDATE": "SELECT 1 FOR UPDATE",
    "COPY (SELECT ')' , (1)) TO STDOUT": "SELECT ')' , (1)",
    "copy (select $a$ ) $a$, $$)$$, E'\\')', \"q)\" /* ) */) to stdout": (
        "select $a$ ) $a$, $$)$$, E'\\')', \"q)\" /* ) */"
    ),
}


@pytest.mark.parametrize("sql", QUERIES)
def test_the_query_in_a_statement(sql: str) -> None:
    query = planned_query(sql)
    assert query is not None
    assert query.strip() == QUERIES[sql]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1",
        "EXPLAIN",
        "CREATE",
        "CREATE TABLE t (id int GENERATED ALWAYS AS (1) STORED)",
        "CREATE VIEW v AS SELECT 1",
        "COPY t (a) TO STDOUT",
        "COPY t FROM STDIN",
        "COPY (SELECT 1",
        "PREPARE q AS SELECT 1",
        "REFRESH MATERIALIZED VIEW v",
    ],
)
def test_other_statements_contain_no_query(sql: str) -> None:
    assert planned_query(sql) is None


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("REFRESH MATERIALIZED VIEW v", "v"),
        ("refresh /* it */ materialized view v;", "v"),
        ('REFRESH MATERIALIZED VIEW CONCURRENTLY a . "B c" WITH DATA', 'a . "B c"'),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", None),
        ("REFRESH", None),
    ],
)
def test_the_view_that_is_refreshed(sql: str, name: str | None) -> None:
    assert refreshed_view(sql) == name


def test_statements_that_fill_a_view() -> None:
    assert fills_view("CREATE MATERIALIZED VIEW v AS SELECT 1")
    assert fills_view("REFRESH MATERIALIZED VIEW v")
    assert not fills_view("CREATE TABLE t AS SELECT 1")
    assert not fills_view("DROP MATERIALIZED VIEW v")


def test_why_a_plan_has_no_relation_is_asked_of_the_query_inside(shop: PostgresSession) -> None:
    catalog = GraphCatalog(shop)
    query = "SELECT * FROM a LEFT JOIN (SELECT 1 AS x) q ON q.x = a.x"
    for sql in (query, f"CREATE TABLE made AS {query}", f"EXPLAIN {query}", f"COPY ({query}) TO s"):
        assert (
            why_not_planned(sql, "a", catalog) == f"{REMOVED}a, which the result does not depend on"
        )
        assert "a query inside the query" in why_not_planned(sql, "q", catalog)
        assert why_not_planned(sql, "b", catalog) == "the query has no relation b"
    sql = "SELECT FROM pg_views v, pg_catalog.pg_tables, pg_class c"
    for name in ("v", "pg_tables"):
        assert "a view" in why_not_planned(sql, name, catalog)
    assert why_not_planned(sql, "c", catalog).startswith(REMOVED)
    sql = "SELECT FROM pg_class c, LATERAL (SELECT c.oid) q, LATERAL generate_series(1, 2) g"
    assert "a view" in why_not_planned(sql, "q", catalog)
    assert why_not_planned(sql, "g", catalog).startswith(REMOVED)
