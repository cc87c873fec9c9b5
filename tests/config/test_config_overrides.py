"""`--set key.path=value`, and `${VAR}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotcli.config import load_config

EVENTS = """\
models: {latency: mine.py:Latency}
events:
  - mine.py:Collect
  - {class: mine.py:Collect, name: second, args: {n: 1}}
  - mine.py:Collect
"""


def test_values_are_yaml_and_the_last_one_wins(load: Any) -> None:
    config = load(
        "run: {repeat: 2}\nworkload: a.sql",
        "run.workers=3",
        "run.workers=4",
        "run.timeout=500ms",
        "run.shuffle=yes",
        "run.repeat=",
        "workload=[b.sql, '-']",
        "database.settings.work_mem=64MB",
        "database.dsn=host=h dbname=d",
        "collect.table=seen",
    )
    assert (config.run.workers, config.run.timeout, config.run.shuffle) == (4, 0.5, True)
    assert config.run.repeat == 1
    assert config.workload == ("b.sql", "-")
    assert config.database.settings == {"work_mem": "64MB"}
    assert config.database.dsn == "host=h dbname=d"
    assert config.collect.table == "seen"


def test_entries_are_named_by_name_or_place(load: Any) -> None:
    config = load(
        EVENTS,
        "events.Collect.args.n=5",
        "events.second.enabled=false",
        "events.second.args.deep.er=[1]",
        "events.2.name=third",
        "events.third.model=latency",
        "models.latency.args.alpha=1e-3",
        "models.other=pkg.Other",
    )
    one, two, three = config.events
    assert (one.class_path, one.args) == ("mine.py:Collect", {"n": 5})
    assert (two.enabled, two.args) == (False, {"n": 1, "deep": {"er": [1]}})
    assert (three.name, three.model) == ("third", "latency")
    assert [(one.name, one.args) for one in config.models] == [
        ("latency", {"alpha": 0.001}),
        ("other", {}),
    ]


def test_the_form_of_events_does_not_matter(load: Any) -> None:
    listed = load(EVENTS, "events.count=successful", "events.Collect.args.n=5")
    assert (listed.count, listed.events[0].args) == ("successful", {"n": 5})
    mapped = load("events: {list: [a.B]}", "events.B.args.n=5", "events.count=successful")
    assert (mapped.count, mapped.events[0].args) == ("successful", {"n": 5})
    assert load(EVENTS, "events=[]").events == ()
    assert load(EVENTS, "events.1=a.New").events[1].class_path == "a.New"


def test_no_config_is_needed(tmp_path: Path) -> None:
    config = load_config(None, ["run.workers=2", "events=[a.B]"], cwd=tmp_path, environ={})
    assert (config.path, config.run.workers, config.events[0].name) == (None, 2, "B")


def test_paths_are_relative_to_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.yaml").write_text("home: h\nworkload: q.sql\nevents: [e.py:E]")
    sets = ["home=there", "workload=w.sql", "database.setup=s.sql", "events.0.class=f.py:F"]
    config = load_config(Path("conf/a.yaml"), sets, cwd=tmp_path, environ={})
    assert (config.home, config.workload) == (tmp_path / "there", ("w.sql",))
    assert config.database.setup == (tmp_path / "s.sql",)
    assert config.events[0].class_path == f"{tmp_path}/f.py:F"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("run", "run: this is no override\n    Write --set key.path=value"),
        ("=3", "=3: this is no override"),
        ("run..workers=3", "run..workers=3: this is no override"),
        ("run.workers=x", "run.workers=x: run.workers must be a whole number, not 'x'"),
        ("run.wokers=3", "run.wokers=3: run has no key 'wokers'\n    Did you mean 'workers'?"),
        ("rum.workers=3", "rum.workers=3: the config has no key 'rum'\n    Did you mean 'run'?"),
        ("run.repeat.x=3", "run.repeat.x=3: 2 has no key 'x'"),
        ("run.seed=[1", "run.seed=[1: this is no valid YAML: "),
        ("events.Colect.args.n=1", "events.Colect.args.n=1: there is no entry 'Colect'\n    Did"),
        ("events.3.enabled=no", "events.3.enabled=no: there is no entry '3'\n    It has: Collect,"),
        ("events.9999999999999.a=1", "events.9999999999999.a=1: there is no entry"),
        (
            "events.0.model=lat",
            "events.0.model=lat: the event 'Collect': there is no model 'lat'\n    Did you",
        ),
        ("run.seed=${NOPE}", "run.seed=${NOPE}: the environment variable NOPE is not set"),
        ("run.seed=\udc80", "run.seed=\udc80: this is no text that can be written in UTF-8"),
    ],
)
def test_a_problem_of_an_override_stands_under_it(
    refused: Any, override: str, problem: str
) -> None:
    [told] = refused(f"run: {{repeat: 2}}\n{EVENTS}", override)
    assert told.startswith(f"--set {problem}"), told


def test_problems_of_overrides_follow_those_of_the_file(refused: Any) -> None:
    places = [one.partition(":")[0] for one in refused("a: 1\nb: 2", "run.seed=x", "c=1")]
    assert places[:2] == ["pilot.yaml", "pilot.yaml"]
    assert set(places[2:]) == {"--set run.seed=x", "--set c=1"}


def test_a_variable_gets_its_type_where_it_stands(load: Any) -> None:
    text = """\
