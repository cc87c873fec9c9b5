"""One session, steered: what is pushed holds for its query, and nothing of it is left."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from typing import Any

import pytest

from pilotcli.common.errors import CapabilityError, QueryError, QueryTimeout, SteeringError
from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.config.model import CollectSection
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.replay.collected_row import pulls_for
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.methods import ScanJoinMethodEnum
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import RESET, SessionSteering
from pilotcli.workload import leading_keyword

JOIN = "SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.total < 500"


def query(sql: str) -> Query:
    return Query(seq=1, label="q", sql=sql, command=leading_keyword(sql))


def setting(session: PostgresSession, name: str) -> Any:
    return session.execute(f"SELECT current_setting('{name}')").rows[0][0]


@pytest.fixture
def steerer(shop: PostgresSession, shop_config: PostgreSQLConfig) -> SessionSteering:
    return SessionSteering(shop, Abilities(shop, shop_config), Pulls(), skip_missing=False)


def without_extensions(steerer: SessionSteering) -> None:
    """Steer as on a server that has neither pg_hint_plan nor pg_plan_advice."""
    found = steerer.abilities.__dict__
    found.update(hint_plan=False, native_hints=False, plan_advice=False)


def hints(**settings: object) -> Pushes:
    pushes = Pushes()
    pushes.add_hints(settings)
    return pushes


def test_a_hint_holds_for_its_query_alone(steerer: SessionSteering) -> None:
    before = setting(steerer.session, "work_mem")
    steered = steerer.run(query("SELECT current_setting('work_mem')"), hints(work_mem="7MB"))
    assert steered.error is None
    assert steered.rows.rows == [("7MB",)]
    assert steered.report is not None
    assert steered.report.applied == ("work_mem = 7MB",)
    assert setting(steerer.session, "work_mem") == before
    assert not steerer.session.in_transaction


def test_the_plan_follows_the_hint(shop: PostgresSession, shop_config: PostgreSQLConfig) -> None:
    steerer = SessionSteering(
        shop, Abilities(shop, shop_config), Pulls(physical_plan=True), skip_missing=False
    )
    for off, kept in (
        (("enable_hashjoin", "enable_mergejoin"), "Nested Loop"),
        (("enable_nestloop", "enable_mergejoin"), "Hash Join"),
        (("enable_nestloop", "enable_hashjoin"), "Merge Join"),
    ):
        steered = steerer.run(query(JOIN), hints(**dict.fromkeys(off, False)))
        assert steered.plan is not None
        assert kept in _nodes(steered.plan["Plan"])


def _nodes(plan: dict[str, Any]) -> set[str]:
    found = {plan["Node Type"]}
    for child in plan.get("Plans", ()):
        found |= _nodes(child)
    return found


@pytest.mark.parametrize(
    ("pushed", "said"),
    [
        ({"enable_nestlop": "off"}, "enable_nestlop"),
        ({"work_mem": "many"}, "work_mem"),
        ({"work_mem": "1kB"}, "work_mem"),
        ({"shared_buffers": "1GB"}, "shared_buffers"),
        ({"x'; DROP TABLE lines; --": "1"}, "DROP TABLE"),
    ],
)
def test_what_the_server_refuses_is_a_steering_error(
    steerer: SessionSteering, pushed: dict[str, str], said: str
) -> None:
    steered = steerer.run(query("SELECT 1"), hints(**pushed))
    assert isinstance(steered.error, SteeringError)
    assert said in steered.error.message
    assert steerer.run(query("SELECT count(*) FROM lines"), None).rows.rows == [(20000,)]
    assert not steerer.session.in_transaction


def test_a_query_s_own_error_is_its_own(steerer: SessionSteering) -> None:
    steered = steerer.run(query("SELECT 1 / (id - id) FROM lines"), hints(work_mem="8MB"))
    assert type(steered.error) is QueryError
    assert "division by zero" in steered.error.message
    assert setting(steerer.session, "work_mem") != "8MB"


def test_a_setting_that_the_query_itself_names_wrongly_is_its_own(steerer: SessionSteering) -> None:
    steered = steerer.run(
        query("SELECT set_config('no_such_setting', '1', false)"), hints(work_mem="8MB")
    )
    assert type(steered.error) is QueryError


def test_a_time_out_is_a_time_out(shop_target: Any, shop_config: PostgreSQLConfig) -> None:
    session = shop_target.session(timeout_s=0.1)
    steerer = SessionSteering(session, Abilities(session, shop_config), Pulls(), skip_missing=False)
    steered = steerer.run(query("SELECT pg_sleep(30)"), hints(work_mem="8MB"))
    assert isinstance(steered.error, QueryTimeout)
    session.close()


def test_inside_a_transaction_of_the_workload(steerer: SessionSteering) -> None:
    session = steerer.session
    before = setting(session, "work_mem")
    show = query("SELECT current_setting('work_mem')")
    steerer.run(query("BEGIN"), None)
    steerer.run(query("SET LOCAL work_mem = '5MB'"), None)
    assert steerer.run(show, hints(work_mem="7MB")).rows.rows == [("7MB",)]
    assert steerer.run(show, None).rows.rows == [("5MB",)]
    refused = steerer.run(show, hints(work_mem="many"))
    assert isinstance(refused.error, SteeringError)
    assert session.in_transaction
    assert not session.transaction_failed
    assert steerer.run(show, None).rows.rows == [("5MB",)]
    steerer.run(query("COMMIT"), None)
    assert setting(session, "work_mem") == before


@pytest.mark.parametrize("own", ["LOCAL", "SESSION"])
def test_a_pushed_setting_that_the_query_itself_sets_stays_set(
    steerer: SessionSteering, own: str
) -> None:
    session = steerer.session
    before = setting(session, "work_mem")
    steerer.run(query("BEGIN"), None)
    sets = query(f"SELECT set_config('work_mem', '9216kB', {own == 'LOCAL'})")
    assert steerer.run(sets, hints(work_mem="7168kB", jit="off")).error is None
    assert setting(session, "work_mem") == "9MB"
    show = query("SELECT current_setting('work_mem')")
    assert steerer.run(show, hints(work_mem="7MB")).rows.rows == [("7MB",)]
    assert setting(session, "work_mem") == "9MB"
    steerer.run(query("COMMIT"), None)
    assert setting(session, "work_mem") == ("9MB" if own == "SESSION" else before)


def test_a_pushed_setting_that_a_block_of_code_sets_stays_set(steerer: SessionSteering) -> None:
    sets = query("DO $$ BEGIN PERFORM set_config('work_mem', '9MB', false); END $$")
    before = setting(steerer.session, "jit")
    assert steerer.run(sets, hints(work_mem="7MB", jit="off")).error is None
    assert setting(steerer.session, "work_mem") == "9MB"
    assert setting(steerer.session, "jit") == before


def test_what_later_settings_have_overridden_is_not_called_applied(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = SessionSteering(shop, Abilities(shop, shop_config), Pulls(), skip_missing=False)
    without_extensions(steerer)
    pushes = hints(Enable_HashJoin="on", join_collapse_limit=8, Work_Mem="7MB", jit="off")
    pushes.add_hints({"work_mem": "8MB"})
    pushes.add_methods([(ScanJoinMethodEnum.NOHASHJOIN, "o l")])
    pushes.add_order(["l", "o"])
    report = steerer.run(query(JOIN), pushes).report
    assert report is not None
    assert report.applied == (
        "jit = off",
        "work_mem = 8MB",
        "enable_hashjoin = off (for the whole query)",
        "Leading((l o))",
    )
    assert report.ignored == (
        ("Enable_HashJoin = on", "a pushed method sets it to off"),
        ("join_collapse_limit = 8", "the pushed join order sets it to 1"),
    )


def test_a_failed_transaction_stays_failed(steerer: SessionSteering) -> None:
    steerer.run(query("BEGIN"), None)
    steerer.run(query("SELECT 1 / 0"), hints(work_mem="7MB"))
    assert steerer.session.transaction_failed
    steered = steerer.run(query("SELECT 1"), hints(work_mem="7MB"))
    assert isinstance(steered.error, QueryError)
    assert steered.error.sqlstate == "25P02"
    steerer.run(query("ROLLBACK"), None)


def test_a_command_that_must_not_run_in_a_transaction(steerer: SessionSteering) -> None:
    session = steerer.session
    before = setting(session, "maintenance_work_mem")
    steered = steerer.run(query("VACUUM lines"), hints(maintenance_work_mem="9MB"))
    assert steered.error is None
    assert setting(session, "maintenance_work_mem") == before
    refused = steerer.run(query("VACUUM lines"), hints(maintenance_work_mem="nine"))
    assert isinstance(refused.error, SteeringError)
    assert setting(session, "maintenance_work_mem") == before


def test_a_list_is_taken_as_a_list(steerer: SessionSteering) -> None:
    pushed = hints(search_path="pg_catalog, public")
    steered = steerer.run(query("SELECT array_length(current_schemas(false), 1)"), pushed)
    assert steered.rows.rows == [(2,)]


def test_methods_for_relations_that_are_not_there_are_noted(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    sql = "SELECT count(*) FROM orders AS S WHERE EXISTS (SELECT FROM lines AS i)"
    steerer = SessionSteering(shop, Abilities(shop, shop_config), Pulls(), skip_missing=False)
    without_extensions(steerer)
    pushes = Pushes()
    pushes.add_methods([(ScanJoinMethodEnum.NOSEQ, "x"), (ScanJoinMethodEnum.NOINDEX, "s")])
    pushes.add_methods([(ScanJoinMethodEnum.NOTID, "i")])
    steered = steerer.run(query(sql), pushes)
    assert steered.error is None, steered.error
    assert steered.report is not None
    assert steered.report.ignored == (("NoSeqScan(x)", "the query has no relation x"),)
    told = " ".join(steered.report.applied)
    assert "enable_indexscan = off" in told and "enable_tidscan = off" in told
    assert "enable_seqscan" not in told


def test_methods_by_settings(shop: PostgresSession, shop_config: PostgreSQLConfig) -> None:
    steerer = SessionSteering(
        shop, Abilities(shop, shop_config), Pulls(physical_plan=True), skip_missing=False
    )
    without_extensions(steerer)
    pushes = Pushes()
    pushes.add_methods([(ScanJoinMethodEnum.MERGEJOIN, "o l"), (ScanJoinMethodEnum.SEQ, "l")])
    steered = steerer.run(query(JOIN), pushes)
    assert steered.plan is not None
    assert "Merge Join" in _nodes(steered.plan["Plan"])
    pushes.add_methods((ScanJoinMethodEnum.PARALLEL, "l 4"))
    missing = steerer.run(query(JOIN), pushes)
    assert isinstance(missing.error, CapabilityError)
    assert "pg_hint_plan" in str(missing.error.hint)


def test_what_is_missing_can_be_skipped(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = SessionSteering(shop, Abilities(shop, shop_config), Pulls(), skip_missing=True)
    without_extensions(steerer)
    pushes = Pushes()
    pushes.add_comment("/*+ SeqScan(l) */")
    steered = steerer.run(query(JOIN), pushes)
    assert steered.error is None
    assert steered.report is not None
    ((what, why),) = steered.report.ignored
    assert what == "/*+ SeqScan(l) */"
    assert "pg_hint_plan" in why


def test_a_plain_comment_goes_with_the_query(steerer: SessionSteering) -> None:
    pushes = Pushes()
    pushes.add_comment("/* from a driver */")
    shown = query("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    ((text,),) = steerer.run(shown, pushes).rows.rows
    assert text.startswith("/* from a driver */")


THREE = (
    "SELECT count(*) FROM shops s, orders o, lines l"
    " WHERE s.id = o.shop AND o.id = l.order_id AND s.city = 'city 3' AND l.price > 90"
)


def cards_of(steerer: SessionSteering, sql: str) -> dict[str, float]:
    steered = steerer.run(query(sql), None, execute=False)
    assert steered.error is None
    assert steered.notes == ()
    assert steered.cards is not None
    return steered.cards


def pulling(shop: PostgresSession, config: PostgreSQLConfig, planner: str) -> SessionSteering:
    config = copy.copy(config)
    config.planner = planner  # type: ignore[assignment]
    pulls = Pulls(subquery_cards=True, physical_plan=True)
    return SessionSteering(shop, Abilities(shop, config), pulls, skip_missing=False)


@pytest.fixture
def with_module(shop: PostgresSession, shop_config: PostgreSQLConfig) -> SessionSteering:
    steerer = pulling(shop, shop_config, "auto")
    if steerer.abilities.planner is None:
        pytest.skip(f"no planner module: {steerer.abilities.planner_or_why}")
    return steerer


def test_pulled_cardinalities_are_the_same_with_and_without_the_module(
    with_module: SessionSteering, shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    found = cards_of(with_module, THREE)
    assert len(found) == 6
    assert found == cards_of(pulling(shop, shop_config, "never"), THREE)
    assert found["SELECT COUNT(*) FROM orders o"] == 5000
    assert cards_of(with_module, THREE) == found


def test_a_changed_schema_is_read_anew(
    shop: PostgresSession, shop_target: PostgresTarget, shop_config: PostgreSQLConfig
) -> None:
    steerer = pulling(shop, shop_config, "never")
    joined = "SELECT * FROM shifts JOIN shops ON shifts.shop = shops.id"
    steerer.run(query("CREATE TABLE shifts (shop int)"), None)
    try:
        assert len(cards_of(steerer, joined)) == 3
        steerer.run(query("ALTER TABLE shifts ADD night int"), None)
        assert len(cards_of(steerer, f"{joined} WHERE shifts.night = 1")) == 3
        with contextlib.closing(shop_target.session()) as another:
            another.execute("ALTER TABLE shops ADD late int")
        late = f"{joined} WHERE late = 1"
        assert "SELECT COUNT(*) FROM shops WHERE shops.late = 1" in cards_of(steerer, late)
        with contextlib.closing(shop_target.session()) as another:
            another.execute("ALTER TABLE shops RENAME late TO later")
            another.execute("ALTER TABLE shifts ADD late int")
        assert "SELECT COUNT(*) FROM shifts WHERE shifts.late = 1" in cards_of(steerer, late)
    finally:
        shop.execute("DROP TABLE shifts")
        shop.execute("ALTER TABLE shops DROP COLUMN IF EXISTS late, DROP COLUMN IF EXISTS later")


def test_pushed_cardinalities_change_the_plan(with_module: SessionSteering) -> None:
    keys = sorted(cards_of(with_module, THREE), key=len)
    before = with_module.run(query(THREE), None)
    pushes = Pushes()
    pushes.add_cards(dict.fromkeys(keys, 1))
    steered = with_module.run(query(THREE), pushes)
    assert steered.error is None
    assert steered.rows.rows == before.rows.rows
    assert steered.report is not None
    assert sorted(steered.report.applied) == sorted(keys)
    assert steered.report.ignored == ()
    assert dict(steered.report.cards) == dict.fromkeys(keys, 1)
    assert steered.plan is not None
    assert steered.plan["Plan"]["Plans"][0]["Plan Rows"] == 1
    assert with_module.run(query(THREE), None).plan == before.plan


@pytest.mark.parametrize(
    "key",
    [
        "SELECT COUNT(*) FROM customers AS c",
        "SELECT COUNT(*) FROM shops AS s WHERE s.city = 'city 4'",
        "no SQL at all (",
    ],
)
def test_a_cardinality_for_what_is_no_sub_plan_is_a_steering_error(
    with_module: SessionSteering, key: str
) -> None:
    pushes = Pushes()
    pushes.add_cards({key: 10})
    steered = with_module.run(query(THREE), pushes)
    assert isinstance(steered.error, SteeringError)
    assert key in steered.error.message
    assert with_module.run(query("SELECT 1"), None).rows.rows == [(1,)]


def test_cardinalities_without_the_module(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = pulling(shop, shop_config, "never")
    without_extensions(steerer)
    pushes = Pushes()
    pushes.add_cards(dict.fromkeys(cards_of(steerer, THREE), 1))
    steered = steerer.run(query(THREE), pushes)
    assert isinstance(steered.error, CapabilityError)
    assert "steering.planner" in str(steered.error.hint)


def test_a_join_order_without_pg_hint_plan(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = pulling(shop, shop_config, "auto")
    without_extensions(steerer)
    expected = steerer.run(query(THREE), None).rows.rows
    for order, first in ((["l", "o", "s"], {"l", "o"}), (["s", "o", "l"], {"s", "o"})):
        pushes = Pushes()
        pushes.add_order(order)
        steered = steerer.run(query(THREE), pushes)
        assert steered.error is None
        assert steered.rows.rows == expected
        assert steered.plan is not None
        assert frozenset(first) in _joined(steered.plan["Plan"])
    pushes.add_order(["l", "y", "x", "o"])
    steered = steerer.run(query(THREE), pushes)
    assert steered.error is None and steered.rows.rows == expected
    assert steered.report is not None and steered.report.applied == ()
    assert steered.report.ignored == (("Leading((((l y) x) o))", "the query has no relation x, y"),)
    pushes.add_order(["l", "o"])
    steered = steerer.run(query("SELECT 1 FROM orders o JOIN lines l USING (id)"), pushes)
    assert steered.error is None and steered.report is not None
    ((what, why),) = steered.report.ignored
    assert what == "Leading((l o))"
    assert why.endswith("it has a join with USING. Write the join with ON.")


def test_a_cardinality_finds_its_sub_query_at_another_place(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = pulling(shop, shop_config, "auto")
    without_extensions(steerer)
    if steerer.abilities.planner is None:
        pytest.skip("no cardinality is pushed")
    days, totals = (
        "(SELECT l.article FROM lines l JOIN orders o ON l.order_id = o.id "
        f"WHERE o.{column} < 300 GROUP BY 1) AS {column}"
        for column in ("day", "total")
    )
    sql = f"SELECT count(*) FROM {days} JOIN {totals} ON day.article = total.article"
    start = "SELECT COUNT(*) FROM lines l, orders o WHERE"
    (key,) = [key for key in cards_of(steerer, sql) if key.startswith(start) and "o.day" in key]
    ordered = Pushes()
    ordered.add_order(["total", "day"])
    assert steerer.run(query(sql), ordered).error is None  # tells of the blocks in this order
    for order in (None, ["total", "day"]):
        pushes = Pushes()
        pushes.add_cards({key: 12345})
        if order is not None:
            pushes.add_order(order)
        steered = steerer.run(query(sql), pushes)
        assert steered.report is not None
        assert key in steered.report.applied
        assert steered.plan is not None
        (found,) = _joins_with_rows(steered.plan["Plan"], 12345)
        assert "day < 300" in str(found)


def _joins_with_rows(plan: dict[str, Any], rows: int) -> list[dict[str, Any]]:
    """The joins that return so many rows, by the planner's estimate."""
    below = [node for child in plan.get("Plans", ()) for node in _joins_with_rows(child, rows)]
    is_join = "Join" in plan["Node Type"] or plan["Node Type"] == "Nested Loop"
    return [plan, *below] if is_join and plan["Plan Rows"] == rows else below


