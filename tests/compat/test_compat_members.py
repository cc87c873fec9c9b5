"""What PilotScope's classes have besides the methods that most drivers use, on a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
import sqlalchemy
from server_folder import server_folder

from pilotcli.common.errors import CapabilityError
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.AnchorTransData import AnchorTransData
from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePullHandler as pulls
from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePushHandler as pushes
from pilotcli.compat.pilotscope.Common import Util
from pilotcli.compat.pilotscope.Common.Cache import Cache
from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import (
    PostgreSQLController,
    SimulateIndexVisitor,
)
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.Factory.AnchorHandlerFactory import AnchorHandlerFactory
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.Factory.SchedulerFactory import SchedulerFactory
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, PostgreSQLConfig, SparkConfig
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum, SparkSQLDataSourceEnum
from pilotcli.compat.pilotscope.PilotEvent import QueryFinishEvent, WorkloadBeforeEvent
from pilotcli.compat.pilotscope.PilotTransData import PilotTransData

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config() -> Iterator[PostgreSQLConfig]:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "members"
        yield config


@pytest.fixture
def controller(config: PostgreSQLConfig) -> Iterator[PostgreSQLController]:
    controller = DBControllerFactory.get_db_controller(config)
    controller.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (a int, b text)")
    controller.execute("INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 500) AS g")
    yield controller
    controller.close()


def test_sqlalchemy_reads_and_describes_the_database(controller: PostgreSQLController) -> None:
    frame = pandas.read_sql("SELECT a FROM t WHERE a <= 3 ORDER BY 1", controller.engine)
    assert frame["a"].tolist() == [1, 2, 3]
    table = controller.get_sqla_table("t")
    assert [column.name for column in table.columns] == ["a", "b"]
    assert list(controller.metadata.tables) == ["t"]
    # A card driver of PilotScope's reads the kinds of columns so, with the name's later spelling.
    assert str(controller._get_sqla_table("t").c["a"].type) == "INTEGER"
    with controller.engine.connect() as connection:
        limit = connection.execute(sqlalchemy.text("SHOW statement_timeout")).scalar()
    assert limit == "5min"


def test_statements_of_sqlalchemy_are_executed(controller: PostgreSQLController) -> None:
    table = controller.get_sqla_table("t")
    awkward = """it's 100 % "so" :a %(a)s \\ ä"""
    controller.execute(table.insert().values({"a": -1, "b": awkward}))
    found = sqlalchemy.select(table.c.b).where(table.c.a.in_([-1, -2]))
    assert controller.execute(found, fetch=True) == [(awkward,)]
    counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(table)
    assert controller.execute(counted, fetch=True)[0][0] == 501
    text = sqlalchemy.text("SELECT 7 % 4, :word AS w").bindparams(word="a'b")
    rows = controller.execute(text, fetch=True, fetch_column_name=True)
    assert rows == [("?column?", "w"), (3, "a'b")]


