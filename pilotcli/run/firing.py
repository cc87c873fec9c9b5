"""Calls one event on the rows in the store, without a replay."""

from __future__ import annotations

import bdb
import contextlib
import reprlib
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from pilotcli.common.errors import Interrupted, StorageError, UsageError
from pilotcli.common.quantities import listed, plural
from pilotcli.common.records import ModelVersion
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import (
    Bus,
    EventTriggered,
    ModelKept,
    ModelSaved,
    Notice,
    Signal,
)
from pilotcli.config import RunConfig
from pilotcli.events.base import PretrainingModelEvent
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.events.pretraining import PretrainingSteps
from pilotcli.events.schedule import Registered
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.run.log import schema_of
from pilotcli.run.one_call import open_call
from pilotcli.run.request import select_events
from pilotcli.run.threads import run_in_thread
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal, RunFilter
from pilotcli.workload import open_workload

MOST_TABLES = 6


@dataclass(frozen=True, slots=True)
class FiringRequest:
    """The event to call. `run_id`: show it the rows of this run alone; `collect`: have a
    pretraining collect rows first; `save`: save the model that it returns."""

    config: RunConfig
    event: str
    run_id: int | None = None
    collect: bool = False
    save: bool = False


@dataclass(frozen=True, slots=True)
class Fired:
    """What came of the call.

    - `signal`: its outcome;
    - `raised`: what the event has raised;
    - `model`: the name of its model, where the event has updated or trained it; `returned` is the
      user's model that came back, in short, None if the model stays as it was;
    - `version`: the model as it was saved, without `save` into a folder that is gone by now.
    """

    signal: EventTriggered
    raised: BaseException | None = None
    model: str | None = None
    returned: str | None = None
    version: ModelVersion | None = None


def fire(request: FiringRequest, bus: Bus) -> Fired:
    """Call the event, and keep nothing: no row that it saves, no place up to which it reads, no
    change of the server and, without `save`, no model.

    Raises `UsageError` for an event that the config does not have, and as a run does that cannot
    begin. Raises `Interrupted` after Ctrl-C. What the event raises is in the result.
    """
    config = _for_one_event(request)
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        schema = _schema(config.home, request.run_id)
        call = stack.enter_context(open_call(config, bus, store_schema=schema))
        if not request.save:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pilot-fire-"))
            for model in call.models.values():
                _save_elsewhere(model, Path(folder))
        (built,) = call.plugins.build_events(call.pilot_config, call.models)
        _refuse_nothing_to_do(built.event, built.spec.name, request)
        scheduler = call.scheduler_class(call.pilot_config, target=call.target, bus=bus, stop=stop)
        stack.callback(scheduler.close)
        if config.workload:
            scheduler.set_workload(stack.enter_context(open_workload(config.workload)))
        registered = scheduler.event_runner.register(built.event, built.spec.name)
        fired = _fire(scheduler, registered, request)
        call.end()
    return fired


def _schema(home: Path, run_id: int | None) -> str | None:
    """The schema of the store with the rows of the run, where they are apart."""
    journal = None if run_id is None else Journal.open_existing(home)
    if journal is None:
        return None
    with journal, contextlib.suppress(StorageError):  # the store may have rows of a removed run
        return schema_of(journal.run(run_id))
    return None


def _newest_apart(home: Path) -> int | None:
    """The newest run whose rows are in a schema of its own."""
    journal = Journal.open_existing(home)
    if journal is None:
        return None
    with journal:
        runs = journal.runs(None, RunFilter(baselines=False))
        return next((run.run_id for run in runs if schema_of(run) is not None), None)


def _for_one_event(request: FiringRequest) -> RunConfig:
    """The config with this event alone, and its model."""
    config = request.config
    events = select_events(config.events, (request.event,))
    models = tuple(spec for spec in config.models if spec.name in {e.model for e in events})
    return replace(config, events=events, models=models, handlers=())


def _save_elsewhere(model: PilotModel, folder: Path) -> None:
    """Have `model` save its versions in `folder`; one that saves itself is not saved at all."""
    if isinstance(model, CheckpointedModel):
        model.checkpoints = CheckpointStore(folder / "models")
    else:
        model.save_model = lambda: None  # type: ignore[method-assign]


def _refuse_nothing_to_do(event: object, name: str, request: FiringRequest) -> None:
    if not isinstance(event, PretrainingModelEvent):
        if request.collect:
            raise UsageError(
                f"--collect is for a pretraining event, and {name} is none",
                hint="Leave it out.",
            )
    elif not event.enable_training and not request.collect:
        raise UsageError(
            f"{name} does not train: its enable_training is false",
            hint="Have it collect rows with --collect.",
        )


def _fire(scheduler: PilotScheduler, registered: Registered, request: FiringRequest) -> Fired:
    """Call the event in a thread, so that this one can receive Ctrl-C."""
    runner, bus, manager = scheduler.event_runner, scheduler.bus, scheduler.data_manager
    heard: list[Signal] = []
    raised: list[BaseException] = []
    bus.subscribe(heard.append, EventTriggered)
    bus.subscribe(heard.append, ModelSaved)
    bus.subscribe(heard.append, ModelKept)
    runner.event_failed = lambda registered, reason, error: raised.append(error)

    def work() -> None:
        manager.rehearse(request.run_id)
        bus.emit(Notice("info", _stored(manager.row_counts(), request)))
        if request.collect and isinstance(registered.event, PretrainingModelEvent):
            manager.remove_table_and_tracker(registered.event.data_saving_table)
        runner.fire(registered, PretrainingSteps(collect=request.collect))

    run_in_thread(work, scheduler)
    if raised and isinstance(raised[0], bdb.BdbQuit):
        raise Interrupted(f"{registered.name} was ended in the debugger")
    return _fired(heard, raised, registered)


def _stored(rows: dict[str, int], request: FiringRequest) -> str:
    """The rows that the event can read, in words."""
    of_run = "" if request.run_id is None else f" of run {request.run_id}"
    if not rows:
        apart = _newest_apart(request.config.home) if request.run_id is None else None
        if apart is not None:
            return (
                f"no rows in the store but those of runs that began fresh, such as run {apart}: "
                f"`--run {apart}` shows them"
            )
        return f"no rows{of_run} in the store yet: `pilot run` collects them"
    tables = [f"{plural(number, 'row')} in {table}" for table, number in rows.items()]
    return f"the store has{of_run}: {listed(tables, MOST_TABLES)}"


def _fired(heard: list[Signal], raised: list[BaseException], registered: Registered) -> Fired:
    """What the signals say."""
    fired = next(signal for signal in heard if isinstance(signal, EventTriggered))
    result = Fired(fired, raised[0] if raised else None)
    for signal in heard:
        if isinstance(signal, ModelKept):
            result = replace(result, model=signal.model)
        elif isinstance(signal, ModelSaved) and registered.model is not None:
            returned = _described(registered.model)
            result = replace(result, model=signal.model, returned=returned, version=signal.version)
    return result


def _described(model: PilotModel) -> str:
    """The user's model in short, with its metrics."""
    shown = reprlib.Repr()
    shown.maxother = shown.maxstring = 60
    parts = [f"a {type(model.model).__name__}, {redacted(shown.repr(model.model))}"]
    if model.trained_rows is not None:
        parts.append(f"trained on {plural(model.trained_rows, 'row')}")
    parts += [f"{name} {value:.4g}" for name, value in dict(model.metrics).items()]
    return "; ".join(parts)
