"""A run in MLflow: parameters, metrics, model versions and their checkpoints."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotcli.analysis.comparison import Comparison, Effect
from pilotcli.common.errors import StorageError, UsageError
from pilotcli.common.extras import install
from pilotcli.common.redaction import redacted
from pilotcli.storage.journal import JournalReader, RunRecord

EXPERIMENT = "pilot"
VALUE_CHARS = 500
"""MLflow takes longer parameters only from version 2.8 on."""
BATCH = 1000
"""Metrics that MLflow takes at a time."""
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# What MLflow does not take in the name of a metric.
_FORBIDDEN = re.compile(r"[^\w\-. /]", re.ASCII)


def check_mlflow(uri: str) -> None:
    """Raise `UsageError` when MLflow is not installed, and `StorageError` when it cannot read the
    tracking store at `uri`."""
    with _pilot_errors(uri):
        _client(uri).get_experiment_by_name(EXPERIMENT)


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
    Checkpoints that are still there become artifacts under `models/`. What breaks off is marked as
    killed. Raises as `check_mlflow` does.
    """
    with _pilot_errors(uri):
        client = _client(uri)
        record = journal.run(run_id)
        found = client.get_experiment_by_name(experiment)
        home = found.experiment_id if found is not None else client.create_experiment(experiment)
        made = client.create_run(
            home,
            start_time=round(record.started_at * 1000),
            run_name=f"pilot run {run_id}",
            tags=_tags(record, journal),
        )
        own = str(made.info.run_id)
        try:
            _log(client, own, journal, record, comparison)
        except BaseException:
            with contextlib.suppress(Exception):
                client.set_terminated(own, status="KILLED")
            raise
        if record.finished_at is not None:
            end = round(record.finished_at * 1000)
            client.set_terminated(own, status=_status(record), end_time=end)
        return own


def _client(uri: str) -> Any:
    # Nobody who logs to a store of their own has asked for figures about it to be sent elsewhere.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise UsageError(
            "logging to MLflow needs mlflow", hint=f"Install it: {install('mlflow')}"
        ) from None
    return MlflowClient(tracking_uri=uri)


@contextlib.contextmanager
def _pilot_errors(uri: str) -> Iterator[None]:
    """Turns what MLflow raises into errors of pilot."""
    try:
        yield
    except Exception as exc:
        own = type(exc).__module__.partition(".")[0] == "mlflow"
        if not (own or isinstance(exc, (OSError, ImportError))):
            raise
        message = " ".join(str(exc).split())
        hint = "A store in a database needs all of MLflow: pip install mlflow"
        in_database = uri.partition("://")[0].partition("+")[0] in _DATABASES
        raise StorageError(
            f"MLflow at {redacted(uri)}: {redacted(message)}", hint=hint if in_database else None
        ) from exc


def _status(record: RunRecord) -> str:
    if record.status == "interrupted":
        return "KILLED"
    return "FINISHED" if record.exit_code == 0 else "FAILED"


def _tags(record: RunRecord, journal: JournalReader) -> dict[str, str]:
    tags = {
        "run_id": record.run_id,
        "kind": record.kind,
        "status": record.status,
        "workload": record.workload,
        "config": record.config_path,
        "journal": journal.path,
        "paired_with": record.paired_with,
        "arm": record.arm,
    }
    return {f"pilot.{name}": _text(value) for name, value in tags.items() if value is not None}


def _text(value: object) -> str:
    return redacted(str(value))[:VALUE_CHARS]


def _log(
    client: Any,
    own: str,
    journal: JournalReader,
    record: RunRecord,
    comparison: Comparison | None,
) -> None:
    from mlflow.entities import Metric, Param

    parameters: dict[str, object] = {
        "workload": record.workload,
        "config": record.config_path,
        "database": record.database,
        **{f"run.{name}": value for name, value in record.options.items()},
    }
    client.log_batch(own, params=[Param(name, _text(value)) for name, value in parameters.items()])
    versions = journal.models(record.run_id)
    ended_at = record.finished_at or record.started_at
    metrics = [
        Metric(name, value, round(ended_at * 1000), 0)
        for name, value in _usable(_outcome(journal, record, comparison))
    ]
    for version in versions:
        values = {**version.metrics, "trained_rows": version.trained_rows}
        metrics += [
            Metric(
                _FORBIDDEN.sub("_", f"{version.model}.{name}"),
                value,
                round(version.created_at * 1000),
                version.version,
            )
            for name, value in _usable(values)
        ]
    for begin in range(0, len(metrics), BATCH):
        client.log_batch(own, metrics=metrics[begin : begin + BATCH])
    for version in versions:
        if Path(version.path).is_dir():
            place = f"models/{version.model}/{version.version}"
            client.log_artifacts(own, str(version.path), place)


def _outcome(
    journal: JournalReader, record: RunRecord, comparison: Comparison | None
) -> dict[str, float | None]:
    statistics = journal.statistics(record.run_id)
    timed = journal.compared_statistics(record) or statistics
    events = journal.event_totals(record.run_id, 0)
    metrics: dict[str, float | None] = {
        "executions": statistics.total,
        **{f"queries_{name}": number for name, number in statistics.counts.items()},
        "query_s": statistics.query_s,
        "p50_s": timed.p50_s,
        "p95_s": timed.p95_s,
        "p99_s": timed.p99_s,
        "max_s": timed.max_s,
        "event_firings": sum(event.fired for event in events),
        "event_failures": sum(event.failed for event in events),
        "event_s": sum(event.duration_s for event in events),
    }
    if comparison is not None:
        for name in ("total", "geometric"):
            effect: Effect = getattr(comparison, name)
            metrics |= {
                f"speedup_{name}": effect.speedup,
                f"speedup_{name}_low": effect.low,
                f"speedup_{name}_high": effect.high,
            }
        metrics |= {
            "queries_faster": comparison.count("faster"),
            "queries_slower": comparison.count("slower"),
            "answers_different": len(comparison.different),
        }
    return metrics


def _usable(values: Mapping[str, float | None]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if value is not None and math.isfinite(value):
            yield name, value
