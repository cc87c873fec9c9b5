"""Runs in an MLflow tracking store of local files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project_folder import Project
from written_run import firing, result, version, write_run

pytestmark = pytest.mark.slow

EVENTS = """
import json

from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent


class Counter(CheckpointedModel):
    def dump(self, folder):
        (folder / "n.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "n.json").read_text())


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        pilot_model.metrics = {"mae": 0.5}
        return {"n": 1}
"""
READ = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("pilot")
(run,) = client.search_runs([experiment.experiment_id])
files = client.list_artifacts(run.info.run_id, "models/counter/1")
print(json.dumps([run.data.params, run.data.metrics, run.info.status, len(files)]))
"""


@pytest.fixture
def quiet() -> dict[str, str]:
    """MLflow without its own telemetry, and with the store of files, which it would rather see
    replaced by a database."""
    pytest.importorskip("mlflow", reason="MLflow is not installed (pip install mlflow-skinny)")
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}


def test_a_run_is_logged_with_its_models(project: Project, quiet: dict[str, str]) -> None:
    project.write("own.py", EVENTS)
    project.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    project.config(
        "models: {counter: own.py:Counter}\n"
        "events:\n  - {class: 'own.py:Update', model: counter, args: {interval_count: 2,"
        " execute_on_init: false}}\n"
    )
    uri = (project.folder / "mlruns").as_uri()
    done = project.command("run", "w.sql", "--mlflow", uri, env=quiet)
    assert done.returncode == 0, done.stdout + done.stderr
    read = subprocess.run(
        [sys.executable, "-c", READ, uri], capture_output=True, text=True, check=True, env=quiet
    )
    parameters, metrics, status, files = json.loads(read.stdout.splitlines()[-1])
    assert parameters["run.repeat"] == "1"
    assert metrics["executions"] == 2
    assert metrics["counter.mae"] == 0.5
    assert status == "FINISHED"
    assert files >= 1


def test_a_store_that_refuses_is_told(project: Project, quiet: dict[str, str]) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.run("w.sql")
    done = project.command("runs", "export", "1", "--mlflow", "nonsense://x", env=quiet)
    assert done.returncode == 2
    assert done.stderr.startswith("error: MLflow at nonsense://x"), done.stderr
    refused = project.command("run", "w.sql", "--mlflow", "nonsense://me:S3cret-word@x", env=quiet)
    assert refused.returncode == 2
    assert "S3cret-word" not in refused.stdout + refused.stderr
    with project.journal() as journal:
        assert len(journal.runs()) == 1, "it is refused before anything runs"


