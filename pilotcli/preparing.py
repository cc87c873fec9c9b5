"""A run made ready: everything loaded, connected and registered; carried out, and judged."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pilotcli.capture import driver_output
from pilotcli.config import RunConfig, choose_embedded
from pilotcli.config.home import make_home
from pilotcli.databases import open_target
from pilotcli.databases.base import Target
from pilotcli.errors import DriverError, Interrupted, PilotError, StorageError
from pilotcli.event_plan import Registered, describe
from pilotcli.event_runner import PretrainingProgress
from pilotcli.interrupts import Interrupts
from pilotcli.model import PilotModel
from pilotcli.model_loading import current_version, load_models, load_models_again
from pilotcli.names import sentences
from pilotcli.plugins import aliases, check_plugins
from pilotcli.records import EventKind, RunStatus
from pilotcli.redaction import redacted
from pilotcli.regression import RegressionWatch
from pilotcli.replay import Replay
from pilotcli.resuming import (
    past_firings,
    refuse_changed_config,
    refuse_changed_workload,
    versions_to_load,
)
from pilotcli.run_log import RunLogger, begin_run, fingerprint
from pilotcli.run_request import Asked, select_events
from pilotcli.scheduler import PilotScheduler
from pilotcli.signals import (
    Bus,
    DatabaseReady,
    ModelInfo,
    Notice,
    RunFinished,
    RunStarted,
    Signal,
    StepStarted,
)
from pilotcli.storage.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal, PastRun, RunKind
from pilotcli.storage.waiting import WaitingRow, WaitingRows
from pilotcli.tally import SLOWEST_KEPT, Tally
from pilotcli.workload import Workload

__all__ = ["Begin", "Ready", "Reason", "prepared"]


class Replayed(Protocol):
    """What a replay tells of itself at its end; see `Replay`."""

    begun: float | None
    complete: bool

    @property
    def tally(self) -> Tally: ...


Reason = tuple[int, str]
"""An exit code, and the line that says why."""


@dataclass(slots=True)
class Ready:
    """A run that is prepared: everything is loaded, connected and registered."""

    config: RunConfig
    bus: Bus
    target: Target
    scheduler: PilotScheduler
    registered: tuple[Registered, ...]
    models: Mapping[str, PilotModel]
    log: RunLogger
    stop: threading.Event
    kind: RunKind
    workload: str
    journal: Journal
    watch: RegressionWatch
    progress: Mapping[str, PretrainingProgress] = field(default_factory=dict)
    past: PastRun | None = None
    """The state of the run that is continued."""
    left: Sequence[WaitingRow] = ()
    """What was collected in its earlier parts and may not be in the store."""
    elapsed_s: float = 0.0
    """How long its earlier parts took."""
    against: str | None = None
    """What the queries of a paired run take turns with, in words."""
    resumable: bool = True
    """Whether the run could be continued, should it end before its time."""

    def restore(self, replay: Replay | None) -> None:
        """Bring scheduler and tally to where the run that is continued was."""
        past = self.past
        if past is None:
            return
        journal, run_id = self.journal, past.run_id
        firings = past_firings(journal, past, only_ok=self.config.count == "successful")
        self.scheduler.restore(past.results, firings)
        collect = self.config.collect
        if self.left and collect is not None and collect.table is not None:
            manager = self.scheduler.data_manager
            saved = manager.append_kept(self.left, collect.table, past.results)
            if saved:
                text = f"{saved} rows for {collect.table}, collected before, are in the store now"
                self.bus.emit(Notice("info", text))
        if replay is None:
            return
        statistics = journal.statistics(run_id)
        replay.tally.restore(
            statistics.counts,
            statistics.query_s,
            journal.steering_reports(run_id),
            journal.slowest(run_id, SLOWEST_KEPT),
        )
        self.elapsed_s = journal.elapsed_s(run_id)

    def announce(self, total: int | None) -> None:
        """Emit `RunStarted`."""
        versions = {name: current_version(model) for name, model in self.models.items()}
        classes = {spec.name: spec.class_path for spec in self.config.models}
        self.bus.emit(
            RunStarted(
                run_id=self.log.run_id,
                workload=self.workload,
                total=total,
                events=tuple(describe(one) for one in self.registered),
                models=tuple(
                    ModelInfo(model.model_name, classes[name], versions[name])
                    for name, model in self.models.items()
                ),
                workers=self.config.run.workers,
                started_at=time.time(),
                before=self.journal.counts(self.log.run_id) if self.past is not None else {},
                resumed=self.past is not None,
                resume=self._resume if self.resumable else None,
                against=self.against,
            )
        )

    @property
    def _resume(self) -> str:
        return f"pilot {self.kind} --resume {self.log.run_id}"

    def carry_out(
        self,
        work: Callable[[], None],
        cancel: Callable[[], None],
        abort: Callable[[], None],
        replay: Replayed | None = None,
        judge: Callable[[], Sequence[Reason]] = tuple,
    ) -> RunFinished:
        """Do `work` in a thread, so that this one can hear Ctrl-C, and say how it ended.

        `judge` is asked at the end for what else the run has to answer for.
        """
        failures: list[BaseException] = []

        def body() -> None:
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 - judged below, in the main thread
                failures.append(exc)
            # What was collected is saved before the run is judged, so that rows that are lost
            # count; what else closing tells comes too late for anything but a word.
            try:
                self.scheduler.data_manager.close()
            except PilotError as exc:
                failures.append(exc)

        started = time.perf_counter()
        with Interrupts(self.stop, cancel, abort, self._told_to_stop):
            thread = threading.Thread(target=body, name="pilot-run")
            thread.start()
            while thread.is_alive():
                thread.join(0.5)
        if replay is not None:
            started = replay.begun or time.perf_counter()
        elapsed_s = time.perf_counter() - started
        tally = replay.tally if replay is not None else Tally()
        complete = replay.complete if replay is not None else not self.stop.is_set()
        judged = self._judged(judge, failures)
        finished = self.concluded(tally, failures, self.elapsed_s + elapsed_s, judged)
        if (failures or not complete) and self.resumable:
            finished = replace(finished, resume=self._resume)
        if (unkept := self._keep(finished)) is not None:
            # It says what the failure that it repeats has said, and more.
            failures = [
                one
                for one in failures
                if not (isinstance(one, StorageError) and unkept.message.startswith(one.message))
            ]
            finished = self.concluded(tally, [*failures, unkept], finished.elapsed_s, judged)
            finished = replace(finished, resume=self._resume if self.resumable else None)
        self.bus.emit(finished)
        if failures and not isinstance(failures[0], PilotError):
            raise failures[0]
        return finished

    def _keep(self, finished: RunFinished) -> StorageError | None:
        """Keep how the run ended; returns what keeps the journal from having it."""
        try:
            self.log.finish(finished)
        except StorageError as error:
            try:
                self.log.close()
            except StorageError as left:
                return left
            return error
        return None

    def _told_to_stop(self) -> None:
        text = "stopping: what runs is cancelled, and everything written; Ctrl-C ends at once"
        self.bus.emit(Notice("warning", text))

    def _judged(
        self, judge: Callable[[], Sequence[Reason]], failures: list[BaseException]
    ) -> Sequence[Reason]:
        try:
            return judge()
        except PilotError as exc:
            failures.append(exc)
            return ()

    def concluded(
        self,
        tally: Tally,
        failures: Sequence[BaseException],
        elapsed_s: float,
        judged: Sequence[Reason] = (),
    ) -> RunFinished:
        """What the run came to, with the exit code that its failures make."""
        runner = self.scheduler.event_runner
        exit_code, reasons = self._verdict(tally, failures, judged)
        status: RunStatus = "failed" if exit_code else "finished"
        if exit_code == Interrupted.exit_code:
            status = "interrupted"
        return RunFinished(
            run_id=self.log.run_id,
            status=status,
            exit_code=exit_code,
            queries=tally.queries,
            ok=tally.statuses["ok"],
            errors=tally.statuses["error"] + tally.statuses["steering_error"],
            timeouts=tally.statuses["timeout"],
            cancelled=tally.statuses["cancelled"],
            event_firings=runner.firings,
            event_failures=len(runner.failures),
            elapsed_s=elapsed_s,
            query_s=tally.query_s,
            slowest=tally.slowest,
            reasons=reasons,
            steered=tally.steered,
            ignored=tally.ignored,
            native=tally.native,
            rollbacks=tuple(self.watch.told),
        )

    def _verdict(
        self, tally: Tally, failures: Sequence[BaseException], judged: Sequence[Reason]
    ) -> tuple[int, tuple[str, ...]]:
        """The exit code and the reasons for it, the weightiest first."""
        verdicts: list[Reason] = []
        if self.stop.is_set():
            verdicts.append((Interrupted.exit_code, "interrupted"))
        for exc in failures:
            if isinstance(exc, Interrupted):
                continue
            code = exc.exit_code if isinstance(exc, PilotError) else 1
            hint = exc.hint if isinstance(exc, PilotError) else None
            verdicts.append((code, redacted(sentences(str(exc), hint))))
        failed = {one.event for one in self.scheduler.event_runner.failures}
        if failed:
            names = ", ".join(sorted(failed))
            verdicts.append((DriverError.exit_code, f"events failed: {names}"))
        if tally.statuses["steering_error"]:
            noun = "query" if tally.statuses["steering_error"] == 1 else "queries"
            text = f"steering failed for {tally.statuses['steering_error']} {noun}"
            verdicts.append((DriverError.exit_code, text))
        allowed = self.config.run.max_failures
        if tally.failures > allowed:
            noun = "query" if tally.failures == 1 else "queries"
            verdicts.append((1, f"{tally.failures} {noun} failed ({allowed} allowed)"))
        verdicts.extend(judged)
        if not verdicts:
            return 0, ()
        return verdicts[0][0], tuple(reason for _, reason in verdicts)


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
        if (which := aliases.told()) is not None:
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
        watch = RegressionWatch(config.models, models, bus)
        if watch:
            scheduler.watchers.append(watch.add)
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
            watch=watch,
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
