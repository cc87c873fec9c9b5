"""Runs that are killed at random moments and resumed, compared with one that is not."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

from pilot_starter import run_pilot
from project_folder import Project

from pilotcli.analysis.compare import compare
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.storage.journal import Journal
from pilotcli.storage.store.data_manager import DataManager

DRIVER = """
import json, os, random, signal, threading
from pilotcli import (
    CheckpointedModel, PeriodicModelUpdateEvent, PretrainingModelEvent, QueryFinishEvent,
    WorkloadBeforeEvent,
)

# The killer comes with the driver: some time after the run has begun to load it, all ends.
if os.environ.get("KILL_AFTER"):
    after_s = float(os.environ["KILL_AFTER"])
    killer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL))
    killer.daemon = True
    killer.start()


class Counts(CheckpointedModel):
    def dump(self, folder):
        (folder / "counts.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "counts.json").read_text())


def updated(model):
    counts = dict(model.model or {"updates": 0})
    counts["updates"] += 1
    model.metrics = counts
    return counts


class Pretrain(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        rows = [{"n": self.collection_iteration}]
        return rows, self.collection_iteration == 3

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        return updated(bind_pilot_model)


class Before(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager):
        pass


class Third(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        db_controller.execute("SELECT pg_sleep(0.002)")


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        read = len(data_manager.read_update("seen"))
        counts = updated(pilot_model)
        counts["read"] = counts.get("read", 0) + read
        return counts


class Fails(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        raise ValueError("on purpose")
"""

CONFIG = """
home: .pilot
database: {{dsn: '{dsn}'}}
store: {{database: {store}}}
run: {{warmup: 1, repeat: 2, timeout: 0.2, max_failures: 100, {options}}}
models: {{counts: {{class: 'driver.py:Counts'}}}}
collect: seen
events:
  - {{class: 'driver.py:Pretrain', model: counts, args: {{data_saving_table: rows}}}}
  - 'driver.py:Before'
  - {{class: 'driver.py:Third', args: {{interval_count: 3}}}}
  - {{class: 'driver.py:Update', model: counts, args: {{interval_count: 7}}}}
  - {{class: 'driver.py:Fails', args: {{interval_count: 11}}}}
"""

WORKLOAD = """
SET work_mem = '7MB';
SELECT current_setting('work_mem'), pg_sleep(0.001);
BEGIN;
CREATE TEMPORARY TABLE mine (n int) ON COMMIT DROP;
INSERT INTO mine SELECT generate_series(1, 100);
SELECT count(*), pg_sleep(0.01) FROM mine;
COMMIT;
SELECT 1 / 0;
PREPARE sleep(float) AS SELECT pg_sleep($1);
EXECUTE sleep(0.01);
SELECT 1;
EXECUTE sleep(0.002);
SELECT 'a', pg_sleep(0.005);
DEALLOCATE sleep;
"""


@dataclass(frozen=True, slots=True)
class Story:
    """What a run's journal tells, without times."""

    status: str
    exit_code: int | None
    results: tuple[tuple[object, ...], ...]
    firings: tuple[tuple[object, ...], ...]
    updates: dict[str, float]
    """What the model has counted: its updates, and the rows that they have read."""
    seen: tuple[tuple[str, str], ...]
    """The rows that were collected."""
    rows: tuple[int, ...]
    """The rows of the pretraining."""
    baseline: tuple[tuple[object, ...], ...]
    """The results of the baseline, in a paired run."""
    compared: dict[str, object]
    """Whether the queries of a paired run gave the same rows, and in how many rounds."""


def make_project(folder: Path, dsn: str, store: str, options: str) -> None:
    """A config, a driver and a workload in `folder`."""
    folder.mkdir(parents=True)
    (folder / "driver.py").write_text(DRIVER)
    (folder / "pilot.yaml").write_text(CONFIG.format(dsn=dsn, store=store, options=options))
    (folder / "w.sql").write_text(WORKLOAD)


def pilot(folder: Path, *words: str, kill_after: float | None = None) -> int:
    """Run pilot there; with `kill_after` it is killed so long after it has loaded its driver."""
    environ = dict(os.environ)
    environ.pop("KILL_AFTER", None)
    if kill_after is not None:
        environ["KILL_AFTER"] = str(kill_after)
    done = run_pilot(*words, cwd=folder, env=environ)
    with (folder / "output.txt").open("a") as output:
        output.write(done.stdout + done.stderr)
    return done.returncode


def story_of(folder: Path) -> Story:
    """What came of the only run in `folder`, or the only pair of runs."""
    with Journal.open(folder / ".pilot") as journal:
        *others, record = journal.runs()
        connection = journal._connection
        sql = "SELECT round, seq, status FROM results WHERE run_id = ? ORDER BY result"
        results = connection.execute(sql, (record.run_id,)).fetchall()
        baseline: list[tuple[object, ...]] = []
        compared: dict[str, object] = {}
        if others:
            (other,) = others
            assert (other.paired_with, record.paired_with) == (record.run_id, other.run_id)
            assert (other.status, other.alive) == ("finished", False)
            baseline = connection.execute(sql, (other.run_id,)).fetchall()
            found = compare(journal, record.run_id, journal, other.run_id)
            answers = sorted((one.label, one.answers) for one in found.queries)
            compared = {"answers": answers, "rounds": (found.rounds_a, found.rounds_b)}
        firings = [
            (one.event, one.reason, one.after_query, one.outcome, one.fired)
            for one in journal.firings(record.run_id)
        ]
        last = connection.execute(
            "SELECT metrics FROM models ORDER BY created_at DESC LIMIT 1"
        ).fetchone()
        updates = json.loads(last[0]) if last else {}
        fresh = record.options["fresh"]
    config = load_config(folder / "pilot.yaml")
    store = PostgreSQLConfig.from_run_config(config, embedded=False)
    store.store_schema = "run_1" if fresh else None
    with DataManager(store) as manager:
        seen = manager.read_all("seen", reader="test")
        rows = manager.read_all("rows", reader="test")
    return Story(
        status=record.status,
        exit_code=record.exit_code,
        results=tuple(results),
        firings=tuple(firings),
        updates=updates,
        seen=tuple(zip(seen["label"], seen["status"], strict=True)),
        rows=tuple(rows["n"]),
        baseline=tuple(baseline),
        compared=compared,
    )


def killed_and_resumed(
    folder: Path, kills: int, within_s: float, seed: int, more: tuple[str, ...]
) -> int:
    """Begin a run with the options `more` and kill it up to `kills` times, each time resuming it;
    then let it end. Returns how often it was killed."""
    moments = random.Random(seed)
    killed = 0
    while True:
        begun = (folder / ".pilot" / "journal.db").exists() and _has_run(folder)
        words = ["run", "--resume"] if begun else ["run", "w.sql", *more]
        after = moments.uniform(0, within_s) if killed < kills else None
        if pilot(folder, *words, kill_after=after) != -9:
            return killed
        killed += 1


def _has_run(folder: Path) -> bool:
    with Journal.open(folder / ".pilot") as journal:
        return bool(journal.runs())


def time_of_run(folder: Path, more: tuple[str, ...]) -> float:
    """Run the workload; seconds from the start of the run to its end."""
    pilot(folder, "run", "w.sql", *more)
    with Journal.open(folder / ".pilot") as journal:
        elapsed_s = journal.run(1).elapsed_s
    assert elapsed_s is not None
    return elapsed_s


def campaign(
    project: Project,
    options: str,
    *,
    kills: int,
    seed: int,
    more: tuple[str, ...] = (),
    rounds: int = 2,
    learned: int = 2,
) -> int:
    """Kill and resume runs until that was done `kills` times, and compare each with one that was
    left alone. Returns how often; an `AssertionError` says which differs.

    Each run has so many `rounds`, and updates models in the `learned` first ones."""

    def folder(number: int) -> Path:
        made = project.folder / f"{seed}-{number}"
        make_project(made, project.dsn, f"{project.store}_{seed}_{number}", options)
        return made

    whole = folder(0)
    within_s = time_of_run(whole, more)
    expected = story_of(whole)
    assert (expected.status, expected.exit_code) == ("failed", 3), expected
    assert len(expected.results) == len(expected.seen) == 14 * rounds
    assert expected.rows == (0, 1, 2, 3)
    assert expected.updates["read"] == 14 * learned
    assert bool(expected.baseline) == bool(more)
    killed = number = 0
    while killed < kills:
        number += 1
        one = folder(number)
        killed += killed_and_resumed(one, 4, within_s, seed * 1000 + number, more)
        assert list((one / ".pilot").glob("run-*")) == []
        assert story_of(one) == expected, (one / "output.txt").read_text()
    return killed
