"""The home, or the journal in it, is deleted while a run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg2
import pytest
from project_folder import Project

DRIVER = """
import shutil
from pathlib import Path
from pilotcli import KnobPushHandler, QueryFinishEvent


class Deletes(QueryFinishEvent):
    def __init__(self, config, interval_count, names=""):
        super().__init__(config, interval_count)
        self.names = names

    def process(self, db_controller, data_manager):
        home = Path(".pilot")
        for file in home.glob(self.names or "no"):
            file.unlink()
        if not self.names:
            shutil.rmtree(home)


class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "9MB"}
"""


def work_mem(dsn: str) -> str:
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW work_mem")
        ((shown,),) = cursor.fetchall()
    connection.close()
    return str(shown)


@pytest.mark.parametrize("names", ["", "journal.db*", "journal.db"])
@pytest.mark.parametrize(
    "against", [(), ("--against", "native", "--repeat", "2")], ids=["alone", "paired"]
)
def test_a_run_whose_home_is_deleted_ends_with_an_error_and_is_kept(
    project: Project, names: str, against: tuple[str, ...]
) -> None:
    project.write("ev.py", DRIVER)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4;")
    args = f"{{interval_count: 3, names: '{names}'}}"
    project.config(f"collect: seen\nevents: [{{class: 'ev.py:Deletes', args: {args}}}]")
    done = project.command("run", "w.sql", "--format", "jsonl", *against)
    signals = [json.loads(line) for line in done.stdout.splitlines()]
    finished = [one for one in signals if one["signal"] == "run_finished"][-1]
    assert (done.returncode, finished["status"], finished["exit_code"]) == (2, "failed", 2)
    reason, *_ = [text for text in finished["reasons"] if "was deleted or replaced" in text]
    home = project.folder / ".pilot"
    assert f"what the journal held is in {home / 'journal.db'}" in reason
    shown = [one for one in signals if one["signal"] == "query_finished"]
    with project.journal() as journal:
        record = journal.run(finished["run_id"])
        assert (record.status, record.exit_code) == ("failed", 2)
        assert sum(journal.counts(record.run_id).values()) >= len(shown) >= 3
    assert not list(home.glob("*.tail")) and not list(home.glob("*.lock"))


def test_a_run_goes_on_after_its_home_was_deleted(project: Project) -> None:
    project.write("ev.py", DRIVER)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4;")
    project.config("events: [{class: 'ev.py:Deletes', args: {interval_count: 3}}]")
    assert project.command("run", "w.sql").returncode == 2
    done = project.command("run", "--resume")
    assert done.returncode == 0, done.stderr + done.stdout
    with project.journal() as journal:
        assert [one.seq for one in journal.results(1)] == [1, 2, 3, 4]


@pytest.mark.parametrize("names", ["", "changes*"])
def test_knobs_are_set_back_although_the_log_of_changes_is_gone(
    project: Project, names: str
) -> None:
    project.write("ev.py", DRIVER)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT current_setting('work_mem');")
    project.config(
        "handlers: ['ev.py:Knobs']\n"
        f"events: [{{class: 'ev.py:Deletes', args: {{interval_count: 2, names: '{names}'}}}}]"
    )
    before = work_mem(project.dsn)
    done = project.command("run", "w.sql", "--format", "plain")
    assert done.returncode == (0 if names else 2), done.stderr
    assert "undone: work_mem is set back" in done.stdout
    assert work_mem(project.dsn) == before != "9MB"
    assert not list((project.folder / ".pilot").glob("changes-*"))
    log = project.folder / ".pilot" / "changes.db"
    said = f" warning: {log} was deleted or replaced; it is written again"
    assert said in done.stdout
    assert "driver: " not in done.stdout


def test_an_embedded_server_that_is_deleted_is_an_error(project: Project, tmp_path: Path) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    other = Project(tmp_path / "other", "", "")
    other.folder.mkdir(mode=0o711)
    other.write("ev.py", DRIVER)
    other.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT pg_sleep(0.1);")
    (other.folder / "pilot.yaml").write_text(
        "events: [{class: 'ev.py:Deletes', args: {interval_count: 3}}]\ncollect: seen\n"
    )
    done = other.command("run", "w.sql", "--reconnect", "1s")
    assert done.returncode in (2, 4), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "was deleted or replaced" in done.stdout + done.stderr
    with other.journal() as journal:
        assert journal.counts(1)["ok"] >= 3
