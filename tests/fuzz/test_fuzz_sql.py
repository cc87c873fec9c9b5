"""The sub-plans of any text: a graph, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import cases
from hypothesis import example, given
from hypothesis import strategies as st

from pilotcli.common.errors import PilotError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.steering.subplans import GraphCatalog, NotAnalysable, analyse, observed_cardinalities
from pilotcli.steering.subplans.analysis import read_key
from pilotcli.steering.subplans.parsing import parse, to_sql

_QUERIES = [
    "SELECT count(*) FROM a, b WHERE a.x = b.x AND a.y IN (SELECT y FROM c)",
    "SELECT a.x FROM a LEFT JOIN b ON a.x = b.x FULL JOIN c USING (x) WHERE b.y IS NULL",
    "WITH w AS (SELECT x FROM a GROUP BY x HAVING count(*) > 1) SELECT * FROM w, LATERAL (SELECT)",
    "SELECT * FROM a NATURAL JOIN b WHERE EXISTS (SELECT FROM c WHERE c.x = a.x) LIMIT 3",
    "INSERT INTO a SELECT b.* FROM b JOIN c ON b.x = c.x ON CONFLICT DO NOTHING",
    "SELECT x::int, E'a\\n', U&'\\0041', $$b$$, ARRAY[1], (a).b FROM a TABLESAMPLE system (1)",
    "UPDATE a SET x = b.x FROM b WHERE a.y = b.y; ",
    "(SELECT x FROM a UNION ALL SELECT y FROM b) EXCEPT SELECT x FROM c",
]
_WORDS = [
    *("SELECT", "FROM", "WHERE", "JOIN", "LEFT JOIN", "ON", "USING (x)", "AND", "OR", "NOT", "IN"),
    *("(", ")", "((", "a", "b", "c", "a.x", "b.x", "*", ",", "=", "<", "::int", "'s'", '"q"', "1"),
    *("EXISTS (SELECT 1)", "LATERAL", "NATURAL JOIN", "CROSS JOIN", "UNION", "WITH w AS (", "AS"),
    *("GROUP BY 1", "ORDER BY 1", "LIMIT 1", "FOR UPDATE", "CASE WHEN", "END", "OVER ()", "--\n"),
    *(
        "/*",
        "*/",
        "$$",
        "$1",
        ":v",
        "\\",
        "\0",
        "é",
        "\ud800",
        "{",
        "}",
        "[",
        "]",
        ";",
        "ROWS FROM (",
    ),
    *("generate_series(1, 3)", "VALUES (1)", "TABLESAMPLE", "NULL", "BETWEEN", "@>", "->>", "IS"),
]
_texts = st.one_of(
    st.lists(st.sampled_from(_WORDS), max_size=14).map(" ".join),
    st.lists(st.sampled_from(_WORDS), max_size=10).map(lambda words: "SELECT " + " ".join(words)),
    st.builds(
        lambda sql, at, size, word: (
            sql[: at % len(sql)] + f" {word} " + sql[at % len(sql) + size :]
        ),
        st.sampled_from(_QUERIES),
        st.integers(0, 200),
        st.integers(0, 12),
        st.sampled_from(_WORDS),
    ),
    st.text(max_size=12).map(lambda text: f"SELECT {text}"),
)


@pytest.fixture(scope="module")
def catalog(server_home: Path) -> Iterator[GraphCatalog]:
    """The catalog of a database with three small tables."""
    target = open_target(PostgreSQLConfig(home=server_home))
    session = target.session(timeout_s=30)
    session.execute("CREATE TEMP TABLE a (x int, y text); CREATE TEMP TABLE b (x int, y text)")
    session.execute("CREATE TEMP TABLE c (x int PRIMARY KEY, y text)")
    yield GraphCatalog(session)
    session.close()
    target.close()


@cases(800)
@given(_texts)
def test_any_text_is_parsed_or_refused(sql: str) -> None:
    try:
        tree = parse(sql)
    except NotAnalysable as error:
        assert error.message
    else:
        to_sql(tree)


_WITHOUT_FROM = "SELECT count(*) FROM a, b WHERE a.x = b.x AND a.y IN (SELECT a  c)"


@cases(500)
@given(_texts)
@example(_WITHOUT_FROM)
def test_any_text_is_analysed_or_refused(catalog: GraphCatalog, sql: str) -> None:
    try:
        graph = analyse(sql, catalog)
        names = next(iter(graph.subsets()), None)
        if names is not None:
            key = graph.key(names)
            assert key is not None
            assert graph.names_of(key) == names
    except PilotError as error:
        assert error.message
    assert not catalog.session.closed


@cases(300)
@given(_texts)
@example(_WITHOUT_FROM)
def test_any_key_is_read_or_refused(catalog: GraphCatalog, key: str) -> None:
    try:
        read_key(key, catalog)
    except PilotError as error:
        assert error.message
    graph = analyse(_QUERIES[0], catalog)
    names = graph.names_of(key)
    assert names is None or names <= {"a", "b", "c"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "NOT " * 20_000 + "true FROM a",
        "SELECT " + "1 + " * 3_000 + "1 FROM a",
        "SELECT * FROM a WHERE " + " OR ".join(f"x = {n}" for n in range(2000)),
        "SELECT * FROM " + ", ".join(f"a AS a{n}" for n in range(300)),
        "SELECT '" + "x" * 1_000_000 + "' FROM a",
        "/*" * 1000 + "SELECT 1",
        "SELECT CASE WHEN " * 1000 + "1",
    ],
    ids=lambda sql: sql[:24],
)
def test_a_monster_is_analysed_or_refused(catalog: GraphCatalog, sql: str) -> None:
    for ask in (lambda: analyse(sql, catalog), lambda: read_key(sql, catalog)):
        try:
            ask()
        except PilotError as error:
            assert len(error.message) < 2_000


_nodes = st.recursive(
    st.dictionaries(
        st.sampled_from(["Node Type", "Alias", "Actual Rows", "Actual Loops", "Plans", "Filter"]),
        st.none()
        | st.integers()
        | st.floats()
        | st.sampled_from(["a", "b", "c", "Seq Scan", "Hash Join", "Append", "Gather", "a.x = b.x"])
        | st.lists(st.integers() | st.text(max_size=2), max_size=2),
        max_size=6,
    ),
    lambda inner: st.fixed_dictionaries(
        {
            "Node Type": st.sampled_from(["Hash Join", "Append", "Limit", "Merge Join", "Hash"]),
            "Plans": st.lists(inner, max_size=3),
        }
    ),
    max_leaves=6,
)


@cases(400)
@given(_nodes.map(lambda plan: {"Plan": plan}) | _nodes)
def test_any_plan_shows_cardinalities_or_is_refused(
    catalog: GraphCatalog, plan: dict[str, object]
) -> None:
    graph = analyse(_QUERIES[0], catalog)
    try:
        found = observed_cardinalities(plan, graph)
    except NotAnalysable as error:
        assert "not a plan" in error.message
    else:
        assert all(isinstance(rows, float) for rows in found.values())
