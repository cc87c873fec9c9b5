"""pg_hint_plan is judged by what it does, and what it says of each hint is what pilot says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from pilotcli.common.errors import QueryError
from pilotcli.common.records import Query, SteeringReport
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.methods import ScanJoinMethodEnum
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.workload import leading_keyword

pytestmark = pytest.mark.slow

THREE = (
    "SELECT count(*) FROM shops s, orders o, lines l"
    " WHERE s.id = o.shop AND o.id = l.order_id AND s.city = 'city 3' AND l.price > 90"
)
OWN = (
    "SELECT /*+ NestLoop(o l) SeqScan(l) */ count(*) FROM orders o JOIN lines l ON o.id = order_id"
)


def query(sql: str) -> Query:
    return Query(seq=1, label="q", sql=sql, command=leading_keyword(sql))


def steering(
    session: PostgresSession, config: PostgreSQLConfig, pulls: Pulls | None = None
) -> SessionSteering:
    """Steers by hints alone: without the planner module and PostgreSQL 19's advice."""
    config = copy.copy(config)
    config.planner = "never"
    abilities = Abilities(session, config)
    if not abilities.hint_plan:
        pytest.skip("pg_hint_plan is not on this server")
    abilities.__dict__["plan_advice"] = False
    return SessionSteering(
        session, abilities, pulls or Pulls(physical_plan=True), skip_missing=False
    )


@pytest.fixture
def steerer(shop: PostgresSession, shop_config: PostgreSQLConfig) -> SessionSteering:
    return steering(shop, shop_config)


@pytest.fixture
def preloaded(shop_target: PostgresTarget) -> Iterator[PostgresSession]:
    """A session of a server that loads pg_hint_plan into every session."""
    first = shop_target.session()
    if not Abilities(first, shop_target.config).hint_plan:
        first.close()
        pytest.skip("pg_hint_plan is not on this server")
    name = first.execute("SELECT quote_ident(current_database())").rows[0][0]
    first.execute(f"ALTER DATABASE {name} SET session_preload_libraries = 'pg_hint_plan'")
    session = shop_target.session()
    yield session
    session.close()
    first.execute(f"ALTER DATABASE {name} RESET session_preload_libraries")
    first.close()


def report_of(steered: Steered) -> SteeringReport:
    assert steered.error is None, steered.error
    assert steered.report is not None
    return steered.report


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def joined(steered: Steered) -> set[frozenset[str]]:
    """The relations, by alias, or by table for what was merged, of each join."""
    assert steered.plan is not None
    joins = [node for node in nodes(steered.plan["Plan"]) if len(node.get("Plans", ())) == 2]
    return {frozenset(part["Alias"] for part in nodes(join) if "Alias" in part) for join in joins}


def kinds(steered: Steered) -> set[str]:
    assert steered.plan is not None
    return {node["Node Type"] for node in nodes(steered.plan["Plan"])}


def pushed(
    comment: str = "", *methods: tuple[ScanJoinMethodEnum, str], order: Any = None
) -> Pushes:
    pushes = Pushes()
    pushes.add_comment(comment)
    pushes.add_methods(list(methods))
    pushes.add_order(order)
    return pushes


@pytest.mark.parametrize(
    "settings",
    [
        "SET random_page_cost = 1.1",
        "SET enable_seqscan = off",
        "SET enable_hashjoin = off",
        "BEGIN",
    ],
)
def test_it_is_found_whatever_the_planner_prefers(
    shop: PostgresSession, shop_config: PostgreSQLConfig, settings: str
) -> None:
    steering(shop, shop_config)
    shop.execute(settings)
    assert Abilities(shop, shop_config).hint_plan
    if settings == "BEGIN":
        assert shop.in_transaction and not shop.transaction_failed
        shop.execute("ROLLBACK")


