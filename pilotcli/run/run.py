"""An open run, with its database, models and events: carries it out, and records its end."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pilotcli.common.debugger import current
from pilotcli.common.errors import PilotError, StorageError, UsageError
from pilotcli.common.quantities import plural
from pilotcli.common.records import PretrainingProgress
from pilotcli.common.signals import ModelInfo, Notice, RunFinished, RunStarted
from pilotcli.config import RunConfig, choose_embedded
from pilotcli.databases.protocols import UndoesChanges
from pilotcli.events.model import PilotModel
from pilotcli.events.schedule import Registered, describe
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.replay.tally import SLOWEST_KEPT, Tally
from pilotcli.run.connecting import not_undone
from pilotcli.run.interrupts import interrupts
from pilotcli.run.log import RunLogger
from pilotcli.run.model_loading import current_version
from pilotcli.run.model_rollback import RegressionWatch
from pilotcli.run.resume import past_firings
from pilotcli.run.verdict import Reason, RunEnd, summarise
from pilotcli.storage.journal import Journal, PastRun, RunKind
from pilotcli.storage.store.unsaved_rows import WaitingRow


class Replayed(Protocol):
    """The state of a replay at its end; see `Replay`."""

    begun: float | None
    ended: float | None
    complete: bool

    @property
    def tally(self) -> Tally: ...


@dataclass(frozen=True, slots=True)
class Driver:
    """The events and models of a config, as a run uses them."""

    events: tuple[Registered, ...]
    models: Mapping[str, PilotModel]
    watch: RegressionWatch
    pretraining: Mapping[str, PretrainingProgress]
    """The progress of each pretraining, by event, where it does not begin from the start."""


@dataclass(slots=True)
class OpenRun:
    """A run whose database, models and events are open; `scheduler` has its bus and its stop."""

    kind: RunKind
    config: RunConfig
    workload: str
    journal: Journal
    log: RunLogger
    scheduler: PilotScheduler
    driver: Driver
    past: PastRun | None = None
    """The state of the continued run."""
    unsaved: Sequence[WaitingRow] = ()
    """Rows that earlier parts of the run collected and that may not be in the store."""
    elapsed_before_s: float = 0.0
    """The seconds that earlier parts of the run took."""
    against: str | None = None
    """The name of the baseline, in a paired run."""

    def restore(self, tally: Tally | None) -> None:
        """Set scheduler and `tally` to the state of the continued run."""
        past = self.past
        if past is None:
            return
        journal, run_id = self.journal, past.run_id
        firings = past_firings(journal, past, only_ok=self.config.count == "successful")
        self.scheduler.restore(past.results, firings)
        collect = self.config.collect
        if self.unsaved and collect is not None and collect.table is not None:
            manager = self.scheduler.data_manager
            saved = manager.append_kept(self.unsaved, collect.table, past.results)
            if saved:
                rows = plural(saved, "row")
                text = f"{rows} for {collect.table}, collected before, now in the store"
                self.scheduler.bus.emit(Notice("info", text))
        if tally is None:
            return
        statistics = journal.statistics(run_id)
        tally.restore(
            statistics.counts,
            statistics.query_s,
            journal.steering_reports(run_id),
            journal.slowest(run_id, SLOWEST_KEPT),
        )
        self.elapsed_before_s = journal.elapsed_s(run_id)

    def announce(self, total: int | None, executions: int | None = None, executed: int = 0) -> None:
        """Emit `RunStarted`, with these of its fields."""
        classes = {spec.name: spec.class_path for spec in self.config.models}
        resumed = self.past is not None
        self.scheduler.bus.emit(
            RunStarted(
                run_id=self.log.run_id,
                workload=self.workload,
                total=total,
                events=tuple(describe(event) for event in self.driver.events),
                models=tuple(
                    ModelInfo(model.model_name, classes[name], current_version(model))
                    for name, model in self.driver.models.items()
                ),
                workers=self.config.run.workers,
                started_at=time.time(),
                before=self.journal.counts(self.log.run_id) if resumed else {},
                resumed=resumed,
                resume=self.resume,
                against=self.against,
                executions=executions,
                executed=executed,
            )
        )

    @property
    def resume(self) -> str:
        """The command that continues the run."""
        return f"pilot {self.kind} --resume {self.log.run_id}"

    def execute(
        self,
        work: Callable[[], None],
        cancel: Callable[[], None],
        abort: Callable[[], None],
        replay: Replayed | None = None,
        compare: Callable[[], Sequence[Reason]] = tuple,
        beside: Sequence[OpenRun] = (),
    ) -> RunFinished:
        """Do `work`, settle this run and those `beside` it, record how this one ended, and return
        that.

        `compare` returns the reasons for which the comparison with the baseline makes the run fail.
        The first failure that is not a `PilotError` is raised at the end.
        """
        started = time.perf_counter()
        failures = self._work(work, cancel, abort, [*beside, self])
        ended = time.perf_counter()
        if replay is not None:
            ended = replay.ended or ended
            started = replay.begun or ended
        elapsed_s = self.elapsed_before_s + ended - started
        complete = replay.complete if replay is not None else not self.scheduler.stop.is_set()
        reasons: Sequence[Reason] = ()
        try:
            reasons = compare()
        except PilotError as exc:
            failures.append(exc)
        tally = replay.tally if replay is not None else Tally()
        if complete and not failures and tally.statuses["ok"] and (none := self._none_checked()):
            reasons = [*reasons, (1, none)]
        end = RunEnd(tally, elapsed_s, failures, reasons, complete=complete)
        finished = self.summarise(end)
        if (failures or not complete) and not self._fails_again(finished, failures):
            finished = replace(finished, resume=self.resume)
        if (lost := self._keep(finished)) is not None:
            # Its message begins with the message of the failure that caused it.
            failures = [
                exc
                for exc in failures
                if not (isinstance(exc, StorageError) and lost.message.startswith(exc.message))
            ]
            finished = self.summarise(replace(end, failures=[*failures, lost]))
            finished = replace(finished, resume=self.resume)
        self._say_checked(finished.wrong)
        self.scheduler.bus.emit(finished)
        if failures and not isinstance(failures[0], PilotError):
            raise failures[0]
        return finished

    def _fails_again(self, finished: RunFinished, failures: Sequence[BaseException]) -> bool:
        """Whether the run ended before its first query by an error that a continued one has, too:
        then there is nothing to continue."""
        usage = any(isinstance(exc, UsageError) for exc in failures)
        return usage and not finished.queries and self.past is None

    def _work(
        self,
        work: Callable[[], None],
        cancel: Callable[[], None],
        abort: Callable[[], None],
        runs: Sequence[OpenRun],
    ) -> list[BaseException]:
        """Do `work` and settle `runs` in a thread, so that this one can receive Ctrl-C; returns the
        exceptions."""
        failures: list[BaseException] = []

        def body() -> None:
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 - judged later, in the main thread
                failures.append(exc)
            for run in runs:
                failures.extend(exc for exc in run.settle() if exc not in failures)

        if (debugger := current()) is not None:
            debugger.end_run = self.scheduler.stop.set
        with interrupts(self.scheduler.stop, cancel, abort, self._say_stopping):
            thread = threading.Thread(target=body, name="pilot-run")
            thread.start()
            while thread.is_alive():
                thread.join(0.5)
        return failures

    def settle(self) -> list[BaseException]:
        """Save what was collected, and undo what was changed; returns what could not be done.

        Only after that is a run recorded as ended: one that is killed meanwhile counts as killed,
        and rows that are lost, and changes that stay, are among the reasons for its end.
        """
        failures: list[BaseException] = []
        target = self.scheduler.target
        for end in (self.scheduler.close, target.close):
            try:
                end()
            except PilotError as exc:
                failures.append(exc)
        if (lost := self.log.check()) is not None:
            failures.append(lost)
        if isinstance(target, UndoesChanges) and target.not_undone:
            failures.append(not_undone(target))
        return failures

    def _say_checked(self, wrong: int) -> None:
        expected = self.scheduler.expected
        if expected is not None and expected.checked and self.kind == "run":
            text = f"{plural(expected.checked, 'answer')} checked, {wrong or 'none'} wrong"
            self.scheduler.bus.emit(Notice("info", text))

    def _none_checked(self) -> str | None:
        """Says so where no query was one of the run that `run.expect_from` names."""
        earlier, expected = self.config.run.expect_from, self.scheduler.expected
        if self.kind != "run" or earlier is None or expected is None or expected.checked:
            return None
        if self.past is not None:
            return None  # what ran before may have been checked
        return f"no query was found in run {earlier} by its label and text: no answer checked"

    def _say_stopping(self) -> None:
        text = "stopping: what runs is cancelled, and everything written; Ctrl-C ends at once"
        self.scheduler.bus.emit(Notice("warning", text))

    def _keep(self, finished: RunFinished) -> StorageError | None:
        """Record how the run ended; returns the error if the journal cannot record it."""
        try:
            self.log.finish(finished)
        except StorageError as error:
            try:
                self.log.close()
            except StorageError as at_close:
                return at_close
            return error
        return None

    def summarise(self, end: RunEnd) -> RunFinished:
        """The counts, the exit code and the reasons of a run with this end."""
        watch = self.driver.watch
        end = replace(
            end,
            reasons=[*watch.failures, *end.reasons],
            interrupted=self.scheduler.stop.is_set(),
            max_failures=self.config.run.max_failures,
            no_relations=_advice_on_relations(self.config),
        )
        runner = self.scheduler.event_runner
        finished = summarise(self.log.run_id, end, runner, watch.rollbacks)
        with contextlib.suppress(StorageError):  # the end of the run says so
            return self._with_latencies(finished)
        return finished

    def _with_latencies(self, finished: RunFinished) -> RunFinished:
        """The end with the latencies as every later reader finds them: also of what ran before a
        resumption, and in a paired run without what the driver learned from before."""
        self.log.flush()
        run_id = self.log.run_id
        found = every = self.journal.statistics(run_id)
        record = self.journal.run(run_id)
        compared = self.journal.compared_statistics(record)
        if compared is not None:
            found = compared
            learned = Counter(every.counts)
            learned.subtract(compared.counts)
            slowest = self.journal.slowest(run_id, SLOWEST_KEPT, record.learning_rounds)
            finished = replace(finished, learned=dict(+learned), slowest=tuple(slowest))
        return replace(finished, latency_s=(found.p50_s, found.p95_s, found.p99_s, found.max_s))


def _advice_on_relations(config: RunConfig) -> str | None:
    """What to do if no query has found its relations, where the config explains that."""
    if config.path is None:
        return "no config was given: name one with -c FILE, or fill the database (database.setup)"
    if choose_embedded(config.database, os.environ) and not config.database.setup:
        return "the config fills no database: set database.setup, or another database.name"
    return None
