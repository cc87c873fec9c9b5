"""Opens a run: loads and connects everything, and closes it in the reverse order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from pilotcli.common.calls import CallTimeouts
from pilotcli.common.errors import PilotError, UsageError
from pilotcli.common.quantities import plural
from pilotcli.common.records import EventKind, PretrainingProgress
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import Bus, Notice
from pilotcli.common.suggestions import sentences
from pilotcli.config import PilotConfig, RunConfig
from pilotcli.config.home import make_home
from pilotcli.databases.protocols import Target
from pilotcli.events.model import PilotModel
from pilotcli.events.schedule import Registered, kind_of
from pilotcli.plugins import BuiltEvent, Plugins, aliases, check_plugins
from pilotcli.replay.answers import AnswerDigests
from pilotcli.replay.expected import Expectations, answers_of, query_key
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.run.connecting import config_for_drivers, connect
from pilotcli.run.driver_output import driver_output
from pilotcli.run.left_rows import LeftRows
from pilotcli.run.log import RunLogger, begin_run, fingerprint, store_schema
from pilotcli.run.model_loading import current_version, load_models
from pilotcli.run.model_rollback import RegressionWatch
from pilotcli.run.provenance import describe, gather
from pilotcli.run.request import RunRequest, StoredRequest, select_events
from pilotcli.run.resume import refuse_changed_config, refuse_changed_workload, versions_to_load
from pilotcli.run.run import Driver, OpenRun
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal, PastRun, RunJournal, RunKind
from pilotcli.storage.store.unsaved_rows import WaitingRow, WaitingRows
from pilotcli.workload.parts import Queries


@contextlib.contextmanager
def open_run(
    kind: RunKind,
    request: RunRequest,
    bus: Bus,
    workload: Queries | None = None,
    total: int | None = None,
    *,
    home: Path | None = None,
    stop: threading.Event | None = None,
    driver: int | None = None,
    fresh: bool = False,
) -> Iterator[OpenRun]:
    """Load, connect and register everything; close it in the reverse order.

    `total` is the number of queries to run. The run is recorded in the journal of `home` (default:
    the config's home). `stop` ends this run; several runs may share it. `driver` is given for a
    baseline: the driver's run. With `fresh` the models are empty at first, and the tables of the
    store are in a schema of this run.
    """
    config = replace(request.config, events=select_events(request.config.events, request.events))
    home = home or config.home
    description = workload.description if workload is not None else "pretraining"
    with contextlib.ExitStack() as stack:
        # From here on drivers' code runs: their modules, their constructors, their events.
        stack.enter_context(driver_output(bus))
        plugins = _load_classes(kind, config, bus)
        journal = stack.enter_context(contextlib.closing(Journal.open(make_home(home))))
        _refuse_changes(journal, request, config, workload, total)
        earlier = _earlier_answers(journal, config.run.expect_from, workload, bus)
        scheduler_class: type[PilotScheduler] = plugins.scheduler() or PilotScheduler
        pilot_config = config_for_drivers(config, scheduler_class, bus)
        target = stack.enter_context(contextlib.closing(connect(pilot_config, bus)))
        models = plugins.build_models()
        store = CheckpointStore(config.home / "models", apart=fresh)
        past: PastRun | None = None
        if request.resume is not None:
            entry, past = journal.resume_run(request.resume, forced=request.force)
            stack.callback(entry.close)
        in_use = versions_to_load(journal, past) if past is not None else None
        load_models(models, config.models, store, bus, in_use, fresh=fresh)
        built = plugins.build_events(pilot_config, models)
        if past is None:
            entry = begin_run(
                journal,
                kind,
                config,
                StoredRequest.of(request, total),
                workload=description,
                digest=workload.digest() if workload is not None else None,
                database=target.description,
                driver=driver,
            )
            stack.callback(entry.close)
            entry.set_loaded({model.model_name: _number(model) for model in models.values()})
        stack.push(partial(_record_failure, entry, past, target))
        describe(entry, journal, request, gather(request, plugins, target, pilot_config))
        schema = pilot_config.store_schema = store_schema(entry.run_id) if fresh else None
        fingerprints = {event.spec.name: fingerprint(event.spec, schema) for event in built}
        log = RunLogger(journal, entry, store, config, fingerprints=fingerprints, models=models)
        scheduler = _open_scheduler(scheduler_class, pilot_config, config, target, bus, log, stop)
        stack.callback(scheduler.close)
        scheduler.expected = Expectations(AnswerDigests(target), bus, earlier)
        left = LeftRows(home, journal, config, target.description, bus)
        left.take_over(scheduler.data_manager_class, pilot_config, request.resumes)
        scheduler.register_custom_handlers(plugins.build_handlers(pilot_config, models))
        unsaved = _collect(scheduler, config, log, home)
        scheduler.prepare()
        registered = _register(scheduler, built)
        yield OpenRun(
            kind=kind,
            config=config,
            workload=description,
            journal=journal,
            log=log,
            scheduler=scheduler,
            driver=_driver(config, registered, models, log, bus),
            past=past,
            unsaved=unsaved,
        )


def _register(scheduler: PilotScheduler, built: Sequence[BuiltEvent]) -> tuple[Registered, ...]:
    register = scheduler.event_runner.register
    return tuple(register(event.event, event.spec.name) for event in built)


def _driver(
    config: RunConfig,
    registered: tuple[Registered, ...],
    models: Mapping[str, PilotModel],
    log: RunLogger,
    bus: Bus,
) -> Driver:
    progress = _pretraining_progress(config, registered, log, bus)
    return Driver(registered, models, RegressionWatch(config.models, models, bus), progress)


def _record_failure(
    entry: RunJournal,
    past: PastRun | None,
    target: Target,
    _: type[BaseException] | None,
    error: BaseException | None,
    __: TracebackType | None,
) -> None:
    """Record the end of a run that fails before it could begin: nobody has killed it."""
    if isinstance(error, PilotError) and not entry.ended:
        reasons = [redacted(sentences(str(error), error.hint))]
        # A new run would fail again, one that is continued has more to do.
        complete = past is None and isinstance(error, UsageError)
        with contextlib.suppress(PilotError):  # the first error is the one to show
            target.close()  # undoes what handlers have changed
            entry.finish("failed", error.exit_code, {"reasons": reasons, "complete": complete})


def _refuse_changes(
    journal: Journal,
    request: RunRequest,
    config: RunConfig,
    workload: Queries | None,
    total: int | None,
) -> None:
    """Raise `UsageError` if the run to continue had another config or workload."""
    if request.resume is None or request.force:
        return
    refuse_changed_config(journal.run(request.resume), config)
    if workload is not None:
        refuse_changed_workload(journal, request.resume, workload, workload.digest(), total)


def _earlier_answers(
    journal: Journal, run_id: int | None, workload: Queries | None, bus: Bus
) -> dict[int, str]:
    """The answers of the run that `run.expect_from` names. Raises `UsageError` where there are
    none, or none of a query in a workload that is quick to read; `StorageError` where there is no
    such run."""
    if run_id is None:
        return {}
    journal.run(run_id)
    answers, counted = answers_of(journal, run_id)
    if not answers:
        raise UsageError(
            f"run {run_id} has no answers to expect: none of its queries ended well",
            hint="Name another one: pilot runs list",
        )
    if (
        workload is not None
        and workload.count() is not None
        and not any(query_key(query.label, query.sql) in answers for query in workload)
    ):
        raise UsageError(
            f"run {run_id} has the answer of no query of this workload, by its label and text",
            hint="Name a run of the same workload: pilot runs list",
        )
    if counted:
        kept = f"of {plural(counted, 'query', 'queries')} run {run_id} has kept only the number of"
        bus.emit(Notice("warning", f"{kept} rows (`pilot run --answers` keeps digests)"))
    return answers


def _load_classes(kind: RunKind, config: RunConfig, bus: Bus) -> Plugins:
    """The classes that the config names. Raises `PluginError`, and `UsageError` for a pretraining
    without an event."""
    plugins = check_plugins(config)
    kinds = [kind_of(cls) for _, cls in plugins.events]
    if kind == "pretrain" and EventKind.PRETRAINING not in kinds:
        raise UsageError(
            "the config has no pretraining event to run",
            hint="Events of that kind derive from PretrainingModelEvent; "
            "`pilot events list` shows what there is.",
        )
    if (which := aliases.choice()) is not None:
        bus.emit(Notice("info", which))
    return plugins


def _open_scheduler(
    scheduler_class: type[PilotScheduler],
    pilot_config: PilotConfig,
    config: RunConfig,
    target: Target,
    bus: Bus,
    log: RunLogger,
    stop: threading.Event | None,
) -> PilotScheduler:
    return scheduler_class(
        pilot_config,
        target=target,
        bus=bus,
        log=log,
        run_id=log.run_id,
        count=config.count,
        stop=stop,
        steering=config.steering,
        timeouts=CallTimeouts(config.event_timeout, config.handler_timeout),
    )


def _collect(
    scheduler: PilotScheduler, config: RunConfig, log: RunLogger, home: Path
) -> Sequence[WaitingRow]:
    """Collect rows as the config says; returns the rows that earlier parts of the run collected
    and may not have stored."""
    if config.collect is None:
        return ()
    scheduler.collect(config.collect)
    waiting = WaitingRows(home, log.run_id)
    unsaved = waiting.left()
    scheduler.data_manager.keep_rows(waiting, log.token)
    return unsaved


def _number(model: PilotModel) -> int | None:
    """The version of `model` with which a run begins; None if nothing was loaded."""
    version = current_version(model)
    return version.version if version is not None and model.model is not None else None


def _pretraining_progress(
    config: RunConfig, registered: Sequence[Registered], log: RunLogger, bus: Bus
) -> dict[str, PretrainingProgress]:
    """Returns, by event, how much of its pretraining is done already (see `run.pretraining`)."""
    mode = config.run.pretraining
    known: dict[str, PretrainingProgress] = {}
    for event in registered:
        if event.kind is not EventKind.PRETRAINING or mode == "always":
            continue
        if mode == "never":
            known[event.name] = PretrainingProgress(collected=True, trained=True)
            continue
        progress = log.progress_of(event.name)
        if progress is None:
            continue
        loaded = event.model is not None and event.model.model is not None
        known[event.name] = replace(progress, trained=progress.trained and loaded)
        if progress.collected:
            done = "collected and trained" if known[event.name].trained else "collected"
            text = f"{event.name}: {done} before ({plural(progress.rows, 'row')}); not repeated"
            bus.emit(Notice("info", f"{text} (--pretraining always repeats it)"))
    return known
