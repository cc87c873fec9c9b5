"""Rows of two executions: the same in any order, and what a query does not determine."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.analysis.result_digest import (
    answer_of,
    comparable,
    digest,
    is_undetermined,
    same_rows,
)
from pilotcli.databases.protocols import Rows

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


@pytest.mark.parametrize(
    ("sql", "undetermined"),
    [
        ("SELECT * FROM t ORDER BY a LIMIT 5", True),
        ("select distinct on (a) b from t", True),
        ("SELECT random()", True),
        ("SELECT now()", True),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", True),
        ("SELECT ntile(4) OVER (ORDER BY a) FROM t", True),
        ("SELECT 'limit', \"random\" FROM t -- now()", False),
        ("SELECT limited, randomly FROM t", False),
        ("SELECT count(*) FROM t /* LIMIT 1 */", False),
    ],
)
def test_what_a_query_leaves_open(sql: str, undetermined: bool) -> None:
    assert is_undetermined(sql) == undetermined
