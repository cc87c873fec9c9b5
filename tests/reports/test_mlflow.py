"""Runs in an MLflow tracking store of local files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project_folder import Project

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
    pytest.importorskip("mlflow", reason="MLflow is not installed (pip install pilot-db[mlflow])")
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


def test_without_mlflow_the_way_to_get_it_is_told(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from pilotcli.reports.mlflow import check_mlflow\n"
        "check_mlflow()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "logging to MLflow needs mlflow" in done.stderr
