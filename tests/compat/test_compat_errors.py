"""What a script that was written for PilotScope sees of errors: those of its events first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from server_folder import server_folder

from pilotcli.common.errors import QueryTimeout
from pilotcli.compat.pilotscope.Exception.Exception import DBStatementTimeoutException
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
    assert "the event Advisor failed: KeyError: 'no index'" in caplog.text


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
