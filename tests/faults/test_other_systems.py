"""Without what only Linux has, runs with events work, and continue after a kill.

The programs run without /proc, posix_fallocate, O_PATH and the like (`other_system.py`), on an
embedded server of their own.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from other_system import other_system
from project_folder import PILOT

Program = Callable[..., "subprocess.CompletedProcess[str]"]

EVENTS = """
import os, signal
from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent, QueryFinishEvent


class Mean(CheckpointedModel):
    def dump(self, folder):
        (folder / "mean").write_text(str(self.model))

    def restore(self, folder):
        self.model = float((folder / "mean").read_text())


class Learns(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        rows = data_manager.read_all("seen")
        return float(rows["execution_time"].mean()) if len(rows) else None


class Dies(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print("rows:", len(data_manager.read_all("seen")))
        if not self.resumed and os.path.exists("deadly"):
            os.remove("deadly")
            os.kill(os.getpid(), signal.SIGKILL)
"""
CONFIG = """
home: .pilot
workload: w.sql
database: {name: shop, setup: schema.sql}
collect: {table: seen, execution_time: true, records: true, max_rows: 5}
models:
  mean: {class: "ev.py:Mean"}
events:
  - {class: "ev.py:Learns", model: mean, args: {interval_count: 10, execute_on_init: false}}
  - {class: "ev.py:Dies", args: {interval_count: 25}}
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Program]:
    environment = other_system(tmp_path / "hook")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    yield run
    run(PILOT, "db", "stop")


def test_the_other_system_lacks_them(elsewhere: Program) -> None:
    code = (
        "import os, pathlib; from glob import glob\n"
        "print(hasattr(os, 'posix_fallocate'), hasattr(os, 'O_PATH'), os.path.exists('/proc/1'),\n"
        "      pathlib.Path('/proc/self/cwd').exists(), glob('/proc/*'))\n"
        "open('/proc/self/stat')"
    )
    done = elsewhere(sys.executable, "-c", code)
    assert done.stdout == "False False False False []\n"
    assert "FileNotFoundError" in done.stderr


def test_a_killed_run_continues(elsewhere: Program, tmp_path: Path) -> None:
    (tmp_path / "ev.py").write_text(EVENTS)
    (tmp_path / "pilot.yaml").write_text(CONFIG)
    (tmp_path / "w.sql").write_text("".join(f"SELECT {n};\n" for n in range(60)))
    (tmp_path / "schema.sql").write_text("CREATE TABLE goods (id int);")
    (tmp_path / "deadly").touch()
    killed = elsewhere(PILOT, "run")
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    resumed = elsewhere(PILOT, "run", "--resume", "--format", "jsonl")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    signals = [json.loads(line) for line in resumed.stdout.splitlines()]
    finished = [one["result"]["seq"] for one in signals if one["signal"] == "query_finished"]
    assert finished == list(range(26, 61))
    shown = elsewhere(PILOT, "runs", "show", "1", "--format", "json")
    statistics = json.loads(shown.stdout)["statistics"]
    assert statistics["counts"] == {"ok": 60}
    (model,) = json.loads(elsewhere(PILOT, "models", "list", "--format", "json").stdout)
    assert model["versions"] == [1, 2, 3, 4, 5, 6]


def test_a_server_is_known_and_stopped_without_proc(elsewhere: Program, tmp_path: Path) -> None:
    started = elsewhere(PILOT, "db", "start")
    assert started.returncode == 0, started.stderr
    (status,) = json.loads(elsewhere(PILOT, "db", "status", "--format", "json").stdout)
    assert (status["running"], status["pinned"]) == (True, True)
    assert elsewhere(PILOT, "doctor").returncode == 0
    stopped = elsewhere(PILOT, "db", "stop")
    assert stopped.returncode == 0, stopped.stderr
    (status,) = json.loads(elsewhere(PILOT, "db", "status", "--format", "json").stdout)
    assert not status["running"]


def test_a_killed_server_starts_again(elsewhere: Program, tmp_path: Path) -> None:
    assert elsewhere(PILOT, "db", "start").returncode == 0
    (status,) = json.loads(elsewhere(PILOT, "db", "status", "--format", "json").stdout)
    subprocess.run(["kill", "-9", str(status["pid"])], check=True)
    # The process is there a little longer on a busy machine.
    wait = ["tail", "-s", "0.05", f"--pid={status['pid']}", "-f", "/dev/null"]
    subprocess.run(wait, check=True, timeout=60)
    again = elsewhere(PILOT, "db", "psql", "--", "-Atc", "SELECT 41 + 1")
    assert (again.returncode, again.stdout.strip()) == (0, "42"), again.stderr