def test_without_sqlalchemy_all_but_its_own_objects_works(config: PostgreSQLConfig) -> None:
    script = f"""
import sys
sys.modules["sqlalchemy"] = None
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.common.errors import CapabilityError
config = PostgreSQLConfig(home={str(config.home)!r})
config.db = "members"
controller = DBControllerFactory.get_db_controller(config)
print(controller.execute("SELECT 1", fetch=True))
try:
    controller.engine
except CapabilityError as error:
    print(error, error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    rows, refusal = done.stdout.splitlines()
    assert rows == "[(1,)]"
    assert "SQLAlchemy is not installed" in refusal and "pip install sqlalchemy" in refusal


def test_a_controllers_connection(controller: PostgreSQLController) -> None:
    assert controller in PostgreSQLController.instances
    assert controller.is_connect()
    before = controller.execute("SELECT pg_backend_pid()", fetch=True)
    controller.disconnect()
    assert not controller.is_connect()
    controller.connect_if_loss()
    assert controller.is_connect()
    assert controller.execute("SELECT pg_backend_pid()", fetch=True) != before
    assert "server is running" in controller.status()
    controller.shutdown()
    assert "no server" in controller.status()
    controller.start()
    assert "server is running" in controller.status()


def test_what_explains_a_query(controller: PostgreSQLController) -> None:
    sql = controller.get_explain_sql("SELECT * FROM t", False, comment="/* why */")
    assert sql.startswith("/* why */ ") and "ANALYZE" not in sql
    plan = controller.execute(sql, fetch=True)[0][0][0]["Plan"]
    assert plan["Relation Name"] == "t" and "Actual Rows" not in plan
    analyzed = controller.modify_sql_for_ignore_records("SELECT * FROM t", True)
    assert controller.execute(analyzed, fetch=True)[0][0][0]["Plan"]["Actual Rows"] == 500
    controller.set_hint("enable_seqscan", "off")
    assert "enable_seqscan" in controller.explain_physical_plan("SELECT * FROM t")["Settings"]


def test_simulated_indexes_by_their_visitor(
    config: PostgreSQLConfig, controller: PostgreSQLController
) -> None:
    with pytest.raises(CapabilityError, match="what-if"):
        _ = controller.simulate_index_visitor
    simulating = DBControllerFactory.get_db_controller(config, enable_simulate_index=True)
    visitor = simulating.simulate_index_visitor
    assert isinstance(visitor, SimulateIndexVisitor) and visitor.db_controller is simulating
    visitor.create_index(Index(["a"], "t"))
    assert visitor.get_index_number("t") == 1 and controller.get_index_number("t") == 0
    assert visitor.get_all_indexes() == visitor.get_existed_index("t") == [Index(["a"], "t")]
    assert visitor.get_index_byte(Index(["a"], "t")) == visitor.get_all_indexes_byte() > 0
    visitor.drop_index(Index(["a"], "t"))
    assert visitor.get_table_indexes_byte("t") == 0
    visitor.create_index(Index(["b"], "t"))
    visitor.drop_all_indexes()
    assert simulating.get_all_indexes() == []
    simulating.close()


def test_the_store_has_a_controller_of_its_own(config: PostgreSQLConfig) -> None:
    manager = DataManager(config)
    manager.remove_table_and_tracker(table_name="seen")
    manager.save_data(table_name="seen", column_2_value={"n": 1})
    manager.save_data_batch(table_name="seen", column_2_value_list=[{"n": 2}, {"n": 3}])
    assert manager.db_controller.get_table_row_count("seen") == 3
    assert manager.db_controller.execute("SELECT current_database()", fetch=True) == [
        (config.user_data_db_name,)
    ]
    assert manager.table_visited_tracker.db_controller is manager.db_controller
    manager.close()
    first = DBControllerFactory.get_db_controller(config)
    other = PostgreSQLConfig(home=config.home)
    other.db = config.db
    host = first.execute("SELECT current_setting('unix_socket_directories')", fetch=True)[0][0]
    user = first.execute("SELECT current_user", fetch=True)[0][0]
    other.store_dsn = f"host={host} user={user} dbname={config.user_data_db_name}"
    with DataManager(other) as apart:
        assert apart.db_controller.get_column_max("seen", "n") == 3
    first.close()


class Counted(QueryFinishEvent):
    def process(self, db_controller: object, data_manager: object) -> None:
        pass


class Before(WorkloadBeforeEvent):
    def process(self, db_controller: object, data_manager: object) -> None:
        pass


def test_a_scheduler_says_what_is_registered(
    config: PostgreSQLConfig, controller: PostgreSQLController
) -> None:
    scheduler = SchedulerFactory.create_scheduler(config)
    assert scheduler.table_name_for_store_data is None and scheduler.events == []
    scheduler.register_required_data("kept", pull_execution_time=True)
    events = [Counted(config, 2), Before(config)]
    scheduler.register_events(events)
    index = pushes.IndexPushHandler(config, [Index(["a"], "t", "by_a")], drop_other=False)
    hints = AnchorHandlerFactory.get_anchor_handler(config, AnchorEnum.HINT_PUSH_ANCHOR)
    assert isinstance(hints, pushes.HintPushHandler)
    hints.key_2_value_for_hint = {"work_mem": "9MB"}
    scheduler.register_custom_handlers([index, hints])
    assert scheduler.table_name_for_store_data == "kept"
    assert scheduler.events == events and scheduler.user_tasks == [index, hints]
    scheduler.init()
    assert not index.have_been_triggered
    found = scheduler.execute("SELECT current_setting('work_mem') AS m")
    assert found is not None and found["m"].tolist() == ["9MB"]
    assert index.have_been_triggered and not hints.have_been_triggered
    assert controller.get_index_number("t") == 1
    scheduler.close()
    assert controller.get_index_number("t") == 0


def test_what_is_required_adds_up(config: PostgreSQLConfig) -> None:
    scheduler = SchedulerFactory.create_scheduler(config)
    scheduler.data_manager.remove_table_and_tracker("added")
    scheduler.register_required_data("other", pull_execution_time=True)
    scheduler.register_required_data("added", pull_subquery_2_cards=True)
    scheduler.init()
    scheduler.execute("SELECT count(*) FROM pg_class c, pg_attribute a WHERE a.attrelid = c.oid")
    (row,) = scheduler.data_manager.read_all("added").to_dict("records")
    assert row["execution_time"] > 0
    cards = json.loads(row["subquery_to_card"])
    assert len(cards) == 3
    assert "/* (c) */ SELECT COUNT(*) FROM pg_class c;" in cards
    assert "subquery_2_card" not in row
    scheduler.close()


def test_pull_handlers_ask_a_controller(controller: PostgreSQLController) -> None:
    sql = "SELECT * FROM t"
    for kind, name in (
        (pulls.PhysicalPlanPullHandler, "physical_plan"),
        (pulls.LogicalPlanPullHandler, "logical_plan"),
        (pulls.EstimatedCostPullHandler, "estimated_cost"),
        (pulls.BuffercachePullHandler, "buffercache"),
    ):
        between, data = AnchorTransData(), PilotTransData()
        kind(controller.config).fetch_from_outer(controller, sql, "", between, data)
        assert getattr(data, name) == getattr(between, name) != None  # noqa: E711
        row: dict[str, object] = {}
        kind(controller.config).prepare_data_for_writing(row, data)
        assert list(row) == [name]
    data = PilotTransData()
    pulls.ExecutionTimePullHandler(None).fetch_from_outer(controller, sql, "", None, data)
    assert data == PilotTransData()


def test_handlers_are_ordered_as_in_pilotscope(config: PostgreSQLConfig) -> None:
    made: list[Any] = [
        pulls.RecordPullHandler(config),
        pulls.PhysicalPlanPullHandler(config),
        pushes.KnobPushHandler(config),
        pulls.ExecutionTimePullHandler(config),
    ]
    assert [one.get_call_priority() for one in made] == [9, 1, -1, 0]
    params: dict[str, object] = {}
    made[2].add_trans_params(params)
    assert params == {"enable": True, "name": "KNOB_PUSH_ANCHOR"}


def test_a_time_out_among_several_queries_is_none(config: PostgreSQLConfig) -> None:
    hasty = PostgreSQLConfig(home=config.home)
    hasty.db, hasty.sql_execution_timeout = config.db, 0.3
    with PilotDataInteractor(hasty) as interactor:
        interactor.pull_record()
        sqls = ["SELECT 1 AS n", "SELECT pg_sleep(60)", "SELECT 3 AS n"]
        for found in (
            interactor.execute_batch(sqls, is_reset=False),
            interactor.execute_parallel(sqls, parallel_num=3),
        ):
            assert [one if one is None else one.records["n"][0] for one in found] == [1, None, 3]


def test_pulled_data_takes_further_attributes(config: PostgreSQLConfig) -> None:
    with PilotDataInteractor(config) as interactor:
        interactor.pull_estimated_cost()
        data: Any = interactor.execute("SELECT 1")
    assert isinstance(data, PilotTransData)
    data.add_property("reward", 0.5)
    data.own = 2
    assert (data.reward, data.own, data.logical_plan, data.anchor_names) == (0.5, 2, None, [])
    told = '{"execution_time": 3, "subquery": ["SELECT 1"], "card": ["7"], "other": 1}'
    parsed = PilotTransData.parse_2_instance(told, "SELECT 1")
    assert (parsed.sql, parsed.execution_time) == ("SELECT 1", 3.0)
    assert parsed.subquery_2_card == {"SELECT 1": 7.0}
    assert not hasattr(parsed, "other")


def test_helpers_of_pilotscopes_parts(controller: PostgreSQLController) -> None:
    pull, push = pulls.RecordPullHandler(None), pushes.HintPushHandler(None)
    assert Util.extract_handlers([pull, push], True) == [pull]
    assert Util.extract_handlers([pull, push], False) == [push]
    both = {"a": pull, "b": push}
    assert Util.extract_anchor_handlers(both) == {"a": pull}
    assert Util.extract_anchor_handlers(both, is_fetch_anchor=False) == {"b": push}

    @Util.singleton
    class Once:
        def __init__(self, value: int) -> None:
            self.value = value

    assert Once(1) is Once(2) and Once(3).value == 1

    @Util.deprecated
    def old(value: int) -> int:
        return value

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert old(3) == 3
    assert [one.category for one in heard] == [DeprecationWarning]
    controller.set_hint("enable_hashjoin", "off")
    controller.set_hint("enable_mergejoin", "off")
    plan = controller.explain_physical_plan("SELECT * FROM t x JOIN t y ON x.a = y.a")["Plan"]
    scans: list[str] = []
    joins: list[str] = []
    order = Util.plan_to_pg_hint(plan, scans, joins)
    assert sorted(scans) == ["SeqScan(x)", "SeqScan(y)"] and sorted(order) == ["x", "y"]
    assert [one.partition("(")[0] for one in joins] == ["NestLoop"]


def test_the_end_of_a_program_shuts_down_what_was_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server:
        ended = False

        def shutdown(self) -> None:
            self.ended = True

    server = Server()
    monkeypatch.setattr(Util, "all_https", [server])
    Util.pilotscope_exit(ValueError("why"))
    assert server.ended and "why" in capsys.readouterr().out


def test_indexes_are_looked_at_together() -> None:
    wide, narrow, other = Index(["a", "b", "c"], "t"), Index(["a", "b"], "t"), Index(["d"], "t")
    assert wide.subsumes(narrow) and not narrow.subsumes(wide)
    assert not wide.subsumes(Index(["a"], "u"))
    assert wide.appendable_by(other) and not wide.appendable_by(narrow)
    assert not wide.appendable_by(Index(["c"], "t"))
    assert wide.prefixes() == [narrow, Index(["a"], "t")]
    assert other.is_single_column() and other.index_idx() == "t_d_idx"
    with pytest.raises(ValueError, match="a column at least"):
        Index([], "t")


def test_a_cache_has_a_folder_and_an_identifier(tmp_path: Path) -> None:
    class Keyed(Cache):
        key = "one"

        def get_identifier(self) -> str:
            return self.key

    cache = Keyed("found", tmp_path / "kept")
    with pytest.raises(RuntimeError, match="nothing was saved"):
        cache.read()
    cache.save({"a": [1]})
    assert cache.exist() and cache.read() == {"a": [1]}
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["found.json"]
    cache.key = "two"
    with pytest.raises(RuntimeError, match="another identifier"):
        cache.read()
    with pytest.raises(TypeError):
        cache.save(object())
    assert not Keyed("found", tmp_path / "kept", enable=False).exist()


def test_configs_have_what_drivers_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = PostgreSQLConfig(db_user_pwd="topsecret")
    assert isinstance(config, PilotConfig) and config.is_local
    assert config.pg_ctl is config.db_host_user is config.db_config_path is None
    config.enable_deep_control_local(str(tmp_path), str(tmp_path))
    assert config.pg_ctl == str(tmp_path / "pg_ctl")
    assert config.db_config_path == str(tmp_path / "postgresql.conf")
    assert list(tmp_path.iterdir()) == []
    config.print()
    shown = capsys.readouterr().out
    assert f"pgdata = {tmp_path}\n" in shown
    assert "topsecret" not in shown + str(config)
    spark = SparkConfig(app_name="app", master_url="local")
    told = {"host": "h", "db": "d", "user": "u", "pwd": "topsecret"}
    assert spark.set_datasource(SparkSQLDataSourceEnum.POSTGRESQL, **told) is spark
    assert (spark.db_host, spark.db, spark.db_user, spark.db_user_pwd) == (
        "h",
        "d",
        "u",
        "topsecret",
    )
    assert spark.push_knob_config("a", "b").backup_db_config_path == "b"
    spark.print()
    assert "topsecret" not in capsys.readouterr().out
    with pytest.raises(NotImplementedError):
        spark.set_datasource(DatabaseEnum.SPARK)  # type: ignore[arg-type]
