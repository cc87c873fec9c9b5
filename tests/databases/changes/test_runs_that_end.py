"""`pilot run` with handlers that change the server: however it ends, the changes are undone; and
`pilot db undo`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from changes_support import Bench
from pilot_starter import run_pilot

from pilotcli.databases.changes.log import ChangeLog

pytestmark = pytest.mark.slow

MAIN = "from pilotcli.cli.main import main; main()"

DRIVERS = """
from pilotcli import Index, IndexPushHandler, KnobPushHandler

class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "9MB", "random_page_cost": 1.5}

class Indexes(IndexPushHandler):
    def __init__(self, config):
        super().__init__(config, drop_other=True)

    def acquire_injected_data(self, sql):
        return [Index(["b"], "t")]

class BadIndex(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["b"], "t"), Index(["nothing"], "t")]
"""

LONG = "SELECT 1;\nSELECT pg_sleep(60) AS the_long_one;\n"


class Folder:
    """A project on the bench's server."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.folder = folder
        self.bench = bench
        bench.sql("CREATE TABLE t (a int, b int); CREATE INDEX theirs ON t (a) WHERE b > 7")
        (folder / "drivers.py").write_text(DRIVERS)
        self.config("[drivers.py:Knobs, drivers.py:Indexes]")

    def config(self, handlers: str) -> None:
        (self.folder / "pilot.yaml").write_text(
            f"home: {self.bench.home}\ndatabase: {{dsn: '{self.bench.dsn_config().dsn}'}}\n"
            f"store: {{database: {self.bench.database}}}\nhandlers: {handlers}\n"
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = run_pilot(*arguments, cwd=self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def running_the_long_one(self) -> subprocess.Popen[str]:
        """A run that has changed the server and is in its second query."""
        (self.folder / "long.sql").write_text(LONG)
        process = self.start("run", "long.sql", "--format", "plain")
        asleep = (
            "SELECT count(*) FROM pg_stat_activity"
            f" WHERE query LIKE '%the_long_one' AND datname = '{self.bench.database}'"
        )
        give_up_at = time.monotonic() + 60
        while self.bench.sql(asleep) != [(1,)]:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up_at
        return process

    def is_changed(self) -> bool:
        """Whether the server is as the handlers want it; else it must be as it was before."""
        state = (self.bench.names(), self.bench.auto_conf(), self.bench.sql("SHOW work_mem"))
        if state == (["theirs"], {}, [("4MB",)]):
            return False
        knobs = {"random_page_cost": "1.5", "work_mem": "9MB"}
        assert state == (["t_b_idx"], knobs, [("9MB",)])
        return True


@pytest.fixture
def folder(tmp_path: Path, bench: Bench) -> Folder:
    return Folder(tmp_path, bench)


def test_a_run_to_its_end(folder: Folder) -> None:
    (folder.folder / "q.sql").write_text("SHOW work_mem;\nSELECT 1;\n")
    said = folder("run", "q.sql", "--format", "plain")
    assert "work_mem = 9MB" in said
    assert "undone: work_mem is set back to its default" in said
    assert "undone: the index theirs is made again" in said
    assert not folder.is_changed()


def test_ctrl_c(folder: Folder) -> None:
    process = folder.running_the_long_one()
    assert folder.is_changed()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not folder.is_changed()


def test_a_handler_that_fails_halfway(folder: Folder) -> None:
    folder.config("[drivers.py:Knobs, drivers.py:Indexes, drivers.py:BadIndex]")
    (folder.folder / "q.sql").write_text("SELECT 1;\n")
    said = folder("run", "q.sql", "--format", "plain", code=3)
    assert "no column 'nothing'" in said
    assert not folder.is_changed()


@pytest.mark.parametrize("how", ["run", "undo"])
def test_a_killed_run_is_undone_by_the_next(folder: Folder, how: str) -> None:
    process = folder.running_the_long_one()
    in_use = json.loads(folder("db", "undo", "--list", "--format", "json"))
    assert [one["status"] for one in in_use] == ["in use"] * 4
    # A pilot that runs is left alone.
    folder("db", "undo")
    assert "runs" in folder("db", "undo", "--forget", str(in_use[0]["id"]), code=2)
    assert folder.is_changed()
    process.kill()
    process.communicate()
    assert folder.is_changed()
    if how == "run":
        (folder.folder / "q.sql").write_text("SHOW work_mem;\n")
        folder.config("[]")
        assert "undone: work_mem is set back" in folder("run", "q.sql", "--format", "plain")
    else:
        shown = folder("db", "undo", "--list")
        for part in ("left", "work_mem set to '9MB', before: not set", "index dropped: CREATE"):
            assert part in shown
        assert folder.is_changed()
        said = folder("db", "undo", "--format", "json")
        found, _ = json.JSONDecoder().raw_decode(said)
        assert "undone: the index theirs is made again" in said
        assert {one["status"] for one in found} == {"undone"}
    assert not folder.is_changed()
    assert "Nothing is pending" in folder("db", "undo")


def killed_while_it_undoes(folder: Folder, *arguments: str) -> None:
    """A run that has done all of its queries, and is killed while it undoes its changes."""
    bench = folder.bench
    (folder.folder / "q.sql").write_text("SELECT 1;\nSELECT 2;\n")
    waits = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND"
        f" application_name = 'pilot undo' AND datname = '{bench.database}'"
    )
    with closing(psycopg2.connect(bench.dsn_config().dsn)) as other, other.cursor() as cursor:
        process = folder.start("run", "q.sql", "--format", "jsonl", *arguments)
        assert process.stdout is not None
        for line in process.stdout:
            if '"signal":"query_started"' in line:
                # The run ends while a reader of the table keeps it from dropping the index.
                cursor.execute("SELECT FROM t")
                break
        give_up_at = time.monotonic() + 60
        while bench.sql(waits) != [(1,)]:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up_at
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["run", "resume", "against"])
def test_a_run_that_is_killed_while_it_undoes_has_not_ended(folder: Folder, how: str) -> None:
    killed_while_it_undoes(folder, *(["--against", "native"] if how == "against" else []))
    bench = folder.bench
    assert "t_b_idx" in bench.names()
    newest = json.loads(folder("runs", "list", "--format", "json"))[0]
    assert (newest["status"], newest["alive"]) == ("running", False)
    assert "killed" in folder("runs", "list", "--limit", "1")
    if how != "resume":
        folder.config("[]")
        said = folder("run", "q.sql", "--format", "plain")
        assert "undone: the index t_b_idx is dropped" in said
        assert not folder.is_changed()
        return
    signals = [
        json.loads(line)
        for line in folder("run", "--resume", "--format", "jsonl").split("\n")
        if line
    ]
    assert (signals[-1]["signal"], signals[-1]["queries"]) == ("run_finished", 2)
    # All that was left to do was to undo.
    texts = [one["text"] for one in signals if "text" in one]
    assert [text for text in texts if "for this workload" in text] == []
    assert "undone: the index t_b_idx is dropped" in texts
    assert not folder.is_changed()
    record = json.loads(folder("runs", "list", "--format", "json"))[0]
    assert record["status"] == "finished"
    assert "nothing to resume" in folder("run", "--resume", str(record["run_id"]), code=2)


