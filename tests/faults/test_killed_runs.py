"""A run that is killed at any moment and resumed has the results of an undisturbed one."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_table import KILLS
from killed_runs import campaign, pilot
from pilot_starter import PILOT
from project_folder import Project

SLEEPER = """
import os, signal
from pilotcli import QueryFinishEvent


class Dies(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print("resumed:", self.resumed)
        if not self.resumed:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("options", ["shuffle: false", "shuffle: true, seed: 5"])
def test_killed_and_resumed_runs_tell_the_same_story(
    project: Project, options: str, record_property: Callable[[str, object], None]
) -> None:
    kills = max(4, KILLS // 4)  # two orders, and two runs at a time
    numbers = itertools.count()

    def kill(_: int) -> int:
        return campaign(project, options, kills=kills, seed=next(numbers))

    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(kill, range(2)))
    record_property("tried", sum(killed))
    assert all(one >= kills for one in killed)


@pytest.mark.parametrize("options", ["shuffle: false", "shuffle: true, seed: 5"])
def test_killed_and_resumed_paired_runs_tell_the_same_story(
    project: Project, options: str, record_property: Callable[[str, object], None]
) -> None:
    kills = max(4, KILLS // 4)
    more = ("--against", "native")
    killed = campaign(project, options, kills=kills, seed=7, more=more)
    record_property("tried", killed)
    assert killed >= kills


def test_killed_and_resumed_runs_that_learn_first_tell_the_same_story(
    project: Project, record_property: Callable[[str, object], None]
) -> None:
    kills = max(4, KILLS // 4)
    options = "learn: 1, freeze: true, fresh: true"
    more = ("--against", "native")
    killed = campaign(project, options, kills=kills, seed=3, more=more, rounds=3, learned=1)
    record_property("tried", killed)
    assert killed >= kills


def test_an_event_that_was_running_fires_again_and_is_told(project: Project) -> None:
    project.write("ev.py", SLEEPER)
    project.config("events: [{class: 'ev.py:Dies', args: {interval_count: 2}}]")
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3;")
    assert pilot(project.folder, "run", "w.sql") == -9
    done = project.command("run", "--resume", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    signals = [json.loads(line) for line in done.stdout.splitlines()]
    (started,) = [one for one in signals if one["signal"] == "event_started"]
    (ended,) = [one for one in signals if one["signal"] == "event_triggered"]
    assert (started["after_query"], started["resumed"], ended["resumed"]) == (2, True, True)
    assert [one["text"] for one in signals if one["signal"] == "driver_output"] == ["resumed: True"]
    (begun,) = [one for one in signals if one["signal"] == "run_started"]
    assert (begun["resumed"], begun["before"]) == (True, {"ok": 2})
    finished = signals[-1]
    assert (finished["queries"], finished["event_firings"]) == (3, 1)


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        ("SELECT 1; CREATE TABLE IF NOT EXISTS made (n int);", "q2 (w.sql:1)"),
        ("BEGIN; CREATE TABLE IF NOT EXISTS made (n int); COMMIT;", None),
        ("SELECT 1; SELECT 2;", None),
    ],
)
def test_a_statement_that_may_have_taken_effect_is_told(
    project: Project, workload: str, told: str | None
) -> None:
    project.write("ev.py", SLEEPER)
    project.config("events: ['ev.py:Dies']")
    project.write("w.sql", workload)
    assert pilot(project.folder, "run", "w.sql") == -9
    done = project.command("run", "--resume", "--no-events", "--force")
    assert done.returncode == 0, done.stderr
    said = "may have been carried out when the run was killed; it runs again"
    assert (said in done.stdout) == (told is not None)
    assert told is None or f"{told} {said}" in done.stdout
    project.write("w.sql", "DROP TABLE IF EXISTS made;")
    assert project.command("run", "w.sql", "--no-events").returncode == 0


def test_what_cannot_be_resumed_is_told(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1; SELECT 2;")
    done = project.command("run", "--resume")
    assert (done.returncode, "no runs" in done.stderr) == (2, True)
    assert project.command("run", "w.sql").returncode == 0
    done = project.command("run", "--resume")
    assert "there is no interrupted run" in done.stderr
    done = project.command("run", "--resume", "1")
    assert "run 1 is complete: there is nothing to resume" in done.stderr
    done = project.command("run", "--resume", "7")
    assert "there is no run 7" in done.stderr


@pytest.fixture
def interrupted(project: Project) -> Project:
    """A run that an event has killed after its first query."""
    project.write("ev.py", SLEEPER)
    project.config("events: ['ev.py:Dies']")
    project.write("w.sql", "SELECT 1; SELECT 2;")
    assert pilot(project.folder, "run", "w.sql", "--set", "run.max_failures=3") == -9
    return project


def test_a_changed_config_is_refused_without_force(interrupted: Project) -> None:
    done = interrupted.command("run", "--resume", "--timeout", "7s")
    assert done.returncode == 2
    assert "the config of run 1 has changed: run.timeout was null and is 7.0" in done.stderr
    done = interrupted.command("run", "--resume", "--timeout", "7s", "--force", "--no-events")
    assert done.returncode == 0, done.stderr


def test_an_override_that_may_be_a_secret_is_not_kept(project: Project) -> None:
    project.write("ev.py", SLEEPER)
    project.write(
        "hands.py",
        """
        from pilotcli import HintPushHandler

        class Hand(HintPushHandler):
            def __init__(self, config, api_key):
                super().__init__(config)

            def acquire_injected_data(self, sql):
                return None
        """,
    )
    project.config("events: [{class: 'ev.py:Dies', args: {interval_count: 2}}]")
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3;")
    secret = "handlers=[{class: 'hands.py:Hand', args: {api_key: sesame-opens}}]"
    assert pilot(project.folder, "run", "w.sql", "--set", secret) == -9
    kept = b"".join(
        one.read_bytes() for one in (project.folder / ".pilot").glob("*") if one.is_file()
    )
    assert b"sesame" not in kept
    done = project.command("run", "--resume")
    assert "was started with --set handlers=..., which is not kept" in done.stderr
    done = project.command("run", "--resume", "--set", secret)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ("SELECT 3; SELECT 2;", "q1 (w.sql:1) is a different statement"),
        ("SELECT 1; SELECT 3;", "statements that had not run yet are different"),
        ("SELECT 1; SELECT 2; SELECT 3;", "it has 3 queries to run, and had 2"),
    ],
)
def test_a_changed_workload_is_refused(interrupted: Project, workload: str, said: str) -> None:
    interrupted.write("w.sql", workload)
    done = interrupted.command("run", "--resume")
    assert done.returncode == 2
    assert f"the workload of run 1 has changed: {said}" in done.stderr


def test_an_interrupted_run_goes_on(project: Project) -> None:
    project.write("w.sql", "SELECT 1; SELECT pg_sleep(60); SELECT 3;")
    project.config()
    command = [PILOT, "run", "w.sql", "--format", "jsonl"]
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if '"query_started"' in line and '"seq":2' in line:
                running.send_signal(signal.SIGINT)
    assert running.returncode == 130
    project.write("w.sql", "SELECT 1; SELECT pg_sleep(0); SELECT 3;")
    done = project.command("run", "--resume", "--force")
    assert done.returncode == 0, done.stderr
    with project.journal() as journal:
        record = journal.run()
        assert (record.run_id, record.status) == (1, "finished")
        assert [(one.seq, one.status) for one in journal.results(1)] == [
            (1, "ok"),
            (2, "ok"),
            (3, "ok"),
        ]
