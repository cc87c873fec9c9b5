"""The driver that chooses planner settings: it learns from some queries, and steers others."""

from __future__ import annotations

import json

import pytest
from project_folder import Project

from pilotcli.common.records import QueryResult
from pilotcli.config import PilotConfig
from pilotcli.drivers.hints import (
    ARMS,
    NATIVE,
    ChosenHints,
    HintModel,
    Measured,
    choose,
)
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal

pytestmark = pytest.mark.slow

# Without hash and merge joins the native plans of joins compare all pairs of rows.
CONFIG = """
database:
  dsn: '{dsn}'
  session: {{enable_hashjoin: off, enable_mergejoin: off, enable_material: off}}
models: {{choices: pilotcli.drivers.hints.HintModel}}
events:
  - class: pilotcli.drivers.hints.HintPretraining
    model: choices
    args:
      data_saving_table: arms
      queries: train.sql
      arms: {{hash: {{enable_hashjoin: 'on'}}, useless: {{enable_tidscan: 'off'}}}}
handlers:
  - class: pilotcli.drivers.hints.ChosenHints
    model: choices
    args: {{least_s: 0.002}}
"""
SETUP = """
CREATE TABLE IF NOT EXISTS left_side AS
  SELECT i AS id, i % 7 AS kind FROM generate_series(1, 2000) i;
CREATE TABLE IF NOT EXISTS right_side AS
  SELECT i AS id, i % 9 AS kind FROM generate_series(1, 2000) i;
ANALYZE left_side; ANALYZE right_side;
"""
JOIN = "SELECT count(*) FROM left_side l JOIN right_side r ON r.id = l.id AND l.kind < {};"
SCAN = "SELECT count(*) FROM left_side WHERE kind < {};"


@pytest.fixture
def hints(project: Project) -> Project:
    project.write("setup.sql", SETUP)
    project.config()
    project.run("setup.sql")
    head = f"home: .pilot\nstore: {{database: {project.store}}}\n"
    (project.folder / "pilot.yaml").write_text(head + CONFIG.format(dsn=project.dsn))
    queries = [text.format(number) for number in range(1, 7) for text in (JOIN, SCAN)]
    project.write("train.sql", "\n".join(queries))
    project.write(
        "test.sql", JOIN.format(8) + SCAN.format(8) + JOIN.format(1) + "VACUUM left_side;"
    )
    return project


def logged(journal: Journal, run: int) -> list[QueryResult]:
    return list(journal.results(run))


def test_unseen_queries_run_in_the_arm_that_was_fast_for_others(hints: Project) -> None:
    finished = hints.run("test.sql")
    assert finished.exit_code == 0, finished.reasons
    with hints.journal() as journal:
        unseen_join, unseen_scan, known_join, vacuum = logged(journal, finished.run_id)
        (version,) = journal.models(finished.run_id)
    assert unseen_join.steering is not None
    assert unseen_join.steering.applied == ("enable_hashjoin = on",)
    assert unseen_join.logged is not None
    assert unseen_join.logged["arm"] == "hash"
    predicted, native = (unseen_join.logged[name] for name in ("predicted_s", "native_s"))
    assert isinstance(predicted, float) and isinstance(native, float)
    assert predicted < native
    assert unseen_scan.steering is None
    assert known_join.steering is not None
    assert vacuum.logged is None
    assert version.trained_rows == 12
    assert version.metrics["best_speedup"] >= version.metrics["speedup"]
    assert version.metrics["best_speedup"] > 1


def test_each_query_has_a_row_for_each_arm_also_after_an_interruption(hints: Project) -> None:
    """The number of saved rows is the place where a collection goes on."""
    text = (hints.folder / "pilot.yaml").read_text()
    (hints.folder / "pilot.yaml").write_text(
        text.replace("queries:", "budget_s: 1e-9\n      queries:")
    )
    assert hints.command("pretrain").returncode == 0  # one query, and too few to train on
    (hints.folder / "pilot.yaml").write_text(text)
    shown = hints.command("pretrain")
    assert shown.returncode == 0, shown.stderr
    assert "36/36" in shown.stdout or "36 rows" in shown.stdout


def test_a_version_is_read_back_as_it_was(hints: Project) -> None:
    assert hints.command("pretrain").returncode == 0
    store = CheckpointStore(hints.folder / ".pilot" / "models")
    version = store.current("choices")
    assert version is not None
    model = HintModel("choices")
    model.restore(version.path)
    read = model.model
    assert isinstance(read, Measured)
    assert list(read.arms) == [NATIVE, "hash", "useless"]
    assert len(read.seconds) == len(read.features) == 12
    features = next(iter(read.features.values()))
    again = HintModel("choices")
    again.model = read
    folder = hints.folder / "again"
    folder.mkdir()
    again.dump(folder)
    copy = HintModel("choices")
    copy.restore(folder)
    assert copy.model.predict(features) == read.predict(features)
    assert json.loads((folder / "measured.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    ("expected", "chosen"),
    [
        ({NATIVE: 1.0, "other": 0.5}, "other"),
        ({NATIVE: 1.0, "other": 0.95}, NATIVE),  # too little to gain
        ({NATIVE: 0.04, "other": 0.001}, NATIVE),  # too short to matter
        ({NATIVE: 1.0, "other": 2.0, "third": 0.2}, "third"),
        ({NATIVE: 1.0}, NATIVE),
    ],
)
def test_the_native_arm_is_left_where_it_pays(expected: dict[str, float], chosen: str) -> None:
    assert choose(expected, least_s=0.05, least_gain=1.1) == chosen


@pytest.mark.parametrize("arguments", [{"least_s": -1}, {"least_gain": 0.5}])
def test_limits_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(Exception, match="ChosenHints: least_s must be"):
        ChosenHints(PilotConfig(), HintModel("m"), **arguments)


def test_a_pretraining_without_queries_says_what_to_do(hints: Project) -> None:
    text = (hints.folder / "pilot.yaml").read_text()
    (hints.folder / "pilot.yaml").write_text(text.replace("      queries: train.sql\n", ""))
    shown = hints.command("pretrain")
    assert shown.returncode == 3
    assert "HintPretraining has no queries to learn from" in shown.stdout + shown.stderr


def test_the_arms_are_settings_that_every_server_knows(project: Project) -> None:
    project.config()
    names = {name for settings in ARMS.values() for name in settings}
    project.write("w.sql", "".join(f"SHOW {name};\n" for name in sorted(names)))
    assert project.run("w.sql").exit_code == 0
    assert next(iter(ARMS)) == NATIVE
