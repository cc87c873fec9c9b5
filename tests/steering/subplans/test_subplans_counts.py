"""The count of a sub-plan's query is the number of rows that the sub-plan has when it runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from forum_queries import FORUM
from random_joins import random_join

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.subplans import (
    GraphCatalog,
    analyse,
    observed_cardinalities,
)

PLANS = (
    "",
    "SET LOCAL enable_hashjoin = off; ",
    "SET LOCAL enable_nestloop = off; SET LOCAL enable_hashjoin = off; ",
    "SET LOCAL enable_mergejoin = off; SET LOCAL enable_indexscan = off; ",
    "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; "
    "SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL min_parallel_index_scan_size = 0; ",
)


def executed(session: PostgresSession, sql: str, settings: str = "") -> dict[str, Any]:
    value = session.execute(f"{settings}EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}").rows[0][
        0
    ]
    plan: dict[str, Any] = (json.loads(value) if isinstance(value, str) else value)[0]
    return plan


def count(session: PostgresSession, key: str | None) -> float:
    assert key is not None
    return float(session.execute(key).rows[0][0])


@pytest.mark.slow
def test_what_random_joins_show_is_what_their_keys_count(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    compared = joins = 0
    for seed in range(80):
        sql = random_join(seed)
        graph = analyse(sql, small)
        for settings in PLANS[seed % 2 :: 2]:
            seen = observed_cardinalities(executed(small_session, sql, settings), graph)
            for names, rows in seen.items():
                assert rows == count(small_session, graph.key(names)), (sql, settings, names)
                compared += 1
                joins += len(names) > 1
    assert compared > 400
    assert joins > 150


@pytest.mark.slow
@pytest.mark.parametrize("label", list(FORUM)[::7])
def test_what_the_forum_shows_is_what_its_keys_count(
    label: str, forum_session: PostgresSession, forum_catalog: GraphCatalog
) -> None:
    graph = analyse(FORUM[label], forum_catalog)
    seen = observed_cardinalities(executed(forum_session, FORUM[label]), graph)
    assert seen
    for names, rows in seen.items():
        assert rows == count(forum_session, graph.key(names)), names


def test_rows_that_a_limit_cuts_off_are_no_cardinality(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    sql = "SELECT * FROM parts p JOIN makers m ON m.id = p.maker_id LIMIT 3"
    seen = observed_cardinalities(executed(small_session, sql), analyse(sql, small))
    assert frozenset({"p", "m"}) not in seen
    assert frozenset({"p"}) not in seen


def test_the_inner_side_of_a_parameterised_loop_is_no_cardinality(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    sql = "SELECT * FROM makers m JOIN parts p ON p.maker_id = m.id WHERE m.id < 4"
    settings = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
    plan = executed(small_session, sql, settings + "SET LOCAL enable_seqscan = off; ")
    inner = plan["Plan"]["Plans"][1]
    assert inner["Actual Loops"] > 1
    seen = observed_cardinalities(plan, analyse(sql, small))
    assert frozenset({"p"}) not in seen
    joined = frozenset({"m", "p"})
    assert seen[joined] == count(small_session, analyse(sql, small).key(joined))
