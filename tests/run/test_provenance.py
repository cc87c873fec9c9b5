"""What a run depended on is recorded when it begins, in both arms of a pair, without secrets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from project_folder import Project

import pilotcli
from pilotcli.config import load_config
from pilotcli.databases.server_facts import read_facts
from pilotcli.run.git_state import git_state
from pilotcli.run.provenance import shown_words

DRIVER = """
from pilotcli import HintPushHandler
from helper import limit


class Hint(HintPushHandler):
    def acquire_injected_data(self, sql):
        import sqlglot.tokens

        return {"work_mem": limit()}
"""
HELPER = """
import json


def limit():
    import numpy.linalg

    return "5MB"
"""
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("a")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.mark.slow
@needs_git
def test_both_arms_of_a_pair_have_it(project: Project) -> None:
    project.write("own.py", DRIVER)
    project.write("helper.py", HELPER)
    project.write("w.sql", "SELECT 1;\n")
    project.config("handlers: [own.py:Hint]\n")
    git(project.folder, "init", "-q")
    git(project.folder, "add", "own.py")
    git(project.folder, "commit", "-q", "-m", "first")
    words = ("run", "w.sql", "--against", "native", "--rounds", "1", "--set", "run.seed=7")
    assert project.command(*words, "--name", "a", "--tag", "x").returncode == 0
    with project.journal() as journal:
        baseline, driver = journal.runs()
    assert (driver.name, driver.tags, driver.arm) == ("a", ("x",), "driver")
    for run in (driver, baseline):
        found = run.provenance
        assert found["command"] == ["pilot", *words, "--name", "a", "--tag", "x"]
        assert "run.seed=7" in found["overrides"]
        head = git(project.folder, "rev-parse", "HEAD")
        assert found["git"] == {"commit": head, "changed": False}
        assert found["versions"]["pilot"] == pilotcli.__version__
        assert found["versions"]["psycopg2"]
        assert found["machine"]["cpus"] >= 1
        assert found["server"]["build"].startswith("PostgreSQL")
        assert found["server"]["extensions"]["plpgsql"]
        assert "unix_socket_directories" in found["server"]["settings"]
        assert "data_directory" not in found["server"]["settings"]
    assert {"numpy", "sqlglot"} <= driver.provenance["versions"].keys()
    assert "numpy" not in baseline.provenance["versions"]
    assert not {"json", "helper", "pilotcli"} & driver.provenance["versions"].keys()


@pytest.mark.slow
def test_settings_of_the_database_are_in_it(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    with closing(psycopg2.connect(project.dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        database = connection.info.dbname
        change = f'ALTER DATABASE "{database}"'
        try:
            cursor.execute(f"{change} SET work_mem = '9MB'")
            assert project.run("w.sql").exit_code == 0
        finally:
            cursor.execute(f"{change} RESET ALL")
    with project.journal() as journal:
        provenance = journal.run().provenance
    assert provenance["server"]["settings"]["work_mem"] == "9MB"
    shown = project.command("runs", "show", "--provenance").stdout
    assert re.search(r"^  work_mem +9MB$", shown, re.MULTILINE)


@pytest.mark.slow
def test_a_run_that_is_continued_says_what_is_different_then(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT 1 / 0;\nSELECT 2;\n")
    fails = ("run", "w.sql", "--fail-fast", "--tag", "first", "--note", "kept")
    assert project.command(*fails).returncode == 1
    done = project.command("run", "--resume", "last", "--tag", "second", "--name", "whole")
    assert done.returncode == 1, done.stderr
    with project.journal() as journal:
        run = journal.run()
    assert (run.name, run.tags, run.note) == ("whole", ("first", "second"), "kept")
    (part,) = run.provenance["continued"]
    assert run.provenance["command"] == ["pilot", *fails]
    assert part["command"][:4] == ["pilot", "run", "--resume", "last"]
    assert "machine" not in part
    shown = project.command("runs", "show", "whole", "--provenance").stdout
    assert "\ncontinued later with\n  command" in shown


def test_settings_that_may_have_secrets_are_left_out() -> None:
    settings = {
        "archive_command": "PGPASSWORD=hush ship %p",
        "my.api_token": "hush",
        "my.source": "host=h password=hush",
        "primary_conninfo": "host=h password=hush",
        "work_mem": "9MB",
    }
    facts = read_facts(lambda sql: [("PostgreSQL 18", settings, None)])
    assert facts.settings == {"my.source": "host=h password=***", "work_mem": "9MB"}
    assert facts.extensions == {}


def test_secrets_of_the_command_line_are_masked(tmp_path: Path) -> None:
    config = tmp_path / "pilot.yaml"
    config.write_text("database: {dsn: 'host=h password=of-the-config'}\n")
    words = {
        "database.dsn=postgresql://u:pw@h/d": "database.dsn=postgresql://u:***@h/d",
        "--set=database.dsn=host=h password=pw": "--set=database.dsn=host=h password=***",
        "models.m.args.api_key=abc": "models.m.args.api_key=***",
        "models.m.args={token: abc, n: 1}": "models.m.args=***",
        "http://me:pw@mlflow": "http://me:***@mlflow",
        "of-the-config": "***",
        "run.seed=7": "run.seed=7",
        "w.sql": "w.sql",
    }
    assert shown_words(words, load_config(config)) == [*words.values()]


@needs_git
def test_a_changed_file_is_noticed_and_a_new_one_is_not(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "inner").mkdir()
    (repository / "new.txt").write_text("new")
    assert git_state(repository / "inner") == {"commit": commit, "changed": False}
    (repository / "a.txt").write_text("b")
    assert git_state(repository) == {"commit": commit, "changed": True}


@needs_git
def test_without_a_repository_or_a_commit_there_is_no_state(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))  # as in a hook of another repository
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert git_state(outside) is None
    git(repository, "checkout", "-q", "--orphan", "empty")
    assert git_state(repository) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(repository) is None


@needs_git
def test_nothing_that_a_repository_names_is_started(repository: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = repository / ".git" / "hooks" / "post-index-change"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch '{started}'\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    git(repository, "config", "core.pager", str(program))
    started.unlink(missing_ok=True)
    (repository / "a.txt").touch()
    assert git_state(repository) is not None
    assert not started.exists()


def test_git_that_takes_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path, time_limit_s=0.05) is None


@pytest.mark.slow
def test_a_run_can_be_named_wherever_its_number_can(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.config()
    assert project.command("run", "w.sql", "--name", "first", "--answers").returncode == 0
    again = project.command("run", "w.sql", "--expect-from", "first", "--name", "second")
    assert again.returncode == 0, again.stderr
    for words in (
        ("runs", "show", "first"),
        ("runs", "compare", "second", ".pilot:first"),
        ("runs", "report", "last", "--against", "first", "-o", "report.html"),
        ("runs", "export", "first", "-o", "results.csv"),
    ):
        done = project.command(*words)
        assert done.returncode == 0, done.stderr
    wrong = project.command("run", "w.sql", "--expect-from", "frist")
    assert (wrong.returncode, "Did you mean 'first'?" in wrong.stderr) == (2, True)
    ended = project.command("run", "--resume", "first")
    assert "run 1 is complete" in ended.stderr
    assert project.command("run", "--resume", "w.sql").stderr.startswith("error: there is no inter")
    refused = project.command("run", "w.sql", "--name", "12")
    assert (refused.returncode, "(a run's number)" in refused.stderr) == (2, True)
