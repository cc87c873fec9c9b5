"""`PilotDataInteractor`: what is pushed holds for the query, what is pulled comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pilotcli import Index, PilotDataInteractor, PostgreSQLConfig, ScanJoinMethodEnum
from pilotcli.common.errors import QueryError, SteeringError, UsageError
from pilotcli.databases.controller import get_db_controller
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget

JOIN = "SELECT o.day, count(*) AS n FROM orders o, lines l WHERE l.order_id = o.id GROUP BY o.day"


@pytest.fixture
def interactor(
    shop_target: PostgresTarget, shop_config: PostgreSQLConfig
) -> Iterator[PilotDataInteractor]:
    with PilotDataInteractor(shop_config, target=shop_target) as interactor:
        yield interactor


def test_everything_in_one_execution(interactor: PilotDataInteractor) -> None:
    interactor.pull_record()
    interactor.pull_execution_time()
    interactor.pull_physical_plan()
    interactor.pull_estimated_cost()
    interactor.pull_subquery_card()
    interactor.pull_buffercache()
    data = interactor.execute(JOIN)
    assert data.notes == ()
    assert list(data.records.columns) == ["day", "n"]
    assert data.records["n"].sum() == 20000
    assert data.execution_time is not None
    assert data.planning_time is not None
    assert data.physical_plan is not None
    assert data.estimated_cost == data.physical_plan["Plan"]["Total Cost"]
    assert data.subquery_2_card is not None
    assert data.subquery_2_card["SELECT COUNT(*) FROM lines l"] == 20000
    assert len(data.subquery_2_card) == 3
    assert data.buffercache is not None
    assert data.buffercache["lines"] > 0
    nothing = interactor.execute("SELECT 1")
    assert (nothing.records, nothing.physical_plan, nothing.subquery_2_card) == (None, None, None)


def test_a_query_that_is_only_planned_does_not_run(interactor: PilotDataInteractor) -> None:
    interactor.pull_estimated_cost()
    interactor.pull_subquery_card()
    data = interactor.execute("SELECT 1 / (id - id) FROM lines l")
    assert data.estimated_cost is not None
    assert data.subquery_2_card == {"SELECT COUNT(*) FROM lines l": 20000}
    interactor.pull_record()
    with pytest.raises(QueryError, match="division by zero"):
        interactor.execute("SELECT 1 / (id - id) FROM lines l")


def test_pushes_are_forgotten_unless_they_are_kept(interactor: PilotDataInteractor) -> None:
    show = "SELECT current_setting('work_mem')"
    interactor.push_hint({"work_mem": "7MB"})
    interactor.pull_record()
    assert interactor.execute(show, is_reset=False).records.iloc[0, 0] == "7MB"
    assert interactor.execute(show).records.iloc[0, 0] == "7MB"
    interactor.pull_record()
    assert interactor.execute(show).records.iloc[0, 0] != "7MB"


def test_pushed_cardinalities(interactor: PilotDataInteractor) -> None:
    interactor.pull_subquery_card()
    cards = interactor.execute(JOIN).subquery_2_card
    assert cards is not None
    interactor.push_card(dict.fromkeys(cards, 1))
    interactor.pull_physical_plan()
    data = interactor.execute(JOIN)
    assert data.report is not None
    assert sorted(data.report.applied) == sorted(cards)
    assert data.physical_plan is not None
    assert _deepest(data.physical_plan["Plan"])["Plan Rows"] == 1
    interactor.push_card({"SELECT COUNT(*) FROM nowhere AS x": 3})
    with pytest.raises(SteeringError, match="nowhere"):
        interactor.execute(JOIN)


def _deepest(plan: dict[str, Any]) -> dict[str, Any]:
    while plan.get("Plans"):
        plan = plan["Plans"][0]
    return plan


def test_methods_and_orders(interactor: PilotDataInteractor) -> None:
    interactor.push_join_method(ScanJoinMethodEnum.MERGEJOIN, "o l")
    interactor.push_scan_method((ScanJoinMethodEnum.SEQ, "l"))
    interactor.push_join_order(["l", "o"])
    interactor.pull_physical_plan()
    data = interactor.execute(JOIN)
    assert data.report is not None
    told = " ".join(data.report.applied)  # by settings, by hints, or by advice
    assert "enable_hashjoin = off" in told or "MergeJoin(o l)" in told
    kinds = _kinds(data.physical_plan["Plan"])  # type: ignore[index]
    assert "Merge Join" in kinds
    assert "Index Scan" not in kinds


def _kinds(plan: dict[str, Any]) -> set[str]:
    return {plan["Node Type"]}.union(*map(_kinds, plan.get("Plans", ())))


def test_knobs_hold_until_the_interactor_is_closed(
    shop_target: PostgresTarget, shop_config: PostgreSQLConfig, shop: PostgresSession
) -> None:
    def cost() -> Any:
        session = shop_target.session()
        try:
            return session.execute("SELECT current_setting('random_page_cost')").rows[0][0]
        finally:
            session.close()

    before = cost()
    with PilotDataInteractor(shop_config) as interactor:
        interactor.push_knob({"random_page_cost": 1.25})
        interactor.pull_record()
        show = "SELECT current_setting('random_page_cost')"
        assert interactor.execute(show).records.iloc[0, 0] == "1.25"
        assert cost() == "1.25"
        interactor.push_knob({"random_page_cost": "cheap"})
        with pytest.raises(SteeringError):
            interactor.execute("SELECT 1")
    assert cost() == before


def test_indexes_hold_until_the_interactor_is_closed(
    shop_config: PostgreSQLConfig, shop: PostgresSession
) -> None:
    def names() -> list[Any]:
        rows = shop.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'lines' ORDER BY 1")
        return [name for (name,) in rows.rows]

    before = names()
    with PilotDataInteractor(shop_config) as interactor:
        interactor.push_index([Index(["price"], "lines", "by_price")], drop_other=True)
        interactor.pull_physical_plan()
        interactor.execute("SELECT * FROM lines WHERE price = 98")
        assert names() == ["by_price", "lines_pkey"]
    assert names() == before
    with PilotDataInteractor(shop_config) as interactor:
        interactor.push_index([Index(["colour"], "lines")])
        with pytest.raises(SteeringError, match="colour"):
            interactor.execute("SELECT 1")
    assert names() == before


def test_what_if_indexes(shop_config: PostgreSQLConfig, shop: PostgresSession) -> None:
    rare = "SELECT * FROM lines WHERE article = 7 AND price = 3"
    with PilotDataInteractor(shop_config, enable_simulate_index=True) as interactor:
        interactor.pull_estimated_cost()
        without = interactor.execute(rare).estimated_cost
        interactor.push_index([Index(["article", "price"], "lines")], drop_other=False)
        interactor.pull_estimated_cost()
        interactor.pull_physical_plan()
        data = interactor.execute(rare)
        assert data.estimated_cost is not None
        assert without is not None
        assert data.estimated_cost < without
        assert data.physical_plan is not None
        assert "Index" in str(data.physical_plan["Plan"])
        found = "SELECT count(*) FROM pg_indexes WHERE tablename = 'lines'"
        assert shop.execute(found).rows == [(2,)]
        with pytest.raises(UsageError):
            interactor.execute_parallel([rare])


def test_several_at_once(interactor: PilotDataInteractor) -> None:
    interactor.push_hint({"work_mem": "7MB"})
    interactor.pull_record()
    sqls = [f"SELECT {n} AS n, current_setting('work_mem') AS m" for n in range(30)]
    found = interactor.execute_parallel(sqls, parallel_num=5)
    assert [data.records.iloc[0]["n"] for data in found] == list(range(30))
    assert {data.records.iloc[0]["m"] for data in found} == {"7MB"}
    interactor.pull_record()
    batch = interactor.execute_batch(sqls[:3])
    assert [data.records.iloc[0]["n"] for data in batch] == [0, 1, 2]
    assert {data.records.iloc[0]["m"] for data in batch} != {"7MB"}


def test_an_event_s_controller_is_used_and_left_open(
    shop_target: PostgresTarget, shop_config: PostgreSQLConfig
) -> None:
    controller = get_db_controller(shop_target.config, target=shop_target)
    with PilotDataInteractor(shop_config, db_controller=controller) as interactor:
        interactor.pull_record()
        assert interactor.execute("SELECT 7").records.iloc[0, 0] == 7
    assert controller.execute("SELECT 8", fetch=True) == [(8,)]
    controller.close()


def test_sub_plans_with_parameters_are_refused(interactor: PilotDataInteractor) -> None:
    with pytest.raises(UsageError, match="parameters"):
        interactor.pull_subquery_card(enable_parameterized_subquery=True)


@pytest.mark.parametrize("sql", ["VACUUM lines", "SELECT 1; DELETE FROM lines", "BEGIN"])
def test_what_has_no_plan_is_not_planned(interactor: PilotDataInteractor, sql: str) -> None:
    interactor.pull_estimated_cost()
    told = interactor.execute(sql)
    assert told.estimated_cost is None
    assert "no plan" in told.notes[0]
    interactor.pull_record()
    assert interactor.execute("SELECT count(*) FROM lines").records.iloc[0, 0] == 20000
