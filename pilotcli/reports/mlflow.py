"""A run in MLflow: parameters, metrics, model versions and their checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotcli.analysis.comparison import Comparison
from pilotcli.errors import StorageError, UsageError
from pilotcli.redaction import redacted
from pilotcli.storage.journal import JournalReader

__all__ = ["EXPERIMENT", "check_mlflow", "log_run"]

EXPERIMENT = "pilot"
PARAMETER_CHARS = 500
"""MLflow takes longer ones only from version 2.8 on."""


def check_mlflow() -> None:
    """Raise `UsageError` when MLflow is not installed."""
    try:
        import mlflow  # noqa: F401
    except ImportError:
        raise UsageError(
            "logging to MLflow needs mlflow", hint="Install it: pip install 'pilot-db[mlflow]'"
        ) from None


def log_run(
    uri: str,
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None = None,
    *,
    experiment: str = EXPERIMENT,
) -> str:
    """Log the run `run_id` to the tracking store at `uri`; returns MLflow's id of it.

    Parameters are the run's options, workload and database; metrics its counts and latencies in
    seconds, the speed-ups when it is compared, and each model's own, with the version as the step.
    Checkpoints become artifacts under `models/`. Raises `UsageError` without MLflow, and
    `StorageError` for what it refuses.
    """
    check_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    record, statistics = journal.run(run_id), journal.statistics(run_id)
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        home = found.experiment_id if found is not None else client.create_experiment(experiment)
        made = client.create_run(
            home,
            start_time=round(record.started_at * 1000),
            run_name=f"pilot run {run_id}",
            tags={
                "pilot.run_id": str(run_id),
                "pilot.kind": record.kind,
                "pilot.status": record.status,
                "pilot.journal": str(journal.path),
            },
        )
        own = made.info.run_id
        parameters: dict[str, Any] = {
            "workload": record.workload,
            "config": record.config_path,
            "database": record.database,
            **{f"run.{name}": value for name, value in record.options.items()},
        }
        for name, value in parameters.items():
            client.log_param(own, name, redacted(str(value))[:PARAMETER_CHARS])
        values: dict[str, float | None] = {
            "executions": statistics.total,
            "query_s": statistics.query_s,
            "p50_s": statistics.p50_s,
            "p95_s": statistics.p95_s,
            "p99_s": statistics.p99_s,
            "max_s": statistics.max_s,
            **{f"queries_{name}": number for name, number in statistics.counts.items()},
            **_compared(comparison),
        }
        _log_metrics(client, own, values, 0)
        for version in journal.models(run_id):
            metrics = {f"{version.model}.{name}": one for name, one in version.metrics.items()}
            _log_metrics(client, own, metrics, version.version)
            if Path(version.path).is_dir():
                place = f"models/{version.model}/{version.version}"
                client.log_artifacts(own, str(version.path), place)
        ended = "FINISHED" if record.exit_code == 0 else "FAILED"
        end = record.finished_at or record.started_at
        client.set_terminated(own, status=ended, end_time=round(end * 1000))
    except (MlflowException, OSError) as exc:
        raise StorageError(f"MLflow at {redacted(uri)}: {redacted(str(exc))}") from exc
    return str(own)


def _compared(comparison: Comparison | None) -> Mapping[str, float | None]:
    if comparison is None:
        return {}
    return {
        "speedup_total": comparison.total.speedup,
        "speedup_total_low": comparison.total.low,
        "speedup_total_high": comparison.total.high,
        "speedup_geometric": comparison.geometric.speedup,
        "queries_faster": comparison.count("faster"),
        "queries_slower": comparison.count("slower"),
        "answers_different": len(comparison.different),
    }


def _log_metrics(client: Any, run: str, values: Mapping[str, float | None], step: int) -> None:
    for name, value in values.items():
        if value is not None and math.isfinite(value):
            client.log_metric(run, name, value, step=step)
