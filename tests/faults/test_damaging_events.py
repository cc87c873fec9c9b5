"""Events that do what they must not: the next query does not notice."""

from __future__ import annotations

import re
import signal

import pytest
from project_folder import Project, started

from pilotcli.common import calls
from pilotcli.common.signals import DriverOutput, EventTriggered
from pilotcli.config import PostgreSQLConfig
from pilotcli.storage.store.data_manager import DataManager

EVENTS = """
import os, signal, sys, time
from pathlib import Path
from pilotcli import CheckpointedModel, PretrainingModelEvent, QueryFinishEvent


class Sleeps(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        time.sleep(100)


class Loops(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        Path("looping").touch()
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                pass


class Queries(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        db_controller.execute("SELECT pg_sleep(100)")


class Insists(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        while True:
            try:
                db_controller.execute("SELECT pg_sleep(100)")
            except Exception:
                pass


class KillsItsConnection(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        ((pid,),) = db_controller.execute("SELECT pg_backend_pid()", fetch=True)
        db_controller.execute(f"SELECT pg_terminate_backend({pid})")


class LeavesATransaction(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        db_controller.execute("BEGIN")
        db_controller.execute("CREATE TABLE left_behind (n int)")


class LeavesAFailedTransaction(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        db_controller.execute("BEGIN")
        db_controller.execute("SELECT 1 / 0")


class Changes(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        db_controller.execute("SET search_path = nowhere; SET work_mem = '7MB'")
        db_controller.set_hint("enable_seqscan", False)
        db_controller.execute("SET ROLE pg_monitor")


class Prints(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        sys.stdout.write("x" * 1_000_000)
        print("the end")


class Forks(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        child = os.fork()
        if child:
            os.waitpid(child, 0)


class ForksAndExits(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        child = os.fork()
        if not child:
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7


class Exits(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        sys.exit(5)


class Looks(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        asked = (
            "SELECT current_setting('search_path'), current_setting('work_mem'), "
            "current_setting('enable_seqscan'), current_user = session_user, "
            "to_regclass('left_behind') IS NULL"
        )
        print(*db_controller.execute(asked, fetch=True)[0])


class Saves(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        data_manager.append("kept", {"n": 1})
        data_manager.save_data("kept", {"n": 2})


class SavesTheWrong(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        data_manager.append("kept", {"n": "not a number"})


class Keeps(CheckpointedModel):
    def dump(self, folder):
        pass

    def restore(self, folder):
        pass


class Collects(PretrainingModelEvent):
    def __init__(self, config, pilot_model):
        super().__init__(config, pilot_model, "collected")

    def iterative_data_collection(self, db_controller, train_data_manager):
        if self.collection_iteration == 1:
            time.sleep(100)
        return [{"n": 1}], False

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        return None
"""
HARMLESS = '"$user", public 4MB on True True'


@pytest.fixture
def damaged(project: Project) -> Project:
    project.write("ev.py", EVENTS)
    project.write("w.sql", "SELECT 1; SELECT 2;")
    return project


def fired(project: Project) -> list[EventTriggered]:
    return project.heard(EventTriggered)  # type: ignore[return-value]