run:
  workers: ${N:-4}
  seed: '${N:-7}'
  timeout: ${UNIT}s
  shuffle: ${EMPTY:-true}
database: {name: "${N:-007}", settings: {jit: '${OFF}'}}
events:
  - class: ${CLASS:-a.B}
    args:
      plain: ${NUMBER}
      quoted: "${NUMBER}"
      inner: a${NUMBER}b${EMPTY}
      escaped: $${NUMBER} $ {} $NUMBER
      deep: [{it: '${NUMBER}'}]
"""
    environ = {"UNIT": "30", "NUMBER": "1e-3", "EMPTY": "", "OFF": "off"}
    config = load(text, environ=environ)
    run = config.run
    assert (run.workers, run.seed, run.timeout, run.shuffle) == (4, 7, 30.0, True)
    assert (config.database.name, config.database.settings) == ("007", {"jit": "off"})
    assert config.events[0].class_path == "a.B"
    assert config.events[0].args == {
        "plain": 0.001,
        "quoted": "1e-3",
        "inner": "a1e-3b",
        "escaped": "${NUMBER} $ {} $NUMBER",
        "deep": [{"it": "1e-3"}],
    }


def test_what_a_variable_holds_is_not_read_as_yaml_or_again(load: Any) -> None:
    environ = {"A": "[1, 2]", "B": "${A}", "C": "x: y # z"}
    args = load("events: [{class: a.B, args: {a: '${A}', b: '${B}', c: '${C}'}}]", environ=environ)
    assert args.events[0].args == {"a": "[1, 2]", "b": "${A}", "c": "x: y # z"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("home: ${NOPE}", "1:7: the environment variable NOPE is not set\n    Set it, or give a"),
        ("home: ${}", "1:7: '${}' names no variable\n    Write ${NAME}, ${NAME:-default}, or $${"),
        ("home: ${A B}", "1:7: '${A B}' names no variable"),
        ("home: ${A", "1:7: '${A' names no variable"),
        ("home: '${A:-${B}}'", "1:7: '${A:-${B}' names no variable"),
        ("run:\n  seed: ${WORD}", "2:9: run.seed must be a whole number, not the value of ${WORD}"),
    ],
)
def test_a_variable_that_does_not_do(refused: Any, text: str, problem: str) -> None:
    [told] = refused(text, environ={"WORD": "private", "B": "b"})
    assert told.startswith(f"pilot.yaml:{problem}"), told
    assert "private" not in told
