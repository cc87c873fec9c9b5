"""The values of signals are of the types that docs/signals.md says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from doc_blocks import ROOT
from project_folder import Project

pytestmark = pytest.mark.slow

DRIVER = """
from pilotcli import (
    CardPushHandler, CheckpointedModel, PeriodicModelUpdateEvent, PretrainingModelEvent,
)


class Counter(CheckpointedModel):
    def dump(self, folder):
        (folder / "n").write_text("1")

    def restore(self, folder):
        self.model = 1


class First(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        return [{"n": 1}], True

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        return 1


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        print("updating")
        pilot_model.metrics = {"mae": 0.5}
        pilot_model.trained_rows = 3
        return 1


class Keep(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return None


class Fail(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        raise ValueError("x")


class Cards(CardPushHandler):
    def acquire_injected_data(self, sql):
        self.interactor.pull_subquery_card()
        return {key: 5 for key in self.interactor.execute(sql).subquery_2_card}
"""
CONFIG = """
models: {counter: own.py:Counter}
handlers: [own.py:Cards]
steering: {on_missing: skip, on_error: native}
events:
  - {class: own.py:First, model: counter, args: {data_saving_table: rows}}
  - {class: own.py:Update, model: counter, args: {interval_count: 2}}
  - {class: own.py:Keep, model: counter, args: {interval_count: 2}}
  - {class: own.py:Fail, model: counter, args: {interval_count: 4}}
"""
SQL = """
SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam;
SELECT 2;
SELECT 1/0;
SELECT pg_sleep(60);
"""
KINDS: dict[str, Any] = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
    "object": dict,
}


def tables() -> dict[str, dict[str, str]]:
    """The type of each key of each signal and object on the page."""
    sections = re.split(r"^#{2,3} ", (ROOT / "docs" / "signals.md").read_text("utf-8"), flags=re.M)
    return {
        section.partition("\n")[0]: dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.M))
        for section in sections[1:]
    }


def mistakes(value: Any, kind: str, path: str) -> Iterator[str]:
    """The parts of a value that are not of the type that the page says."""
    nullable = kind.endswith(" or null")
    kind = kind.removesuffix(" or null")
    if nullable and value is None:
        return
    if kind.startswith("list of ") and isinstance(value, list):
        for one in value:
            yield from mistakes(one, kind.removeprefix("list of "), path)
    elif named := re.fullmatch(r"\[([\w ]+)\]\(#[\w-]+\)", kind):
        yield from mistakes_of_keys(value, TABLES[named[1]], path)
    elif kind.startswith("["):
        for one, own in zip(value, kind.strip("[]").split(", "), strict=True):
            yield from mistakes(one, own, path)
    elif not isinstance(value, KINDS[kind]) or (kind != "boolean" and isinstance(value, bool)):
        yield f"{path} is no {kind}: {value!r}"


def mistakes_of_keys(value: Any, keys: dict[str, str], path: str) -> Iterator[str]:
    for name, kind in keys.items():
        yield from mistakes(value[name], kind, f"{path}.{name}")


TABLES = tables()
OBJECTS = {"query", "result", "steering", "event", "model", "version", "slowed query"}


def test_the_values_are_of_the_types_on_the_page(project: Project) -> None:
    project.write("own.py", DRIVER)
    project.write("w.sql", SQL)
    project.config(CONFIG)
    seen = set()
    for words in (
        ("--timeout", "50ms", "--every", "1s"),
        ("--timeout", "50ms", "--against", "native"),
    ):
        done = project.command("run", "w.sql", "--format", "jsonl", *words)
        for line in done.stdout.splitlines():
            signal = json.loads(line)
            seen.add(signal["signal"])
            found = mistakes_of_keys(signal, TABLES[signal["signal"]], signal["signal"])
            assert list(found) == []
    signals = {name for name in TABLES if TABLES[name] and name not in OBJECTS}
    assert len(signals) >= 17
    # The shared server runs already, so that nothing takes long before the run.
    assert signals - seen == {"step_started"}
