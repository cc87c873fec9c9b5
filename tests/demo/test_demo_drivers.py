"""The ready-made drivers on a real database and a real store."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
from forum_demo import ROOT

from pilotcli.common.errors import CheckpointError, DriverError, QueryError, UsageError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.drivers.latency import (
    LatencyModel,
    LatencyPretraining,
    LatencyUpdate,
    TimedPlan,
    train,
)
from pilotcli.drivers.observe import AnalyzeTables, PlanRecorder, SlowQueryReport
from pilotcli.drivers.regression import FeatureRegressor
from pilotcli.drivers.sampling import QuerySampler, read_catalog
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.store.data_manager import DataManager

pytestmark = pytest.mark.slow

ROWS = [
    TimedPlan(f"q{n}", {"cost": n / 7.0, "joins": n % 3, "odd": (n * 37) % 11}, n / 10.0 - 4)
    for n in range(40)
]


def latency_model(tmp_path: Path) -> LatencyModel:
    model = LatencyModel("latency")
    model.checkpoints = CheckpointStore(tmp_path / "models")
    return model


def collect(event: LatencyPretraining, *args: Any) -> list[dict[str, Any]]:
    """All rows that `event` collects, as pilot asks for them."""
    rows: list[Any] = []
    done = False
    while not done:
        event.collected_rows = len(rows)
        new, done = event.iterative_data_collection(*args)
        rows += new
        event.collection_iteration += 1
    return rows


def test_the_regression_learns_and_goes_on_beyond_what_it_saw() -> None:
    fitted = FeatureRegressor.fit(
        [row.features for row in ROWS[:30]], [row.log_seconds for row in ROWS[:30]]
    )
    predicted = fitted.predict([row.features for row in ROWS[30:35]])
    for found, row in zip(predicted, ROWS[30:35], strict=True):
        assert found == pytest.approx(row.log_seconds, abs=0.3)
    assert fitted.left_out_errors.mean() < 0.2  # predicting the mean is off by 0.75


def test_left_out_errors_are_those_of_a_model_that_was_not_shown_the_row() -> None:
    import numpy as np

    from pilotcli.drivers import regression

    random = np.random.default_rng(5)
    points, targets = random.normal(size=(12, 3)), random.normal(size=12)
    targets -= targets.mean()
    part = regression._fit_part(points, targets, [(1.0, 0.3)])
    kernel = regression._kernel(points, points, 1.0, 0.3)
    # The noise that was chosen, from (K + noise I) weights = targets.
    noise = ((targets - kernel @ part.weights) / part.weights).mean()
    for one in range(12):
        rest = [n for n in range(12) if n != one]
        inner = kernel[np.ix_(rest, rest)] + noise * np.eye(11)
        predicted = kernel[one, rest] @ np.linalg.solve(inner, targets[rest])
        assert part.residuals[one] == pytest.approx(targets[one] - predicted)


def test_a_prediction_stays_near_what_was_seen() -> None:
    fitted = FeatureRegressor.fit([row.features for row in ROWS], [row.log_seconds for row in ROWS])
    for wild in ({"cost": 1e300}, {"cost": -1e300}, {}, {"never seen": 1.0}):
        assert -5.0 <= fitted.predict([wild])[0] <= 1.0


def test_rows_without_a_common_feature_are_refused() -> None:
    with pytest.raises(ValueError, match="no common feature"):
        FeatureRegressor.fit([{"a": 1.0}, {"b": 1.0}], [0.0, 1.0])


def test_a_restored_model_predicts_the_same(tmp_path: Path) -> None:
    model = latency_model(tmp_path)
    model.model = train(model, ROWS[:30], ROWS[30:])
    saved = model.save_model()
    assert (saved.trained_rows, list(saved.metrics)) == (30, ["q_error", "worst_q_error"])

    again = latency_model(tmp_path)
    again.load_model()
    plan = {"Plan": {"Node Type": "Result", "Total Cost": 12345.0, "Plan Rows": 7}}
    assert again.predict_seconds(plan) == model.predict_seconds(plan)
    assert again.model.left_out_errors.tolist() == model.model.left_out_errors.tolist()
    assert again.metrics == model.metrics


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"\x93NUMPY", b"{}"])
def test_a_damaged_file_is_a_checkpoint_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "latency.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as a model"):
        LatencyModel("latency").restore(tmp_path)


def test_an_untrained_model_says_so() -> None:
    with pytest.raises(DriverError, match="not trained yet"):
        LatencyModel("latency").predict_seconds({"Plan": {"Node Type": "Result"}})


def test_validation_queries_are_never_trained_on(tmp_path: Path) -> None:
    model = latency_model(tmp_path)
    train(model, ROWS, ROWS[:10])
    assert model.trained_rows == 30


def test_few_rows_train_nothing(tmp_path: Path) -> None:
    model = latency_model(tmp_path)
    assert train(model, ROWS[:9], ROWS[9:]) is None
    assert (model.metrics, model.trained_rows) == ({}, None)


def test_without_validation_the_left_out_error_is_reported(tmp_path: Path) -> None:
    model = latency_model(tmp_path)
    fitted = train(model, ROWS, [])
    assert fitted is not None
    expected = 10 ** fitted.left_out_errors.mean()
    assert model.metrics == {"left_out_q_error": pytest.approx(expected)}


@pytest.mark.parametrize(
    "wrong", [{"queries": 0}, {"batch": 0}, {"max_joins": -1}, {"timeout_s": 0}]
)
def test_pretraining_refuses_senseless_numbers(
    wrong: dict[str, Any], forum: PostgreSQLConfig
) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        LatencyPretraining(forum, LatencyModel("latency"), "t", **wrong)


def test_sampled_queries_join_along_foreign_keys(controller: PostgreSQLController) -> None:
    catalog = read_catalog(controller)
    assert len(catalog.tables) == 8
    assert all(100 < len(table.rows) <= 200 for table in catalog.tables)
    sampler = QuerySampler(catalog, max_joins=3, seed=7)
    queries = [sampler.sample() for _ in range(50)]
    again = QuerySampler(catalog, max_joins=3, seed=7)
    assert queries == [again.sample() for _ in range(50)]
    assert len(set(queries)) > 45
    for sql in queries:
        assert sql is not None
        assert controller.get_estimated_cost(sql) > 0
        assert sql.count(" AS t") <= 4


def test_pretraining_goes_on_where_it_was_interrupted(
    forum: PostgreSQLConfig,
    controller: PostgreSQLController,
    data_manager: DataManager,
    tmp_path: Path,
) -> None:
    (tmp_path / "two.sql").write_text("SELECT count(*) FROM tags;\nSELECT count(*) FROM links;\n")
    forum.base = tmp_path

    def make() -> LatencyPretraining:
        return LatencyPretraining(
            forum, LatencyModel("m"), "t", queries=6, batch=3, validation="two.sql", timeout_s=0.1
        )

    rows = collect(make(), controller, data_manager)
    assert [row["role"] for row in rows] == ["validation"] * 2 + ["training"] * 6
    assert all(row["execution_time"] > 0 for row in rows if row["status"] == "ok")

    later = make()
    later.collected_rows = 5
    new, done = later.iterative_data_collection(controller, data_manager)
    assert done
    assert later.target_rows == len(rows)
    assert [row["sql"] for row in new] == [row["sql"] for row in rows[5:]]


def test_a_slow_random_query_is_kept_as_a_timeout(
    forum: PostgreSQLConfig, controller: PostgreSQLController, data_manager: DataManager
) -> None:
    event = LatencyPretraining(forum, LatencyModel("m"), "t", queries=12, batch=12, timeout_s=0.001)
    rows = collect(event, controller, data_manager)
    slow = [row for row in rows if row["status"] == "timeout"]
    assert len(rows) == 12
    assert slow
    assert all(row["execution_time"] is None and row["sql"] for row in slow)


def test_a_validation_query_that_fails_is_an_error(
    forum: PostgreSQLConfig,
    controller: PostgreSQLController,
    data_manager: DataManager,
    tmp_path: Path,
) -> None:
    (tmp_path / "bad.sql").write_text("SELECT no_such_column FROM posts;\n")
    forum.base = tmp_path
    event = LatencyPretraining(forum, LatencyModel("m"), "t", validation="bad.sql")
    with pytest.raises(QueryError, match="no_such_column"):
        event.iterative_data_collection(controller, data_manager)


def test_update_trains_on_what_is_new_and_keeps_the_model_otherwise(
    forum: PostgreSQLConfig,
    controller: PostgreSQLController,
    data_manager: DataManager,
    tmp_path: Path,
) -> None:
    model = latency_model(tmp_path)
    event = LatencyUpdate(forum, 5, model, table="plans")
    asked = (model, controller, data_manager)
    assert event.custom_model_update(*asked) is None  # nothing was collected yet

    def save(numbers: range) -> None:
        for number in numbers:
            sql = f"SELECT * FROM posts WHERE id < {3**number}"
            row = {
                "sql": sql,
                "status": "ok",
                "execution_time": 1e-4 * 2**number,
                "physical_plan": controller.explain_physical_plan(sql),
            }
            data_manager.save_data("plans", row)

    save(range(11))
    data_manager.save_data("plans", {"sql": "x", "status": "timeout", "execution_time": 9.0})
    data_manager.save_data("plans", {"sql": "y", "status": "ok", "execution_time": None})
    assert event.custom_model_update(*asked) is not None
    assert model.trained_rows == 11
    assert event.custom_model_update(*asked) is None
    save(range(11, 13))
    assert event.custom_model_update(*asked) is not None
    assert model.trained_rows == 13

    restarted = LatencyUpdate(forum, 5, model, table="plans")
    assert restarted.custom_model_update(*asked) is not None
    assert model.trained_rows == 13


def test_plan_recorder_adds_a_row_for_each_new_query(
    forum: PostgreSQLConfig, controller: PostgreSQLController, data_manager: DataManager
) -> None:
    event = PlanRecorder(forum, 1, table="plans", into="summary")
    sql = "SELECT count(*) FROM posts p JOIN users u ON u.id = p.owner_id WHERE p.score > 3"
    plan = controller.explain_physical_plan(sql)
    good = {"label": "a", "status": "ok", "execution_time": 0.25, "physical_plan": plan, "seq": 7}
    data_manager.save_data_batch("plans", [good, {"label": "b", "status": "error"}])
    assert event.process(controller, data_manager) == 2
    assert event.process(controller, data_manager) == 0
    frame = data_manager.read_all("summary", reader="test")
    first, second = frame.to_dict("records")
    assert (first["label"], first["execution_time"], first["joins"]) == ("a", 0.25, 1)
    assert (first["root"], first["cost"]) == ("Aggregate", plan["Plan"]["Total Cost"])
    assert (second["status"], second["joins"]) == ("error", 0)
    assert (first["seq"], second["seq"] != second["seq"]) == (7, True), "7 and NaN"


def test_plan_recorder_does_not_write_where_it_reads(forum: PostgreSQLConfig) -> None:
    with pytest.raises(UsageError, match="both 'plans'"):
        PlanRecorder(forum, 1, table="plans", into="plans")


def test_slow_query_report_names_the_slowest_and_its_worst_estimate(
    forum: PostgreSQLConfig,
    controller: PostgreSQLController,
    data_manager: DataManager,
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = SlowQueryReport(forum, 3, table="plans")
    assert event.process(controller, data_manager) is None
    sql = "SELECT * FROM users WHERE country = 'Germany' AND city = 'Berlin' AND language = 'de'"
    data_manager.save_data_batch(
        "plans",
        [
            {"sql": "SELECT 1", "label": "quick", "status": "ok", "execution_time": 0.001},
            {"sql": sql, "label": "slow", "status": "ok", "execution_time": 0.5},
            {"sql": "SELECT 2", "label": "failed", "status": "error", "execution_time": 7.0},
        ],
    )
    line = event.process(controller, data_manager)
    assert line is not None
    assert line.startswith("slowest of 2: slow, 0.5 s; Seq Scan on users returned ")
    assert capsys.readouterr().out == line + "\n"


def test_slow_query_report_leaves_an_earlier_run_out(
    forum: PostgreSQLConfig, controller: PostgreSQLController, data_manager: DataManager
) -> None:
    row = {"sql": "SELECT 1", "label": "old", "status": "ok", "execution_time": 3.0, "run_id": 1}
    event = SlowQueryReport(forum, 2, table="plans", analyze_limit_s=0.0)
    new = {**row, "label": "new", "execution_time": 0.5}
    data_manager.save_data_batch("plans", [row, {**new, "run_id": 2}])
    assert event.process(controller, data_manager) == "slowest of 1: new, 0.5 s"
    data_manager.save_data_batch("plans", [row, {**new, "run_id": None}])
    assert event.process(controller, data_manager) == "slowest of 1: new, 0.5 s"


@pytest.mark.parametrize(
    "verb", ["DELETE FROM notes", "WITH n AS (DELETE FROM notes RETURNING 1) SELECT 1"]
)
def test_slow_query_report_changes_nothing(
    verb: str,
    forum: PostgreSQLConfig,
    controller: PostgreSQLController,
    data_manager: DataManager,
) -> None:
    controller.execute("DROP TABLE IF EXISTS notes; CREATE TABLE notes AS SELECT 1 AS note")
    try:
        row = {"sql": verb, "label": "w", "status": "ok", "execution_time": 0.01}
        data_manager.save_data("plans", row)
        line = SlowQueryReport(forum, 1, table="plans").process(controller, data_manager)
        controller.reset()
        assert line == "slowest of 1: w, 0.01 s"
        assert controller.get_table_row_count("notes") == 1
    finally:
        controller.reset()
        controller.execute("DROP TABLE notes")


def test_analyze_tables_analyzes_what_is_stale_and_nothing_else(
    pilot_config: PostgreSQLConfig, data_manager: DataManager
) -> None:
    controller = PostgreSQLController(pilot_config)
    event = AnalyzeTables(pilot_config)
    try:
        controller.execute('CREATE TABLE "Odd name" AS SELECT g FROM generate_series(1, 50) g')
        assert 'public."Odd name"' in event.process(controller, data_manager)
        ((number,),) = controller.execute("SHOW server_version_num", fetch=True)
        give_up_at = time.monotonic() + 60
        while event.process(controller, data_manager):
            assert int(number) < 150000, "only then do statistics of a table come later"
            assert time.monotonic() < give_up_at
    finally:
        controller.execute('DROP TABLE "Odd name"')
        controller.close()


def test_analyze_tables_refuses_a_senseless_share(forum: PostgreSQLConfig) -> None:
    with pytest.raises(UsageError, match="stale_share"):
        AnalyzeTables(forum, stale_share=math.nan)


def test_the_config_of_the_demo_names_files_that_exist() -> None:
    text = (ROOT / "configs" / "forum.yaml").read_text()
    files = [word for word in text.split() if word.startswith("../")]
    assert len(files) == 3
    assert all((ROOT / "configs" / name).is_file() for name in files)
