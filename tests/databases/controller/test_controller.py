"""What drivers do through the controller, under PilotScope's names."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pilotcli.common.errors import QueryCancelled, QueryError, QueryTimeout, UsageError
from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.controller import (
    DBControllerFactory,
    PostgreSQLController,
    get_db_controller,
)
from pilotcli.databases.protocols import BaseDBController
from pilotcli.databases.target import PostgresTarget

ODD = 'Odd "table" 100%'


@pytest.fixture
def controller(shared_target: PostgresTarget) -> Iterator[PostgreSQLController]:
    controller = get_db_controller(shared_target.config, target=shared_target)
    assert isinstance(controller, PostgreSQLController)
    yield controller
    controller.reset()
    for name in (*controller.get_all_table_names(), ODD):
        controller.drop_table_if_exist(name)
    controller.close()


def test_execute(controller: PostgreSQLController) -> None:
    sql = "SELECT 1 AS a, 'x%' AS b UNION ALL SELECT 2, 'y' ORDER BY 1"
    assert controller.execute(sql) is None
    assert controller.execute(sql, True) == [(1, "x%"), (2, "y")]
    assert controller.execute(sql, fetch=True, fetch_column_name=True) == [
        ("a", "b"),
        (1, "x%"),
        (2, "y"),
    ]
    assert controller.execute("SELECT WHERE false", True) == []
    with pytest.raises(QueryError):
        controller.execute("SELEC")


def test_plans(controller: PostgreSQLController) -> None:
    controller.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS a")
    plan = controller.explain_physical_plan("SELECT * FROM t")
    assert plan["Plan"]["Node Type"] == "Seq Scan"
    assert controller.get_estimated_cost("SELECT * FROM t") == plan["Plan"]["Total Cost"]
    analyzed = controller.explain_execution_plan("SELECT * FROM t WHERE a > 4")
    assert analyzed["Plan"]["Actual Rows"] == 6
    assert analyzed["Execution Time"] > 0


CHOICES = [{}, {"enable_seqscan": False}, {"enable_seqscan": "on", "enable_indexscan": "off"}]


def node_types(plans: list[dict[str, Any]]) -> list[str]:
    return [plan["Plan"]["Node Type"] for plan in plans]


@pytest.mark.parametrize("reads_only", [False, True], ids=["writes", "reads only"])
def test_plans_under_several_settings(controller: PostgreSQLController, reads_only: bool) -> None:
    """Also where the role can make no function: a server that only reads takes no CREATE."""
    controller.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS a; CREATE INDEX ON t(a)")
    controller.set_hint("enable_bitmapscan", "off")
    controller.set_hint("default_transaction_read_only", reads_only)
    for _ in range(2):
        plans = controller.explain_under("SELECT * FROM t WHERE a = 5 AND 'O''B' <> ''", CHOICES)
        assert node_types(plans) == ["Seq Scan", "Index Only Scan", "Seq Scan"]
        assert controller.execute("SHOW enable_seqscan", True) == [("on",)]
    assert controller.explain_under("SELECT 1", []) == []
    for sql, settings, message in (
        ("SELECT * FROM nowhere", {}, "nowhere"),
        ("SELECT 1", {"enable_nestlop": "off"}, "enable_nestlop"),
        ("SELECT 1", {"work_mem": "much"}, "much"),
    ):
        with pytest.raises(QueryError, match=message):
            controller.explain_under(sql, [settings])
        assert controller.execute("SELECT 1", True) == [(1,)]


def test_hints_hold_until_the_reset(controller: PostgreSQLController) -> None:
    controller.set_hint("enable_seqscan", False)
    controller.set_hint("work_mem", "9MB")
    assert controller.execute("SHOW enable_seqscan", True) == [("off",)]
    assert controller.execute("SHOW work_mem", True) == [("9MB",)]
    controller.reset()
    assert controller.execute("SHOW enable_seqscan", True) == [("on",)]
    with pytest.raises(QueryError, match="no_such"):
        controller.set_hint("no_such_setting", 1)


def test_reset_ends_a_failed_transaction_and_keeps_temporary_tables(
    controller: PostgreSQLController,
) -> None:
    controller.execute("CREATE TEMP TABLE mine (a int)")
    controller.execute("BEGIN; INSERT INTO mine VALUES (1)")
    with pytest.raises(QueryError):
        controller.execute("SELECT 1/0")
    controller.reset()
    controller.reset()
    assert controller.execute("SELECT count(*) FROM mine", True) == [(0,)]


def test_tables(controller: PostgreSQLController) -> None:
    assert not controller.exist_table(ODD)
    controller.create_table_if_absences(
        ODD, {"id": 1, "time": 0.5, "Query": "SELECT", "ok": True, "plan": {}}, "id"
    )
    controller.create_table_if_absences(ODD, {"other": 1})
    assert controller.exist_table(ODD)
    assert controller.get_all_table_names() == [ODD]
    assert controller.get_table_columns(ODD) == ["id", "time", "Query", "ok", "plan"]
    controller.insert(ODD, {"time": 1.5, "Query": "it's 100%", "ok": False, "plan": {"a": [1]}})
    controller.insert(ODD, {"time": None, "Query": "it's 100%", "ok": True})
    assert controller.execute(f'SELECT * FROM "{ODD.replace(chr(34), 2 * chr(34))}"', True) == [
        (1, 1.5, "it's 100%", False, '{"a": [1]}'),
        (2, None, "it's 100%", True, None),
    ]
    assert controller.get_table_row_count(ODD) == 2
    assert controller.get_column_max(ODD, "id") == 2
    assert controller.get_column_min(ODD, "id") == 1
    assert controller.get_column_max(ODD, "time") == 1.5
    assert controller.get_number_of_distinct_value(ODD, "Query") == 1
    controller.drop_table_if_exist(ODD)
    controller.drop_table_if_exist(ODD)
    assert not controller.exist_table(ODD)


def test_names_are_data(controller: PostgreSQLController) -> None:
    controller.execute("CREATE TABLE t (a int)")
    controller.drop_table_if_exist('t"; DROP TABLE t; --')
    assert controller.exist_table("t")
    with pytest.raises(QueryError):
        controller.get_column_max("t", "a) FROM t; DROP TABLE t; --")
    assert controller.exist_table("t")
    assert controller.exist_table("public.t")
    assert not controller.exist_table("pg_catalog.t")


def test_primary_keys(controller: PostgreSQLController) -> None:
    with pytest.raises(UsageError, match="'key'"):
        controller.create_table_if_absences("t", {"a": 1}, "key")
    controller.create_table_if_absences("t", {"a": 1}, "a", enable_autoincrement_id_key=False)
    with pytest.raises(QueryError, match="null value"):
        controller.insert("t", {})


def test_each_thread_has_a_connection_of_its_own(controller: PostgreSQLController) -> None:
    pids = [controller.execute("SELECT pg_backend_pid()", True)[0][0]]

    def ask() -> None:
        pids.append(controller.execute("SELECT pg_backend_pid()", True)[0][0])

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(set(pids)) == 2
    controller.reset()
    still = "SELECT count(*) FROM pg_stat_activity WHERE pid = {}"
    give_up_at = time.monotonic() + 60
    while controller.execute(still.format(pids[1]), True) != [(0,)]:
        assert time.monotonic() < give_up_at, "the connection of an ended thread stays open"


def test_a_lost_connection_is_opened_anew(
    controller: PostgreSQLController, shared_target: PostgresTarget
) -> None:
    pid = controller.execute("SELECT pg_backend_pid()", True)[0][0]
    other = shared_target.session()
    other.execute(
        f"SELECT pg_terminate_backend({pid}, 10000)"
        if _new(other)
        else f"SELECT pg_terminate_backend({pid})"
    )
    other.close()
    controller.reset()
    assert controller.execute("SELECT 1", True) == [(1,)]


def _new(session: object) -> bool:
    return session.connection.server_version >= 140000  # type: ignore[attr-defined, no-any-return]


def test_cancel_reaches_every_thread(
    controller: PostgreSQLController, shared_target: PostgresTarget
) -> None:
    outcome: list[BaseException] = []

    def sleep() -> None:
        try:
            controller.execute("SELECT pg_sleep(30) AS cancel_me")
        except QueryCancelled as error:
            outcome.append(error)

    thread = threading.Thread(target=sleep)
    thread.start()
    watcher = shared_target.session()
    busy = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%cancel_me' AND wait_event = 'PgSleep'"
    )
    give_up_at = time.monotonic() + 60
    while watcher.execute(busy).rows != [(1,)]:
        assert time.monotonic() < give_up_at
    watcher.close()
    controller.cancel()
    thread.join(timeout=60)
    assert len(outcome) == 1


def test_the_configs_timeout(shared_target: PostgresTarget) -> None:
    controller = get_db_controller(shared_target.config, target=shared_target)
    before = shared_target.config.sql_execution_timeout
    shared_target.config.sql_execution_timeout = 0.05
    try:
        with pytest.raises(QueryTimeout):
            controller.execute("SELECT pg_sleep(10)")
    finally:
        shared_target.config.sql_execution_timeout = before
        controller.close()


def test_from_a_config_alone(shared_target: PostgresTarget) -> None:
    config = PostgreSQLConfig(home=shared_target.config.home)
    config.postgres_bin = shared_target.config.postgres_bin  # type: ignore[attr-defined]
    for controller in (
        PostgreSQLController(config),
        get_db_controller(config),
        DBControllerFactory.get_db_controller(config),
    ):
        assert isinstance(controller, BaseDBController)
        assert controller.execute("SELECT current_database()", True) == [("pilot",)]
        controller.close()
        controller.close()