def test_it_is_found_in_a_large_catalog(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steering(shop, shop_config)
    shop.execute("CREATE SCHEMA many")
    try:
        shop.execute(
            "DO $$ BEGIN FOR n IN 1..1500 LOOP EXECUTE format('CREATE TABLE many.t%s (a int)', n);"
            " END LOOP; END $$; ANALYZE pg_class; ANALYZE pg_attribute"
        )
        assert Abilities(shop, shop_config).hint_plan
    finally:
        shop.execute("SET client_min_messages = error")
        for start in range(1, 1501, 100):
            names = ", ".join(f"many.t{n}" for n in range(start, start + 100))
            shop.execute(f"DROP TABLE {names}")
        shop.execute("DROP SCHEMA many; RESET client_min_messages")


def test_each_hint_is_applied_or_ignored(steerer: SessionSteering) -> None:
    comment = "/*+ HashJoinn(s o) SeqScan(l) Rows(o l #4) NestLoop(s o) SeqScan(q) Rows(s #3) */"
    report = report_of(steerer.run(query(THREE), pushed(comment)))
    assert set(report.applied) == {"SeqScan(l)", "Rows(o l #4)", "NestLoop(s o)"}
    ignored = dict(report.ignored)
    assert 'Unrecognized hint keyword "HashJoinn"' in ignored["HashJoinn(s o)"]
    assert ignored["SeqScan(q)"] == "the query has no relation q"
    assert "at least two relations" in ignored["Rows(s #3)"]


def test_methods_and_orders_are_applied_or_ignored(steerer: SessionSteering) -> None:
    methods = [
        (ScanJoinMethodEnum.HASHJOIN, "o l"),
        (ScanJoinMethodEnum.HASHJOIN, "s zz"),
        (ScanJoinMethodEnum.MERGEJOIN, "s l"),
        (ScanJoinMethodEnum.INDEX, "l nope"),
        (ScanJoinMethodEnum.SEQ, "o"),
        (ScanJoinMethodEnum.NOSEQ, "o"),
    ]
    report = report_of(steerer.run(query(THREE), pushed("", *methods, order=["l", "o", "s"])))
    assert set(report.applied) == {"HashJoin(o l)", "NoSeqScan(o)", "Leading(((l o) s))"}
    assert dict(report.ignored) == {
        "HashJoin(s zz)": "the query has no relation zz",
        "MergeJoin(s l)": "the planner considered no such join",
        "IndexScan(l nope)": "l has no such index",
        "SeqScan(o)": "another hint after it is for the same relations",
    }


def test_hints_that_set_something(steerer: SessionSteering) -> None:
    comment = "/*+ Set(enable_hashjon off) Set(work_mem 6MB) Set(work_mem 5MB) Set(geqo maybe) */"
    pushes = pushed(comment)
    pushes.add_hints({"Work_Mem": "8MB", "geqo_effort": "3"})
    report = report_of(steerer.run(query(THREE), pushes))
    assert set(report.applied) == {"Set(work_mem 5MB)", "geqo_effort = 3"}
    assert dict(report.ignored) == {
        "Work_Mem = 8MB": "the hint Set(work_mem 5MB) replaces it",
        "Set(work_mem 6MB)": "another hint after it is for the same setting",
        "Set(enable_hashjon off)": 'unrecognized configuration parameter "enable_hashjon"',
        "Set(geqo maybe)": 'parameter "geqo" requires a Boolean value',
    }


def test_names_that_need_quotes(steerer: SessionSteering) -> None:
    sql = 'SELECT count(*) FROM orders "O (x)" JOIN lines "l ""q" ON "O (x)".id = order_id'
    pushes = pushed(order=['l "q', "O (x)"])
    pushes.add_methods((ScanJoinMethodEnum.MERGEJOIN, '"O (x)" "l ""q"'))
    steered = steerer.run(query(sql), pushes)
    assert len(report_of(steered).applied) == 2
    assert report_of(steered).ignored == ()
    assert "Merge Join" in kinds(steered)


def cards_of(steerer: SessionSteering, sql: str) -> dict[str, float]:
    pulling = SessionSteering(
        steerer.session, steerer.abilities, Pulls(subquery_cards=True), skip_missing=False
    )
    found = pulling.run(query(sql), None).cards
    assert found is not None
    return found


def test_cardinalities_of_joins(steerer: SessionSteering) -> None:
    cards = cards_of(steerer, THREE)
    pushes = Pushes()
    pushes.add_cards({key: 4321 + len(key) for key in cards})
    steered = steerer.run(query(THREE), pushes)
    report = report_of(steered)
    joins = {key for key in cards if "," in key.partition(" WHERE ")[0]}
    assert set(report.applied) == joins
    assert dict(report.cards) == {key: 4321.0 + len(key) for key in joins}
    assert set(report.ignored) == {
        (key, "pg_hint_plan sets the rows of joins only") for key in cards.keys() - joins
    }
    assert steered.plan is not None
    (whole,) = [key for key in joins if key.count(",") == 2]
    assert any(node["Plan Rows"] == 4321 + len(whole) for node in nodes(steered.plan["Plan"]))


def test_a_query_inside_the_query_that_the_plan_does_not_have(steerer: SessionSteering) -> None:
    inside = "(SELECT * FROM orders WHERE shop = 3) q"
    sqls = [
        f"SELECT * FROM {inside} JOIN lines l ON l.order_id = q.id JOIN shops s ON s.id = q.shop",
        "WITH q AS (SELECT * FROM orders) SELECT * FROM q JOIN lines l ON l.order_id = q.id"
        " JOIN shops s ON s.id = q.shop",
    ]
    for sql in sqls:
        method, why = (ScanJoinMethodEnum.HASHJOIN, "q l"), "which is a view or a query inside"
        steered = steerer.run(query(sql), pushed("", method, order=["l", "q", "s"]))
        assert report_of(steered).applied == ("Leading(((l q) s))",)
        assert frozenset({"l", "orders"}) in joined(steered)
        ((what, told),) = report_of(steered).ignored
        assert what == "HashJoin(q l)" and why in told
        volatile = query(f"{sql} WHERE random() >= 0")  # is not written in another order
        report = report_of(steerer.run(volatile, pushed("", order=["l", "q", "s"])))
        assert report.applied == () and why in report.ignored[0][1]


def test_an_order_with_a_view_that_the_planner_merges(steerer: SessionSteering) -> None:
    steerer.run(query("BEGIN"), None)
    steerer.run(query("CREATE VIEW late AS SELECT id, shop FROM orders WHERE day > 100"), None)
    sql = THREE.replace("orders o", "late o")
    for order, first in ((["l", "o", "s"], {"l", "orders"}), (["s", "o", "l"], {"s", "orders"})):
        steered = steerer.run(query(sql), pushed("", order=order))
        assert report_of(steered).ignored == ()
        assert frozenset(first) in joined(steered)
    steerer.run(query("ROLLBACK"), None)


def test_a_cardinality_of_a_relation_that_the_planner_removed(steerer: SessionSteering) -> None:
    sql = (
        "SELECT o.id FROM orders o LEFT JOIN shops s ON s.id = o.shop"
        " JOIN lines l ON l.order_id = o.id"
    )
    for key in (
        "SELECT COUNT(*) FROM orders o LEFT JOIN shops s ON s.id = o.shop",
        "SELECT COUNT(*) FROM shops s",
    ):
        pushes = Pushes()
        pushes.add_cards({key: 7})
        why = "the planner removed s, which the result does not depend on"
        assert report_of(steerer.run(query(sql), pushes)).ignored == ((key, why),)
    report = report_of(steerer.run(query(sql), pushed("/*+ HashJoin(o s) */")))
    assert dict(report.ignored)["HashJoin(o s)"] == why


def test_pilots_own_names_are_never_hints(steerer: SessionSteering) -> None:
    sql = (
        "SELECT count(*) FROM orders o JOIN (SELECT o.id, o.shop FROM orders o JOIN lines l"
        " ON l.order_id = o.id) q ON q.shop = o.shop"
    )
    cards = cards_of(steerer, sql)
    twice = [key for key in cards if '"o#2"' in key and "lines" in key]
    assert twice
    pushes = Pushes()
    pushes.add_cards(dict.fromkeys(twice, 5))
    ignored = dict(report_of(steerer.run(query(sql), pushes)).ignored)
    assert set(ignored) == set(twice)
    assert all("one name apart" in why and "o#2" in why for why in ignored.values())


def test_hints_of_two_handlers_and_a_plain_comment(steerer: SessionSteering) -> None:
    pushes = pushed("/*+ SeqScan(l) */")
    pushes.add_comment("/* from a driver */")
    pushes.add_comment("/*+ HashJoin(o l) */")
    pushes.add_methods((ScanJoinMethodEnum.SEQ, "o"))
    report = report_of(steerer.run(query(THREE), pushes))
    assert set(report.applied) == {"SeqScan(l)", "HashJoin(o l)", "SeqScan(o)"}


def test_own_hints_without_the_extension_stay_without_effect(
    steerer: SessionSteering, shop_target: PostgresTarget
) -> None:
    plain = shop_target.session()
    native = plain.execute(f"EXPLAIN (COSTS off) {OWN}").rows
    plain.close()
    assert steerer.session.execute(f"EXPLAIN (COSTS off) {OWN}").rows == native
    steered = steerer.run(query(OWN), pushed("/*+ MergeJoin(o l) */"))
    assert report_of(steered).applied == ("MergeJoin(o l)",)
    assert "Merge Join" in kinds(steered)
    steerer.run(query("DISCARD ALL"), None)
    assert steerer.session.execute(f"EXPLAIN (COSTS off) {OWN}").rows == native
    steerer.run(query("LOAD 'pg_hint_plan'"), None)
    assert steerer.session.execute(f"EXPLAIN (COSTS off) {OWN}").rows != native


def test_own_hints_are_merged_with_what_is_pushed(
    preloaded: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    native = preloaded.execute(f"EXPLAIN (COSTS off) {OWN}").rows
    assert "Nested Loop" in str(native)
    steerer = steering(preloaded, shop_config)
    assert preloaded.execute(f"EXPLAIN (COSTS off) {OWN}").rows == native
    steered = steerer.run(query(OWN), pushed("", (ScanJoinMethodEnum.SEQ, "o")))
    assert report_of(steered).applied == ("SeqScan(o)",)
    assert "Nested Loop" in kinds(steered)
    report = report_of(steerer.run(query(OWN), pushed("/*+ HashJoin(l o) */")))
    assert report.applied == ("HashJoin(l o)",)
    ((what, why),) = report.ignored
    assert what == "NestLoop(o l)"
    assert "the pushed HashJoin(l o) replaces this hint" in why


def test_a_wrong_hint_beside_own_hints(
    preloaded: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steered = steering(preloaded, shop_config).run(query(OWN), pushed("/*+ SeqScann(o) */"))
    assert dict(report_of(steered).ignored) == {
        "SeqScann(o)": 'pg_hint_plan: Unrecognized hint keyword "SeqScann"'
    }
    assert "Nested Loop" in kinds(steered)


def test_own_hints_stay_with_a_pushed_setting(
    preloaded: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    pushes = Pushes()
    pushes.add_hints({"work_mem": "8MB"})
    steered = steering(preloaded, shop_config).run(query(OWN), pushes)
    assert report_of(steered).applied == ("work_mem = 8MB",)
    assert "Nested Loop" in kinds(steered)


def test_a_pushed_setting_replaces_that_of_an_own_hint(
    preloaded: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    sql = "/*+ Set(WORK_MEM '5MB') */ SELECT current_setting('work_mem') FROM shops s LIMIT 1"
    pushes = Pushes()
    pushes.add_hints({"work_mem": "8MB"})
    report = report_of(steering(preloaded, shop_config).run(query(sql), pushes))
    assert report.applied == ("work_mem = 8MB",)
    ((what, why),) = report.ignored
    assert what == "Set(WORK_MEM '5MB')"
    assert "the pushed work_mem = 8MB replaces this hint" in why


def test_own_hints_give_way_to_plan_advice(
    preloaded: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    abilities = Abilities(preloaded, shop_config)
    if not abilities.plan_advice:
        pytest.skip("pg_plan_advice is not on this server")
    steerer = SessionSteering(preloaded, abilities, Pulls(physical_plan=True), skip_missing=False)
    own = "Leading((s (o l))) SeqScan(l) HashJoin(o l) MergeJoin(s o l)"
    methods = [(ScanJoinMethodEnum.INDEX, "l"), (ScanJoinMethodEnum.NESTLOOP, "l o")]
    steered = steerer.run(query(f"/*+ {own} */ {THREE}"), pushed("", *methods, order="o l s"))
    report = report_of(steered)
    assert {what.split(" as ")[0] for what in report.applied} == {
        "IndexScan(l)",
        "NestLoop(l o)",
        "Leading(((o l) s))",
    }
    assert {what for what, _ in report.ignored} == {
        "Leading((s (o l)))",
        "SeqScan(l)",
        "HashJoin(o l)",
    }
    assert "Merge Join" in kinds(steered)
    assert frozenset({"o", "l"}) in joined(steered)


def test_a_query_with_two_comments_of_hints_does_not_fail(steerer: SessionSteering) -> None:
    sql = OWN.replace("count(*)", "count(*) /*+ SeqScan(o) */")
    steered = steerer.run(query(sql), pushed("/*+ HashJoin(o l) */"))
    assert report_of(steered).applied == ("HashJoin(o l)",)


def test_in_a_transaction_of_the_workload(steerer: SessionSteering) -> None:
    steerer.run(query("BEGIN"), None)
    steered = steerer.run(query(THREE), pushed("/*+ MergeJoin(o l) SeqScan(q) */"))
    assert report_of(steered).applied == ("MergeJoin(o l)",)
    assert dict(report_of(steered).ignored) == {"SeqScan(q)": "the query has no relation q"}
    shown = "SELECT current_setting('pg_hint_plan.debug_print')"
    assert steerer.session.execute(shown).rows == [("off",)]
    steerer.run(query("ROLLBACK"), None)
    assert steerer.session.execute(f"EXPLAIN {OWN}").rows


def test_a_failing_query_has_no_applied_hint(steerer: SessionSteering) -> None:
    steered = steerer.run(query("SELECT 1 FROM nowhere n"), pushed("/*+ SeqScan(n) */"))
    assert isinstance(steered.error, QueryError)
    assert steered.report is not None
    assert steered.report.applied == ()
