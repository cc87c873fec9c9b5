"""`pilot events list|plan`: what is shown without a database."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from pilot_starter import run_pilot

EVENTS = """
from pilotcli import PeriodicModelUpdateEvent, QueryFinishEvent, WorkloadBeforeEvent, PilotModel

print("loaded")

class Model(PilotModel):
    def save_model(self): pass
    def load_model(self): pass

class Often(QueryFinishEvent):
    def process(self, db_controller, data_manager): pass

class First(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager): pass

class Learn(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager): pass
"""

CONFIG = """
models: {m: "ev.py:Model"}
events:
  - {class: "ev.py:Learn", model: m, args: {interval_count: 4}}
  - "ev.py:Often"
  - "ev.py:First"
  - {class: "gone.py:Gone", enabled: false}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ev.py").write_text(EVENTS)
    (tmp_path / "pilot.yaml").write_text(CONFIG)
    (tmp_path / "w.sql").write_text("SELECT 1;\n" * 9)
    return tmp_path


def pilot(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PGHOST": "/nowhere"}
    done = run_pilot(*words, cwd=folder, env=environment)
    assert not (folder / ".pilot").exists(), "no server, no journal"
    return done


def test_the_list_as_json(folder: Path) -> None:
    done = pilot(folder, "events", "list", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "loaded\n"
    listed = json.loads(done.stdout)
    assert [(one["name"], one["kind"], one["fires"], one["model"]) for one in listed] == [
        ("Learn", "periodic_update", "at the start, after every 4 queries", "m"),
        ("Often", "query_finish", "after every query", None),
        ("First", "workload_before", "before the first query", None),
        ("Gone", None, "never (enabled: false)", None),
    ]
    assert listed[0]["file"] == str(folder / "ev.py")


def test_the_list_as_a_table(folder: Path) -> None:
    lines = pilot(folder, "events", "list").stdout.splitlines()
    assert lines[0].split() == ["EVENT", "KIND", "FIRES", "MODEL", "CLASS", "FILE"]
    assert len(lines) == 5


def test_the_plan_is_every_firing_in_its_order(folder: Path) -> None:
    done = pilot(folder, "events", "plan", "w.sql", "--format", "json")
    fired = [json.loads(line) for line in done.stdout.splitlines()]
    after = [(one["after_query"], one["event"], one["reason"]) for one in fired]
    assert after[:2] == [(0, "Learn", "init"), (0, "First", "workload_before")]
    expected = []
    for number in range(1, 10):
        expected += [(number, "Learn", "interval")] if number % 4 == 0 else []
        expected += [(number, "Often", "interval")]
    assert after[2:] == expected


def test_the_plan_as_a_table(folder: Path) -> None:
    text = pilot(folder, "events", "plan", "w.sql", "--set", "run.repeat=2").stdout
    assert "9 queries, 2 times" in text
    assert "after query 4, 8, 12, 16" in text
    assert "after query 1, 2, 3, 4, 5, 6, 7, 8, ..." in text
