"""What a config does before and after a run, and before each query."""

from __future__ import annotations

import json
import os

import pytest
from project_folder import Project

from pilotcli.common.signals import Bus, QueryFinished
from pilotcli.run.paired import Baseline, native, run_paired


def statuses(project: Project) -> list[str]:
    return [
        signal.result.status
        for signal in project.heard(QueryFinished)
        if isinstance(signal, QueryFinished)
    ]


def test_sql_and_commands_around_a_run(project: Project) -> None:
    seen = project.folder / "seen"
    project.config(
        f"""
        run:
          prepare:
            - CREATE TABLE hooks_t (n int)
            - $ echo prepared >> {seen}
          before_each:
            - INSERT INTO hooks_t VALUES (1)
            - $ echo each >> {seen}
          cleanup:
            - $ echo cleaned >> {seen}
            - DROP TABLE hooks_t
        """
    )
    project.write(
        "w.jsonl",
        "\n".join(
            json.dumps({"sql": "SELECT count(*) FROM hooks_t", "expect": str(count)})
            for count in (1, 2, 3)
        ),
    )
    finished = project.run("w.jsonl")
    assert (finished.exit_code, finished.wrong) == (0, 0), finished.reasons
    assert seen.read_text().split() == ["prepared", "each", "each", "each", "cleaned"]
    # The table is gone, so all of it can be done again.
    assert project.run("w.jsonl").exit_code == 0


def test_before_each_runs_in_the_session_and_not_in_a_block(project: Project) -> None:
    project.config("run: {before_each: SET pilot.own = 'x'}")
    own = "SELECT 1 / (current_setting('pilot.own') = 'x')::int;"
    project.write("w.sql", f"{own} BEGIN; SET pilot.own = 'y'; SELECT 1/0; ROLLBACK; {own}")
    project.run("w.sql")
    assert statuses(project) == ["ok", "ok", "ok", "error", "ok", "ok"]


def test_what_fails_before_the_run_ends_it(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    finished = project.run("w.sql", sets=("run.prepare=SELECT nothing", "run.cleanup=SELECT 1"))
    assert (finished.exit_code, finished.queries) == (2, 0)
    assert 'run.prepare failed: column "nothing" does not exist' in finished.reasons[0]
    assert finished.resume is None
    shown = project.command("run", "--resume")
    assert (shown.returncode, "there is no interrupted run" in shown.stderr) == (2, True), (
        shown.stderr
    )
    finished = project.run("w.sql", sets=("run.prepare=$ echo broken; exit 3",))
    assert (finished.exit_code, finished.queries) == (2, 0)
    assert "run.prepare failed with exit code 3: broken" in finished.reasons[0]
    finished = project.run("w.sql", sets=("run.before_each=$ exit 1",))
    assert (finished.exit_code, finished.queries) == (2, 0)
    finished = project.run("w.sql", sets=("run.cleanup=SELECT nothing",))
    assert (finished.exit_code, finished.queries) == (2, 1)
    assert "run.cleanup failed" in finished.reasons[0]


def test_a_command_may_leave_a_process_in_the_background(project: Project) -> None:
    # Each process ends when the test opens the pipe that it reads.
    pipes = [project.folder / name for name in ("one", "two")]
    for pipe in pipes:
        os.mkfifo(pipe)
    project.write("w.sql", "SELECT 1;")
    finished = project.run("w.sql", sets=(f"run.prepare=$ cat {pipes[0]} & echo left",))
    failed = project.run("w.sql", sets=(f"run.prepare=$ cat {pipes[1]} & echo left; exit 3",))
    for pipe in pipes:
        pipe.write_text("")
    assert finished.exit_code == 0, finished.reasons
    assert "run.prepare failed with exit code 3: left" in failed.reasons[0]


def test_cleanup_follows_a_run_that_fails(project: Project) -> None:
    seen = project.folder / "seen"
    project.write("w.sql", "SELECT 1/0; SELECT 1;")
    sets = ("run.fail_fast=true", f"run.cleanup=$ touch {seen}")
    assert project.run("w.sql", sets=sets).exit_code == 1
    assert seen.exists()


@pytest.mark.parametrize("key", ["prepare", "before_each", "cleanup"])
def test_a_pair_has_them_once_a_run_or_in_each_arm(project: Project, key: str) -> None:
    seen = project.folder / "seen"
    project.write("w.sql", "SELECT 1;")
    request = project.request("w.sql", sets=(f"run.{key}=$ echo here >> {seen}",))
    finished, _ = run_paired(request, [Baseline(native(request.config))], Bus())
    assert finished.exit_code == 0, finished.reasons
    assert seen.read_text().split() == ["here"] * (2 if key == "before_each" else 1)


def test_they_are_options(project: Project) -> None:
    project.write("w.sql", "SELECT n FROM hooks_o;")
    words = (
        "--prepare",
        "CREATE TABLE hooks_o AS SELECT 1 AS n",
        "--cleanup",
        "DROP TABLE hooks_o",
    )
    project.config()
    shown = project.command("run", "w.sql", *words, "--before-each", "$ true")
    assert shown.returncode == 0, shown.stdout + shown.stderr
