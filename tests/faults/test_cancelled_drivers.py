"""Ctrl-C and time limits reach whatever connection a driver's code waits for."""

from __future__ import annotations

import os
import re
import signal

import pytest
from project_folder import Project, started

from pilotcli.common.signals import EventTriggered, QueryFinished, RunFinished

WAYS = {
    "made": "DBControllerFactory.get_db_controller(self.config).execute('SELECT pg_sleep(600)')",
    "interactor": """
interactor = PilotDataInteractor(self.config)
interactor.pull_execution_time()
interactor.execute('SELECT pg_sleep(600)')
""",
    "thread": """
controller = DBControllerFactory.get_db_controller(self.config)
errors = []
def work():
    try:
        controller.execute('SELECT pg_sleep(600)')
    except Exception as error:
        errors.append(error)
thread = threading.Thread(target=work)
thread.start()
thread.join()
raise errors[0]
""",
}


def _driver(code: str, base: str, method: str) -> str:
    body = "\n".join(f"        {line}" for line in code.strip().splitlines())
    return (
        "import threading\n"
        f"from pilotcli import DBControllerFactory, PilotDataInteractor, {base}\n"
        f"class Waits({base}):\n"
        "    def __init__(self, config, *given):\n"
        "        super().__init__(config, *given)\n"
        "        self.config = config\n"
        f"    def {method}:\n"
        "        print('waits', flush=True)\n"
        f"{body}\n"
    )


EVENT = ("QueryFinishEvent", "process(self, db_controller, data_manager)")
HANDLER = ("HintPushHandler", "acquire_injected_data(self, sql)")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["event", "handler"])
def test_ctrl_c_reaches_every_connection(project: Project, way: str, kind: str) -> None:
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.write("ev.py", _driver(WAYS[way], *(EVENT if kind == "event" else HANDLER)))
    project.config(f"{kind}s: ['ev.py:Waits']")
    with started(project, "-v") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "driver: waits" in line:
                break
        os.kill(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    assert process.returncode == 130, rest
    with project.journal() as journal:
        results = list(journal.results(1))
    assert [result.status for result in results] == (["ok"] if kind == "event" else ["cancelled"])


@pytest.mark.parametrize("way", WAYS)
def test_the_time_limit_of_events_reaches_every_connection(project: Project, way: str) -> None:
    project.write("w.sql", "SELECT 1;")
    project.write("ev.py", _driver(WAYS[way], *EVENT))
    project.config("events: {timeout: 1s, list: ['ev.py:Waits']}")
    finished = project.run("w.sql")
    assert finished.exit_code == 3
    (fired,) = project.heard(EventTriggered)
    assert isinstance(fired, EventTriggered)
    assert "took longer than 1 s (events.timeout)" in str(fired.error)
    assert "could not be ended" not in str(fired.error)


TIMED_OUT = r"Waits: ev\.py:\d+: it took longer than 1 s \(handlers\.timeout\)"


@pytest.mark.parametrize("code", ["while True: pass", *WAYS.values()])
def test_a_handler_that_takes_too_long_is_ended(project: Project, code: str) -> None:
    project.write("w.sql", "SELECT 1;")
    project.write("ev.py", _driver(code, *HANDLER))
    project.config("handlers: {timeout: 1s, list: ['ev.py:Waits']}")
    finished = project.run("w.sql")
    assert finished.exit_code != 0
    (signalled,) = project.heard(QueryFinished)
    assert isinstance(signalled, QueryFinished)
    assert signalled.result.status == "steering_error"
    assert re.search(TIMED_OUT, str(signalled.result.error))
    native = project.run("w.sql", sets=("steering.on_error=native", "handlers.timeout=0.5"))
    assert (native.exit_code, native.ok) == (0, 1)


def test_a_handler_for_the_workload_that_takes_too_long_is_ended(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    project.write("ev.py", _driver(WAYS["made"], "KnobPushHandler", HANDLER[1]))
    project.config("handlers: {timeout: 1s, list: ['ev.py:Waits']}")
    finished: RunFinished = project.run("w.sql")
    assert finished.exit_code == 3
    assert re.search(TIMED_OUT, str(finished.reasons))
