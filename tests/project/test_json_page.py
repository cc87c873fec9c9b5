"""docs/json.md has each key that the commands print, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from doc_blocks import ROOT
from project_folder import Project

from pilotcli.databases.changes.log import Change, ChangeKind, Owner
from pilotcli.databases.commands.undo import PendingChange
from pilotcli.views.changes import show_changes

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "json.md").read_text("utf-8")
DRIVER = """
from pilotcli import CheckpointedModel, HintPushHandler, PeriodicModelUpdateEvent


class Counter(CheckpointedModel):
    def dump(self, folder):
        (folder / "n").write_text("1")

    def restore(self, folder):
        self.model = 1


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return 1


class Hint(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "5MB"}
"""
CONFIG = """
models: {counter: own.py:Counter}
handlers: [own.py:Hint]
events: [{class: own.py:Update, model: counter, args: {interval_count: 1}}]
"""


def documented(command: str) -> set[str]:
    section = PAGE.partition(f"\n## `pilot {command}`\n")[2].partition("\n## ")[0]
    assert section, command
    cells = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)}


def printed(content: Any, known: set[str]) -> set[str]:
    """The keys, with those of an inner object where the page has any of its keys."""
    if isinstance(content, list):
        return {key for one in content for key in printed(one, known)}
    found = set()
    for key, value in content.items():
        inner = {name.partition(".")[2] for name in known if name.startswith(f"{key}.")}
        if key in known:
            found.add(key)
        if inner and isinstance(value, (dict, list)):
            found |= {f"{key}.{name}" for name in printed(value, inner)}
        elif key not in known:
            found.add(key)
    return found


@pytest.fixture
def paired(project: Project) -> Project:
    project.write("own.py", DRIVER)
    project.write("w.sql", "SELECT count(*) FROM generate_series(1, 10);\nSELECT 2;\n")
    project.config(CONFIG)
    assert project.command("run", "w.sql", "--against", "native", "--rounds", "2").returncode == 0
    return project


def test_each_key_of_a_command_with_runs(paired: Project) -> None:
    def show(*words: str) -> Any:
        done = paired.command(*words, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def hold(command: str, content: Any, more: frozenset[str] = frozenset()) -> None:
        known = documented(command) | more
        assert printed(content, known) == known, command

    run = frozenset(documented("runs list") - {"counts"})
    hold("runs list", show("runs", "list"))
    hold("runs show", show("runs", "show", "1"), run)
    sometimes = {"provenance.git", "provenance.continued"}
    known = documented("runs show --provenance")
    assert printed(show("runs", "show", "--provenance"), known) | sometimes == known
    hold("runs diff", show("runs", "diff", "1", "--query", "1"))
    hold("models list", show("models", "list"))
    model = show("models", "show", "counter")
    version = show("models", "show", "counter", "--version", "1")
    own = {"class", "files.name", "files.size_bytes", "files.sha256", "origin", "pilot", "python"}
    assert printed([model], set()) | own == documented("models show")
    assert printed(version, own) == own | model["current"].keys()
    hold("events list", show("events", "list"))
    hold("handlers list", show("handlers", "list"))
    hold("workloads list", show("workloads", "list"))
    hold("doctor", show("doctor"))
    plan = paired.command("events", "plan", "w.sql", "--format", "json").stdout.splitlines()
    hold("events plan", [json.loads(line) for line in plan])


def test_each_key_of_a_server(server_home: Path, project: Project) -> None:
    done = project.command("db", "status", "--format", "json", "--set", f"home={server_home}")
    known = documented("db status")
    assert printed(json.loads(done.stdout), known) == known


def test_each_key_of_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    change = Change(
        *(1, "7", "here", 0, "", "setting", "jit", {"old": None, "new": "on"}, "made", 1),
        Owner.new(),
        1.0,
    )
    show_changes([PendingChange(change, "left")], "json")
    known = documented("db undo")
    assert printed(json.loads(capsys.readouterr().out), known) == known
    assert all(f"`{kind}`" in PAGE for kind in get_args(ChangeKind))
