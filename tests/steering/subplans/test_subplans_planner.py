"""The sub-plans and their estimates are the planner's own, by the planner module."""

from __future__ import annotations

import pytest
from forum_queries import FORUM
from random_joins import random_join
from steered import estimates

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planner import parse_report
from pilotcli.steering.subplans import GraphCatalog, SubPlan, analyse, estimates_by_explain

pytestmark = pytest.mark.usefixtures("with_planner")

SETTINGS = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL join_collapse_limit = 20; "


def reported(session: PostgresSession, sql: str) -> dict[frozenset[str], float]:
    """What the module tells; of several blocks with the same names, the outermost."""
    heard: list[str] = []
    before, session.connection.notices = session.connection.notices, heard
    try:
        session.execute(f"{SETTINGS}SET LOCAL pilot_planner.report = 'blocks'; EXPLAIN {sql}")
    finally:
        session.connection.notices = before
    found: dict[frozenset[str], float] = {}
    for subplan, rows in sorted(estimates(parse_report(heard)).items(), key=_number_of_block):
        found.setdefault(subplan.names, max(1.0, round(rows)))
    return found


def _number_of_block(item: tuple[SubPlan, float]) -> list[int]:
    return [int(part) for part in item[0].block.split("'")]


@pytest.mark.slow
@pytest.mark.parametrize("label", FORUM)
def test_the_forums_sub_plans_are_the_planners(
    label: str, forum_session: PostgresSession, forum_catalog: GraphCatalog
) -> None:
    graph = analyse(FORUM[label], forum_catalog)
    assert estimates_by_explain(forum_session, graph) == reported(forum_session, FORUM[label])


@pytest.mark.parametrize(
    "sql",
    [
        # A condition above two outer joins waits for both.
        "SELECT 1 FROM makers m LEFT JOIN parts p ON p.maker_id = m.id "
        "LEFT JOIN orders o ON o.part_id = p.id WHERE o.buyer_id IS NULL",
        "SELECT 1 FROM makers m LEFT JOIN parts p ON p.maker_id = m.id "
        "LEFT JOIN orders o ON o.part_id = m.id WHERE o.buyer_id IS NULL",
        # Lateral sub-queries from PostgreSQL 17 on, tested row by row before.
        "SELECT 1 FROM parts p JOIN makers m ON m.id = p.maker_id "
        "WHERE p.kind = ANY (SELECT o.kind FROM orders o WHERE o.part_id = p.id)",
        "SELECT 1 FROM parts p WHERE p.kind IN (SELECT o.kind FROM orders o "
        "WHERE o.part_id = p.id)",
    ],
)
def test_a_join_has_the_planners_sub_plans(
    sql: str, small_session: PostgresSession, small: GraphCatalog
) -> None:
    if "SELECT o.kind" in sql and small.server_version < 17:
        pytest.skip("IN with columns from outside is a semi join only from PostgreSQL 17 on")
    assert estimates_by_explain(small_session, analyse(sql, small)) == reported(small_session, sql)


@pytest.mark.slow
def test_generated_joins_have_the_planners_sub_plans(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    sets = agree = 0
    for seed in range(150):
        sql = random_join(seed)
        told = reported(small_session, sql)
        graph = analyse(sql, small)
        found = estimates_by_explain(small_session, graph)
        # A sub-query that takes conditions from outside has no sub-plans of its own here; one that
        # the planner proves empty has no joins there.
        empty = {names for names in found if any(told.get(frozenset({n}), 0) <= 1 for n in names)}
        outermost = {name for block in graph.blocks if block.depth == 0 for name in block.names}
        outer = {names for names in told if names <= outermost}
        if small_session.connection.server_version < 180000:
            # With the rows of IN (SELECT ...) made unique, it also joins what no condition joins.
            outer -= {names for names in outer - set(found) if names & {"s", "t"}}
        assert outer <= set(found), sql
        assert set(found) - set(told) <= empty, sql
        sets += len(outer)
        agree += sum(found[names] == told[names] for names in outer)
    assert sets > 1500
    assert agree >= 0.98 * sets