def _joined(plan: dict[str, Any]) -> list[frozenset[str]]:
    """The relations below each join."""
    found = []
    for child in plan.get("Plans", ()):
        found.extend(_joined(child))
    if "Join" in plan["Node Type"] or plan["Node Type"] == "Nested Loop":
        found.append(_below(plan))
    return found


def _below(plan: dict[str, Any]) -> frozenset[str]:
    own = {plan["Alias"]} if "Alias" in plan else set()
    return frozenset(own.union(*map(_below, plan.get("Plans", ()))))


ALL = Pulls(execution_time=True, actual_rows=True, physical_plan=True, subquery_cards=True)


@pytest.fixture(params=["module", "auto_explain"])
def reporting(
    request: pytest.FixtureRequest, shop: PostgresSession, shop_config: PostgreSQLConfig
) -> SessionSteering:
    """A session that reports everything about each query."""
    config = copy.copy(shop_config)
    config.planner = "auto" if request.param == "module" else "never"
    abilities = Abilities(shop, config)
    if not (abilities.planner if request.param == "module" else abilities.auto_explain):
        pytest.skip(f"no {request.param}")
    return SessionSteering(shop, abilities, ALL, skip_missing=False)


def test_nodes_are_timed_unless_their_query_is(reporting: SessionSteering) -> None:
    """Clocks make a query slower: what a run collects is rows alone."""
    assert not pulls_for(CollectSection(actual_rows=True)).node_times
    timed = reporting.run(query(JOIN), None).plan
    pulls = replace(ALL, node_times=False)
    other = SessionSteering(reporting.session, reporting.abilities, pulls, skip_missing=False)
    rows_alone = other.run(query(JOIN), None).plan
    assert timed is not None and rows_alone is not None
    assert "Actual Total Time" in timed["Plan"]
    assert "Actual Rows" in rows_alone["Plan"] and "Actual Total Time" not in rows_alone["Plan"]