def test_without_mlflow_the_way_to_get_it_is_told(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from pilotcli.reports.mlflow import check_mlflow\n"
        "check_mlflow('file:mlruns')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "logging to MLflow needs mlflow" in done.stderr


LOG = """
import json, sys
from pathlib import Path
from mlflow.tracking import MlflowClient
from pilotcli.common.redaction import keep_secret
from pilotcli.analysis.compare_named import compare_runs
from pilotcli.reports.mlflow import log_run
from pilotcli.storage.journal import Journal

home, uri, runs = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
keep_secret(["S3cret-word"])
client, told = MlflowClient(uri), []
with Journal.open(home) as journal:
    for run_id, compared in runs:
        comparison = compare_runs(home, str(run_id), None) if compared else None
        own = log_run(uri, journal, run_id, comparison)
        data = client.get_run(own)
        history = {
            name: [
                (one.step, one.value, one.timestamp)
                for one in client.get_metric_history(own, name)
            ]
            for name in data.data.metrics
        }
        told.append([data.data.params, data.data.tags, history, data.info.status])
print(json.dumps(told))
"""


def logged(
    home: Path, env: dict[str, str], *runs: tuple[int, bool]
) -> list[tuple[dict[str, str], dict[str, str], dict[str, list[list[float]]], str]]:
    """What MLflow has of the runs: parameters, tags, metrics with their steps, status."""
    uri = (home.parent / "mlruns").as_uri()
    done = subprocess.run(
        [sys.executable, "-c", LOG, str(home), uri, json.dumps(runs)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    told: list[tuple[dict[str, str], dict[str, str], dict[str, list[list[float]]], str]]
    told = json.loads(done.stdout.splitlines()[-1])
    return told


def test_what_is_logged(tmp_path: Path, quiet: dict[str, str]) -> None:
    home = tmp_path / "home"
    models = [
        version(1, metrics={"mean error (s), %": 2.0, "nan": float("nan")}),
        version(2, metrics={"mean error (s), %": 1.0}, trained_rows=None),
    ]
    firings = [firing(1), firing(2, outcome="failed", error="no")]
    run_id = write_run(
        home,
        [result(1), result(2), result(3, status="error", error="no")],
        firings=firings,
        models=models,
        workload=f"password=S3cret-word {'w' * 9000}",
        ended=("failed", 3),
    )
    ((parameters, tags, metrics, status),) = logged(home, quiet, (run_id, False))
    assert parameters["run.repeat"] == "2"
    assert parameters["workload"].startswith("password=*** www")
    assert tags["pilot.run_id"] == "1"
    assert tags["pilot.config"] == "pilot.yaml"
    assert "S3cret-word" not in json.dumps([parameters, tags])
    assert status == "FAILED"
    last = {name: history[-1][1] for name, history in metrics.items()}
    assert (last["executions"], last["queries_ok"], last["queries_error"]) == (3, 2, 1)
    assert (last["p50_s"], last["p99_s"]) == (0.001, 0.002)
    assert (last["event_firings"], last["event_failures"]) == (2, 1)
    assert metrics["latency.mean error _s__ _"] == [[1, 2.0, 17500], [2, 1.0, 17500]]
    assert metrics["latency.trained_rows"] == [[1, 40, 17500]]
    assert not [name for name in metrics if "nan" in name]


def test_how_a_run_ended(tmp_path: Path, quiet: dict[str, str]) -> None:
    home = tmp_path / "home"
    endings = [("finished", 0), ("failed", 1), ("interrupted", 130), None]
    runs = [write_run(home, [result(1)], ended=one) for one in endings]
    told = logged(home, quiet, *((run_id, False) for run_id in runs))
    assert [status for *_, status in told] == ["FINISHED", "FAILED", "KILLED", "RUNNING"]


def test_a_comparison_s_figures(paired_home: Path, quiet: dict[str, str]) -> None:
    ((_, tags, metrics, _),) = logged(paired_home, quiet, (1, True))
    ((_, low, _),), ((_, middle, _),), ((_, high, _),) = (
        metrics[f"speedup_total{end}"] for end in ("_low", "", "_high")
    )
    assert low < middle < high
    assert metrics["answers_different"][0][1] == 1
    assert (tags["pilot.arm"], tags["pilot.paired_with"]) == ("driver", "2")


def test_many_versions_are_logged_in_batches(tmp_path: Path, quiet: dict[str, str]) -> None:
    models = [version(number) for number in range(1, 1201)]
    run_id = write_run(tmp_path / "home", [result(1)], models=models)
    ((_, _, metrics, _),) = logged(tmp_path / "home", quiet, (run_id, False))
    assert [step for step, *_ in metrics["latency.mae"]] == list(range(1, 1201))


BREAK = """
import sys
from pathlib import Path
from mlflow.tracking import MlflowClient
from pilotcli.common.errors import StorageError
from pilotcli.reports.mlflow import log_run
from pilotcli.storage.journal import Journal

with Journal.open(Path(sys.argv[1])) as journal:
    try:
        log_run(sys.argv[2], journal, 1)
    except StorageError as error:
        client = MlflowClient(sys.argv[2])
        (run,) = client.search_runs([client.get_experiment_by_name("pilot").experiment_id])
        print(run.info.status, run.data.params["database"], error.message)
"""


def test_what_breaks_off_is_marked(tmp_path: Path, quiet: dict[str, str]) -> None:
    """MLflow refuses artifacts whose path leads out of the run's."""
    (tmp_path / "checkpoint").mkdir()
    models = [version(1, model="..", path=tmp_path / "checkpoint")]
    write_run(tmp_path / "home", [result(1)], models=models)
    words = [str(tmp_path / "home"), (tmp_path / "mlruns").as_uri()]
    done = subprocess.run(
        [sys.executable, "-c", BREAK, *words],
        capture_output=True,
        text=True,
        check=False,
        env=quiet,
    )
    assert done.stdout.startswith("KILLED embedded PostgreSQL 18 MLflow at file:"), done