def printed(project: Project) -> list[str]:
    return [one.text for one in project.heard(DriverOutput)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Loops", "Queries", "Insists"])
def test_an_event_that_hangs_is_ended(damaged: Project, name: str) -> None:
    damaged.config(f"events: {{timeout: 1s, list: ['ev.py:{name}', 'ev.py:Looks']}}")
    finished = damaged.run("w.sql")
    assert (finished.exit_code, finished.ok) == (3, 2)
    assert printed(damaged) == [HARMLESS] * 2
    hung = fired(damaged)[0]
    assert hung.error is not None
    assert re.fullmatch(r"ev\.py:\d+: it took longer than 1 s \(events\.timeout\)", hung.error)
    assert hung.traceback is not None and "in process" in hung.traceback


def test_an_event_that_cannot_be_ended_is_left_behind(
    damaged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "ENDS_WITHIN_S", 0.5)
    damaged.config("events: {timeout: 1s, list: ['ev.py:Sleeps', 'ev.py:Looks']}")
    finished = damaged.run("w.sql")
    assert (finished.exit_code, finished.ok) == (3, 2)
    assert printed(damaged) == [HARMLESS] * 2
    errors = [str(one.error) for one in fired(damaged) if one.event == "Sleeps"]
    assert [re.sub(r"^ev\.py:\d+: ", "", error) for error in errors] == [
        "it took longer than 1 s (events.timeout), could not be ended, and runs on in the "
        "background",
        "its last call has not returned yet, so it was not called",
    ]


def test_each_step_of_a_pretraining_has_its_time(
    damaged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "ENDS_WITHIN_S", 0.5)
    damaged.config(
        "models: {m: ev.py:Keeps}\n"
        "events: {timeout: 1s, list: [{class: 'ev.py:Collects', model: m}]}"
    )
    finished = damaged.run("w.sql")
    assert (finished.exit_code, finished.ok) == (3, 2)
    (one,) = fired(damaged)
    assert one.error is not None and "longer than 1 s" in one.error
    config = PostgreSQLConfig.from_run_config(damaged.request("w.sql").config, embedded=False)
    with DataManager(config) as manager:
        assert manager.row_count("collected") == 1


@pytest.mark.parametrize(
    ("name", "ok"),
    [
        ("KillsItsConnection", False),
        ("LeavesATransaction", True),
        ("LeavesAFailedTransaction", False),
        ("Changes", True),
        ("Forks", True),
        ("ForksAndExits", True),
        ("Exits", False),
    ],
)
@pytest.mark.parametrize("timeout", ["null", "20s"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_an_event_does_to_its_session_or_process_ends_with_it(
    damaged: Project, name: str, ok: bool, timeout: str
) -> None:
    damaged.config(f"events: {{timeout: {timeout}, list: ['ev.py:{name}', 'ev.py:Looks']}}")
    finished = damaged.run("w.sql")
    assert (finished.exit_code, finished.ok) == (0 if ok else 3, 2), finished.reasons
    assert printed(damaged) == [HARMLESS] * 2
    outcomes = [one.outcome for one in fired(damaged) if one.event == name]
    assert outcomes == ["ok" if ok else "failed"] * 2
    with damaged.journal() as journal:
        assert [one.status for one in journal.results(journal.run().run_id)] == ["ok"] * 2


def test_a_megabyte_of_output_is_heard_in_pieces(damaged: Project) -> None:
    damaged.config("events: ['ev.py:Prints']")
    assert damaged.run("w.sql").exit_code == 0
    assert printed(damaged)[-1] == "the end"
    assert sum(map(len, printed(damaged))) == 2 * (1_000_000 + len("the end"))


def test_what_an_event_has_saved_is_there_when_its_firing_is_told(damaged: Project) -> None:
    damaged.config("events: ['ev.py:Saves', 'ev.py:SavesTheWrong', 'ev.py:Looks']")
    assert damaged.run("w.sql").exit_code == 3
    outcomes = [(one.event, one.outcome) for one in fired(damaged)]
    assert outcomes == [("Saves", "ok"), ("SavesTheWrong", "failed"), ("Looks", "ok")] * 2
    config = PostgreSQLConfig.from_run_config(damaged.request("w.sql").config, embedded=False)
    with DataManager(config) as manager:
        assert sorted(manager.read_all("kept")["n"]) == [1, 1, 2, 2]


@pytest.mark.parametrize("timeout", ["null", "100s"])
def test_ctrl_c_ends_an_event_that_loops(damaged: Project, timeout: str) -> None:
    damaged.config(f"events: {{timeout: {timeout}, list: ['ev.py:Loops']}}")
    with started(damaged) as process:
        while not (damaged.folder / "looping").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    with damaged.journal() as journal:
        assert [one.status for one in journal.results(1)] == ["ok"]
        assert list(journal.firings(1)) == []
