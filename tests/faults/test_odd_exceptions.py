"""Exceptions of drivers that are no `Exception`, or that have no text, are failures of drivers."""

from __future__ import annotations

import pytest
from project_folder import Project

from pilotcli.common.errors import PilotError
from pilotcli.common.signals import EventTriggered, QueryFinished

DRIVERS = """
import asyncio
from pilotcli import *


class NoText(Exception):
    def __str__(self):
        raise ValueError("this has no text")


class NoString(Exception):
    def __str__(self):
        return None


class Panic(BaseException):
    pass


def fail():
    raise {raised}


class Fires(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        fail()


class Begins(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager):
        fail()


class Updates(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return 1


class Trains(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        fail()

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        pass


class Model(CheckpointedModel):
    def dump(self, folder):
        fail()

    def restore(self, folder):
        pass


class Own(PilotModel):
    def save_model(self):
        pass

    def load_model(self):
        fail()


class Hints(HintPushHandler):
    def acquire_injected_data(self, sql):
        fail()


class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql):
        fail()


class NotBuilt(QueryFinishEvent):
    def __init__(self, config):
        fail()

    def process(self, db_controller, data_manager):
        pass
"""
PLACE = "d.py:21"
"""Where the driver raises."""
RAISED = {
    "NoText('x')": "NoText: <exception str() failed>",
    "NoString('x')": "NoString: <exception str() failed>",
    "Panic('x')": "Panic: x",
    "GeneratorExit('x')": "GeneratorExit: x",
    "asyncio.CancelledError": "CancelledError",
}


@pytest.fixture(params=list(RAISED))
def driver(request: pytest.FixtureRequest, project: Project) -> tuple[Project, str]:
    project.write("d.py", DRIVERS.replace("{raised}", request.param))
    project.write("w.sql", "SELECT 1; SELECT 2;")
    return project, RAISED[request.param]


@pytest.mark.parametrize("timeout", ["null", "20s"])
def test_an_event_fails_with_any_exception(driver: tuple[Project, str], timeout: str) -> None:
    project, text = driver
    project.config(
        f"""
        models: {{m: d.py:Model, n: d.py:Model}}
        events:
          timeout: {timeout}
          list:
            - d.py:Fires
            - d.py:Begins
            - {{class: d.py:Updates, model: m, args: {{interval_count: 1}}}}
            - {{class: d.py:Trains, model: n, args: {{data_saving_table: t}}}}
        """
    )
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.ok) == (3, 2), finished.reasons
    firings = [one for one in project.heard(EventTriggered) if isinstance(one, EventTriggered)]
    assert len(firings) == 2 + 1 + 3 + 1
    assert {one.error for one in firings} == {f"{PLACE}: {text}"}


def test_a_handler_fails_with_any_exception(driver: tuple[Project, str]) -> None:
    project, text = driver
    project.config("handlers: ['d.py:Hints']")
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.ok) == (3, 0), finished.reasons
    signals = [one for one in project.heard(QueryFinished) if isinstance(one, QueryFinished)]
    assert [one.result.error for one in signals] == [f"Hints: {PLACE}: {text}"] * 2
    project.config("handlers: ['d.py:Knobs']")
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.reasons) == (3, (f"Knobs: {PLACE}: {text}",))


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ("events: [{class: 'd.py:NotBuilt'}]", 2),
        ("models: {m: {class: 'd.py:Own', load: true}}", 3),
    ],
)
def test_building_and_loading_fail_with_any_exception(
    driver: tuple[Project, str], config: str, code: int
) -> None:
    project, text = driver
    project.config(config)
    try:
        finished = project.run("w.sql")
        found, message = finished.exit_code, str(finished.reasons)
    except PilotError as error:
        found, message = error.exit_code, error.message
    assert found == code
    assert text in message


def test_importing_fails_with_any_exception(driver: tuple[Project, str]) -> None:
    project, text = driver
    (project.folder / "d.py").write_text((project.folder / "d.py").read_text() + "\nfail()\n")
    project.config("events: ['d.py:Fires']")
    with pytest.raises(PilotError) as caught:
        project.run("w.sql")
    assert f"cannot be imported: {text}" in caught.value.message
