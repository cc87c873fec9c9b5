"""Rows of two executions: the same in any order, and what a query does not determine."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.analysis.determinacy import Determinacy
from pilotcli.analysis.fixed import ALL, COUNT, NOTHING
from pilotcli.analysis.result_digest import (
    answer_of,
    comparable,
    compare_answers,
    digest,
    same_rows,
)
from pilotcli.databases.protocols import DatabaseObjects, Rows

values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats(allow_nan=True)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)
tables = st.lists(st.tuples(values, values), max_size=12)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[Any, ...]], chance: random.Random
) -> None:
    shuffled = rows[:]
    chance.shuffle(shuffled)
    assert digest(rows) == digest(shuffled)
    assert same_rows(rows, shuffled)


@given(tables, st.tuples(values, values))
def test_one_row_more_is_another_answer(rows: list[tuple[Any, ...]], more: tuple[Any, ...]) -> None:
    assert digest(rows) != digest([*rows, more])
    assert not same_rows(rows, [*rows, more])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False),
        ([(0.1 + 0.2,)], [(0.3,)], True),
        ([(1e300,)], [(1.0001e300,)], False),
        ([(float("nan"),)], [(float("nan"),)], True),
        ([(0.0,)], [(-0.0,)], True),
        ([(1,)], [("1",)], False),
        ([(None,)], [("",)], False),
        ([(True,)], [(1,)], True),
        ([(Decimal("1.10"),)], [(Decimal("1.1"),)], True),
        ([(Decimal("1.10"),)], [(Decimal("1.11"),)], False),
        ([([0.1 + 0.2],)], [([0.3],)], True),
        ([({"a": 1, "b": 2},)], [({"b": 2, "a": 1},)], True),
        ([(memoryview(b"ab"),)], [(memoryview(b"ab"),)], True),
        ([(b"ab",)], [(b"ac",)], False),
        ([({"sum": 14607},)], [({"sum": 14607.000000000002},)], True),
        ([([3, {"a": [2.0000000000000004]}],)], [([3.0000000000000004, {"a": [2]}],)], True),
        ([({"sum": 14607},)], [({"sum": 14608.000000000002},)], False),
        ([({"id": 123456789012},)], [({"id": 123456789013},)], False),
        ([("(14607,1)",)], [("(14607.000000000002,1)",)], True),
        ([("x0.30000000000000004",)], [("x0.3",)], True),
        ([("1.0000000000000002e+300;",)], [("1e+300;",)], True),
        ([("0.123456789012345",)], [("0.123456788012345",)], False),
        ([("12.12345678",)], [("12.12345679",)], False),
        ([("2024-01-01 12:00:00.123456",)], [("2024-01-01 12:00:00.123457",)], False),
        ([(1.0000000004, "x"), (1.0, "y")], [(1.0, "x"), (1.0000000004, "y")], True),
    ],
)
def test_what_is_the_same(one: list[Any], other: list[Any], same: bool) -> None:
    assert same_rows(one, other) == same
    if not same and one != [(True,)]:
        assert digest(one) != digest(other)


def test_rows_that_were_only_counted_are_compared_by_their_number() -> None:
    told = [("n", 23)]
    assert answer_of(Rows([(1,)], 5, told)) == "5:rows that were only counted"
    assert answer_of(Rows([(1,)], 1, told)) == digest([(1,)])
    assert answer_of(Rows((), 7)) == "7:rows without content"


REAL, REAL_ARRAY, DOUBLE = ("x", 700), ("x", 1021), ("x", 701)


@pytest.mark.parametrize(
    ("column", "one", "other", "same"),
    [
        (REAL, 22_199.998, 22_200.004, True),
        (REAL, 22_199.998, 22_300.0, False),
        (REAL, None, 1.0, False),
        (REAL_ARRAY, [22_199.998], [22_200.004], True),
        (REAL_ARRAY, [22_199.998], [22_300.0], False),
        (DOUBLE, 22_199.998, 22_200.004, False),
    ],
)
def test_sums_of_reals_differ_in_more_of_their_digits(
    column: tuple[str, int], one: Any, other: Any, same: bool
) -> None:
    a, b = (Rows([("g", value)], 1, [("g", 25), column]) for value in (one, other))
    assert same_rows(comparable(a), comparable(b)) == same
    assert (answer_of(a) == answer_of(b)) == same


OBJECTS = DatabaseObjects(
    views={"first_three": "SELECT a FROM t LIMIT 3", "whole": "SELECT a FROM t"},
    functions={
        "own_sum": [("a", "i", "internal", "aggregate_dummy")],
        "any_a": [("f", "i", "sql", "SELECT a FROM t LIMIT 1")],
        "plus_one": [("f", "v", "sql", "SELECT $1 + 1")],
        "unknown": [("f", "v", "plpgsql", "BEGIN RETURN 1; END")],
        "stated": [("f", "i", "plpgsql", "BEGIN RETURN 1; END")],
        "Vol Q": [("f", "v", "plpgsql", "BEGIN RETURN 1; END")],
    },
    row_functions={"unknown"},
    operators={"+?": ["unknown"], "||~": ["stated"]},
    casts={"mine": ["unknown"], "yours": ["stated"]},
    unique={"t": [frozenset({"id"})]},
)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'limit', \"random\" FROM t -- now()",
        "SELECT rank, lag, t.offset FROM t",
        "SELECT count(*) FROM t /* LIMIT 1 */",
        "SELECT rank() OVER (ORDER BY g) FROM t",
        "SELECT sum(a) OVER (ORDER BY g) FROM t",
        "SELECT row_number() OVER (ORDER BY id) FROM t",
        "SELECT sum(a) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT * FROM t ORDER BY id LIMIT 5",
        "SELECT a, b FROM t ORDER BY b, 1 LIMIT 5",
        "SELECT g, count(*) AS n FROM t GROUP BY g ORDER BY n DESC, g LIMIT 3",
        "SELECT a FROM t ORDER BY b FETCH FIRST 3 ROWS WITH TIES",
        "SELECT a ||~ b, a::yours, unknown, a + 1 FROM t",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r"
        " WHERE EXISTS (SELECT 1 FROM t LIMIT 1)",
        "SELECT * FROM t LIMIT ALL",
        "SELECT count(*) FROM first_three",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u LIMIT 1)",
        "SELECT a FROM whole ORDER BY random()",
        "SELECT plus_one(a), stated() FROM t",
        "SELECT ARRAY(SELECT a FROM t ORDER BY a)",
        "SELECT array_agg(DISTINCT a), string_agg(b, ',' ORDER BY b) FROM t",
        "SELECT DISTINCT ON (g) g, a FROM t ORDER BY g, a",
    ],
)
def test_what_a_query_determines(sql: str) -> None:
    assert Determinacy(OBJECTS).of(sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*), random() FROM t GROUP BY a",
        "SELECT now()",
        "SELECT DATE 'today'",
        "SELECT row_number() OVER (ORDER BY g) FROM t",
        "SELECT ntile(4) OVER w FROM t WINDOW w AS (ORDER BY g)",
        "SELECT sum(a) OVER (ORDER BY g ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT * FROM t LIMIT 5",
        "SELECT * FROM t ORDER BY g LIMIT 5",
        "SELECT DISTINCT ON (g) g, a FROM t ORDER BY g",
        "SELECT ARRAY(SELECT a FROM t)",
        "SELECT string_agg(a, ',' ORDER BY g) FROM t",
        "SELECT sum(a) FROM first_three",
        "SELECT own_sum(a) FROM t",
        "SELECT any_a(), unknown() FROM t",
        'SELECT "Vol Q"() FROM t',
        "SELECT t.unknown FROM t",
        "SELECT (t).unknown FROM t",
        "SELECT a FROM t ORDER BY b OFFSET 2 FETCH FIRST 3 ROWS WITH TIES",
        "SELECT a FROM (SELECT a FROM t LIMIT 3) AS s",
        "SELECT a FROM t UNION ALL (SELECT a FROM u LIMIT 3)",
    ],
)
def test_where_a_query_determines_the_number_of_rows(sql: str) -> None:
    fixed = Determinacy(OBJECTS).of(sql)
    assert fixed.count
    assert not fixed.rows


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT a FROM t",
        "SELECT a FROM t WHERE a < random()",
        "SELECT a FROM t TABLESAMPLE SYSTEM (10)",
        "SELECT a FROM first_three WHERE a = 1",
        "SELECT a FROM t WHERE a IN (SELECT a FROM u LIMIT 3)",
        "SELECT a FROM t FOR UPDATE SKIP LOCKED",
        "SELECT DISTINCT a, random() FROM t",
        "SELECT 1 +? 2",
        "SELECT a::mine FROM t",
        "SELECT CAST(a AS mine) FROM t",
        "SELECT a FROM t ORDER BY random() FETCH FIRST 3 ROWS WITH TIES",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT (SELECT a FROM t WHERE a > r.n LIMIT 1)"
        " FROM r WHERE n < 5) SELECT n FROM r",
    ],
)
def test_where_a_query_determines_nothing(sql: str) -> None:
    assert Determinacy(OBJECTS).of(sql) == NOTHING


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {'+'.join(['1'] * 5_000)} FROM t LIMIT 3",
        f"SELECT {'(' * 3_000}1{')' * 3_000} FROM t LIMIT 3",
        f"SELECT * FROM t WHERE {' AND '.join(['a = 1'] * 5_000)} LIMIT 3",
        " UNION ALL ".join(["SELECT now()"] * 3_000),
    ],
    ids=["sum", "parentheses", "conditions", "union"],
)
def test_a_query_that_is_too_deep_to_read_determines_nothing(sql: str) -> None:
    assert Determinacy().of(sql) == NOTHING


def test_a_prepared_statement_determines_what_its_text_does() -> None:
    judge = Determinacy()
    assert judge.of("EXECUTE p") == COUNT
    judge.of("PREPARE p (int) AS SELECT a FROM t WHERE b = $1")
    assert judge.of("EXECUTE p(1)") == ALL


TABLE = [(1, "a"), (1, "b"), (2, "c"), (2, "d")]
OTHER = [(1, "a"), (1, "b"), (2, "c"), (2, "x")]
WRONG = [(1, "a"), (1, "x"), (2, "c"), (2, "d")]


@pytest.mark.parametrize(
    ("sql", "one", "other", "found"),
    [
        ("SELECT * FROM t LIMIT 4", TABLE, WRONG, "undetermined"),
        ("SELECT * FROM t LIMIT 4", TABLE, TABLE[:2], "different"),
        ("SELECT * FROM t LIMIT 9", TABLE, WRONG, "different"),
        ("SELECT * FROM t ORDER BY g LIMIT 4", TABLE, OTHER, "undetermined"),
        ("SELECT * FROM t ORDER BY g LIMIT 4", TABLE, WRONG, "different"),
        ("SELECT g, a FROM t ORDER BY 1 LIMIT 4", TABLE, [*TABLE[:3], (3, "d")], "different"),
        ("SELECT g, a FROM t ORDER BY g LIMIT 4 OFFSET 1", TABLE, WRONG, "undetermined"),
        ("SELECT g, any_value(a) FROM t GROUP BY g, a", TABLE, WRONG, "undetermined"),
        ("SELECT g, any_value(a) FROM t GROUP BY g, a", TABLE, [*TABLE[:3], (3, "d")], "different"),
        ("SELECT g, a FROM t", TABLE, TABLE[::-1], "same"),
        ("EXPLAIN SELECT 1", TABLE, WRONG[:2], "undetermined"),
    ],
)
def test_answers_are_compared_as_far_as_they_are_determined(
    sql: str, one: list[Any], other: list[Any], found: str
) -> None:
    fixed = Determinacy().of(sql)
    columns = [("g", 23), ("a", 25)]
    answers = [answer_of(Rows(rows, len(rows), columns), fixed) for rows in (one, other)]
    assert compare_answers(*answers) == found
