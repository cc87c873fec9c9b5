"""What a script that was written for PilotScope sees of errors: of events, servers, handlers."""

from __future__ import annotations

import copy
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy.exc
from server_folder import server_folder

from pilotcli.common.errors import CapabilityError, DriverError, QueryError, QueryTimeout
from pilotcli.compat import errors
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BasePushHandler import (
    CardPushHandler,
    HintPushHandler,
    KnobPushHandler,
)
from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.Exception.Exception import DBStatementTimeoutException
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.Factory.SchedulerFactory import SchedulerFactory
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig
from pilotcli.compat.pilotscope.PilotEvent import (
    PeriodicModelUpdateEvent,
    PretrainingModelEvent,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)
from pilotcli.compat.pilotscope.PilotModel import PilotModel
from pilotcli.compat.pilotscope.PilotScheduler import PilotScheduler

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config() -> Iterator[PostgreSQLConfig]:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "errors"
        yield config


@pytest.fixture
def scheduler(config: PostgreSQLConfig) -> Iterator[PilotScheduler]:
    scheduler = SchedulerFactory.create_scheduler(config)
    yield scheduler
    scheduler.close()


class Advisor(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model: Any, db_controller: Any, data_manager: Any) -> Any:
        raise KeyError("no index")


class Finish(QueryFinishEvent):
    def process(self, db_controller: Any, data_manager: Any) -> None:
        raise ZeroDivisionError("after the query")


class Before(WorkloadBeforeEvent):
    def process(self, db_controller: Any, data_manager: Any) -> None:
        raise LookupError("before the queries")


class Slow(QueryFinishEvent):
    def process(self, db_controller: Any, data_manager: Any) -> None:
        raise DBStatementTimeoutException("the event's own query took too long")


class Stops(QueryFinishEvent):
    def process(self, db_controller: Any, data_manager: Any) -> None:
        raise KeyboardInterrupt


class Model(PilotModel):
    def save_model(self) -> None: ...

    def load_model(self) -> None: ...


class Pretrain(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller: Any, train_data_manager: Any) -> Any:
        return [{"a": 1}], True

    def custom_model_training(
        self, bind_pilot_model: Any, db_controller: Any, data_manager: Any
    ) -> Any:
        raise ArithmeticError("no model comes of this")


