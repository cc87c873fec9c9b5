"""Nothing that pilot writes steers a terminal: no name, label or error, and no line of a driver."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from project_folder import PILOT, Project

from pilotcli.config import load_config
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

pytestmark = pytest.mark.slow

# Colour, title (OSC 0), clipboard (OSC 52), clear, C1 forms of CSI and OSC, device control, bell,
# backspace, reversed writing.
EVIL = (
    "\x1b[31mred\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J\x9d0;c1\x9c"
    "\x1bPq#0\x1b\\\x07\x08\x1bc\u202etxt\u200b"
)

DRIVERS = f"""
import logging
import sys

from pilotcli import CheckpointedModel, HintPushHandler, PeriodicModelUpdateEvent, QueryFinishEvent

EVIL = {EVIL!r}


class Raises(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        raise type("Error" + EVIL, (ValueError,), {{}})(EVIL)


class Prints(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print("printed", EVIL)
        print("progress\\r" + EVIL, file=sys.stderr)
        logging.getLogger("pilotcli.x").error("logged %s", EVIL)
        db_controller.execute(f"SELECT '{{EVIL}}'::integer")


class Model(CheckpointedModel):
    def dump(self, folder):
        (folder / f"w{{EVIL}}".replace("/", "")).write_text("w")

    def restore(self, folder):
        self.model = 1


class Trains(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        pilot_model.metrics = {{EVIL: 1.5}}
        return 1


class Steers(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "wrong" in sql:
            return {{EVIL: EVIL}}
        return {{"my.own": EVIL}}


class Built(QueryFinishEvent):
    def __init__(self, config):
        raise ValueError(EVIL)
"""


def config(*events: str) -> str:
    """A config whose names are evil too, written as YAML takes them."""
    name = json.dumps(EVIL).replace("/", r"\/")
    listed = ", ".join(
        f"{{class: 'drivers.py:{one}', name: {json.dumps(one + EVIL)}"
        + (f", model: {name}, args: {{interval_count: 1}}" if one == "Trains" else "")
        + "}"
        for one in events
    )
    return (
        f"models: {{{name}: {{class: 'drivers.py:Model'}}}}\n"
        f"events: [{listed}]\nhandlers: ['drivers.py:Steers']\n"
        "collect: seen\nsteering: {on_error: native}\n"
    )


@pytest.fixture
def evil(project: Project) -> Project:
    project.write("drivers.py", DRIVERS)
    (project.folder / "w.sql").write_text(
        f"-- name: label{EVIL}\nSELECT '{EVIL}' AS x;\n"
        f"-- name: wrong{EVIL}\nSELECT '{EVIL}'::integer AS wrong;\n"
    )
    project.config(config("Raises", "Prints", "Trains"))
    return project


def on_terminal(folder: Path, *words: str) -> str:
    """What a command writes to a terminal."""
    terminal, end = pty.openpty()
    process = subprocess.Popen([PILOT, *words], cwd=folder, stdout=end, stderr=subprocess.DEVNULL)
    os.close(end)
    pieces = []
    with contextlib.suppress(OSError):  # the end of a terminal's output
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    os.close(terminal)
    assert process.wait(timeout=60) == 0
    return b"".join(pieces).decode()


def unsafe(text: str) -> list[str]:
    """The signs in a text that a terminal could act upon."""
    return sorted(set(re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]", text)))


@pytest.mark.parametrize(
    "options",
    [(), ("--verbose",), ("--quiet",), ("--format", "jsonl", "--verbose"), ("--debug",)],
    ids=" ".join,
)
def test_a_run(evil: Project, options: tuple[str, ...]) -> None:
    done = evil.command("run", "w.sql", *options)
    assert done.returncode == 3
    assert unsafe(done.stdout + done.stderr) == []
    if "jsonl" in options:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert any(one["signal"] == "event_triggered" for one in lines)


def test_what_looks_back_at_a_run(evil: Project) -> None:
    assert evil.command("run", "w.sql").returncode == 3
    name = load_config(evil.folder / "pilot.yaml").models[0].name
    store = CheckpointStore(evil.folder / ".pilot" / "models")
    assert store.models() == [name]
    for words in (
        ("runs", "list"),
        ("runs", "show"),
        ("runs", "show", "--failed"),
        ("models", "list"),
        ("models", "show", name),
        ("models", "show", name, "--version", "1"),
        ("models", "rollback", name),
        ("models", "trust", name),
        ("models", "prune", name, "--keep", "1"),
        ("events", "list"),
        ("config", "show"),
        ("run", "w.sql", "--dry-run"),
        ("doctor",),
        ("runs", "show", "--format", "json"),
        ("models", "list", "--format", "json"),
        ("events", "list", "--format", "json"),
        ("config", "show", "--format", "json"),
        ("db", "undo", "--list"),
    ):
        done = evil.command(*words)
        assert done.returncode == 0, (words, done.stderr)
        assert unsafe(done.stdout + done.stderr) == [], words


def test_errors(evil: Project) -> None:
    evil.write("evil.yaml", f"{json.dumps(EVIL)}: 1\nrun: {{repeat: {json.dumps(EVIL)}}}\n")
    broken = evil.folder / ".pilot" / "models" / "m" / "000001"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text(json.dumps({"format": 1, EVIL: 1}))
    for words in (
        ("run", f"no{EVIL}.sql"),
        ("run", f"no{EVIL}.sql", "--debug"),
        ("run", "w.sql", "--set", f"{EVIL}={EVIL}"),
        ("run", "w.sql", "--events", EVIL),
        ("run", "w.sql", "-c", f"{EVIL}.yaml"),
        ("run", "w.sql", "-o", f"{EVIL}.xls"),
        ("config", "check", "-c", "evil.yaml"),
        ("config", "check", "-c", "evil.yaml", "--debug"),
        ("models", "show", EVIL),
        ("models", "show", "m"),
        ("models", "show", "m", "--version", "1"),
        ("models", "list"),
        ("runs", "show", EVIL),
        (EVIL,),
        (f"--{EVIL}",),
        ("runs", f"--{EVIL}"),
        ("run", f"--wor{EVIL}kers"),
        ("run", "--workers", EVIL),
        ("runs", "list", "--format", EVIL),
    ):
        done = evil.command(*words)
        assert done.returncode != 0, words
        assert unsafe(done.stdout + done.stderr) == [], words
    evil.config(config("Built"))
    for words in (("run", "w.sql"), ("run", "w.sql", "--debug"), ("events", "list"), ("doctor",)):
        done = evil.command(*words)
        assert done.returncode != 0, words
        assert unsafe(done.stdout + done.stderr) == [], words


@pytest.mark.parametrize(
    "words",
    [
        ("init", EVIL.replace("/", "")),
        ("init", f"here{EVIL}".replace("/", "")),
        ("runs", "export", "-o", f"{EVIL}.csv".replace("/", "")),
        ("runs", "report", "1", "-o", f"{EVIL}.html".replace("/", "")),
        ("runs", "show", "--summary", f"{EVIL}.md".replace("/", "")),
        ("run", "w.sql", "--summary", f"{EVIL}/{EVIL}.md"),
        ("run", f"{EVIL}.sql"),
        ("run", "--set", f"{EVIL}=1"),
        ("run", "-c", EVIL),
        ("run", "w.sql", "--against", EVIL),
        ("models", "show", EVIL),
        ("config", "check", "--set", f"home={EVIL}".replace("/", "")),
        ("db", "status", "--set", f"home={EVIL}".replace("/", "")),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_the_user_has_named(project: Project, words: tuple[str, ...]) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    project.run("w.sql")
    done = project.command(*words)
    assert unsafe(done.stdout + done.stderr) == []


def test_pages_and_summaries_keep_the_direction_of_writing(evil: Project) -> None:
    evil.command("run", "w.sql", "--report", "r.html", "--summary", "s.md", "--junit", "j.xml")
    for name in ("r.html", "s.md", "j.xml"):
        text = (evil.folder / name).read_text("utf-8")
        assert "txt" in text, name
        assert re.findall("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]", text) == [], name
    shown = evil.command("runs", "compare", "1", "1", "--format", "markdown").stdout
    assert unsafe(shown) == []


def test_files_of_text_hold_nothing_for_a_terminal(evil: Project) -> None:
    written = ("-o", "r.jsonl", "--summary", "s.md", "--junit", "j.xml")
    assert evil.command("run", "w.sql", *written).returncode == 3
    for name in written[1::2]:
        found = unsafe((evil.folder / name).read_text("utf-8"))
        assert set(found) <= {"\u200b"}, name  # harmless in a text
    first = json.loads((evil.folder / "r.jsonl").read_text("utf-8").splitlines()[0])
    assert first["label"].endswith("txt\u200b") and "\u202e" in first["label"]
    exported = evil.command("runs", "export", "1", "-o", "-", "--format", "jsonl")
    assert unsafe(exported.stdout) == []


def test_csv_is_as_it_is_for_programs_only(evil: Project) -> None:
    evil.command("run", "w.sql", "--against", "native", "--rounds", "1")
    words = ("runs", "compare", "1", "--format", "csv")
    assert "\u202e" in evil.command(*words).stdout
    shown = on_terminal(evil.folder, *words)
    assert "label" in shown
    assert unsafe(shown.replace("\r\n", "\n")) == []
