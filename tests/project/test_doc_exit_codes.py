"""Each exit code that a page claims is held by a test, which is named here."""

from __future__ import annotations

import re

import pytest
from doc_blocks import PAGES, ROOT
from project_folder import Project

HERE = "project/test_doc_exit_codes.py"
CLAIMS = {
    "Number of queries that may fail before": "run/test_runner.py::test_exit_codes_of_queries",
    "The exit code is 1, whatever `--max-failures` allows": (
        "replay/test_expected_answers.py::test_no_number_of_failures"
    ),
    "If no query is one of run 12": "replay/test_expected_answers.py::test_answers_come_from",
    "If one fails, the run ends with exit code 2": (
        "replay/test_hooks.py::test_what_fails_before_the_run"
    ),
    "A query that fails makes": "run/test_runner.py::test_exit_codes_of_queries",
    "The exit code is that of the first problem, or 0": f"{HERE}::test_doctor",
    "The exit code is 0 even if the server is stopped": (
        "databases/commands/test_cli_db.py::test_from_start_to_reset"
    ),
    "The exit code is psql's": "databases/commands/test_cli_db.py::test_psql",
    "The exit code is 1 if something could not be undone": (
        "databases/changes/test_runs_that_end.py::test_what_cannot_be_undone"
    ),
    "any answer except yes deletes nothing, and the exit code is 130": (
        "databases/commands/test_cli_db.py::test_from_start_to_reset"
    ),
    "The exit code is 1, or 5 with": "run/test_paired_run.py::test_other_rows_are",
    "makes the command fail with exit code 5": "run/test_paired_run.py::test_gates_decide",
    "before the run ends with exit code 4": "faults/test_silent_servers.py::test_a_network",
    "If the server does not come back": "faults/test_silent_servers.py::test_a_network",
    "the run counts as failed (exit code 1)": "run/test_runner.py::test_exit_codes_of_queries",
    "A `CardPushHandler` is checked at the start": f"{HERE}::test_a_missing_ability",
    "pilot does not start the run (exit code 2)": f"{HERE}::test_a_missing_ability",
    "A knob or index handler that the server cannot serve": f"{HERE}::test_a_missing_ability",
    "The run ends with exit code 2": f"{HERE}::test_a_missing_ability",
    "a knob or index handler that fails ends the run": (
        "steering/test_workload_handlers.py::test_a_refused_change"
    ),
    "the run ends with exit code 3 and the handler's name": (
        "steering/test_workload_handlers.py::test_a_refused_change"
    ),
    "The exit code is 3 if a query has the status": (
        "steering/test_steered_runs.py::test_what_cannot_be_pushed"
    ),
    "The other events still fire": "run/test_runner.py::test_a_failed_event",
    "goes on after a failure and ends with exit code 3": "run/test_runner.py::test_a_failed_event",
    "pilot prints the traceback with the frames of your own files": (
        "cli/test_events_fire.py::test_a_failure_shows_the_frames"
    ),
    "and the reason names the files": "faults/test_deleted_homes.py::test_a_run_whose_home",
    "A change that cannot be undone is among": (
        "databases/changes/test_runs_that_end.py::test_a_change_that_stays"
    ),
    "If a store goes away, is full": "faults/test_store_faults.py::test_a_store_that_goes",
    "the run's end count the lost rows": "faults/test_store_faults.py::test_rows_that_are_lost",
    "If the store does not answer": "faults/test_store_faults.py::test_a_store_that_does_not",
    "If the disk of journal and checkpoints is full": "faults/test_full_journal.py::test_a_disk",
}
"""A part of each claim, and the file and the beginning of the name of its test."""
OTHERS = ("the exit code is not 0", "the exit code of this problem", "exit code](")


def sentences() -> list[str]:
    """The sentences of all pages that name an exit code."""
    parts = [
        part for page in PAGES for part in re.split(r"(?<=\.) |\||\n", page.read_text("utf-8"))
    ]
    return [part for part in parts if re.search(r"exit codes? .*(\d|psql|first problem)", part)]


def test_each_claim_is_held() -> None:
    assert [one for one in sentences() if not any(key in one for key in (*CLAIMS, *OTHERS))] == []


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_test_is_there(claim: str) -> None:
    assert any(claim in one for one in sentences())
    path, _, name = CLAIMS[claim].partition("::")
    text = (ROOT / "tests" / path).read_text("utf-8")
    assert len(re.findall(rf"^def {name}\w*\(", text, re.MULTILINE)) == 1


@pytest.mark.slow
def test_doctor(project: Project) -> None:
    project.config()
    assert project.command("doctor").returncode == 0
    away = ("--set", "database.dsn=host=localhost port=1")
    assert project.command("doctor", *away).returncode == 4
    project.config("events: [nowhere.py:Nothing]\n")
    assert project.command("doctor", *away).returncode == 2


HANDLERS = """
from pilotcli import CardPushHandler, KnobPushHandler


class Knob(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "8MB"}


class Cards(CardPushHandler):
    def acquire_injected_data(self, sql):
        return {}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "missing"),
    [
        ("Knob", "database.dsn={dsn} options='-c role=pg_monitor'"),
        ("Cards", "steering.planner=never"),
    ],
)
@pytest.mark.parametrize(
    ("steering", "code"), [("{}", 2), ("{on_error: native}", 2), ("{on_missing: skip}", 0)]
)
def test_a_missing_ability(
    project: Project, handler: str, missing: str, steering: str, code: int
) -> None:
    project.write("own.py", HANDLERS)
    project.write("w.sql", "SELECT 1;\n")
    project.config(f"handlers: [own.py:{handler}]\nsteering: {steering}\n")
    setting = missing.format(dsn=project.dsn)
    done = project.command("run", "w.sql", "--set", setting)
    assert done.returncode == code, done.stdout + done.stderr
