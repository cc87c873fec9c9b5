"""A sub-plan's query: one text for each sub-plan, and every spelling of it understood."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
from forum_queries import FORUM
from hypothesis import given, settings
from hypothesis import strategies as st
from random_joins import random_join
from work import lines_run

from pilotcli.common.errors import CapabilityError, QueryError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.naming import name_by_explain
from pilotcli.steering.subplans import (
    GraphCatalog,
    NotAnalysable,
    QueryGraph,
    analyse,
    estimates_by_explain,
)
from pilotcli.steering.subplans.analysis import read_key

KEYS = [
    (
        "SELECT * FROM parts p JOIN makers m ON m.id = p.maker_id WHERE 3 < p.weight",
        "p m",
        "FROM makers m, parts p WHERE m.id = p.maker_id AND p.weight > 3",
    ),
    (  # what follows from two equalities
        "SELECT * FROM parts a, orders b, marks c WHERE a.id = b.part_id AND b.part_id = c.part_id",
        "a c",
        "FROM parts a, marks c WHERE a.id = c.part_id",
    ),
    (
        "SELECT * FROM parts a, orders b WHERE a.id = b.part_id AND a.id = 7",
        "b",
        "FROM orders b WHERE b.part_id = 7",
    ),
    (
        "SELECT * FROM makers m LEFT JOIN parts p ON m.id = p.maker_id AND p.kind = 1",
        "p",
        "FROM parts p WHERE p.kind = 1",
    ),
    (
        "SELECT * FROM makers m LEFT JOIN parts p ON m.id = p.maker_id AND p.kind = 1",
        "m p",
        "FROM makers m LEFT JOIN parts p ON m.id = p.maker_id AND p.kind = 1",
    ),
    (  # a condition that no row without a partner meets makes it an inner join
        "SELECT * FROM makers m LEFT JOIN parts p ON m.id = p.maker_id WHERE p.kind = 1",
        "m p",
        "FROM makers m, parts p WHERE m.id = p.maker_id AND p.kind = 1",
    ),
    (
        "SELECT * FROM makers m RIGHT JOIN parts p ON m.id = p.maker_id",
        "m p",
        "FROM parts p LEFT JOIN makers m ON m.id = p.maker_id",
    ),
    (
        "SELECT * FROM makers m FULL JOIN parts p ON m.id = p.maker_id",
        "m p",
        "FROM makers m FULL JOIN parts p ON m.id = p.maker_id",
    ),
    (
        "SELECT * FROM makers m WHERE m.id IN (SELECT maker_id FROM parts WHERE kind = 2)",
        "m parts",
        "FROM makers m WHERE EXISTS(SELECT 1 FROM parts WHERE m.id = parts.maker_id AND "
        "parts.kind = 2)",
    ),
    (
        "SELECT * FROM makers m WHERE NOT EXISTS (SELECT 1 FROM parts p WHERE p.maker_id = m.id)",
        "m p",
        "FROM makers m WHERE NOT EXISTS(SELECT 1 FROM parts p WHERE m.id = p.maker_id)",
    ),
    (  # the planner's second p
        "SELECT * FROM parts p WHERE p.id IN (SELECT p.part_id FROM orders p WHERE p.kind = 0)",
        "p p#2",
        'FROM parts p WHERE EXISTS(SELECT 1 FROM orders "p#2" WHERE "p#2".kind = 0 AND '
        '"p#2".part_id = p.id)',
    ),
    (
        "WITH w AS (SELECT id, maker_id AS by FROM parts x WHERE kind = 1) "
        "SELECT * FROM w JOIN makers m ON m.id = w.by",
        "m x",
        "FROM makers m, parts x WHERE m.id = x.maker_id AND x.kind = 1",
    ),
    (
        "SELECT * FROM heavy h JOIN makers m ON m.id = h.maker_id",
        "m p",
        "FROM makers m, parts p WHERE m.id = p.maker_id AND p.weight > 60",
    ),
    (
        "SELECT * FROM parts JOIN orders USING (kind)",
        "orders parts",
        "FROM orders, parts WHERE orders.kind = parts.kind",
    ),
    (
        "SELECT * FROM parts p JOIN (SELECT part_id, count(*) AS n FROM orders GROUP BY part_id) c "
        "ON c.part_id = p.id WHERE c.n > 2",
        "c",
        "FROM (SELECT orders.part_id, count(*) AS n FROM orders GROUP BY orders.part_id) c "
        "WHERE c.n > 2",
    ),
    (  # what an OR over two relations says about one
        "SELECT * FROM makers m, parts p WHERE m.id = p.maker_id AND ((m.town = 1 AND p.kind = 2) "
        "OR (m.town = 3 AND p.kind = 4))",
        "m",
        "FROM makers m WHERE (((m.town = 1) OR (m.town = 3)))",
    ),
    (
        "SELECT * FROM makers m, LATERAL generate_series(1, m.town) g",
        "g m",
        "FROM makers m, LATERAL generate_series(1, m.town) g(g)",
    ),
    (  # what a lateral sub-query says of the row outside is a condition of the join
        "SELECT * FROM makers m LEFT JOIN LATERAL "
        "(SELECT p.id FROM parts p WHERE p.maker_id = m.id) s ON s.id > 5",
        "m p",
        "FROM makers m LEFT JOIN parts p ON m.id = p.maker_id AND p.id > 5",
    ),
    (
        "INSERT INTO marks SELECT p.id, o.id, 'x' FROM parts p JOIN orders o ON o.part_id = p.id",
        "o p",
        "FROM orders o, parts p WHERE o.part_id = p.id",
    ),
    (
        "UPDATE parts p SET weight = 1 FROM makers m WHERE m.id = p.maker_id AND m.town = 2",
        "m p",
        "FROM makers m, parts p WHERE m.id = p.maker_id AND m.town = 2",
    ),
]


@pytest.mark.parametrize(("sql", "names", "key"), KEYS)
def test_a_sub_plans_query(sql: str, names: str, key: str, small: GraphCatalog) -> None:
    graph = analyse(sql, small)
    wanted = frozenset(names.split())
    assert graph.key(wanted) == f"SELECT COUNT(*) {key}"
    assert wanted in graph.subsets()
    assert graph.names_of(f"SELECT COUNT(*) {key}") == wanted


SPELLINGS = [
    "SELECT count(*) FROM parts p JOIN makers m ON p.maker_id = m.id WHERE m.town=2 AND p.kind<3",
    "select COUNT(*) from makers as m join parts as p on (m.town = 2 and 3 > p.kind) "
    "where m.id = p.maker_id;",
    "SELECT COUNT(*) FROM makers m CROSS JOIN public.parts p WHERE NOT (p.kind >= 3) AND "
    "maker_id = m.id AND town IN (2)",
    "SELECT 1 FROM (SELECT * FROM parts p WHERE p.kind < 3) AS q, makers m "
    "WHERE q.maker_id = m.id AND m.town = 2 -- the same",
]


@pytest.mark.parametrize("key", SPELLINGS)
def test_any_spelling_is_understood(key: str, small: GraphCatalog) -> None:
    graph = analyse(
        "SELECT * FROM makers m, parts p, orders o WHERE m.id = p.maker_id AND o.part_id = p.id "
        "AND m.town = 2 AND p.kind < 3 AND o.kind = 1",
        small,
    )
    assert graph.names_of(key) == {"m", "p"}


@pytest.mark.parametrize(
    "key",
    [
        "SELECT COUNT(*) FROM makers AS m",  # without its condition
        "SELECT COUNT(*) FROM makers AS m WHERE m.town = 3",
        "SELECT COUNT(*) FROM makers AS m, parts AS p WHERE m.id = p.maker_id AND m.town = 2",
        "SELECT COUNT(*) FROM makers AS x WHERE x.town = 2",
        "SELECT COUNT(*) FROM nowhere AS m",
        "SELECT COUNT(*) FROM",
        "m p",
        "",
    ],
)
def test_what_is_no_sub_plan_is_told(key: str, small: GraphCatalog) -> None:
    graph = analyse(
        "SELECT * FROM makers m, parts p WHERE m.id = p.maker_id AND m.town = 2 AND p.kind < 3",
        small,
    )
    assert graph.names_of(key) is None


FROMS = ["makers m", "parts p", "orders o", "marks k"]
CONDITIONS = [
    ("m.id", "=", "p.maker_id"),
    ("o.part_id", "=", "p.id"),
    ("k.part_id", "=", "o.part_id"),
    ("m.town", "<", "5"),
    ("p.weight", ">=", "10"),
    ("o.kind", "<>", "k.id"),
]
FLIPPED = {"=": "=", "<": ">", ">=": "<=", "<>": "!="}


@settings(max_examples=60)
@given(
    froms=st.permutations(FROMS),
    conditions=st.permutations(CONDITIONS),
    flips=st.lists(st.booleans(), min_size=6, max_size=6),
    joined=st.booleans(),
    gap=st.sampled_from([" ", "\n", "  ", " /* so */ "]),
    upper=st.booleans(),
)
def test_the_spelling_of_the_query_does_not_matter(
    small: GraphCatalog,
    froms: list[str],
    conditions: list[tuple[str, str, str]],
    flips: list[bool],
    joined: bool,
    gap: str,
    upper: bool,
) -> None:
    plain = analyse(
        f"SELECT 1 FROM {', '.join(FROMS)} WHERE "
        + " AND ".join(" ".join(parts) for parts in CONDITIONS),
        small,
    )
    parts = [
        f"{right}{gap}{FLIPPED[sign]}{gap}{left}" if flip else f"({left} {sign} {right})"
        for (left, sign, right), flip in zip(conditions, flips, strict=True)
    ]
    text = (" CROSS JOIN " if joined else ", ").join(froms)
    sql = f"SELECT 1 FROM {text} WHERE{gap}{f'{gap}AND '.join(parts)}"
    graph = analyse(sql.upper() if upper else sql, small)
    assert {graph.key(names) for names in graph.subsets()} == {
        plain.key(names) for names in plain.subsets()
    }


@pytest.mark.slow
def test_a_key_means_the_sub_plan_whose_key_it_is(small: GraphCatalog) -> None:
    for seed in range(200, 280):
        sql = random_join(seed)
        try:
            graph = analyse(sql, small)
        except NotAnalysable:
            continue
        for names in graph.subsets():
            key = graph.key(names)
            assert key is not None
            # A graph that has not written the key itself.
            fresh = QueryGraph(sql, graph.blocks, partial(read_key, catalog=small))
            assert fresh.names_of(key) == names, (sql, key)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT FROM WHERE", "sqlglot cannot parse the query"),
        ("VACUUM parts", "VACUUM is not a statement with sub-plans"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT * FROM nowhere", "no relation nowhere"),
        ("SELECT * FROM parts WHERE nothing = 1", "no column nothing"),
        ("SELECT * FROM parts p, orders o WHERE kind = 1", "one of several"),
        ("WITH d AS (DELETE FROM parts RETURNING id) SELECT * FROM d", "changes data"),
        ("INSERT INTO animals VALUES (1, 2)", "has no query"),
        (
            "SELECT 1 FROM (SELECT t.id FROM parts t) x JOIN makers m ON (SELECT count(*) FROM "
            "orders t WHERE t.part_id = x.id) = m.id",
            "another one of that name from outside",
        ),
        (
            "SELECT * FROM (VALUES ((SELECT max(id) FROM parts)), (2)) v (x)",
            "VALUES has a sub-query",
        ),
        *(
            (sql, "a sub-query in it uses a value of a query around it")
            for sql in (
                "SELECT * FROM makers m LEFT JOIN LATERAL (SELECT p.id FROM parts p WHERE"
                " p.maker_id = m.id AND EXISTS (SELECT 1 FROM orders o WHERE o.kind = m.id)) t"
                " ON true",
                "SELECT * FROM makers m, LATERAL (SELECT p.id FROM parts p WHERE p.id >"
                " (SELECT min(o.id) FROM orders o WHERE o.kind = m.id)) t",
                "SELECT * FROM makers m WHERE EXISTS (SELECT 1 FROM parts p WHERE p.maker_id = m.id"
                " AND p.kind > (SELECT min(o.id) FROM orders o WHERE o.kind = m.id))",
                "SELECT * FROM makers m WHERE m.id IN (SELECT p.maker_id FROM parts p WHERE EXISTS"
                " (SELECT 1 FROM orders o WHERE o.part_id = p.id AND o.kind = m.town))",
                "SELECT * FROM makers m LEFT JOIN LATERAL (SELECT p.id FROM parts p WHERE"
                " p.id > (SELECT min(o.id) FROM orders o WHERE o.kind = m.id UNION ALL SELECT 1)) t"
                " ON true",
            )
        ),
        (
            "SELECT 1 FROM makers m LEFT JOIN (SELECT id, coalesce(weight, 0) AS w FROM parts) s "
            "ON s.id = m.id WHERE s.w IS NULL",
            "an expression that s",
        ),
    ],
)
def test_a_query_that_cannot_be_analysed_says_why(sql: str, why: str, small: GraphCatalog) -> None:
    if "m.id IN (SELECT p" in sql and small.server_version < 17:
        pytest.skip("IN with columns from outside is a semi join only from PostgreSQL 17 on")
    with pytest.raises(NotAnalysable, match=why) as caught:
        analyse(sql, small)
    assert isinstance(caught.value, CapabilityError)


def test_more_sub_plans_than_the_limit_are_an_error_at_once(small: GraphCatalog) -> None:
    many = 16
    tables = ", ".join(f"parts p{n}" for n in range(many))
    equal = " AND ".join(f"p0.id = p{n}.id" for n in range(1, many))
    graph = analyse(f"SELECT 1 FROM {tables} WHERE {equal}", small)

    def refused() -> None:
        with pytest.raises(NotAnalysable, match="more than 500 sub-plans"):
            graph.subsets(limit=500)

    assert lines_run(refused) < 50_000  # all 32,768 sub-plans would take a million
    chain = " AND ".join(f"p{n}.maker_id = p{n + 1}.weight" for n in range(many - 1))
    graph = analyse(f"SELECT 1 FROM {tables} WHERE {chain}", small)
    assert len(graph.subsets()) == many * (many + 1) // 2


def test_blocks_side_by_side_are_told_apart(small: GraphCatalog) -> None:
    graph = analyse(
        "SELECT p.id FROM parts p WHERE p.kind = 1 UNION ALL SELECT p.id FROM parts p, orders o "
        "WHERE p.id = o.part_id AND p.kind = 2",
        small,
    )
    assert graph.key(frozenset({"p"})) is None  # two sub-plans of the same name
    assert graph.key(frozenset({"p", "o"})) is not None


def test_nothing_is_left_in_an_open_transaction(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    graph = analyse("SELECT 1 FROM makers m, parts p WHERE m.id = p.maker_id", small)
    small_session.execute("BEGIN")
    try:
        before = small_session.execute("SHOW join_collapse_limit").rows
        assert len(estimates_by_explain(small_session, graph)) == 3
        assert small_session.execute("SHOW join_collapse_limit").rows == before
        assert small_session.in_transaction
        assert not small_session.transaction_failed
    finally:
        small_session.rollback()


def test_a_text_is_analysed_once(forum_catalog: GraphCatalog) -> None:
    sql = FORUM["german-circles"]
    assert analyse(sql, forum_catalog) is analyse(sql, forum_catalog)


def test_importing_pilot_and_the_package_does_not_import_sqlglot() -> None:
    code = (
        "import sys, pilotcli.cli.main, pilotcli.steering.subplans\n"
        "sys.exit('sqlglot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


LEFT_OUT = [
    (
        "SELECT 1 FROM parts a, parts b, orders o WHERE a.id = b.id AND o.part_id = b.id",
        {"a", "b", "a b", "a o", "b o", "a b o"},
        "the planner may remove a join of parts with itself",
    ),
    (
        "SELECT 1 FROM parts p TABLESAMPLE system (50) JOIN makers m ON m.id = p.maker_id",
        {"p", "m p"},
        "it is a sample of a table",
    ),
    (
        "SELECT * FROM (SELECT id FROM makers UNION ALL SELECT id FROM parts) q, orders o"
        " WHERE o.id = q.id",
        {"makers", "parts"},
        "it is an arm of a UNION ALL",
    ),
    *(
        (sql, {"o"}, "it is a sub-query in an expression")
        for sql in (
            "SELECT * FROM makers m WHERE m.id NOT IN (SELECT o.buyer_id FROM orders o)",
            "SELECT * FROM makers m ORDER BY (SELECT count(*) FROM orders o WHERE o.id = m.id)",
            "SELECT DISTINCT ON ((SELECT count(*) FROM orders o)) * FROM makers m",
            "SELECT * FROM (SELECT p.id, (SELECT max(o.id) FROM orders o) FROM parts p) q",
            "SELECT * FROM makers m WHERE EXISTS (SELECT 1 FROM parts p WHERE p.maker_id = m.id"
            " AND p.kind > (SELECT count(*) FROM orders o))",
            "WITH o AS (SELECT o.id FROM orders o) SELECT * FROM makers m"
            " WHERE m.age > (SELECT count(*) FROM o)",
            "UPDATE parts p SET weight = (SELECT max(o.id) FROM orders o)",
        )
    ),
    (
        "SELECT * FROM makers m, LATERAL (SELECT * FROM parts p WHERE p.maker_id = m.id LIMIT 1) q",
        {"q"},
        "it uses columns of m",
    ),
    (
        "SELECT * FROM makers m, LATERAL (SELECT * FROM parts p WHERE p.maker_id = m.id LIMIT 1) q",
        {"p"},
        "it is a lateral sub-query",
    ),
    (
        "SELECT * FROM makers m JOIN generate_series(1, (SELECT max(p.id) FROM parts p)) g"
        " ON g = m.id",
        {"g", "g m"},
        "it is a function of a sub-query's result",
    ),
    (
        "SELECT * FROM makers m JOIN parts p ON m.id = p.maker_id"
        " WHERE (m.id, m.town) = ANY (ARRAY[(1, 2)])",
        {"m", "m p"},
        "it has a row whose type has no name",
    ),
    (
        "SELECT * FROM (SELECT m.id FROM makers m WHERE m.town = 1 LIMIT 3) q, makers m",
        {"m"},
        "several query blocks have relations of these names",
    ),
]


@pytest.mark.parametrize(("sql", "sets", "why"), LEFT_OUT)
def test_every_set_without_a_key_is_left_out_with_its_reason(
    sql: str, sets: set[str], why: str, small_session: PostgresSession, small: GraphCatalog
) -> None:
    version = small_session.connection.server_version
    if "NOT IN" in sql and version >= 190000:
        pytest.skip("NOT IN may be an anti join from PostgreSQL 19 on: the text alone is refused")
    if "itself" in why:
        if version < 180000:
            pytest.skip("joins with itself stay joins before PostgreSQL 18")
        small_session.execute("SET enable_self_join_elimination = on")
        try:
            analysed = analyse(f"{sql} AND true", small)
        finally:
            small_session.execute("SET enable_self_join_elimination = off")
        found = name_by_explain(small_session, analysed)
    else:
        found = name_by_explain(small_session, analyse(sql, small))
    left_out = {
        " ".join(sorted(subplan.names)) for subplan, reason in found.left_out if reason == why
    }
    assert left_out == sets


def test_a_query_that_the_server_does_not_plan_is_left_out(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    """The planner calls the function to estimate the condition."""
    small_session.execute(
        "CREATE FUNCTION fail(int) RETURNS int STABLE LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'not today'; END $$"
    )
    try:
        graph = analyse(
            "SELECT 1 FROM makers m, parts p WHERE m.id = p.maker_id AND m.town = fail(3)", small
        )
        found = name_by_explain(small_session, graph)
        assert list(found.cards) == ["SELECT COUNT(*) FROM parts p"]
        assert list(found.keys.values()) == list(found.cards)
        assert {(*sorted(subplan.names), reason) for subplan, reason in found.left_out} == {
            (*names, "the server does not plan its query: not today") for names in ("m", "mp")
        }
        with pytest.raises(QueryError, match="not today"):
            estimates_by_explain(small_session, graph)
    finally:
        small_session.execute("DROP FUNCTION fail")
