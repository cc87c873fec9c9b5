"""The planner module names sub-plans: the key, the planner's rows, and what a push changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pilotcli import PilotDataInteractor, PostgreSQLConfig
from pilotcli.common.errors import CapabilityError, SteeringError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.naming import Namer
from pilotcli.steering.subplans import NotAnalysable, SubPlan
from pilotcli.steering.subplans.described import DescribedQuery
from pilotcli.steering.subplans.subplan_sql import Writer

JOIN = "SELECT * FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.day < 9 AND l.price = 3"
TWO_BLOCKS = (
    "SELECT * FROM orders o WHERE o.day < 9 AND o.total > "
    "(SELECT avg(o.total) FROM orders o WHERE o.shop = 5)"
)


@pytest.fixture
def namer(shop: PostgresSession, shop_config: PostgreSQLConfig) -> Namer:
    abilities = Abilities(shop, shop_config)
    if abilities.planner is None:
        pytest.skip("the planner module is not to be had here")
    return abilities.namer


@pytest.fixture
def interactor(shop_target: PostgresTarget, namer: Namer) -> Iterator[PilotDataInteractor]:
    with PilotDataInteractor(shop_target.config, target=shop_target) as made:
        yield made


def rows_in_plan(plan: dict[str, Any], alias: str) -> float:
    """What the planner expects of the scans of a relation."""
    found = [node["Plan Rows"] for node in nodes(plan["Plan"]) if node.get("Alias") == alias]
    assert found
    return float(found[0])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_a_key_counts_what_the_planner_estimates(namer: Namer, shop: PostgresSession) -> None:
    found = namer.read(JOIN)
    assert found.left_out == []
    assert set(found.cards) == {
        "SELECT COUNT(*) FROM orders o WHERE o.day < 9",
        "SELECT COUNT(*) FROM lines l WHERE l.price = 3",
        "SELECT COUNT(*) FROM lines l, orders o "
        "WHERE l.order_id = o.id AND l.price = 3 AND o.day < 9",
    }
    for key, rows in found.cards.items():
        assert namer.read(key).cards[key] == rows
        assert shop.execute(key).rows[0][0] >= 0
    assert found.keys[SubPlan("1", frozenset("o"))] == (
        "SELECT COUNT(*) FROM orders o WHERE o.day < 9"
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "SELECT COUNT(*) FROM orders AS o, lines AS l "
        "WHERE 9 > o.day AND o.id = l.order_id AND 3 = l.price",
        "select count(*) from lines l inner join orders o "
        "on l.order_id = o.id and l.price = 1 + 2 where o.day < 9",
    ],
)
def test_a_key_is_known_in_any_spelling(namer: Namer, spelling: str) -> None:
    assert list(namer.find(JOIN, spelling)) == [SubPlan("1", frozenset("ol"))]
    assert not namer.find(JOIN, spelling.replace("9", "8"))
    assert not namer.find(JOIN, "SELECT 1")
    assert not namer.find(JOIN, "nonsense")


def test_a_push_changes_the_block_that_it_names_and_no_other(
    interactor: PilotDataInteractor,
) -> None:
    keys = interactor.subplans(TWO_BLOCKS).keys
    outer = keys[SubPlan("1", frozenset("o"))]
    inner = next(key for subplan, key in keys.items() if subplan.block != "1")
    assert inner == "SELECT COUNT(*) FROM orders o WHERE o.shop = 5"
    interactor.pull_physical_plan()
    before = interactor.execute(TWO_BLOCKS).physical_plan
    assert before is not None
    for key in (outer, inner):
        interactor.pull_physical_plan()
        interactor.push_card({key: 4321.0})
        pushed = interactor.execute(TWO_BLOCKS)
        after = pushed.physical_plan
        assert pushed.report is not None and after is not None
        assert pushed.report.ignored == ()
        assert len(after["Relations"]) == 2
        for alias, (block, _) in after["Relations"].items():
            is_pushed = (block == "1") == (key == outer)
            expected = 4321.0 if is_pushed else rows_in_plan(before, alias)
            assert rows_in_plan(after, alias) == expected


def test_a_push_changes_one_of_two_plannings_of_a_query(interactor: PilotDataInteractor) -> None:
    sql = (
        "WITH w AS NOT MATERIALIZED (SELECT o.shop, count(*) AS n FROM orders o GROUP BY o.shop) "
        "SELECT * FROM w x, w y WHERE x.shop = 5 AND y.shop = 6"
    )
    keys = interactor.subplans(sql).keys
    first, second = (
        next(subplan.block for subplan, key in keys.items() if key.endswith(f" o.shop = {shop}"))
        for shop in (5, 6)
    )
    assert second == f"{first}'2"
    for block in (first, second):
        interactor.pull_physical_plan()
        interactor.push_card({keys[SubPlan(block, frozenset("o"))]: 4321.0})
        pushed = interactor.execute(sql)
        plan = pushed.physical_plan
        assert pushed.report is not None and plan is not None
        assert pushed.report.ignored == ()
        changed = [plan["Relations"][alias] for alias in ("o", "o_1")
                   if rows_in_plan(plan, alias) == 4321]  # fmt: skip
        assert changed == [[block, "o"]]


@pytest.fixture
def collated(shop: PostgresSession) -> Iterator[str]:
    """Tables with a column of the default collation and one of another; the latter's name."""
    name = '"C"'
    if shop.execute("SELECT count(*) FROM pg_collation WHERE collprovider = 'i'").rows[0][0] > 9:
        name = "folded"
        shop.execute(
            "CREATE COLLATION folded "
            "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    for table in "abc":
        shop.execute(
            f"CREATE TEMP TABLE {table} AS SELECT chr(65 + i % 3 + 32 * (i % 2)) AS t, "
            f"chr(65 + i % 3 + 32 * (i % 2)) COLLATE {name} AS f FROM generate_series(1, 30) AS i"
        )
    yield name
    shop.execute("DROP TABLE a, b, c; DROP COLLATION IF EXISTS folded")


def test_keys_compare_as_the_query_does(namer: Namer, shop: PostgresSession, collated: str) -> None:
    sql = f"SELECT 1 FROM a, b, c WHERE a.t = b.t COLLATE {collated} AND b.t = c.t AND c.t = 'a'"
    keys = namer.read(sql).keys
    both = f"(a.t COLLATE {collated}) = (b.t COLLATE {collated})"
    assert keys[SubPlan("1", frozenset("a"))] == "SELECT COUNT(*) FROM a"
    assert keys[SubPlan("1", frozenset("ab"))] == (
        f"SELECT COUNT(*) FROM a, b WHERE {both} AND b.t = 'a'::text"
    )
    for subplan, key in keys.items():
        if subplan.names == frozenset("abc"):
            assert shop.execute(key).rows == shop.execute(f"SELECT count(*) FROM ({sql}) q").rows
    sql = f"SELECT 1 FROM a, b, c WHERE a.f = b.f AND b.f = c.t COLLATE {collated}"
    key = namer.read(sql).keys[SubPlan("1", frozenset("ac"))]
    assert key == f"SELECT COUNT(*) FROM a, c WHERE (c.t COLLATE {collated}) = a.f"


def test_a_query_that_is_planned_twice_is_two_blocks(namer: Namer) -> None:
    sql = (
        "SELECT * FROM orders o WHERE o.day < 9 "
        "OR EXISTS (SELECT FROM lines l WHERE l.order_id = o.id)"
    )
    found = namer.read(sql)
    blocks = {subplan.block for subplan in found.keys}
    left_out = {subplan.block for subplan, _ in found.left_out}
    assert "1" in blocks
    assert {"2", "2'2"} <= blocks | left_out


def test_what_cannot_be_named_says_why(namer: Namer) -> None:
    sql = "SELECT * FROM shops s WHERE 3 < (SELECT count(*) FROM orders o WHERE o.shop = s.id)"
    found = namer.read(sql)
    assert min(found.cards.values()) > 0
    reasons = {tuple(subplan.names): reason for subplan, reason in found.left_out}
    assert reasons == {("o",): "it uses a value of the query around it"}


def test_several_statements_are_not_planned(namer: Namer, shop: PostgresSession) -> None:
    shop.execute("CREATE TEMP TABLE seen (id int)")
    with pytest.raises(NotAnalysable, match="several statements"):
        namer.read("SELECT 1; INSERT INTO seen VALUES (1)")
    assert shop.execute("SELECT count(*) FROM seen").rows == [(0,)]


def test_a_refused_statement_leaves_the_transaction_as_it_was(
    namer: Namer, shop: PostgresSession
) -> None:
    shop.execute("BEGIN; CREATE TEMP TABLE kept (id int)")
    with pytest.raises(NotAnalysable, match="does not explain"):
        namer.read("SELECT * FROM nowhere")
    assert namer.read("SELECT * FROM kept").cards
    assert shop.execute("SELECT current_setting('pilot_planner.report')").rows == [("",)]
    shop.rollback()


def test_a_value_that_is_no_sub_plan_is_refused(interactor: PilotDataInteractor) -> None:
    interactor.push_card({"SELECT COUNT(*) FROM orders o WHERE o.day < 8": 7.0})
    interactor.pull_record()
    with pytest.raises(SteeringError, match="not a sub-plan query of the query"):
        interactor.execute(JOIN)


def test_what_is_not_sql_raises_as_documented(interactor: PilotDataInteractor) -> None:
    with pytest.raises(CapabilityError, match="does not explain"):
        interactor.subplans("SELEC 1")


@pytest.mark.parametrize(
    "sql",
    [
        JOIN,
        "SELECT * FROM shops s, orders o, lines l "
        "WHERE o.shop = s.id AND l.order_id = o.id AND s.id = 7",
        "SELECT * FROM shops a, shops b, orders o "
        "WHERE a.id = b.id AND b.id = o.shop AND (a.city < 'b' OR o.day = 3) AND o.day > 2",
        "SELECT * FROM lines l, orders o WHERE l.order_id + 1 = o.id AND o.id = 77",
    ],
)
def test_the_fast_writer_writes_what_the_general_one_does(namer: Namer, sql: str) -> None:
    report = namer._planned(sql)
    assert report.blocks_text is not None
    block = DescribedQuery(report.blocks_text).blocks["1"]
    for mask, _ in report.sets["1"]:
        written = Writer(block._domain, block._sources, canonical=True).write(mask)
        assert block.key(mask) == f"SELECT COUNT(*) {written}"
