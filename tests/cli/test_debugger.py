"""`breakpoint()` and `--pdb` in a terminal: the debugger has it for itself until one goes on."""

from __future__ import annotations

import pytest
from project_folder import Project
from terminal_session import in_terminal

pytestmark = pytest.mark.slow

DRIVER = """
import json

from pilotcli import CheckpointedModel, HintPushHandler, PilotModel, QueryFinishEvent


class Stops(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        answer = 41
        breakpoint()
        answer += 1
        print("the answer is", answer)


class Fails(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        wanted = "x" * 3
        json.loads("{")


class Hints(HintPushHandler):
    def acquire_injected_data(self, sql):
        memory = "8MB"
        breakpoint()
        return {"work_mem": memory}


class Broken(PilotModel):
    def save_model(self):
        pass

    def load_model(self):
        path = "nowhere"
        raise FileNotFoundError(path)
"""
STOPS = "events: [{class: 'drivers.py:Stops', args: {interval_count: 1}}]"


@pytest.fixture
def driven(project: Project) -> Project:
    project.write("drivers.py", DRIVER)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3;")
    return project


@pytest.mark.parametrize("timeout", ["null", "500ms"], ids=["no time limit", "a time limit"])
@pytest.mark.parametrize("format", ["live", "plain"])
def test_a_breakpoint_in_an_event(driven: Project, timeout: str, format: str) -> None:
    driven.config(
        f"events: {{timeout: {timeout}, list: [{{class: 'drivers.py:Stops',"
        " args: {interval_count: 3}}]}"
    )
    with in_terminal(driven.folder, "run", "w.sql", "--format", format) as run:
        run.wait_for("(Pdb) ")
        run.type("p 'in', answer")
        run.wait_for("('in', 41)")
        run.type("import time; time.sleep(0.7); print('slept')")  # longer than the time limit
        run.wait_for("slept\n")
        run.type("until 12")
        run.wait_for('-> print("the answer is", answer)')
        run.type("n")
        assert "│" not in run.wait_for("the answer is 42")  # not captured
        run.type("c")
        run.wait_for("3 ok")
        assert run.end() == 0
        shown = run.said.rpartition("the answer is 42")[0]
        assert "pilot runs show" not in shown
    with driven.journal() as journal:
        (firing,) = journal.firings(1)
    assert (firing.event, firing.outcome) == ("Stops", "ok")


def test_output_is_captured_again_after_the_prompt(driven: Project) -> None:
    driven.config(STOPS)
    with in_terminal(driven.folder, "run", "w.sql") as run:
        for _ in range(3):
            run.wait_for("(Pdb) ")
            run.type("c")
            run.wait_for("│ the answer is 42")
        assert run.end() == 0


def test_q_ends_the_run_which_can_be_resumed(driven: Project) -> None:
    driven.config(STOPS)
    with in_terminal(driven.folder, "run", "w.sql") as run:
        modes = run.modes
        run.wait_for("(Pdb) ")
        run.press_ctrl_c()
        run.wait_for("q ends the run")
        run.type("p answer * 2")
        run.wait_for("82")  # Ctrl-C has ended nothing
        run.type("q")
        run.wait_for("run 1 interrupted: 1 of 3 queries")
        assert run.end() == 130
        assert run.modes == modes
    resumed = driven.command("run", "--resume")
    assert "3 ok" in resumed.stdout
    assert "breakpoint() in drivers.py:10 is passed over: it needs a terminal" in resumed.stdout
    assert resumed.stdout.count("passed over") == 1


@pytest.mark.parametrize("timeout", ["null", "500ms"], ids=["no time limit", "a time limit"])
def test_a_breakpoint_in_a_handler(driven: Project, timeout: str) -> None:
    driven.config(f"handlers: {{timeout: {timeout}, list: ['drivers.py:Hints']}}")
    with in_terminal(driven.folder, "run", "w.sql", "--limit", "1") as run:
        run.wait_for("(Pdb) ")
        run.type("memory = '9MB'")
        run.type("p 'now', memory")
        run.wait_for("('now', '9MB')")
        run.type("c")
        assert run.end() == 0
    with driven.journal() as journal:
        (result,) = journal.results(1)
    assert result.steering is not None
    assert list(result.steering.applied) == ["work_mem = 9MB"]


def test_pdb_opens_where_an_event_failed(driven: Project) -> None:
    driven.config("events: ['drivers.py:Fails']")
    with in_terminal(driven.folder, "run", "w.sql", "--pdb") as run:
        assert "drivers.py:18: JSONDecodeError: Expecting" in run.wait_for("(Pdb) ")
        run.type("p 'in', wanted")
        run.wait_for("('in', 'xxx')")  # not in a frame of json
        run.type("c")
        run.wait_for("event Fails failed after query 1: drivers.py:18: JSONDecodeError")
        run.wait_for("(Pdb) ")
        run.type("q")
        run.wait_for("run 1 interrupted: 2 of 3 queries")
        assert run.end() == 130


def test_pdb_opens_where_a_model_cannot_be_loaded(driven: Project) -> None:
    driven.config("models: {m: {class: 'drivers.py:Broken', load: true}}")
    with in_terminal(driven.folder, "run", "w.sql", "--pdb") as run:
        run.wait_for("(Pdb) ")
        run.type("p 'in', path")
        run.wait_for("('in', 'nowhere')")
        run.type("c")
        run.wait_for("could not be loaded: drivers.py:34: FileNotFoundError: nowhere")
        assert run.end() == 3


def test_pdb_in_events_fire(driven: Project) -> None:
    driven.config("events: ['drivers.py:Fails', 'drivers.py:Stops']")
    with in_terminal(driven.folder, "events", "fire", "Fails", "--pdb") as fired:
        fired.wait_for("(Pdb) ")
        fired.type("p 'in', wanted")
        fired.wait_for("('in', 'xxx')")
        fired.type("q")
        fired.wait_for("error: Fails failed: drivers.py:18: JSONDecodeError")
        assert fired.end() == 3
    with in_terminal(driven.folder, "events", "fire", "Stops") as fired:
        fired.wait_for("(Pdb) ")
        fired.type("c")
        fired.wait_for("the answer is 42\nStops ended well")
        assert fired.end() == 0
    with in_terminal(driven.folder, "events", "fire", "Stops") as fired:
        fired.wait_for("(Pdb) ")
        fired.type("q")
        fired.wait_for("error: Stops was ended in the debugger")
        assert fired.end() == 130


@pytest.mark.parametrize("words", [("run", "w.sql"), ("events", "fire", "Fails")])
def test_pdb_without_a_terminal(driven: Project, words: tuple[str, ...]) -> None:
    driven.config("events: ['drivers.py:Fails']")
    done = driven.command(*words, "--pdb")
    assert done.returncode == 2
    assert "--pdb needs a terminal as standard input and output" in done.stderr
