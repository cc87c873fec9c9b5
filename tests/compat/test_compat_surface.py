"""Each method and argument that PilotScope's drivers use does what it says, on a real server."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from server_folder import server_folder

import pilotcli.compat.pilotscope  # noqa: F401 - makes the names importable
from pilotcli.common.errors import CapabilityError, DriverError, UsageError
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.AnchorTransData import AnchorTransData
from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePushHandler as handlers
from pilotcli.compat.pilotscope.Anchor.Spark.PullAnchor import SparkEstimatedCostPullHandler
from pilotcli.compat.pilotscope.Common.CardMetricCalc import p_error_calc, q_error_calc
from pilotcli.compat.pilotscope.Common.dotDrawer import PlanDotDrawer
from pilotcli.compat.pilotscope.Common.Drawer import Drawer
from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.Common.SSHConnector import SSHConnector
from pilotcli.compat.pilotscope.Common.Thread import ValueThread
from pilotcli.compat.pilotscope.Common.TimeStatistic import TimeStatistic
from pilotcli.compat.pilotscope.Common.Util import get_pg_hints, json_str_to_json_obj
from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
from pilotcli.compat.pilotscope.DataManager.TableVisitedTracker import TableVisitedTracker
from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset
from pilotcli.compat.pilotscope.Dataset.ImdbDataset import ImdbDataset
from pilotcli.compat.pilotscope.Dataset.ImdbTinyDataset import ImdbTinyDataset
from pilotcli.compat.pilotscope.Dataset.StatsDataset import StatsDataset
from pilotcli.compat.pilotscope.Dataset.StatsTinyDataset import StatsTinyDataset
from pilotcli.compat.pilotscope.Dataset.TpcdsDataset import TpcdsDataset
from pilotcli.compat.pilotscope.Dataset.Utils import database_enum_to_sqlglot_str
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.DBController.SparkSQLController import SparkSQLController
from pilotcli.compat.pilotscope.DBInteractor.HttpInteractorReceiver import HttpInteractorReceiver
from pilotcli.compat.pilotscope.DBInteractor.PilotCommentCreator import PilotCommentCreator
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.Exception.Exception import (
    DBStatementTimeoutException,
    PilotScopeExecCommandException,
)
from pilotcli.compat.pilotscope.Factory.AnchorHandlerFactory import AnchorHandlerFactory
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.Factory.InteractorReceiverFactory import InteractorReceiverFactory
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig, SparkConfig
from pilotcli.compat.pilotscope.PilotEnum import (
    DatabaseEnum,
    ExperimentTimeEnum,
    ScanJoinMethodEnum,
)
from pilotcli.compat.pilotscope.PilotScheduler import PilotScheduler
from pilotcli.compat.pilotscope.PilotTransData import PilotTransData

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[3] / "shared" / "pilotscope"


@pytest.fixture(scope="module")
def config() -> Iterator[PostgreSQLConfig]:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "surface"
        yield config


@pytest.fixture
def controller(config: PostgreSQLConfig) -> Iterator[PostgreSQLController]:
    controller = DBControllerFactory.get_db_controller(config, echo=True)
    yield controller
    controller.close()


def test_tables(controller: PostgreSQLController) -> None:
    controller.drop_table_if_exist("made")
    assert not controller.exist_table("made")
    columns = {"id": 1, "name": "a", "size": 0.5}
    controller.create_table_if_absences("made", columns, primary_key_column="id")
    assert controller.exist_table("made") and "made" in controller.get_all_table_names()
    assert controller.get_table_columns("made") == ["id", "name", "size"]
    for number in (1, 2, 3):
        controller.insert("made", {"name": f"n{number % 2}", "size": number / 2})
    assert controller.get_table_row_count("made") == 3
    assert controller.get_column_max("made", "size") == 1.5
    assert controller.get_column_min("made", "size") == 0.5
    assert controller.get_number_of_distinct_value("made", "name") == 2
    assert controller.get_column_number_of_distinct_value("made", "name") == 2
    rows = controller.get_relation_content("made", fetch_column_name=True)
    assert rows[0] == ("id", "name", "size") and len(rows) == 4


def test_indexes(controller: PostgreSQLController) -> None:
    controller.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (a int, b int)")
    controller.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 1000) AS g")
    index = Index(columns=["a", "b"], table="t", index_name="by_both")
    controller.create_index(index)
    assert controller.get_index_number("t") == 1
    assert [one.index_name for one in controller.get_existed_indexes("t")] == ["by_both"]
    assert "by_both" in [one.index_name for one in controller.get_all_indexes()]
    size = controller.get_index_byte(index)
    assert 0 < size <= controller.get_table_indexes_byte("t") <= controller.get_all_indexes_byte()
    controller.drop_index(index)
    assert controller.get_index_number("t") == 0
    controller.create_index(index)
    controller.drop_all_indexes()
    assert controller.get_index_number("t") == 0


def test_plans_hints_and_the_buffer_cache(controller: PostgreSQLController) -> None:
    sql = "SELECT count(*) FROM pg_class c, pg_attribute a WHERE a.attrelid = c.oid"
    plan = controller.explain_physical_plan(sql)
    assert plan["Plan"]["Total Cost"] == controller.get_estimated_cost(sql)
    assert controller.explain_execution_plan(sql)["Plan"]["Actual Rows"] == 1
    controller.set_hint("enable_hashjoin", "off")
    controller.set_hint("enable_mergejoin", "off")
    assert "NestLoop(" in get_pg_hints(controller.explain_physical_plan(sql))
    controller._reset()
    assert controller.execute("SHOW enable_hashjoin", fetch=True) == [("on",)]
    assert isinstance(controller.get_buffercache(), dict)
    assert "plpgsql" in controller.get_available_extensions()


def test_the_server(controller: PostgreSQLController) -> None:
    assert controller.is_running()
    controller.backup_config()
    controller.write_knob_to_file({"work_mem": "9MB"})
    controller.restart()
    assert controller.execute("SHOW work_mem", fetch=True) == [("9MB",)]
    controller.recover_config()
    controller.shutdown()
    assert not controller.is_running()
    controller.start()
    controller._connect_if_loss()
    assert controller.execute("SHOW work_mem", fetch=True) == [("4MB",)]
    assert controller._surun("") == ("", "")
    assert controller._surun("echo here") == ("here\n", "")
    with pytest.raises(PilotScopeExecCommandException, match="the command echo x >&2 failed"):
        controller._surun("echo x >&2")


def test_configs(config: PostgreSQLConfig, capsys: pytest.CaptureFixture[str]) -> None:
    named = PostgreSQLConfig(
        db_host="there", db_port="5433", db_user="me", db_user_pwd="hush", pilotscope_core_host="x"
    )
    assert named.db_type == DatabaseEnum.POSTGRESQL == "POSTGRESQL"
    assert (named.db_host, named.db_port, named.once_request_timeout) == ("there", "5433", 300)
    named.print()
    assert "there" in capsys.readouterr().out and "hush" not in str(named)
    named.enable_deep_control_local("/", "/")
    assert named.pgdata == "/"
    with pytest.raises(CapabilityError, match="no folder"):
        named.enable_deep_control_local("/nowhere", "/")
    with pytest.raises(CapabilityError, match="this machine only"):
        named.enable_deep_control_remote("/", "/", "me", "hush")
    spark = SparkConfig(app_name="a", master_url="local")
    spark.set_spark_session_config({"k": 1})
    spark.use_postgresql_datasource("h", "5433", "u", "p", "d")
    for make in (DBControllerFactory.get_db_controller, SparkSQLController):
        with pytest.raises(CapabilityError, match="Spark"):
            make(spark)


def test_a_time_out_raises_what_drivers_catch(config: PostgreSQLConfig) -> None:
    short = PostgreSQLConfig(home=config.home)
    short.db = "surface"
    short.sql_execution_timeout = 1
    controller = DBControllerFactory.get_db_controller(short)
    with pytest.raises(DBStatementTimeoutException):
        controller.execute("SELECT pg_sleep(50)")
    controller.close()
    interactor = PilotDataInteractor(short)
    interactor.pull_record()
    assert interactor.execute("SELECT pg_sleep(50)") is None
    interactor.close()


def test_the_stores_database_is_the_one_that_is_named(config: PostgreSQLConfig) -> None:
    named = PostgreSQLConfig(home=config.home)
    named.db, named.user_data_db_name = "surface", "kept_elsewhere"
    with DataManager(named) as manager:
        manager.save_data("kept", {"n": 1})
    named.db = "kept_elsewhere"
    controller = DBControllerFactory.get_db_controller(named)
    assert controller.get_table_row_count("kept") == 1
    controller.close()


def test_a_controller_is_used_by_several_threads(controller: PostgreSQLController) -> None:
    def ask(number: int) -> int:
        controller.set_hint("work_mem", f"{number}MB")
        controller.execute("SELECT pg_sleep(0.05)")
        (row,) = controller.execute("SHOW work_mem", fetch=True)
        return int(row[0].removesuffix("MB"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(1, 9))) == list(range(1, 9))


def test_the_store(config: PostgreSQLConfig) -> None:
    with DataManager(config) as manager:
        manager._create_table_if_absence("kept", {"n": 1, "doc": {"a": 1}})
        assert len(manager.read_all("kept")) == 0
        manager.save_data("kept", {"n": 1, "doc": {"a": [1, None]}})
        manager.save_data_batch("kept", [{"n": 2}, {"n": 3}])
        assert manager.read_update("kept")["n"].tolist() == [1, 2, 3]
        assert json_str_to_json_obj(manager.read_all("kept")["doc"][0]) == {"a": [1, None]}
        tracker = manager.table_visited_tracker
        last = tracker.read_data_visit_id("kept")
        assert last is not None
        tracker.update_data_visit_id("kept", last - 1)
        assert manager.read_update("kept")["n"].tolist() == [3]
        tracker.delete_visited_record("kept")
        assert tracker.read_data_visit_id("kept") is None
        assert len(manager.read_update("kept")) == 3
        manager.remove_table_and_tracker("kept")
        assert not manager.exist_table("kept")


def test_an_interactors_pushes(config: PostgreSQLConfig) -> None:
    from pilotcli.compat.pilotscope.PilotEnum import ScanJoinMethodEnum

    interactor = PilotDataInteractor(config)
    sql = "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    interactor.push_scan_method(ScanJoinMethodEnum.SEQ, "c")
    interactor.push_join_method(ScanJoinMethodEnum.NESTLOOP, "a c")
    interactor.push_join_order(["c", "a"])
    interactor.pull_physical_plan()
    interactor.pull_buffercache()
    data = interactor.execute(sql)
    assert data is not None and isinstance(data.buffercache, dict)
    assert "Nested Loop" in str(data.physical_plan)
    interactor.push_pg_hint_comment("/* no hint */")
    interactor.pull_subquery_card(enable_parameterized_subquery=False)
    data = interactor.execute(sql)
    assert data is not None and data.subquery_2_card is not None
    keys = {
        "/* (c) */ SELECT COUNT(*) FROM pg_class c;",
        "/* (a) */ SELECT COUNT(*) FROM pg_attribute a;",
        "/* (a c) */ SELECT COUNT(*) FROM pg_attribute a, pg_class c WHERE a.attrelid = c.oid;",
    }
    assert set(data.subquery_2_card) == keys
    for form in (str, lambda key: key.split("*/ ")[1].rstrip(";")):
        pushed = {form(key): 12345.0 for key in keys}
        interactor.push_card(pushed)
        interactor.pull_physical_plan()
        data = interactor.execute(sql)
        assert data is not None and data.report is not None and data.physical_plan is not None
        assert set(data.report.applied) == set(pushed)
        assert data.physical_plan["Plan"]["Plans"][0]["Plan Rows"] == 12345
    with pytest.raises(UsageError, match="no parameters"):
        interactor.push_card(pushed, enable_parameterized_subquery=True)
    interactor.push_hint({"work_mem": "3MB"})
    interactor.pull_record()
    interactor.reset()  # forgets both
    interactor.pull_record()
    data = interactor.execute("SELECT current_setting('work_mem') AS m")
    assert data is not None and data.records["m"].tolist() == ["4MB"]
    interactor.push_knob({"work_mem": "5MB"})
    interactor.execute("SELECT 1")
    assert interactor.db_controller.execute("SHOW work_mem", True) == [("5MB",)]
    interactor.close()


def test_a_scheduler_refuses_two_handlers_of_one_class(config: PostgreSQLConfig) -> None:
    class Hints(handlers.HintPushHandler):
        def acquire_injected_data(self, sql: str) -> dict[str, str]:
            return {"work_mem": "6MB"}

    scheduler = PilotScheduler(config)
    with pytest.raises(RuntimeError):
        scheduler.register_custom_handlers([Hints(config), Hints(config)])
    scheduler.register_custom_handlers(Hints(config))
    scheduler.init()
    records = scheduler.execute("SELECT current_setting('work_mem') AS m")
    assert records is not None and records["m"].tolist() == ["6MB"]
    scheduler.close()


def test_pull_handlers_say_what_is_meant(config: PostgreSQLConfig) -> None:
    data = PilotTransData(physical_plan={"Plan": 1}, execution_time=0.5, estimated_cost=3.0)
    row: dict[str, object] = {}
    none = {AnchorEnum.LOGICAL_PLAN_PULL_ANCHOR, AnchorEnum.OPTIMIZED_SQL_PULL_ANCHOR}
    for anchor in set(AnchorEnum) - none:
        if anchor.name.endswith("PULL_ANCHOR"):
            handler: Any = AnchorHandlerFactory.get_anchor_handler(config, anchor)
            assert AnchorEnum.to_anchor_enum(handler.anchor_name) is anchor
            handler.prepare_data_for_writing(row, data)
    assert row == {"physical_plan": '{"Plan": 1}', "execution_time": 0.5, "estimated_cost": 3.0}
    for anchor in (*none, AnchorEnum.COST_PUSH_ANCHOR, AnchorEnum.BASE_ANCHOR):
        with pytest.raises(CapabilityError, match="no handler"):
            AnchorHandlerFactory.get_anchor_handler(config, anchor)
    for refused in (HttpInteractorReceiver, SSHConnector, handlers.CostPushHandler):
        with pytest.raises(CapabilityError):
            refused(config)


def test_small_helpers(
    config: PostgreSQLConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TimeStatistic.clear()
    TimeStatistic.start("one")
    TimeStatistic.end("one")
    TimeStatistic.add_time("one", 2.0)
    assert TimeStatistic.get_count_data() == {"one": 2}
    assert TimeStatistic.get_sum_data()["one"] == 2 * TimeStatistic.get_average_data()["one"]
    assert TimeStatistic.report()["name"].tolist() == ["one"]
    with pytest.raises(RuntimeError):
        TimeStatistic.end("other")
    thread = ValueThread(target=lambda: 7)
    thread.start()
    assert thread.join() == 7
    thread = ValueThread(target=lambda: 1 / 0)
    thread.start()
    with pytest.raises(ZeroDivisionError):
        thread.join()
    assert q_error_calc(10, 1000) == 100
    with pytest.raises(DriverError):
        q_error_calc(0, 1)
    with pytest.raises(CapabilityError, match="pg_hint_plan"):
        p_error_calc(config, "SELECT count(*) FROM pg_class c", {}, {})
    monkeypatch.chdir(tmp_path)
    try:
        import matplotlib  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(CapabilityError, match="matplotlib"):
            Drawer.draw_bar({"a": 1.0}, "bars")
    else:
        assert Drawer.draw_bar({"a": 1.0, "b": [1, 2]}, "bars", is_rotation=True).is_file()
        times = {ExperimentTimeEnum.SQL_END_TO_END: 2.0, ExperimentTimeEnum.PIPE_END_TO_END: 3.0}
        monkeypatch.chdir(tmp_path.parent)
        assert Drawer.draw_bar(times, f"{tmp_path.name}/times").is_file()


@pytest.mark.skipif(not SHARED.is_dir(), reason="PilotScope's data sets are not beside the project")
def test_data_sets_are_loaded_from_a_folder(config: PostgreSQLConfig) -> None:
    here = PostgreSQLConfig(home=config.home)
    for dataset, table, queries in (
        (StatsTinyDataset(DatabaseEnum.POSTGRESQL, data_dir=SHARED), "posts", 1000),
        (ImdbTinyDataset(DatabaseEnum.POSTGRESQL, data_dir=SHARED), "title", 900),
    ):
        dataset.load_to_db(here)
        assert here.db == dataset.created_db_name
        controller = DBControllerFactory.get_db_controller(here)
        assert controller.get_table_row_count(table) > 100
        assert len(dataset.read_train_sql()) >= queries
        controller.execute(dataset.read_train_sql()[0], fetch=True)
        controller.close()


def test_a_data_sets_folder_may_stand_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stats_train_time2int.txt").write_text("SELECT 1;\nSELECT 2;\n")
    monkeypatch.setenv("PILOTSCOPE_DATA_DIR", str(tmp_path))
    assert StatsTinyDataset(DatabaseEnum).read_train_sql() == ["SELECT 1", "SELECT 2"]


FILES = {
    StatsDataset: ("Stats", "stats_train.txt", "stats_test.txt", "stats_fast_sql.txt"),
    StatsTinyDataset: (
        *("StatsTiny", "stats_train_time2int.txt", "stats_test_time2int.txt"),
        "stats_fast_sql_time2int.txt",
    ),
    ImdbDataset: ("Imdb", "job_train_ascii.txt", "job_test.txt", "imdb_fast_sql.txt"),
    ImdbTinyDataset: ("Imdb", "job_train_ascii.txt", "job_test.txt", "imdb_fast_sql.txt"),
    TpcdsDataset: ("Tpcds", "tpcds_train_sql.txt", "tpcds_test_sql.txt", "tpcds_fast_sql.txt"),
}
"""The folder in PilotScope's package, and the files of training, test and fast queries."""


