"""Cardinalities of statements around a SELECT: pulled and pushed as for the SELECT itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.workload import leading_keyword

SELECT = "SELECT o.id, l.price FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.total < 500"
JOIN_KEY = "SELECT COUNT(*) FROM lines l, orders o WHERE l.order_id = o.id AND o.total < 500"
STATEMENTS = [
    f"CREATE TABLE made AS {SELECT}",
    f"CREATE TEMP TABLE made (a, b) AS {SELECT} WITH DATA",
    f"DECLARE made CURSOR FOR {SELECT}",
    f"EXPLAIN {SELECT}",
    f"EXPLAIN (ANALYZE, FORMAT JSON) {SELECT}",
    f"EXPLAIN ANALYZE CREATE TABLE made AS {SELECT}",
    f"CREATE MATERIALIZED VIEW made AS {SELECT}",
    "REFRESH MATERIALIZED VIEW seen",
    f"INSERT INTO kept {SELECT}",
    f"COPY ({SELECT}) TO STDOUT",
]


@pytest.fixture
def tables(shop: PostgresSession) -> Iterator[PostgresSession]:
    """The shop's session, with a table to insert into and a materialized view."""
    shop.execute(f"CREATE TABLE kept (a int, b int); CREATE MATERIALIZED VIEW seen AS {SELECT}")
    yield shop
    if shop.in_transaction:
        shop.rollback()
    shop.execute("DROP TABLE kept; DROP MATERIALIZED VIEW seen")


def steering(
    session: PostgresSession, config: PostgreSQLConfig, pulls: Pulls, planner: str = "auto"
) -> SessionSteering:
    config = copy.copy(config)
    config.planner = planner  # type: ignore[assignment]
    abilities = Abilities(session, config)
    if planner == "auto" and abilities.planner is None:
        pytest.skip(f"no planner module: {abilities.planner_or_why}")
    return SessionSteering(session, abilities, pulls, skip_missing=False)


def run(
    steerer: SessionSteering,
    sql: str,
    cards: dict[str, float] | None = None,
    *,
    execute: bool = True,
    in_block: bool = False,
) -> Steered:
    """Runs a statement and takes its changes back."""
    query = Query(seq=1, label="q", sql=sql, command=leading_keyword(sql))
    in_block = in_block or sql.startswith("DECLARE")
    if in_block:
        steerer.session.execute("BEGIN")
    try:
        steered = steerer.run(query, Pushes(cards=dict(cards or {})), execute=execute)
    finally:
        if in_block:
            steerer.session.rollback()
        else:
            steerer.session.execute(
                "DROP TABLE IF EXISTS made"
                if " TABLE made" in sql
                else "DROP MATERIALIZED VIEW IF EXISTS made"
            )
            steerer.abilities.forget_schema()
    assert steered.error is None, steered.error
    return steered


@pytest.mark.parametrize("sql", STATEMENTS)
def test_pulled_cardinalities_are_those_of_the_select(
    tables: PostgresSession, shop_config: PostgreSQLConfig, sql: str
) -> None:
    steerer = steering(tables, shop_config, Pulls(subquery_cards=True))
    expected = run(steerer, SELECT).cards
    assert expected is not None and len(expected) == 3
    for execute in (True, False):
        steered = run(steerer, sql, execute=execute)
        assert (steered.cards, steered.notes) == (expected, ()), execute
    assert run(steerer, sql, in_block=True).cards == expected


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_pushed_cardinality_is_applied(
    tables: PostgresSession, shop_config: PostgreSQLConfig, sql: str
) -> None:
    for pulls in (Pulls(), Pulls(subquery_cards=True)):
        steerer = steering(tables, shop_config, pulls)
        for in_block in (False, True):
            steered = run(steerer, sql, {JOIN_KEY: 77}, in_block=in_block)
            assert steered.report is not None
            assert (steered.report.applied, steered.report.ignored) == ((JOIN_KEY,), ())


def test_an_explained_plan_shows_the_pushed_rows(
    tables: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = steering(tables, shop_config, Pulls())
    steered = run(steerer, f"EXPLAIN (FORMAT JSON) {SELECT}", {JOIN_KEY: 77})
    assert steered.rows.rows[0][0][0]["Plan"]["Plan Rows"] == 77


def test_a_view_of_another_owner_is_not_named(
    tables: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = steering(tables, shop_config, Pulls(subquery_cards=True))
    tables.execute(
        "CREATE ROLE keeper; GRANT SELECT ON orders, lines TO keeper;"
        " GRANT CREATE ON SCHEMA public TO keeper; ALTER MATERIALIZED VIEW seen OWNER TO keeper"
    )
    try:
        steered = run(steerer, "REFRESH MATERIALIZED VIEW seen")
        assert steered.cards is None
        assert "in the name of keeper" in str(steered.notes)
    finally:
        tables.execute(
            "ALTER MATERIALIZED VIEW seen OWNER TO CURRENT_USER; DROP OWNED BY keeper;"
            " DROP ROLE keeper"
        )


@pytest.mark.parametrize("sql", STATEMENTS)
def test_pulled_cardinalities_without_the_module(
    tables: PostgresSession, shop_config: PostgreSQLConfig, sql: str
) -> None:
    steerer = steering(tables, shop_config, Pulls(subquery_cards=True), planner="never")
    steered = run(steerer, sql)
    assert steered.notes == ()
    assert steered.cards == run(steerer, SELECT).cards
