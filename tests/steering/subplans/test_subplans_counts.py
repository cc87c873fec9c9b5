"""The count of a sub-plan's query is the number of rows that the sub-plan has when it runs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from forum_queries import FORUM
from random_joins import random_join

from pilotcli.common.errors import SteeringError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.subplans import (
    GraphCatalog,
    NotAnalysable,
    analyse,
    observed_cardinalities,
    rewrite_join_order,
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


def joined_sets(node: dict[str, Any]) -> Iterator[frozenset[str]]:
    """The sets of aliases below each node."""
    below: set[str] = {node["Alias"]} if "Alias" in node else set()
    for child in node.get("Plans", ()):
        sets = list(joined_sets(child))
        yield from sets
        below |= sets[-1] if sets else set()
    yield frozenset(below)


def test_a_rewritten_query_keeps_its_rows_and_takes_the_order(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    pick, done = random.Random(1), 0
    for seed in range(120):
        sql = random_join(seed)
        names = [name for name in analyse(sql, small).blocks[0].names if name not in "st"]
        order = pick.sample(names, len(names))
        try:
            rewritten = rewrite_join_order(sql, order, small)
        except (SteeringError, NotAnalysable):
            continue  # an outer join that the order would break
        settings = "SET LOCAL join_collapse_limit = 1; "
        expected = sorted(small_session.execute(sql).rows, key=repr)
        rows = sorted(small_session.execute(settings + rewritten).rows, key=repr)
        assert rows == expected, (sql, rewritten)
        done += 1
    assert done > 50


def test_the_planner_joins_in_the_order_given(
    forum_session: PostgresSession, forum_catalog: GraphCatalog
) -> None:
    sql = FORUM["asker-and-answerer"]
    order = ["helper", "a", "q", "v", "asker"]
    for given in (order, [["helper", "a"], ["q", "v"]]):
        rewritten = rewrite_join_order(sql, given, forum_catalog)
        plan = forum_session.execute(
            f"SET LOCAL join_collapse_limit = 1; EXPLAIN (FORMAT JSON) {rewritten}"
        ).rows[0][0][0]["Plan"]
        sets = set(joined_sets(plan))
        assert frozenset({"helper", "a"}) in sets
        assert frozenset({"helper", "a", "q"} if given is order else {"q", "v"}) in sets


def test_an_order_that_would_change_the_result_is_refused(small: GraphCatalog) -> None:
    sql = (
        "SELECT * FROM makers m LEFT JOIN parts p ON p.maker_id = m.id "
        "LEFT JOIN orders o ON o.buyer_id = m.id"
    )
    with pytest.raises(SteeringError, match="would change the query's result"):
        rewrite_join_order(sql, ["p", "o", "m"], small)
    with pytest.raises(SteeringError, match="'x', which is not a relation") as caught:
        rewrite_join_order(sql, ["x", "m"], small)
    assert caught.value.hint == "There are: m, p, o."
    with pytest.raises(SteeringError, match="twice"):
        rewrite_join_order(sql, ["m", "m"], small)
