"""Calls in the forms that PilotScope's drivers have them in, and what they give back."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
from server_folder import server_folder
from steered import postgres_bin

from pilotcli.common.errors import CapabilityError, DatabaseError
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.PostgreSQL.PullAnhor import PostgreSQLAnchorMixin
from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.Common.Util import get_pg_hints
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.Exception.Exception import (
    DatabaseCrashException,
    DatabaseStartException,
    InteractorReceiveTimeoutException,
    PilotScopeExecCommandException,
    PilotScopeMutualExclusionException,
)
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, PostgreSQLConfig, SparkConfig
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum, ScanJoinMethodEnum
from pilotcli.steering import planner
from pilotcli.steering.capabilities import Abilities

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config() -> Iterator[PostgreSQLConfig]:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "signatures"
        controller = DBControllerFactory.get_db_controller(config)
        controller.execute("CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE u (a int)")
        controller.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 500) AS g")
        controller.execute("INSERT INTO u SELECT g FROM generate_series(1, 50) AS g")
        controller.execute("CREATE SCHEMA s; CREATE TABLE s.v (x int, y int); ANALYZE")
        yield config
        controller.close()


@pytest.fixture
def controller(config: PostgreSQLConfig) -> Iterator[PostgreSQLController]:
    controller = DBControllerFactory.get_db_controller(config)
    yield controller
    controller.close()


@pytest.fixture
def interactor(config: PostgreSQLConfig) -> Iterator[PilotDataInteractor]:
    interactor = PilotDataInteractor(config)
    yield interactor
    interactor.close()


JOIN = "SELECT count(*) FROM t, u WHERE t.a = u.a"


def test_configs_take_time_outs_by_place_and_by_name() -> None:
    by_name = PostgreSQLConfig(sql_execution_timeout=7, once_request_timeout=8)
    assert (by_name.sql_execution_timeout, by_name.once_request_timeout) == (7, 8)
    assert by_name.embedded and by_name.db is None
    by_place = PostgreSQLConfig("core", "host", 5433, "user", "secret", "base", 3, 4)
    assert (by_place.pilotscope_core_host, by_place.db_port, by_place.db) == ("core", 5433, "base")
    assert (by_place.sql_execution_timeout, by_place.once_request_timeout) == (3, 4)
    plain = PostgreSQLConfig(None, None, None, None, None, None, None, None)
    assert plain.embedded and plain.sql_execution_timeout == 300
    base = PilotConfig(DatabaseEnum.POSTGRESQL, "base", "core", "store", 5, 6)
    assert (base.db, base.user_data_db_name) == ("base", "store")
    assert (base.sql_execution_timeout, base.once_request_timeout) == (5, 6)


def test_a_spark_config_is_made_as_pilotscope_makes_it() -> None:
    spark = SparkConfig(app_name="a", master_url="local[*]", db="d", sql_execution_timeout=9)
    assert (spark.app_name, spark.db, spark.sql_execution_timeout) == ("a", "d", 9)
    assert SparkConfig("core").pilotscope_core_host == "core"
    spark.use_postgresql_datasource(db_host="h", db_port="5433", db_user="u", db_user_pwd="p")
    assert (spark.db_host, spark.db_port, spark.db, spark.db_user) == (
        "h",
        "5433",
        "stats_tiny",
        "u",
    )
    spark.enable_cardinality_estimation()
    assert spark.spark_configs["spark.sql.cbo.enabled"] is True
    with pytest.raises(CapabilityError, match="Spark"):
        DBControllerFactory.get_db_controller(spark)


def test_deep_control_of_the_embedded_server_needs_no_folders(
    config: PostgreSQLConfig, controller: PostgreSQLController, caplog: pytest.LogCaptureFixture
) -> None:
    ((folder,),) = controller.execute("SHOW data_directory", fetch=True)
    config.enable_deep_control_local()
    assert Path(str(config.pgdata)).resolve() == Path(folder).resolve()
    assert Path(str(config.pg_ctl)).with_name("postgres").is_file()
    own = (config.pg_bin_path, config.pgdata)
    with caplog.at_level(logging.WARNING):
        config.enable_deep_control_local("/no/such/bin", pg_data_path="/no/such/data")
    assert (config.pg_bin_path, config.pgdata) == own
    assert "there is no folder /no/such/bin" in caplog.text
    assert config._enable_deep_control and config._is_local


def test_deep_control_of_another_server_asks_it(
    config: PostgreSQLConfig, controller: PostgreSQLController
) -> None:
    ((socket, port, folder),) = controller.execute(
        "SELECT split_part(current_setting('unix_socket_directories'), ',', 1),"
        " current_setting('port'), current_setting('data_directory')",
        fetch=True,
    )
    other = PostgreSQLConfig(
        db_host=socket, db_port=port, db_user="postgres", home=config.home.parent / "other"
    )
    other.db = config.db
    other.enable_deep_control_local()
    assert other.pgdata == folder
    assert (Path(str(other.pg_bin_path)) / "pg_config").is_file()
    with pytest.raises(CapabilityError, match="no folder"):
        other.enable_deep_control_local("/no/such/bin", folder)


def test_pg_bin_path_says_where_pg_config_is(tmp_path: Path) -> None:
    folder = postgres_bin("installed")
    assert folder is not None
    version = folder.parent.name
    (tmp_path / "pg_config").symlink_to(folder / "pg_config")
    assert planner.find_pg_config(version, tmp_path) == tmp_path / "pg_config"
    assert planner.find_pg_config("99", tmp_path) is None


def test_a_given_pg_bin_path_is_used_for_the_planner_module(
    config: PostgreSQLConfig, controller: PostgreSQLController, tmp_path: Path
) -> None:
    session = controller.session()
    programs = Path(str(planner.find_pg_config("18")))
    (tmp_path / "pg_config").symlink_to(programs)
    other = PostgreSQLConfig(db_host="elsewhere")
    assert Abilities(session, other)._pg_config() is None
    other.pg_bin_path = str(tmp_path)
    assert Abilities(session, other)._pg_config() == tmp_path / "pg_config"


def test_rows_have_their_columns_as_attributes(controller: PostgreSQLController) -> None:
    sql = 'SELECT a, b AS "odd name", 1 AS count, 2 FROM t WHERE a = 3'
    (row,) = controller.execute(sql, fetch=True)
    assert row == (3, 3, 1, 2) and isinstance(row, tuple)
    assert (row.a, row.count, getattr(row, "odd name")) == (3, 1, 3)
    assert row._fields == ("a", "odd name", "count", "?column?")
    assert row._mapping["odd name"] == 3 and dict(row._mapping)["a"] == 3
    assert pickle.loads(pickle.dumps(row)).a == 3
    assert json.dumps(row) == "[3, 3, 1, 2]"
    with pytest.raises(AttributeError):
        _ = row.nothing
    frame = pandas.DataFrame(controller.execute("SELECT a, b FROM t", fetch=True))
    assert list(frame.columns) == ["a", "b"]
    header, first = controller.execute("SELECT 1 AS n", fetch=True, fetch_column_name=True)
    assert header == ("n",) and first.n == 1
    assert controller.execute("CREATE TEMP TABLE w ()", fetch=True) == []


def test_columns_of_tables(controller: PostgreSQLController) -> None:
    assert controller.get_table_columns("t") == ["a", "b"]
    assert controller.get_table_columns("v") == []
    assert controller.get_table_columns("v", enable_all_schema=True) == ["x", "y"]
    assert controller.get_table_column_name_all_schema("v") == ["x", "y"]


def test_names_of_arguments(
    controller: PostgreSQLController, interactor: PilotDataInteractor
) -> None:
    index = Index(["b"], "t", "by_b", "btree")
    assert Index(["b"], "t", index_method="hash") == Index(["b"], "t")
    controller.create_index(index)
    assert controller.get_index_number("t") == 1
    controller.write_knob_to_file(key_2_value_knob={"work_mem": "5MB"})
    controller.restart()
    assert controller.execute("SHOW work_mem", fetch=True) == [("5MB",)]
    controller.recover_config()
    interactor.push_pg_hint_comment(pg_hint_comment="/*+ SeqScan(t) */")
    interactor.reset()
    plan = PostgreSQLAnchorMixin().get_physical_plan(controller, JOIN, "/* c */")
    assert "Plan" in plan


def test_knobs_that_newer_servers_have_dropped_are_left_out(
    controller: PostgreSQLController,
    interactor: PilotDataInteractor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    interactor.push_knob({"old_snapshot_threshold": -1, "work_mem": "6MB"})
    interactor.pull_record()
    data = interactor.execute("SHOW work_mem")
    assert data is not None and data.records.iat[0, 0] == "6MB"
    assert "no longer has these knobs: old_snapshot_threshold" in caplog.text
    controller.write_knob_to_file({"Force_Parallel_Mode": "off"})
    with pytest.raises(DatabaseStartException, match="no knob named 'work_men'"):
        controller.write_knob_to_file({"work_men": "6MB"})


def test_methods_are_pushed_by_their_common_name(interactor: PilotDataInteractor) -> None:
    for method, kind in (
        (ScanJoinMethodEnum.NESTLOOP, "Nested Loop"),
        (ScanJoinMethodEnum.MERGEJOIN, "Merge Join"),
    ):
        interactor.push_scan_join_method(method, "t", "u")
        interactor.pull_physical_plan()
        data = interactor.execute(JOIN)
        assert data is not None and kind in str(data.physical_plan)
    for order in ("(t u)", "(u t)"):
        interactor.push_scan_join_method(ScanJoinMethodEnum.JOINORDER, order)
        interactor.push_join_method(ScanJoinMethodEnum.NESTLOOP, "t", "u")
        interactor.push_hint({"enable_material": "off", "enable_indexscan": "off"})
        interactor.pull_physical_plan()
        data = interactor.execute(JOIN)
        assert data is not None


def test_hints_of_a_plan_are_written_with_two_spaces() -> None:
    def scan(alias: str, **more: Any) -> dict[str, Any]:
        return {"Node Type": "Seq Scan", "Alias": alias, **more}

    inner = {"Node Type": "Hash Join", "Plans": [scan("a"), scan("b")]}
    index = {"Node Type": "Index Scan", "Alias": "c", "Index Name": "by_c"}
    text = get_pg_hints({"Plan": {"Node Type": "Nested Loop", "Plans": [inner, index]}})
    assert text.splitlines() == [
        "/*+",
        *("SeqScan(a)", "SeqScan(b)", "IndexScan(c by_c)"),
        *("HashJoin(a  b)", "NestLoop(a  b  c)", "Leading(((a  b)  c))", "*/"),
    ]


def test_negative_numbers_in_keys_are_written_as_numbers(interactor: PilotDataInteractor) -> None:
    sql = (
        "SELECT count(*) FROM t, u WHERE t.a = u.a AND t.b > -2 AND u.a < -1.5"
        " AND t.b::text <> '''-2''::integer'"
    )
    interactor.pull_subquery_card()
    data = interactor.execute(sql)
    assert data is not None and data.subquery_2_card is not None
    (key,) = [key for key in data.subquery_2_card if key.startswith("/* (t) */")]
    assert "t.b > -2" in key and "'''-2''::integer'" in key
    assert all("'-1.5'" not in key for key in data.subquery_2_card)
    interactor.push_card(dict.fromkeys(data.subquery_2_card, 321.0))
    interactor.pull_physical_plan()
    data = interactor.execute(sql)
    assert data is not None and data.physical_plan is not None
    assert '"Plan Rows": 321' in json.dumps(data.physical_plan)
    assert data.report is not None and not data.report.ignored


def test_an_interactor_takes_rows_as_texts(interactor: PilotDataInteractor) -> None:
    interactor.pull_subquery_card()
    data = interactor.execute(JOIN)
    assert data is not None and data.subquery_2_card
    interactor.push_card(dict.fromkeys(data.subquery_2_card, "321.0"))
    interactor.pull_physical_plan()
    data = interactor.execute(JOIN)
    assert data is not None and data.physical_plan is not None
    assert '"Plan Rows": 321' in json.dumps(data.physical_plan)
    for bad in ("many", "-1", "nan"):
        with pytest.raises(RuntimeError, match="a cardinality is a number of rows"):
            interactor.push_card({"SELECT count(*) FROM t": bad})
    interactor.reset()


def test_cardinalities_are_pushed_or_pulled(
    interactor: PilotDataInteractor, controller: PostgreSQLController
) -> None:
    interactor.pull_subquery_card()
    interactor.push_card({})
    with pytest.raises(PilotScopeMutualExclusionException, match="exclude each other"):
        interactor.execute(JOIN)
    interactor.pull_subquery_card()  # the pushes and pulls of before are forgotten
    data = interactor.execute(JOIN, is_reset=False)
    assert data is not None and data.subquery_2_card
    interactor.push_card(data.subquery_2_card)
    for execute in (interactor.execute_batch, interactor.execute_parallel):
        with pytest.raises(PilotScopeMutualExclusionException, match="CARD_PUSH_ANCHOR"):
            execute([JOIN], is_reset=False)


def test_exceptions_are_made_as_pilotscope_makes_them() -> None:
    assert "exclude" in str(PilotScopeMutualExclusionException([AnchorEnum.CARD_PUSH_ANCHOR]))
    assert "pg_ctl stop" in str(PilotScopeExecCommandException("pg_ctl stop"))
    for made in (DatabaseCrashException(), DatabaseStartException()):
        assert str(made)
    assert str(InteractorReceiveTimeoutException())
    assert isinstance(DatabaseCrashException(), DatabaseError)