def test_init_raises_what_an_update_has_raised(
    config: PostgreSQLConfig, scheduler: PilotScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler.register_events([Advisor(config, 10, execute_on_init=True)])
    with pytest.raises(KeyError, match="no index"):
        scheduler.init()
    assert "the event Advisor failed: " in caplog.text
    assert "test_compat_errors.py:59: KeyError: 'no index'" in caplog.text


@pytest.mark.parametrize(
    ("event", "error"), [(Finish, ZeroDivisionError), (Before, LookupError), (Slow, QueryTimeout)]
)
def test_execute_raises_what_an_event_has_raised(
    config: PostgreSQLConfig,
    scheduler: PilotScheduler,
    event: Any,
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler.register_events(event(config))
    scheduler.init()
    with pytest.raises(error):
        scheduler.execute("SELECT 1")
    assert f"the event {event.__name__} failed" in caplog.text


def test_ctrl_c_in_an_event_ends_the_script(
    config: PostgreSQLConfig, scheduler: PilotScheduler
) -> None:
    scheduler.register_events([Stops(config), Finish(config)])
    with pytest.raises(KeyboardInterrupt):
        scheduler.execute("SELECT 1")


def test_a_pretraining_that_fails_is_shown_and_the_script_goes_on(
    config: PostgreSQLConfig, scheduler: PilotScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler.register_events([Pretrain(config, Model("m"), "examples"), Finish(config, 2)])
    scheduler.init()
    shown = capsys.readouterr().err
    assert "in custom_model_training" in shown
    assert "ArithmeticError: no model comes of this" in shown
    assert len(scheduler.execute("SELECT 1 AS a")) == 1  # type: ignore[arg-type]


@pytest.fixture
def controller(config: PostgreSQLConfig) -> Iterator[PostgreSQLController]:
    controller = DBControllerFactory.get_db_controller(config)
    controller.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (a int PRIMARY KEY, b int)")
    controller.execute("INSERT INTO t VALUES (1, 1)")
    yield controller
    controller.close()


Call = Callable[[PostgreSQLController], object]

REFUSED: list[tuple[Call, str, str]] = [
    (lambda c: c.execute("SELECT * FROM nope"), "ProgrammingError", "UndefinedTable"),
    (lambda c: c.execute("SELEC 1"), "ProgrammingError", "SyntaxError"),
    (lambda c: c.execute("SELECT 1 / 0", fetch=True), "DataError", "DivisionByZero"),
    (lambda c: c.execute("INSERT INTO t VALUES (1)"), "IntegrityError", "UniqueViolation"),
    (lambda c: c.insert("t", {"nope": 1}), "ProgrammingError", "UndefinedColumn"),
    (lambda c: c.get_estimated_cost("SELECT * FROM nope"), "ProgrammingError", "UndefinedTable"),
    (lambda c: c.set_hint("nope", "on"), "ProgrammingError", "UndefinedObject"),
    (lambda c: c.create_index(Index(["a"], "nope", "i")), "ProgrammingError", "UndefinedTable"),
    (lambda c: c.create_index(Index(["z"], "t", "i")), "ProgrammingError", "UndefinedColumn"),
    (lambda c: c.create_index(Index(["a"], "t", "t_pkey")), "ProgrammingError", "DuplicateTable"),
    (lambda c: c.get_index_byte(Index(["a"], "t", "i")), "ProgrammingError", "UndefinedTable"),
    (lambda c: c.get_table_indexes_byte("nope"), "ProgrammingError", "UndefinedTable"),
]


@pytest.mark.parametrize(("call", "kind", "psycopg2_kind"), REFUSED)
def test_what_the_server_refuses_is_an_error_of_sqlalchemy(
    controller: PostgreSQLController, call: Call, kind: str, psycopg2_kind: str
) -> None:
    with pytest.raises(getattr(sqlalchemy.exc, kind)) as caught:
        call(controller)
    error: Any = caught.value
    assert isinstance(error, QueryError)
    assert str(error).startswith(f"(psycopg2.errors.{psycopg2_kind}) ")
    assert f"\n[SQL: {error.statement}]" in str(error)
    assert type(error.orig).__name__ == psycopg2_kind
    assert error.orig.pgcode == error.sqlstate


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.get_table_row_count("nope"),
        lambda c: c.get_column_max("nope", "a"),
        lambda c: c.insert("nope", {"a": 1}),
        lambda c: c.get_index_number("nope"),
        lambda c: c.get_existed_indexes("nope"),
    ],
)
def test_a_missing_table_is_missed_as_by_sqlalchemy(
    controller: PostgreSQLController, call: Call
) -> None:
    with pytest.raises(sqlalchemy.exc.NoSuchTableError, match="there is no table 'nope'"):
        call(controller)


def test_a_statement_that_is_too_slow(config: PostgreSQLConfig) -> None:
    short = copy.copy(config)
    short.sql_execution_timeout = 0.2
    controller = DBControllerFactory.get_db_controller(short)
    with pytest.raises(DBStatementTimeoutException) as caught:
        controller.execute("SELECT pg_sleep(60)")
    assert "(psycopg2.errors.QueryCanceled) canceling statement due to statement timeout" in str(
        caught.value
    )
    controller.close()


def test_a_server_that_does_not_answer() -> None:
    config = PostgreSQLConfig(db_host="127.0.0.1", db_port=1, db_user="u", db_user_pwd="hidden-1")
    config.db = "x"
    for connect in (
        DBControllerFactory.get_db_controller,
        SchedulerFactory.create_scheduler,
        PilotDataInteractor,
        lambda config: DataManager(config).db_controller,
    ):
        with pytest.raises(sqlalchemy.exc.OperationalError, match="Connection refused") as caught:
            connect(config)
        assert str(caught.value).startswith("(psycopg2.OperationalError) connection to server")
        assert "hidden-1" not in "".join(traceback.format_exception(caught.value))


def test_an_interactor_and_a_scheduler_raise_the_same(
    config: PostgreSQLConfig, scheduler: PilotScheduler
) -> None:
    sql = "SELECT * FROM nope"
    interactor = PilotDataInteractor(config)
    for pull in (interactor.pull_record, interactor.pull_estimated_cost):
        pull()
        with pytest.raises(sqlalchemy.exc.ProgrammingError, match="UndefinedTable") as caught:
            interactor.execute(sql)
        assert caught.value.statement == sql
    interactor.push_hint({"nope": "on"})
    with pytest.raises(sqlalchemy.exc.ProgrammingError, match="UndefinedObject"):
        interactor.execute("SELECT 1")
    interactor.close()
    with pytest.raises(sqlalchemy.exc.ProgrammingError, match="UndefinedTable") as caught:
        scheduler.execute(sql)
    assert caught.value.statement == sql


def test_without_sqlalchemy_the_classes_have_the_same_names(
    controller: PostgreSQLController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    errors._class_of.cache_clear()
    try:
        with pytest.raises(QueryError) as caught:
            controller.execute("SELECT * FROM nope")
        error: Any = caught.value
        assert type(error).__name__ == "ProgrammingError"
        assert str(error).startswith("(psycopg2.errors.UndefinedTable) relation")
        assert str(error).endswith("[SQL: SELECT * FROM nope]")
        assert error.orig.pgcode == "42P01"
        with pytest.raises(QueryError, match="there is no table 'nope'"):
            controller.get_table_row_count("nope")
    finally:
        errors._class_of.cache_clear()


def test_a_refusal_of_the_compat_modules_is_a_runtime_error(
    config: PostgreSQLConfig, controller: PostgreSQLController
) -> None:
    with pytest.raises(RuntimeError, match="primary key"):
        controller.create_table_if_absences("q", {"a": 1}, primary_key_column="z")
    with pytest.raises(RuntimeError, match="type object"):
        DataManager(config).save_data("q", {"a": object()})
    simulated = PilotDataInteractor(config, enable_simulate_index=True)
    with pytest.raises(RuntimeError, match="what-if"):
        simulated.execute_parallel(["SELECT 1"])


class Broken(CardPushHandler):
    def acquire_injected_data(self, sql: str) -> Any:
        raise ValueError("no model")


class Asks(HintPushHandler):
    def acquire_injected_data(self, sql: str) -> Any:
        return PilotDataInteractor(self.config).db_controller.execute("SELECT * FROM nope")


class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql: str) -> Any:
        raise LookupError("no knob")


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (Broken, ValueError),
        (Asks, sqlalchemy.exc.ProgrammingError),
        (Knobs, LookupError),
    ],
)
def test_a_handler_s_own_error_is_raised_as_it_is(
    config: PostgreSQLConfig, scheduler: PilotScheduler, handler: Any, kind: type[Exception]
) -> None:
    scheduler.register_custom_handlers([handler(config)])
    with pytest.raises(kind) as caught:
        scheduler.execute("SELECT 1")
    assert not isinstance(caught.value, DriverError)
    assert "acquire_injected_data" in "".join(traceback.format_exception(caught.value))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tracebacks have no notes before 3.11")
def test_a_hint_is_in_the_traceback(config: PostgreSQLConfig) -> None:
    with pytest.raises(CapabilityError) as caught:
        PilotDataInteractor(config).push_subplan_cost({})
    assert "Push cardinalities, or methods." in "".join(traceback.format_exception(caught.value))
