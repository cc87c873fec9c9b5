"""Records a run in the journal, with the progress of its pretrainings and its checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pilotcli.common.errors import StorageError
from pilotcli.common.records import ModelVersion, PretrainingProgress
from pilotcli.common.signals import RunFinished
from pilotcli.config import RunConfig, shown_config
from pilotcli.config.model import EventSpec
from pilotcli.events.model import PilotModel
from pilotcli.run.request import StoredRequest
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal, RunJournal, RunKind, RunRecord


class RunLogger:
    """The `RunLog` of a scheduler, on the journal of the run's home."""

    def __init__(
        self,
        journal: Journal,
        run: RunJournal,
        store: CheckpointStore,
        config: RunConfig,
        *,
        fingerprints: Mapping[str, str],
        models: Mapping[str, PilotModel],
    ) -> None:
        self._journal = journal
        self._store = store
        self._fingerprints = fingerprints
        self._keep = {
            models[spec.name].model_name: spec.keep
            for spec in config.models
            if spec.keep is not None
        }
        self._run = run
        self.run_id = run.run_id
        self.token = self._token(run.run_id)
        self.add_result = run.add_result
        self.add_warmed = run.add_warmed
        self.begin_firing = run.begin_firing
        self.add_firing = run.add_firing
        self.add_plan = run.add_plan
        self.set_pair = run.set_pair
        self.set_experiment = run.set_experiment
        self.flush = run.flush
        self.check = run.check
        self.close = run.close

    def is_own(self, token: str) -> bool:
        """Whether the token belongs to a run in this journal."""
        run_id = token.partition("@")[0]
        try:
            return run_id.isdecimal() and token == self._token(int(run_id))
        except StorageError:
            return False

    def mark_of(self, event: str) -> str:
        """The name of the mark that keeps a pretraining event's collection progress; it depends on
        the event's class and arguments."""
        return f"pretraining {event} {self._fingerprints.get(event, '')[:16]}"

    def _token(self, run_id: int) -> str:
        return token_of(self._journal.run(run_id))

    def add_model(self, version: ModelVersion) -> None:
        """Record a checkpoint, and remove the oldest beyond the model's `keep`."""
        self._run.add_model(version)
        keep = self._keep.get(version.model)
        if keep is not None:
            self._store.prune(version.model, keep)

    def add_progress(self, event: str, table: str, progress: PretrainingProgress) -> None:
        """Record the progress of a pretraining."""
        self._run.set_pretraining(event, self._fingerprints.get(event, ""), table, progress)

    def progress_of(self, event: str) -> PretrainingProgress | None:
        """The progress of this event's pretraining in earlier runs with the same class and
        arguments; None when it never began."""
        return self._journal.pretraining(event, self._fingerprints[event])

    def finish(self, finished: RunFinished) -> None:
        """Record how the run ended, and whether anything is left to do."""
        summary: dict[str, Any] = {**asdict(finished), "complete": finished.resume is None}
        summary.pop("slowest")
        self._run.finish(finished.status, finished.exit_code, summary)


def token_of(record: RunRecord) -> str:
    """Identifies a run, also among those of other folders and machines."""
    return f"{record.run_id}@{record.started_at!r}"


def begin_run(
    journal: Journal,
    kind: RunKind,
    config: RunConfig,
    request: StoredRequest,
    *,
    workload: str,
    digest: str | None,
    database: str,
    driver: int | None = None,
) -> RunJournal:
    """Begin a run in the journal, with everything that is needed to continue it; `driver` as in
    `Journal.start_run`."""
    return journal.start_run(
        kind=kind,
        workload=workload,
        config_path=str(config.path) if config.path is not None else None,
        config_text=json.dumps(shown_config(config), default=str),
        database=database,
        options=asdict(config.run),
        request=asdict(request),
        workload_digest=digest,
        driver=driver,
    )


def store_schema(run_id: int) -> str:
    """The schema of the store for the rows of a run that begins fresh."""
    return f"run_{run_id}"


def schema_of(record: RunRecord) -> str | None:
    """The schema of the store with the rows of a run; None for that of runs that begin with what
    there is."""
    fresh = record.arm is not None and record.options.get("fresh")
    return store_schema(record.run_id) if fresh else None


def fingerprint(spec: EventSpec, schema: str | None = None) -> str:
    """A digest of an event's class, arguments and model, and of the store's schema if it has a
    name."""
    parts = [spec.class_path, dict(spec.args), spec.model, *([] if schema is None else [schema])]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