def is_told(steered: Steered) -> bool:
    """Whether everything was pulled that the session reports."""
    assert steered.error is None
    assert steered.plan is not None
    shown = "Actual Rows" in steered.plan["Plan"]
    assert shown == (steered.execution_s is not None)
    return shown and len(steered.cards or {}) == 3 and not steered.notes


@pytest.mark.parametrize(
    "statements",
    [
        ["RESET ALL"],
        ["DISCARD ALL"],
        ["RESET pilot_planner.report", "RESET auto_explain.log_min_duration"],
        ["BEGIN", "RESET ALL", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
        ["BEGIN", "RESET ALL", "ROLLBACK"],
        ["BEGIN", "SAVEPOINT s", "RESET ALL", "ROLLBACK TO s"],
    ],
)
def test_a_query_right_after_a_reset_is_pulled_as_any_other(
    statements: list[str], reporting: SessionSteering
) -> None:
    assert is_told(reporting.run(query(JOIN), None))
    for text in statements:
        assert reporting.run(query(text), None).error is None
    assert is_told(reporting.run(query(JOIN), None))


def test_a_hidden_reset_is_noted_and_ends_with_the_next_query(reporting: SessionSteering) -> None:
    reporting.run(query("DO $$ BEGIN EXECUTE 'RESET ALL'; END $$"), None)
    assert reporting.run(query(JOIN), None).notes == (RESET,)
    assert is_told(reporting.run(query(JOIN), None))


def test_a_reset_of_a_role_without_rights_breaks_no_transaction(
    reporting: SessionSteering, shop: PostgresSession
) -> None:
    """Only a superuser may set auto_explain's settings."""
    shop.execute("CREATE ROLE clerk; GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk")
    try:
        for text in ("BEGIN", "SET LOCAL ROLE clerk", "RESET ALL", "SELECT 1"):
            assert reporting.run(query(text), None).error is None
        assert reporting.run(query(JOIN), None).rows.rows
        for text in ("COMMIT", "RESET ROLE"):
            assert reporting.run(query(text), None).error is None
        assert is_told(reporting.run(query(JOIN), None))
    finally:
        shop.rollback()
        shop.execute("RESET ROLE; DROP OWNED BY clerk; DROP ROLE clerk")