@pytest.mark.parametrize("inside", ["", "{}", "Dataset/{}", "pilotscope/Dataset/{}", "found"])
@pytest.mark.parametrize("kind", FILES)
def test_a_data_set_reads_the_files_that_pilotscope_reads(
    kind: type[BaseDataset], inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub_dir, *names = FILES[kind]
    checkout = tmp_path / "pilotscope"
    folder = tmp_path / inside.format(sub_dir)
    if inside == "found":
        folder = checkout / "Dataset" / sub_dir
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_text(f"SELECT {number};\nSELECT a || 'x;y' FROM t;\n")
    if inside == "found":
        (checkout / "__init__.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setenv("PILOTSCOPE_DATA_DIR", str(tmp_path))
    # What PilotScope's scripts name is the folder for downloads.
    for data_dir in (None, str(tmp_path / "no such folder")):
        dataset = kind(DatabaseEnum.POSTGRESQL, data_dir=data_dir)
        assert dataset.read_train_sql() == ["SELECT 0", "SELECT a || 'x;y' FROM t"]
        assert dataset.read_test_sql()[0] == "SELECT 1"
        assert dataset.test_sql_fast()[0] == "SELECT 2"
        assert dataset.now_path == str(folder)
    spark = kind(DatabaseEnum.SPARK)
    assert spark.read_train_sql() == ["SELECT 0", "SELECT a || 'x;y' FROM t"]
    with pytest.raises(CapabilityError, match="into PostgreSQL only"):
        spark.load_to_db(PostgreSQLConfig())


@pytest.mark.parametrize("of_the_class", [False, True])
def test_a_data_set_of_ones_own_is_written_as_pilotscopes_are(
    of_the_class: bool, tmp_path: Path
) -> None:
    class Own(BaseDataset):
        sub_dir = "Own"
        train_sql_file = "train.txt"
        test_sql_file = "test.txt"
        file_db_type = DatabaseEnum.POSTGRESQL
        data_location_dict = {DatabaseEnum.POSTGRESQL: None, DatabaseEnum.SPARK: None}  # noqa: RUF012

        def __init__(
            self, use_db_type: DatabaseEnum, created_db_name: str = "own", data_dir: Any = None
        ) -> None:
            super().__init__(use_db_type, created_db_name, data_dir)
            self.download_urls = self.data_location_dict[use_db_type]  # type: ignore[assignment]
            self.now_path = str(tmp_path)

        def further(self) -> list[str]:
            return self._get_sql(Path(self.now_path, "further.txt"))

    if of_the_class:
        Own.now_path = "elsewhere"  # type: ignore[method-assign, assignment]
    for name in ("train", "test", "further"):
        (tmp_path / f"{name}.txt").write_text(f"SELECT '{name}';\n")
    own = Own(DatabaseEnum.POSTGRESQL)
    assert own.read_train_sql() + own.read_test_sql() == ["SELECT 'train'", "SELECT 'test'"]
    assert own.further() == ["SELECT 'further'"]
    assert own.now_path == str(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*/stats_train\.txt") as missing:
        StatsDataset(DatabaseEnum.POSTGRESQL, data_dir=tmp_path).read_train_sql()
    assert isinstance(missing.value, UsageError)


def test_cardinalities_may_be_texts_and_indexes_may_carry_more(config: PostgreSQLConfig) -> None:
    class Cards(handlers.CardPushHandler):
        def acquire_injected_data(self, sql: str) -> dict[str, str]:
            return {"SELECT COUNT(*) FROM pg_class AS c": "4321.0"}

    scheduler = PilotScheduler(config)
    scheduler.register_custom_handlers(Cards(config))
    scheduler.register_required_data("texts", pull_physical_plan=True)
    scheduler.init()
    scheduler.execute("SELECT relname FROM pg_class c")
    stored = scheduler.data_manager.read_all("texts")
    assert list(stored) == ["label", "sql", "status", "physical_plan", "pilot_data_id"]
    plan = json_str_to_json_obj(stored["physical_plan"][0])
    assert plan["Plan"]["Plan Rows"] == 4321
    scheduler.close()
    index = Index(["a", "b"], "t", "i")
    index.hypopg_oid = 7
    assert (index.hypopg_oid, index.get_index_name()) == (7, "i")
    assert index.joined_column_names() == "a, b"


def archive(text: str) -> bytes:
    """A gzipped tar with one file, under a name that nobody should write to."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as files:
        member = tarfile.TarInfo("../../dump.sql")
        member.size = len(text)
        files.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder whose files are to be had by HTTP, and the address."""
    folder = tmp_path / "published"
    folder.mkdir()
    handler = partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_data_set_is_fetched_only_when_asked_for(
    config: PostgreSQLConfig,
    published: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, url = published
    packed = archive("CREATE TABLE fetched (n int);\nCOPY fetched FROM stdin;\n1\n2\n\\.\n")
    (folder / "a.tar.gz").write_bytes(packed[:50])
    (folder / "b.tar.gz").write_bytes(packed[50:])

    class Published(StatsDataset):
        data_location_dict = {  # noqa: RUF012 - as PilotScope has it
            DatabaseEnum.POSTGRESQL: [f"{url}/a.tar.gz", f"{url}/b.tar.gz"]
        }
        data_sha256 = hashlib.sha256(packed).hexdigest()

    data = tmp_path / "data"
    here = PostgreSQLConfig(home=config.home)
    dataset = Published(DatabaseEnum.POSTGRESQL, "fetched_stats", data_dir=data)
    with pytest.raises(UsageError, match="there is no file") as refused:
        dataset.load_to_db(here)
    assert "download()" in (refused.value.hint or "")
    monkeypatch.setenv("PILOTSCOPE_DOWNLOAD", "1")
    dataset.load_to_db(here)
    assert [path.name for path in data.iterdir()] == ["stats.sql"]
    controller = DBControllerFactory.get_db_controller(here)
    assert controller.get_table_row_count("fetched") == 2
    controller.close()
    (folder / "a.tar.gz").unlink()
    assert dataset.download() == data / "stats.sql", "what is there is not fetched again"
    assert len(dataset.read_schema()) == 2


@pytest.mark.parametrize(
    ("content", "sha256", "said"),
    [
        (archive("SELECT 1;"), "0" * 64, "has another checksum"),
        (b"no archive", None, "cannot be unpacked"),
        (None, None, "cannot be downloaded"),
    ],
)
def test_nothing_is_left_of_what_is_no_data_set(
    published: tuple[Path, str],
    tmp_path: Path,
    content: bytes | None,
    sha256: str | None,
    said: str,
) -> None:
    folder, url = published
    if content is not None:
        (folder / "a.tar.gz").write_bytes(content)

    class Published(StatsDataset):
        data_location_dict = {DatabaseEnum.POSTGRESQL: [f"{url}/a.tar.gz"]}  # noqa: RUF012
        data_sha256 = sha256

    data = tmp_path / "data"
    with pytest.raises(UsageError, match=said):
        Published(data_dir=data).download()
    assert list(data.iterdir()) == []
    with pytest.raises(UsageError, match="has no address to download from"):
        TpcdsDataset(data_dir=data).download()


def test_what_pilotscopes_own_tests_ask_for(config: PostgreSQLConfig) -> None:
    controller = DBControllerFactory.get_db_controller(config)
    controller.execute("DROP TABLE IF EXISTS asked")
    rows = "SELECT n, n % 7 AS kind FROM generate_series(1, 5000) n"
    controller.execute(f"CREATE TABLE asked AS {rows}")
    index = Index(["kind"], "asked", "asked_by_kind")
    controller.drop_index(index)  # none is there
    controller.create_index(index)
    assert str(controller.get_existed_index("asked")) == "[asked: kind]"
    controller.drop_index(index)
    plan = controller.explain_physical_plan("SELECT * FROM asked", comment="/* why */")
    assert "Planning Time" in plan
    assert "Execution Time" in controller.explain_execution_plan("SELECT * FROM asked")
    assert controller.explain_logical_plan("SELECT 1")["Plan"]
    simulating = PilotDataInteractor(config, enable_simulate_index=True)
    simulating.push_index([index], drop_other=False)
    simulating.pull_estimated_cost()
    simulating.execute("SELECT * FROM asked WHERE kind = 3", is_reset=False)
    assert simulating.db_controller.get_index_number("asked") == 1
    simulating.reset()
    assert simulating.db_controller.get_index_number("asked") == 0
    interactor = PilotDataInteractor(config)
    joined = "SELECT count(*) FROM asked a JOIN asked b ON a.n = b.n"
    for method, kind in ((ScanJoinMethodEnum.MERGEJOIN, "Merge Join"),
                         (ScanJoinMethodEnum.HASHJOIN, "Hash Join")):  # fmt: skip
        interactor.push_join_method(method, "a", "b")
        interactor.pull_physical_plan()
        assert kind in str(interactor.execute(joined).physical_plan)
    tracker = TableVisitedTracker(controller)
    manager = DataManager(config)
    manager.remove_table_and_tracker("asked_rows")
    manager._create_table_if_absence("asked_rows", {"name": "x", "age": 1})
    manager.save_data_batch("asked_rows", [{"name": "a", "age": 1}, {"name": "b", "age": 2}])
    assert len(manager.read_update("asked_rows")) == 2
    assert tracker.read_data_visit_id("asked_rows") == 2
    controller.close()


def test_a_controller_connects_again_when_another_has_restarted_the_server(
    config: PostgreSQLConfig,
) -> None:
    one, other = (DBControllerFactory.get_db_controller(config) for _ in range(2))
    assert one.execute("SELECT 1", fetch=True) == [(1,)]
    other.restart()
    assert one.execute("SELECT 2", fetch=True) == [(2,)]
    one.close()
    other.close()


def test_parts_that_only_pilotscope_itself_uses_are_there_or_say_why_not() -> None:
    plan = {"Plan": {"Node Type": "Hash", "Plans": [
        {"Node Type": "Seq Scan", "Relation Name": 'od"d'}]}}  # fmt: skip
    drawn = PlanDotDrawer.get_plan_dot_str(plan)
    assert '"1" [label="Seq Scan, table is od\\"d"]' in drawn
    assert '"1" -> "0"' in drawn
    assert PlanDotDrawer.get_plan_dot_str(json.dumps(plan)) == drawn
    assert database_enum_to_sqlglot_str(DatabaseEnum.POSTGRESQL) == "postgres"
    assert AnchorTransData().physical_plan is None
    for refused in (PilotCommentCreator, SparkEstimatedCostPullHandler):
        with pytest.raises(CapabilityError):
            refused()
    with pytest.raises(CapabilityError):
        InteractorReceiverFactory.get_data_fetcher(PostgreSQLConfig())


def test_data_sets_without_files_say_where_these_come_from() -> None:
    with pytest.raises(UsageError, match="needs the folder"):
        StatsTinyDataset(DatabaseEnum.POSTGRESQL).read_train_sql()
    with pytest.raises(UsageError, match="there is no file"):
        StatsTinyDataset(DatabaseEnum.POSTGRESQL, data_dir="/nowhere").read_test_sql()
    with pytest.raises(CapabilityError, match="no kind of databases"):
        StatsTinyDataset("MYSQL")