def test_a_change_that_stays_is_a_reason(folder: Folder) -> None:
    bench = folder.bench
    process = folder.running_the_long_one()
    bench.sql("CREATE INDEX theirs ON t (b, a)")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "not undone: the index theirs is not made again, its name is taken" in out + err
    bench.sql("DROP INDEX theirs")
    said = folder("run", "long.sql", "--set", "handlers=[]", "--timeout", "1ms", code=1)
    assert "undone: the index theirs is made again" in said
    assert not folder.is_changed()


def test_a_run_whose_changes_stay_is_not_a_success(folder: Folder) -> None:
    bench = folder.bench
    (folder.folder / "q.sql").write_text("CREATE INDEX theirs ON t (b, a);\n")
    said = folder("run", "q.sql", "--format", "plain", code=4)
    assert "not undone: the index theirs is not made again, its name is taken" in said
    assert "`pilot db undo` tries again" in said
    bench.sql("DROP INDEX theirs")
    assert "undone: the index theirs is made again" in folder("run", "--resume")
    assert not folder.is_changed()


def test_changes_on_another_server_are_named(folder: Folder) -> None:
    bench = folder.bench
    process = folder.running_the_long_one()
    process.kill()
    process.communicate()
    server = ChangeLog(bench.home).pending()[0].server
    bench.rewrite_log("UPDATE changes SET server = 'another', place = 'elsewhere:1'")
    said = folder("run", "long.sql", "--set", "handlers=[]", "--timeout", "1ms", code=1)
    assert "not undone, changes of an earlier pilot on another server (elsewhere:1)" in said
    bench.rewrite_log(f"UPDATE changes SET server = '{server}'")
    folder("db", "undo")
    assert not folder.is_changed()


def test_what_cannot_be_undone_is_told_and_can_be_forgotten(folder: Folder) -> None:
    bench = folder.bench
    process = folder.running_the_long_one()
    process.kill()
    process.communicate()
    bench.sql("CREATE INDEX theirs ON t (b, a)")
    said = folder("db", "undo", code=1)
    assert "its name is taken" in said
    assert "left" in said
    assert bench.names() == ["theirs"]
    (pending,) = json.loads(folder("db", "undo", "--list", "--format", "json"))
    assert "no pending change 999" in folder("db", "undo", "--forget", "999", code=2)
    assert "Nothing is pending" in folder("db", "undo", "--forget", str(pending["id"]))
    assert ChangeLog(bench.home).pending() == []


def test_a_pilot_on_another_host_name_is_alive(folder: Folder, bench: Bench) -> None:
    pilot = bench.open()
    pilot.controller.set_knobs({"work_mem": "9MB"})
    bench.rewrite_log("UPDATE changes SET host = 'another', pid = 0")
    bench.open().close()
    assert "in use" in folder("db", "undo", "--list")
    assert bench.auto_conf() == {"work_mem": "9MB"}
    pilot.close()
    assert bench.auto_conf() == {}
    assert list(bench.home.glob("changes-*.lock")) == []


def test_reset_forgets_what_was_pending(make_home: Callable[[], Path]) -> None:
    home = make_home()
    code = (
        "import os, signal; from pathlib import Path; from pilotcli import PostgreSQLConfig\n"
        "from pilotcli.databases.controller import get_db_controller\n"
        "from pilotcli.databases.opening import open_target\n"
        f"target = open_target(PostgreSQLConfig(home=Path({str(home)!r})))\n"
        "get_db_controller(target.config, target=target).set_knobs({'work_mem': '9MB'})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(ChangeLog(home).pending()) == 1
    command = [sys.executable, "-c", MAIN, "db", "reset", "--yes", "--set", f"home={home}"]
    subprocess.run(command, check=True, timeout=60, cwd=home, env={**os.environ})
    assert ChangeLog(home).pending() == []
