"""`pilot run` as a command: what it prints where, its exit codes, Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from project_folder import PILOT, Project

pytestmark = pytest.mark.slow

NO_CONTROL = re.compile(r"\A[^\x00-\x09\x0b-\x1f\x7f]*\Z")


def test_plain_lines_without_a_terminal(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1; SELECT 2;")
    done = project.command("run", "w.sql")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert NO_CONTROL.match(done.stdout)
    assert "2 ok" in done.stdout
    assert "pilot runs show 1" in done.stdout


def test_jsonl_is_nothing_but_json(project: Project) -> None:
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class Loud(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                print("hello")
        """,
    )
    project.config("events: ['ev.py:Loud']")
    project.write("w.sql", "SELECT 1; SELECT 2;")
    done = project.command("run", "w.sql", "--format", "jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["v"] for line in lines} == {1}
    kinds = [line["signal"] for line in lines]
    assert kinds.count("query_finished") == 2
    assert kinds.count("driver_output") == 2
    assert kinds[-1] == "run_finished"


def test_quiet_says_one_line(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    done = project.command("run", "w.sql", "-q")
    assert len(done.stdout.splitlines()) == 1


def test_standard_input(project: Project) -> None:
    project.config()
    done = project.command("run", "-", "--repeat", "2", input="SELECT 1;\nSELECT 2;\n")
    assert done.returncode == 0, done.stderr
    assert "4 ok" in done.stdout


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_results_as_a_file(project: Project, ending: str) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;\nSELECT 1/0;\n")
    path = project.folder / f"results.{ending}"
    done = project.command("run", "w.sql", "--output", path.name)
    assert done.returncode == 1
    if ending == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    elif ending == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
    else:
        import pyarrow.parquet as pq

        rows = pq.read_table(path).to_pylist()
    assert [(row["label"], row["status"]) for row in rows] == [("q1", "ok"), ("q2", "error")]
    assert rows[1]["sqlstate"] == "22012"
    assert float(rows[0]["elapsed_s"]) > 0
    assert not [one for one in project.folder.iterdir() if one.name.startswith(".results")]


def test_an_output_that_cannot_be_is_refused_before_the_run(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    for name in ("results.xml", "missing/results.csv"):
        done = project.command("run", "w.sql", "--output", name)
        assert done.returncode == 2
        assert name in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "missing.sql"], "missing.sql"),
        (["run", "empty"], "empty"),
        (["run", "w.sql", "--timeout", "soon"], "timeout"),
        (["run", "w.sql", "-c", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "w.sql", "--set", "run.wrkers=2"], "workers"),
        (["run", "w.sql", "--events", "nothing"], "nothing"),
        (["pretrain"], "pretraining"),
        (["runs", "show", "99"], "no runs"),
        (["models", "show", "nothing"], "nothing"),
        (["events", "plan"], "workload"),
        (["init", "."], "pilot.yaml"),
    ],
)
def test_a_wrong_word_is_told_without_a_traceback(
    project: Project, words: list[str], told: str
) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    (project.folder / "empty").mkdir()
    done = project.command(*words)
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(project: Project) -> None:
    project.config()
    assert "Traceback" in project.command("run", "missing.sql", "--debug").stderr


