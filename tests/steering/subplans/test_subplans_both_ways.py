"""Sub-plans have the same queries with the planner module and without it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from forum_queries import FORUM
from random_joins import random_join

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planner import parse_report
from pilotcli.steering.subplans import GraphCatalog, NotAnalysable, analyse
from pilotcli.steering.subplans.described import DescribedQuery

pytestmark = pytest.mark.usefixtures("with_planner")

SETTINGS = (
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL join_collapse_limit = 20; "
    "SET LOCAL from_collapse_limit = 20; SET LOCAL geqo = off; "
    "SET LOCAL pilot_planner.report = 'blocks'; "
)
SHAPES = [
    text.strip()
    for text in Path(__file__).with_name("both_ways.sql").read_text().split(";\n")
    if text.strip()
]


def keys_of_module(session: PostgresSession, sql: str) -> set[str]:
    """The queries of the sub-plans that the planner considers, as the module describes them."""
    heard: list[str] = []
    before, session.connection.notices = session.connection.notices, heard
    try:
        session.execute(f"{SETTINGS}EXPLAIN {sql}")
    finally:
        session.connection.notices = before
    report = parse_report(heard)
    assert report.blocks_text is not None
    return set(DescribedQuery(report.blocks_text).name(report.sets).cards)


def keys_of_text(catalog: GraphCatalog, sql: str) -> set[str]:
    """The same by the query's text; empty for a query that is refused."""
    try:
        graph = analyse(sql, catalog)
    except NotAnalysable:
        return set()
    return {key for names in graph.subsets() if (key := graph.key(names)) is not None}


def without_tests_for_null(keys: set[str]) -> set[str]:
    """The keys without the conditions that columns are not null."""
    test = r'[\w"#]+\.\w+ IS NOT NULL'
    for pattern in (f" AND {test}", f"{test} AND ", f" WHERE {test}"):
        keys = {re.sub(pattern, "", key) for key in keys}
    return keys


def share(session: PostgresSession, catalog: GraphCatalog, queries: Iterable[str]) -> float:
    """The share of the module's keys that the text gives; fails for a key of the text alone."""
    named = total = 0
    for sql in queries:
        expected, found = keys_of_module(session, sql), keys_of_text(catalog, sql)
        if session.connection.server_version >= 190000:  # it reads the query without them
            expected, found = map(without_tests_for_null, (expected, found))
        assert found <= expected, (sql, sorted(found - expected), sorted(expected - found))
        named += len(found)
        total += len(expected)
    return named / total


def test_the_forums_keys_are_the_same(
    forum_session: PostgresSession, forum_catalog: GraphCatalog
) -> None:
    assert share(forum_session, forum_catalog, FORUM.values()) == 1


@pytest.mark.slow
def test_the_keys_of_generated_joins_are_the_same(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    queries = [random_join(seed) for seed in range(1000, 1150)]
    assert share(small_session, small, queries) > 0.95


@pytest.mark.parametrize("sql", SHAPES)
def test_the_keys_of_a_query_are_the_same(
    sql: str, small_session: PostgresSession, small: GraphCatalog
) -> None:
    assert share(small_session, small, [sql]) > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM makers n, (SELECT DISTINCT s.part_id AS id FROM orders s) c"
        " WHERE n.id = c.id",
        "SELECT * FROM makers n, parts c WHERE n.id = c.id"
        " AND c.weight > (SELECT min(s.kind) FROM orders s)",
        "SELECT * FROM makers n, LATERAL (SELECT max(s.id) AS id FROM orders s"
        " WHERE s.part_id = n.id) c WHERE c.id > (SELECT min(s.kind) FROM orders s)",
    ],
)
def test_a_key_does_not_depend_on_a_relation_that_it_does_not_have(
    sql: str, small_session: PostgresSession
) -> None:
    """The relation has the name of one in a sub-query."""
    assert keys_of_module(small_session, sql) <= keys_of_module(
        small_session, sql.replace("FROM makers n,", "FROM makers n, marks s,")
    )


def test_a_cast_to_a_type_with_a_collation_is_refused(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    """EXPLAIN does not show the collation, and the module writes it."""
    small_session.execute('CREATE DOMAIN word AS text COLLATE "C"')
    small_session.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    query = "SELECT 1 FROM parts p, marks m WHERE p.id = m.id AND m.mark::{} = '{}'"
    try:
        with pytest.raises(NotAnalysable, match="collation of its own"):
            analyse(query.format("word", "mark 1"), small)
        assert share(small_session, small, [query.format("mood", "good")]) == 1
    finally:
        small_session.execute("DROP DOMAIN word")
        small_session.execute("DROP TYPE mood")


def test_a_part_of_what_a_sub_query_of_in_uses_has_no_key(small_session: PostgresSession) -> None:
    """The planner joins the distinct rows of orders with makers there, and not EXISTS."""
    if small_session.connection.server_version < 170000:
        pytest.skip("IN with columns from outside is a semi join only from PostgreSQL 17 on")
    sql = (
        "SELECT * FROM makers m, parts p"
        " WHERE m.id IN (SELECT o.buyer_id FROM orders o WHERE o.part_id = p.id)"
    )
    keys = keys_of_module(small_session, sql)
    assert any("EXISTS" in key and "parts" in key and "makers" in key for key in keys)
    assert not any("EXISTS" in key and "parts" not in key for key in keys)


@pytest.mark.parametrize(
    ("sql", "least"),
    [
        ("SELECT 1 FROM other.parts WHERE weight = 1", 1.0),
        ("SELECT 1 FROM other.parts parts, makers m WHERE m.id = parts.id", 1.0),
        ("SELECT 1 FROM makers WHERE id IN (SELECT parts.id FROM other.parts)", 1.0),
        ('SELECT 1 FROM other."Odd one" WHERE "Id" = 1', 1.0),
        ('SELECT 1 FROM other."Odd one" o WHERE "Id" = 1', 1.0),
        ("SELECT 1 FROM other.parts, makers WHERE other.parts.id = makers.id", 1.0),
        # which one is meant is not seen
        ("SELECT 1 FROM other.parts, parts WHERE other.parts.id = public.parts.id", 0.0),
        (
            "SELECT 1 FROM other.parts WHERE EXISTS (SELECT 1 FROM parts"
            " WHERE public.parts.id = other.parts.weight)",
            0.0,
        ),
    ],
)
def test_a_table_that_needs_its_schema_is_written_alike(
    sql: str, least: float, small_session: PostgresSession, small: GraphCatalog
) -> None:
    small_session.execute("CREATE SCHEMA other; CREATE TABLE other.parts (id int, weight int)")
    small_session.execute('CREATE TABLE other."Odd one" ("Id" int)')
    try:
        assert share(small_session, small, [sql]) == least
    finally:
        small_session.execute("DROP SCHEMA other CASCADE")
