"""On PostgreSQL 19, methods and join orders become plan advice, and the server says what it did."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from typing import Any

import pytest
from random_joins import random_join

from pilotcli.common.errors import SteeringError
from pilotcli.common.records import Query, SteeringReport
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.methods import ScanJoinMethodEnum
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.workload import leading_keyword

pytestmark = pytest.mark.slow

SMALL = Path(__file__).parent / "subplans" / "small.sql"
THREE = (
    "SELECT count(*) FROM shops s, orders o, lines l"
    " WHERE s.id = o.shop AND o.id = l.order_id AND s.city = 'city 3' AND l.price > 90"
)
Method = ScanJoinMethodEnum
JOINS = {
    "Hash Join": Method.HASHJOIN,
    "Merge Join": Method.MERGEJOIN,
    "Nested Loop": Method.NESTLOOP,
}


def query(sql: str) -> Query:
    return Query(seq=1, label="q", sql=sql, command=leading_keyword(sql))


@pytest.fixture
def steerer(shop: PostgresSession, shop_config: PostgreSQLConfig) -> SessionSteering:
    abilities = Abilities(shop, shop_config)
    if not abilities.plan_advice:
        pytest.skip("pg_plan_advice is not on this server")
    return SessionSteering(shop, abilities, Pulls(physical_plan=True), skip_missing=True)


def pushed(*methods: tuple[ScanJoinMethodEnum, str], order: Any = None, **settings: str) -> Pushes:
    pushes = Pushes()
    pushes.add_methods(list(methods))
    pushes.add_order(order)
    pushes.add_hints({name.replace("__", "."): value for name, value in settings.items()})
    return pushes


def report_of(steered: Steered) -> SteeringReport:
    assert steered.error is None, steered.error
    assert steered.report is not None
    return steered.report


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def below(node: dict[str, Any]) -> frozenset[str]:
    return frozenset(one["Alias"] for one in nodes(node) if "Alias" in one)


def join_of(steered: Steered, aliases: str) -> dict[str, Any]:
    """The lowest join with these relations, and the relations of its sides."""
    assert steered.plan is not None
    found = [
        node
        for node in nodes(steered.plan["Plan"])
        if len(node.get("Plans", ())) == 2 and set(aliases.split()) <= below(node)
    ]
    return {**found[-1], "sides": [below(side) for side in found[-1]["Plans"]]}


@pytest.mark.parametrize("kind", JOINS)
def test_a_join_method_is_for_its_relations_alone(steerer: SessionSteering, kind: str) -> None:
    for names in ("s o", "o l", "l o"):
        steered = steerer.run(query(THREE), pushed((JOINS[kind], names)))
        report = report_of(steered)
        assert report.ignored == ()
        (applied,) = report.applied
        assert applied.startswith(f"{JOINS[kind].value}({names}) as ")
        assert join_of(steered, names)["Node Type"] == kind


def test_an_order_and_methods(steerer: SessionSteering) -> None:
    methods = [(Method.NESTLOOP, "s o"), (Method.MERGEJOIN, "s l"), (Method.SEQ, "l")]
    steered = steerer.run(query(THREE), pushed(*methods, order=["s", "o", "l"]))
    report = report_of(steered)
    assert report.ignored == ()
    assert report.applied[0] == "Leading(((s o) l)) as JOIN_ORDER(s o l)"
    assert report.applied[-1] == "SeqScan(l) as SEQ_SCAN(l)"
    inner = join_of(steered, "s o")
    assert (inner["Node Type"], inner["sides"]) == ("Nested Loop", [{"s"}, {"o"}])
    outer = join_of(steered, "s o l")
    assert (outer["Node Type"], outer["sides"]) == ("Merge Join", [{"s", "o"}, {"l"}])
    bushy = steerer.run(query(THREE), pushed(order=["s", ["o", "l"]]))
    assert join_of(bushy, "s o l")["sides"] == [{"s"}, {"o", "l"}]
    assert report_of(bushy).applied == ("Leading((s (o l))) as JOIN_ORDER(s (o l))",)


def test_index_scans(steerer: SessionSteering) -> None:
    methods = [(Method.INDEX, "o"), (Method.INDEX, "l lines_by_order")]
    steered = steerer.run(query(THREE), pushed(*methods))
    report = report_of(steered)
    assert report.ignored == ()
    assert "IndexScan(l lines_by_order) as INDEX_SCAN(l lines_by_order)" in report.applied
    assert steered.plan is not None
    scans = {node["Alias"]: node for node in nodes(steered.plan["Plan"]) if "Alias" in node}
    assert scans["o"]["Node Type"] == scans["l"]["Node Type"] == "Index Scan"
    assert scans["l"]["Index Name"] == "lines_by_order"
    ignored = dict(report_of(steerer.run(query(THREE), pushed((Method.INDEX, "l nope")))).ignored)
    assert "inapplicable" in ignored["IndexScan(l nope)"]


def test_of_two_methods_for_the_same_relations_the_later_one_counts(
    steerer: SessionSteering,
) -> None:
    why = "another method after it is for the same relations"
    for earlier, later in [
        ((Method.HASHJOIN, "s o"), (Method.MERGEJOIN, "o s")),
        ((Method.SEQ, "o"), (Method.INDEX, "o orders_pkey")),
        ((Method.INDEX, "l nope"), (Method.INDEX, "l lines_by_order")),
        ((Method.NOHASHJOIN, "o s"), (Method.HASHJOIN, "o s")),
    ]:
        report = report_of(steerer.run(query(THREE), pushed(earlier, later)))
        assert report.ignored == ((f"{earlier[0].value}({earlier[1]})", why),)
        (applied,) = report.applied
        assert applied.startswith(f"{later[0].value}({later[1]}) as ")
    twice = pushed((Method.HASHJOIN, "s o"), (Method.HASHJOIN, "o s"))
    assert len(report_of(steerer.run(query(THREE), twice)).applied) == 2


def relations(node: dict[str, Any]) -> set[str]:
    return {str(below["Alias"]) for below in nodes(node) if "Alias" in below}


def test_an_applied_join_method_is_that_of_the_join_of_its_relations(
    steerer: SessionSteering,
) -> None:
    ignored = 0
    for limits, price in itertools.product(("", " AND s.city = 'city 3'"), (1, 50, 90, 99)):
        sql = f"{THREE.partition(' AND s.city')[0]}{limits} AND l.price > {price}"
        for pair, (kind, method) in itertools.product(("s o", "o l", "s l"), JOINS.items()):
            steered = steerer.run(query(sql), pushed((method, pair)))
            report = report_of(steered)
            ignored += len(report.ignored)
            assert steered.plan is not None
            joins = [node for node in nodes(steered.plan["Plan"]) if node["Node Type"] in JOINS]
            joins = [node for node in joins if set(pair.split()) <= relations(node)]
            lowest = min(joins, key=lambda node: len(relations(node)))
            assert (lowest["Node Type"] == kind) or not report.applied, (sql, pair, report)
    assert ignored < 36  # of 72


def test_a_query_inside_the_query_that_the_plan_does_not_have(steerer: SessionSteering) -> None:
    inside = "(SELECT * FROM orders WHERE shop = 3) q"
    sqls = [
        f"SELECT * FROM {inside} JOIN lines l ON l.order_id = q.id JOIN shops s ON s.id = q.shop",
        "WITH q AS (SELECT * FROM orders) SELECT * FROM q JOIN lines l ON l.order_id = q.id"
        " JOIN shops s ON s.id = q.shop",
    ]
    for sql in sqls:
        pushes = pushed((Method.HASHJOIN, "q l"), order=["l", "s", "q"])
        why = "the plan has no relation q, which is a view or a query inside the query"
        report = report_of(steerer.run(query(sql), pushes))
        assert report.ignored == (("HashJoin(q l)", why),)
        assert report.applied == ("Leading(((l s) q))",)  # written into the query


def test_what_does_not_fit_is_ignored_with_the_reason(steerer: SessionSteering) -> None:
    sql = (
        "SELECT o.id FROM orders o LEFT JOIN shops s ON s.id = o.shop"
        " JOIN lines l ON order_id = o.id"
    )
    methods = [(Method.SEQ, "q"), (Method.HASHJOIN, "o q"), (Method.HASHJOIN, "o s")]
    methods += [(Method.TID, "o"), (Method.HASHJOIN, "o l")]
    report = report_of(steerer.run(query(sql), pushed(*methods, order=["o", "s", "l"])))
    ignored = dict(report.ignored)
    assert ignored.pop("TidScan(o)").endswith("(pg_plan_advice: matched, failed)")
    removed = "the planner removed s, which the result does not depend on"
    assert ignored == {
        "SeqScan(q)": "the query has no relation q",
        "HashJoin(o q)": "the query has no relation q",
        "HashJoin(o s)": removed,
    }
    assert report.applied == (
        "Leading(((o s) l)) as JOIN_ORDER(o l)",
        "HashJoin(o l) as HASH_JOIN(l)",
    )
    unknown = report_of(steerer.run(query(sql), pushed(order=["o", "q"])))
    assert unknown.ignored == (("Leading((o q))", "the query has no relation q"),)


def test_two_relations_of_one_name(steerer: SessionSteering) -> None:
    sql = (
        "SELECT count(*) FROM orders o JOIN (SELECT o.id, o.shop FROM orders o JOIN lines l"
        " ON l.order_id = o.id) q ON q.shop = o.shop"
        " WHERE o.day IN (SELECT day FROM orders LIMIT 3)"
    )
    report = report_of(steerer.run(query(sql), pushed((Method.SEQ, "o"), (Method.SEQ, "o#2"))))
    ignored = dict(report.ignored)
    assert ignored == {"SeqScan(o)": "several relations are called o: o, o#2"}
    assert report.applied == ("SeqScan(o#2) as SEQ_SCAN(o#2)",)
    inside = report_of(steerer.run(query(sql), pushed((Method.SEQ, "orders"))))
    assert re.fullmatch(r"SeqScan\(orders\) as SEQ_SCAN\(orders@\w+\)", inside.applied[0])


def test_a_table_with_partitions(steerer: SessionSteering) -> None:
    session = steerer.session
    session.execute(
        "CREATE TEMP TABLE m (id int, o int) PARTITION BY RANGE (id);"
        "CREATE TEMP TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (1000);"
        "CREATE TEMP TABLE m_2 PARTITION OF m FOR VALUES FROM (1000) TO (5000);"
        "CREATE INDEX ON m (o); INSERT INTO m SELECT n, n % 100 FROM generate_series(0, 4000) n;"
        "ANALYZE m"
    )
    sql = "SELECT count(*) FROM m JOIN orders o ON o.id = m.o WHERE o.day = 3"
    for method, kind in ((Method.SEQ, "Seq Scan"), (Method.INDEX, "Index Scan")):
        pushes = pushed((method, "m"), (Method.NESTLOOP, "m o"), order=["o", "m"])
        steered = steerer.run(query(sql), pushes)
        assert report_of(steered).ignored == ()
        assert steered.plan is not None
        kinds = {node.get("Alias"): node["Node Type"] for node in nodes(steered.plan["Plan"])}
        assert kinds["m_1"] == kinds["m_2"] == kind


def test_names_that_need_quotes(steerer: SessionSteering) -> None:
    sql = 'SELECT count(*) FROM orders "O (x)" JOIN lines "hash_join" ON "O (x)".id = order_id'
    pushes = pushed((Method.MERGEJOIN, '"O (x)" hash_join'), order=["hash_join", "O (x)"])
    steered = steerer.run(query(sql), pushes)
    assert len(report_of(steered).applied) == 2
    assert join_of(steered, "hash_join")["Node Type"] == "Merge Join"


def test_what_advice_cannot_say_goes_another_way(steerer: SessionSteering) -> None:
    methods = [(Method.NOHASHJOIN, "s o"), (Method.SEQ, "o")]
    sql = "SELECT count(*) FROM orders o JOIN shops s ON s.id = o.shop"
    steered = steerer.run(query(sql), pushed(*methods))
    report = report_of(steered)
    assert "SeqScan(o) as SEQ_SCAN(o)" in report.applied
    assert any("NoHashJoin" in what or "enable_hashjoin" in what for what in report.applied)
    assert join_of(steered, "s o")["Node Type"] != "Hash Join"


def test_advice_as_a_setting(steerer: SessionSteering) -> None:
    pushes = pushed(pg_plan_advice__advice="hash_join(s) SEQ_SCAN(zz o)", work_mem="8MB")
    report = report_of(steerer.run(query(THREE), pushes))
    assert report.applied == ("work_mem = 8MB", "HASH_JOIN(s)", "SEQ_SCAN(o)")
    assert report.ignored == (
        ("SEQ_SCAN(zz)", "the query has no such relation (pg_plan_advice: not matched)"),
    )
    refused = steerer.run(query(THREE), pushed(pg_plan_advice__advice="no advice"))
    assert isinstance(refused.error, SteeringError)


def test_nothing_is_left_for_the_next_query(steerer: SessionSteering) -> None:
    def shown() -> tuple[Any, ...]:
        names = "pg_plan_advice.advice", "pg_plan_advice.feedback_warnings", "client_min_messages"
        row = ", ".join(f"current_setting('{name}')" for name in names)
        return tuple(steerer.session.execute(f"SELECT {row}").rows[0])

    before = shown()
    steerer.run(query(THREE), pushed((Method.HASHJOIN, "s o")))
    assert shown() == before
    steerer.run(query("BEGIN"), None)
    steered = steerer.run(query(THREE), pushed((Method.MERGEJOIN, "o l"), (Method.TID, "o")))
    assert len(report_of(steered).applied) == 1
    assert len(report_of(steered).ignored) == 1
    assert shown() == before
    assert steerer.session.in_transaction
    steerer.run(query("ROLLBACK"), None)


def test_a_query_inside_a_function_says_nothing_of_the_advice(steerer: SessionSteering) -> None:
    session = steerer.session
    session.execute(
        "CREATE FUNCTION pg_temp.nested() RETURNS bigint LANGUAGE plpgsql AS"
        " 'BEGIN RETURN (SELECT count(*) FROM shops x WHERE x.id < 7); END'"
    )
    sql = "SELECT count(*), pg_temp.nested() FROM orders o JOIN lines l ON l.order_id = o.id"
    report = report_of(steerer.run(query(sql), pushed((Method.MERGEJOIN, "o l"))))
    assert report.ignored == ()
    assert len(report.applied) == 1


def test_cardinalities_count_for_the_choice_of_sides(
    steerer: SessionSteering,
) -> None:
    if steerer.abilities.planner is None:
        pytest.skip("cardinalities need the planner module")
    sql = "SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id"
    sides = set()
    for rows in ({"orders o": 10, "lines l": 1e7}, {"orders o": 1e7, "lines l": 10}):
        pushes = pushed((Method.HASHJOIN, "o l"))
        pushes.add_cards({f"SELECT COUNT(*) FROM {name}": n for name, n in rows.items()})
        report = report_of(steerer.run(query(sql), pushes))
        assert report.ignored == ()
        sides.update(what for what in report.applied if what.startswith("HashJoin"))
    assert sides == {"HashJoin(o l) as HASH_JOIN(o)", "HashJoin(o l) as HASH_JOIN(l)"}


@pytest.fixture
def small(steerer: SessionSteering) -> SessionSteering:
    session = steerer.session
    session.execute("DROP SCHEMA IF EXISTS small CASCADE; CREATE SCHEMA small")
    session.execute("SET search_path = small; SET client_min_messages = warning")
    session.execute(SMALL.read_text(encoding="utf-8"))
    return steerer


def test_no_advice_changes_the_rows(small: SessionSteering) -> None:
    applied = ignored = 0
    scans = (Method.SEQ, Method.INDEX, Method.INDEXONLY, Method.BITMAP, Method.TID)
    for seed in range(150):
        sql = random_join(seed)
        pick = random.Random(seed)
        names = sorted(set(re.findall(r"\b([a-h])\.", sql)))
        usual = small.run(query(sql), None)
        assert usual.error is None, sql
        methods = [(pick.choice(scans), pick.choice(names)) for _ in range(pick.randint(0, 2))]
        if len(names) > 1:
            methods += [
                (pick.choice(list(JOINS.values())), " ".join(pick.sample(names, 2)))
                for _ in range(pick.randint(1, 2))
            ]
        order = pick.sample(names, len(names)) if len(names) > 1 and pick.random() < 0.5 else None
        steered = small.run(query(sql), pushed(*methods, order=order))
        report = report_of(steered)
        assert sorted(map(repr, steered.rows.rows)) == sorted(map(repr, usual.rows.rows)), sql
        assert all(why for _, why in report.ignored)
        applied += len(report.applied)
        ignored += len(report.ignored)
    assert applied > 150
    assert ignored > 10