def test_a_database_that_does_not_answer(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    (project.folder / "pilot.yaml").write_text(
        "database: {dsn: 'postgresql://me:sesame@127.0.0.1:1/db', connect_timeout: 2}\n"
    )
    done = project.command("run", "w.sql")
    assert done.returncode == 4
    assert "127.0.0.1" in done.stderr
    assert "sesame" not in done.stderr + done.stdout


def test_ctrl_c_once_stops_in_order(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;\nSELECT pg_sleep(60);\nSELECT 2;\n")
    words = ("run", "w.sql", "--output", "r.jsonl", "--format", "jsonl")
    running = started(project, *words)
    wait_for(running, '"seq":2', "query_started")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "interrupted" in out
    rows = [json.loads(line) for line in (project.folder / "r.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["ok", "cancelled"]
    with project.journal() as journal:
        assert journal.run(1).status == "interrupted"


def test_ctrl_c_ends_an_event_s_query(project: Project) -> None:
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class Slow(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                print("sleeping", flush=True)
                db_controller.execute("SELECT pg_sleep(60)")
        """,
    )
    project.config("events: ['ev.py:Slow']")
    project.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    running = started(project, "run", "w.sql")
    wait_for(running, "sleeping")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130


def test_ctrl_c_twice_ends_at_once(project: Project) -> None:
    project.write(
        "ev.py",
        """
        import time
        from pilotcli import QueryFinishEvent

        class Deaf(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                print("deaf", flush=True)
                while True:
                    time.sleep(1)
        """,
    )
    project.config("events: ['ev.py:Deaf']")
    project.write("w.sql", "SELECT 1;\n")
    running = started(project, "run", "w.sql", "--format", "jsonl")
    wait_for(running, "deaf")
    running.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=1)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    with project.journal() as journal:
        assert [one.status for one in journal.results(1)] == ["ok"]


def test_a_reader_that_goes_away_ends_quietly(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    command = f"{PILOT} run w.sql -v | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    with project.journal() as journal:
        assert journal.run().status == "finished"


def test_dry_run_touches_no_database(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text("SELECT 1; SELECT 2;")
    environment = {**os.environ, "PGHOST": "/nowhere"}
    done = subprocess.run(
        [PILOT, "run", "w.sql", "--dry-run"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 queries" in done.stdout
    assert not (tmp_path / ".pilot").exists()


def test_notices_of_the_workload_come_once(project: Project) -> None:
    project.config()
    project.write("w.sql", "\\dt\n\\d t\nSELECT 1;\nSELECT `a` FROM `t`;\n")
    done = project.command("run", "w.sql", "--format", "jsonl", "--repeat", "2")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    texts = [line["text"] for line in lines if line["signal"] == "notice"]
    assert sum("\\dt only shows" in text for text in texts) == 1
    assert sum("as in MySQL" in text for text in texts) == 1
    done = project.command("run", "w.sql", "--dry-run")
    assert done.stdout.count("note:") == 2


@pytest.mark.parametrize(("before", "code"), [([], 130), (["nohup"], 0)])
def test_a_closed_terminal_ends_a_run_but_under_nohup(
    project: Project, before: list[str], code: int
) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;\nSELECT pg_sleep(1);\n")
    running = started(project, "run", "w.sql", "--format", "jsonl", before=before)
    wait_for(running, '"seq":2', "query_started")
    running.send_signal(signal.SIGHUP)
    out, err = running.communicate(timeout=60)
    assert running.returncode == code, out + err


def started(project: Project, *words: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, PILOT, *words],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(running: subprocess.Popen[str], *texts: str) -> None:
    """Read lines until one holds all of `texts`."""
    assert running.stdout is not None
    for line in running.stdout:
        if all(text in line.replace(" ", "") for text in texts):
            return
    raise AssertionError(f"the command ended without {texts}")


UNKNOWN = "SELECT * FROM orders;\nSELECT * FROM customers;\n"


def test_a_run_without_a_config_says_so_if_no_query_finds_its_relations(project: Project) -> None:
    project.write("w.sql", UNKNOWN)
    environment = {**os.environ, "PGSERVICE": "here", "PGSERVICEFILE": str(_service(project))}
    done = project.command("run", "w.sql", env=environment)
    assert done.returncode == 1
    said = "2 queries failed (0 allowed): no config was given: name one with -c FILE, or fill"
    assert said in done.stdout
    project.write("w.sql", UNKNOWN + "SELECT 1;")
    done = project.command("run", "w.sql", env=environment)
    assert "2 queries failed (0 allowed)" in done.stdout
    assert "no config" not in done.stdout
    project.config()
    project.write("w.sql", UNKNOWN)
    assert "no config" not in project.command("run", "w.sql").stdout


def test_a_config_that_fills_no_database_says_so_if_no_query_finds_its_relations(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    project = Project(tmp_path, "", "")
    project.write("w.sql", UNKNOWN)
    project.write("pilot.yaml", "workload: w.sql\n")
    done = project.command("run")
    assert "2 queries failed (0 allowed): the config fills no database" in done.stdout


def _service(project: Project) -> Path:
    """A service file that names the tests' server as `here`."""
    return project.write("services.conf", "[here]\n" + project.dsn.replace(" ", "\n") + "\n")
