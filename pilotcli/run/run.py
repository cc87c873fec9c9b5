"""A run that is ready: carried out, its end kept and judged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pilotcli.common.errors import DriverError, Interrupted, PilotError, StorageError
from pilotcli.common.records import RunStatus
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import Bus, ModelInfo, Notice, RunFinished, RunStarted
from pilotcli.common.suggestions import sentences
from pilotcli.config import RunConfig
from pilotcli.databases.protocols import Target
from pilotcli.events.model import PilotModel
from pilotcli.events.pretraining import PretrainingProgress
from pilotcli.events.schedule import Registered, describe
from pilotcli.replay.replay import Replay
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.replay.tally import SLOWEST_KEPT, Tally
from pilotcli.run.interrupts import Interrupts
from pilotcli.run.log import RunLogger
from pilotcli.run.model_loading import current_version
from pilotcli.run.model_rollback import RegressionWatch
from pilotcli.run.resume import past_firings
from pilotcli.storage.journal import Journal, PastRun, RunKind
from pilotcli.storage.store.unsaved_rows import WaitingRow

__all__ = ["Ready", "Reason", "Replayed"]


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
            rollbacks=tuple(self.watch.rollbacks),
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
        verdicts.extend(self.watch.failures)
        verdicts.extend(judged)
        if not verdicts:
            return 0, ()
        return verdicts[0][0], tuple(reason for _, reason in verdicts)
