"""`pilot config check|show|schema`, as a user calls them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from pilot_starter import run_pilot

from pilotcli.config import load_config, shown_config

pytestmark = pytest.mark.slow

MINE = """\
from pilotcli import QueryFinishEvent

class Count(QueryFinishEvent):
    def process(self, db_controller, data_manager): ...

class Raises(Count):
    def __init__(self, config, depth):
        raise ValueError(f"no depth {depth}")
"""


def pilot(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NO_COLOR": "1", **environment}
    return run_pilot("config", *arguments, cwd=folder, env=env)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "pilot.yaml").write_text("run: {repeat: 3}\nevents: [mine.py:Count]\n")
    return tmp_path


def test_check_says_that_all_is_well_or_that_there_is_no_config(folder: Path) -> None:
    done = pilot(folder, "check")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{folder}/pilot.yaml: all well (0 models, 1 event, 0 handlers)\n",
        "",
    )
    (folder / "pilot.yaml").unlink()
    done = pilot(folder, "check")
    assert (done.returncode, done.stdout) == (
        0,
        "no config: the defaults: all well (0 models, 0 events, 0 handlers)\n",
    )


def test_check_tells_every_problem_and_ends_with_2(folder: Path) -> None:
    (folder / "other.yaml").write_text("run: {repat: 3}\nhome: []\n")
    done = pilot(folder, "check", "-c", "other.yaml", "--set", "run.workers=0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "other.yaml:1:7: run has no key 'repat'" in done.stderr
    assert "Did you mean 'repeat'?" in done.stderr
    assert "other.yaml:2:7: home must be a text, not a list" in done.stderr
    assert "--set run.workers=0: run.workers must be a whole number from 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("mine.py:Cuont", "pilot.yaml:1:10: the event 'Cuont': mine.py has no class 'Cuont'"),
        (
            "{class: 'mine.py:Raises', args: {depth: 3}}",
            "Raises() raised ValueError: no depth 3",
        ),
    ],
)
def test_check_imports_and_builds_the_classes(folder: Path, event: str, told: str) -> None:
    (folder / "pilot.yaml").write_text(f"events: [{event}]")
    done = pilot(folder, "check")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in pilot(folder, "check", "--debug").stderr


def test_show_prints_what_is_used_without_secrets(folder: Path) -> None:
    (folder / "pilot.yaml").write_text(
        "database: {dsn: 'postgresql://ann:${PASSWORD}@db/shop'}\n"
        "run: {workers: '${WORKERS:-4}'}\n"
        "events: [{class: mine.py:Count, args: {api_key: k3y, interval_count: 5}}]\n"
    )
    sets = ("--set", "run.timeout=500ms", "--set", "events.Count.args.note=1e3 'x")
    for form, load in (("yaml", yaml.safe_load), ("json", json.loads)):
        done = pilot(folder, "show", "--format", form, *sets, PASSWORD="geheim")
        assert (done.returncode, done.stderr) == (0, "")
        assert "geheim" not in done.stdout
        assert "k3y" not in done.stdout
        shown = load(done.stdout)
        assert shown["database"]["dsn"] == "postgresql://ann:***@db/shop"
        assert (shown["run"]["workers"], shown["run"]["timeout"]) == (4, 0.5)
        assert shown["events"]["list"][0]["args"] == {
            "api_key": "***",
            "interval_count": 5,
            "note": "1e3 'x",
        }


def test_what_show_prints_is_a_config_that_says_the_same(folder: Path, tmp_path: Path) -> None:
    (folder / "pilot.yaml").write_text(
        "run: {timeout: 5min}\nevents: [{class: mine.py:Count, args: {a: '1e3', b: '$${x}'}}]"
    )
    again = tmp_path / "again.yaml"
    again.write_text(pilot(folder, "show").stdout)
    assert shown_config(load_config(again, cwd=folder)) == shown_config(
        load_config(folder / "pilot.yaml", cwd=folder)
    )


def test_schema_prints_a_json_schema_with_which_the_configs_of_the_project_agree(
    folder: Path,
) -> None:
    done = pilot(folder, "schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    root = Path(__file__).parents[2]
    configs = [*root.glob("configs/*.yaml"), root / "pilotcli" / "cli" / "scaffold" / "pilot.yaml"]
    assert len(configs) > 1
    for path in configs:
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_every_group_of_problems_has_its_number(folder: Path) -> None:
    (folder / "pilot.yaml").write_text("a: 1\nb: 2\n")
    assert re.search(r"2 problems", pilot(folder, "check").stderr)
