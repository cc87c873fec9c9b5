"""A run made ready: everything loaded, connected and registered."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pilotcli.common.records import EventKind
from pilotcli.common.signals import Bus, DatabaseReady, Notice, RunFinished, Signal, StepStarted
from pilotcli.config import RunConfig, choose_embedded
from pilotcli.config.home import make_home
from pilotcli.databases.opening import open_target
from pilotcli.events.model import PilotModel
from pilotcli.events.pretraining import PretrainingProgress
from pilotcli.events.schedule import Registered
from pilotcli.plugins import aliases, check_plugins
from pilotcli.run.driver_output import driver_output
from pilotcli.run.log import RunLogger, begin_run, fingerprint
from pilotcli.run.model_loading import current_version, load_models, load_models_again
from pilotcli.run.model_rollback import RegressionWatch
from pilotcli.run.request import Asked, select_events
from pilotcli.run.resume import refuse_changed_config, refuse_changed_workload, versions_to_load
from pilotcli.run.run import Ready
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal, PastRun, RunKind
from pilotcli.storage.store.unsaved_rows import WaitingRow, WaitingRows
from pilotcli.workload import Workload

__all__ = ["Begin", "prepared"]


class _Steps:
    """Tells of what takes a while; behind the run's end, of what was undone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._ended = False
        bus.subscribe(self._heard, RunFinished)

    def __call__(self, text: str) -> None:
        if not self._ended:
            self._bus.emit(StepStarted(text))
        else:
            self._bus.emit(Notice("warning" if text.startswith("not undone") else "info", text))

    def _heard(self, _: Signal) -> None:
        self._ended = True


@dataclass(frozen=True, slots=True)
class Begin:
    """What is begun, or continued."""

    kind: RunKind
    workload: str
    asked: Asked
    digest: str | None
    resume: int | None
    force: bool


@contextlib.contextmanager
def prepared(
    config: RunConfig,
    event_names: Sequence[str] | None,
    bus: Bus,
    begin: Begin,
    workload: Workload | None = None,
    *,
    keep_in: Path | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Ready]:
    """Load, connect and register everything; let go of it in the reverse order.

    The run is kept in the journal of the home `keep_in`, by default that of the config. `stop` ends
    it, and may end others too.
    """
    config = replace(config, events=select_events(config.events, event_names))
    with contextlib.ExitStack() as stack:
        # From here on drivers' code runs: their modules, their constructors, their events.
        stack.enter_context(driver_output(bus))
        plugins = check_plugins(config)
        if (which := aliases.choice()) is not None:
            bus.emit(Notice("info", which))
        journal = Journal.open(make_home(keep_in or config.home))
        stack.enter_context(contextlib.closing(journal))
        if begin.resume is not None and not begin.force:
            refuse_changed_config(journal.run(begin.resume), config)
            if workload is not None:
                refuse_changed_workload(
                    journal, begin.resume, workload, begin.digest, begin.asked.total
                )
        embedded = choose_embedded(config.database, os.environ)
        scheduler_class = plugins.scheduler()
        pilot_config = scheduler_class.config_class.from_run_config(config, embedded=embedded)
        started = time.perf_counter()
        steps = _Steps(bus)
        target = open_target(pilot_config, on_step=steps)
        stack.callback(target.close)
        elapsed_s = time.perf_counter() - started
        bus.emit(DatabaseReady(target.description, target.server_version, elapsed_s))
        models = plugins.build_models()
        store = CheckpointStore(config.home / "models")
        past: PastRun | None = None
        if begin.resume is not None:
            entry, past = journal.resume_run(begin.resume, forced=begin.force)
            stack.callback(entry.close)
            versions = versions_to_load(journal, past)
            load_models_again(models, config.models, store, bus, versions)
        else:
            load_models(models, config.models, store, bus)
        built = plugins.build_events(pilot_config, models)
        if begin.resume is None:
            entry = begin_run(
                journal,
                config,
                kind=begin.kind,
                workload=begin.workload,
                database=target.description,
                asked=begin.asked,
                digest=begin.digest,
            )
            stack.callback(entry.close)
            entry.set_loaded({model.model_name: _number(model) for model in models.values()})
        log = RunLogger(
            journal,
            entry,
            store,
            config,
            fingerprints={one.spec.name: fingerprint(one.spec) for one in built},
            models=models,
        )
        stop = stop or threading.Event()
        scheduler = scheduler_class(
            pilot_config,
            target=target,
            bus=bus,
            log=log,
            run_id=log.run_id,
            count=config.count,
            stop=stop,
            steering=config.steering,
            event_timeout_s=config.event_timeout,
        )
        stack.callback(scheduler.close)
        scheduler.register_custom_handlers(plugins.build_handlers(pilot_config, models))
        left: Sequence[WaitingRow] = ()
        if config.collect is not None:
            scheduler.collect(config.collect)
            waiting = WaitingRows(keep_in or config.home, log.run_id)
            left = waiting.left()
            scheduler.data_manager.keep_rows(waiting, log.token)
        scheduler.prepare()
        registered = tuple(
            scheduler.event_runner.register(one.event, one.spec.name) for one in built
        )
        progress = _pretraining_progress(config, registered, log, bus)
        yield Ready(
            config=config,
            bus=bus,
            target=target,
            scheduler=scheduler,
            registered=registered,
            models=models,
            log=log,
            stop=stop,
            kind=begin.kind,
            workload=begin.workload,
            journal=journal,
            progress=progress,
            past=past,
            left=left,
            watch=RegressionWatch(config.models, models, bus),
        )


def _number(model: PilotModel) -> int | None:
    """The version of `model` with which a run begins, None where it begins without any."""
    version = current_version(model)
    return version.version if version is not None and model.model is not None else None


def _pretraining_progress(
    config: RunConfig, registered: Sequence[Registered], log: RunLogger, bus: Bus
) -> dict[str, PretrainingProgress]:
    """From where each pretraining of a run goes on, as `run.pretraining` says."""
    mode = config.run.pretraining
    known: dict[str, PretrainingProgress] = {}
    for one in registered:
        if one.kind is not EventKind.PRETRAINING or mode == "always":
            continue
        if mode == "never":
            known[one.name] = PretrainingProgress(collected=True, trained=True)
            continue
        progress = log.progress_of(one.name)
        if progress is None:
            continue
        loaded = one.model is not None and one.model.model is not None
        known[one.name] = replace(progress, trained=progress.trained and loaded)
        if progress.collected:
            what = "collected and trained" if known[one.name].trained else "collected"
            text = f"{one.name}: {what} before ({progress.rows} rows); not repeated"
            bus.emit(Notice("info", f"{text} (--pretraining always repeats it)"))
    return known
