"""The view for pipes and logs: lines with a time stamp, without control characters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

from pilotcli.common import signals
from pilotcli.common.quantities import clock_time, count, duration, plural, rate
from pilotcli.views import messages
from pilotcli.views.base import View
from pilotcli.views.console import Writer
from pilotcli.views.state import RunState
from pilotcli.views.summary import one_line, summary
from pilotcli.views.text import clean, joined, line_text

FAILURES_SHOWN = 20
SAVES_SHOWN = 20
NOTICES_SHOWN = 50
PROGRESS_EVERY_S = 10.0
PROGRESS_SHARE = 0.1
SILENCE_S = 60.0
"""The longest time without a line: some services end what has been silent for minutes."""


class PlainView(View):
    """Writes a run as lines, few enough for a log of 10,000 queries.

    Progress comes when 10 s have passed and another tenth of the workload is done; where the
    total is not known, when another tenth of the time so far has passed. Of each event the first
    firing is shown, of each model the first 20 saves, of queries and of each event the first 20
    failures, and the first 50 notices; progress and summary count all queries, firings and
    failures. After a minute without a line, one says what goes on. `verbose` shows every query,
    firing, save and notice; `quiet` only failures, warnings, what drivers write to standard error,
    and one last line.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.state = RunState(clock, wall)
        self._wall = wall
        self._writer = Writer(stream)
        self._quiet = quiet
        self._verbose = verbose
        self._failures = 0
        self._notices = 0
        self._next_done = 1
        self._next_s = 0.0
        self._next_rows_s = 0.0
        self._intervals = False
        """Whether intervals are shown: they say more than the usual progress."""
        self._said_at = self._ended_at = clock()
        """When the last line was written, and when the last query ended."""
        self._done = threading.Event()
        self._closed = False
        self._kept_back: list[str] | None = None
        """The lines that wait while a debugger has the terminal."""
        self._closing = threading.Lock()
        self._handlers: dict[type, Callable[[Any], None]] = {
            signals.QueryFinished: self._query_finished,
            signals.ExecutionFinished: self._execution_finished,
            signals.EventTriggered: self._event_triggered,
            signals.DriverOutput: self._driver_output,
            signals.Notice: self._notice,
        }
        if not quiet:
            self._handlers |= {
                signals.RunStarted: self._run_started,
                signals.PhaseStarted: self._phase_started,
                signals.IntervalFinished: self._interval_finished,
                signals.StepStarted: self._step_started,
                signals.DatabaseReady: self._database_ready,
                signals.RowsCollected: self._rows_collected,
                signals.CollectionFinished: self._collection_finished,
                signals.TrainingStarted: self._training_started,
                signals.TrainingFinished: self._training_finished,
                signals.ModelLoaded: self._model_loaded,
                signals.ModelSaved: self._model_saved,
            }

    deaf_to = frozenset({signals.QueryStarted})
    """Which query runs is for a terminal to show."""

    def __enter__(self) -> PlainView:
        if not self._quiet:
            threading.Thread(target=self._watch, name="pilot-plain", daemon=True).start()
        return self

    def __call__(self, signal: object) -> None:
        """Take a signal; called from any thread."""
        with self.state.lock:
            self.state.apply(signal)
            handler = self._handlers.get(type(signal))
            if handler is not None:
                handler(signal)

    def close(self) -> None:
        """Write the summary. Further calls do nothing."""
        self._done.set()
        with self._closing:
            if self._closed:
                return
            self._closed = True
        # A signal handler may call this while another thread is writing: not for ever.
        if not self.state.lock.acquire(timeout=1.0):
            return
        try:
            if self._quiet:
                text = one_line(self.state)
                lines = [text] if text else []
            else:
                lines = [line_text(line) for line in summary(self.state)]
            for line in lines:
                self._say(line.rstrip())
        finally:
            self.state.lock.release()

    def check(self) -> None:
        """Raise `StorageError` if a line could not be written."""
        self._writer.check()

    def step_aside(self) -> None:
        """Keep lines back until `step_back`."""
        with self.state.lock:
            self._kept_back = []

    def step_back(self) -> None:
        """Write the lines that were kept back."""
        with self.state.lock:
            kept, self._kept_back = self._kept_back or [], None
            for line in kept:
                self._writer.write(line)

    def _watch(self) -> None:
        """Say what goes on whenever nothing was written for long."""
        pause_s = SILENCE_S
        while not self._done.wait(pause_s):
            with self.state.lock:
                now = self.state.clock()
                if now - self._said_at >= SILENCE_S:
                    self._say_what_goes_on(now)
                pause_s = max(0.1, self._said_at + SILENCE_S - now)

    def _say_what_goes_on(self, now: float) -> None:
        state = self.state
        self._said_at = now  # also where nothing can be said
        if self._done.is_set() or self._kept_back is not None:  # the debugger is at work
            return
        for event in state.events.values():
            if event.running_since is not None:
                spent = duration(now - event.running_since)
                self._say(f"event {clean(event.name)} has been running for {spent}")
                return
        if state.step is not None:
            text, since = state.step
            self._say(f"{clean(text)}, for {duration(now - since)}")
            return
        if state.run is None:
            return
        spent_s = now - self._ended_at
        if spent_s < PROGRESS_EVERY_S:
            self._progress(now)
            return
        last = f"; the last one was {clean(state.last_label)}" if state.last_label else ""
        self._say(f"{self._done_text()}, no query has ended for {duration(spent_s)}{last}")

    def _say(self, text: str) -> None:
        self._said_at = self.state.clock()
        moment = datetime.fromtimestamp(self._wall()).isoformat(timespec="seconds")
        line = f"{moment} {clean(text)}\n"
        if self._kept_back is None:
            self._writer.write(line)
        else:
            self._kept_back.append(line)

    def _run_started(self, signal: signals.RunStarted) -> None:
        total = plural(signal.total, "query", "queries") if signal.total else ""
        workers = plural(signal.workers, "worker") if signal.workers > 1 else ""
        done = ""
        if signal.resumed and signal.workload:
            done = f"{count(self.state.progress.before)} of them done"
        against = f"in turns with {clean(signal.against)}" if signal.against else ""
        in_all = ""
        if signal.executions and signal.executions != signal.total:
            in_all = f"{plural(signal.executions, 'execution')} in all phases"
        details = joined([clean(signal.workload), total, in_all, done, workers, against])
        again = " goes on" if signal.resumed else ""
        self._say(f"run {signal.run_id}{again}: {details}")
        for event in signal.events:
            self._say(f"event {clean(event.name)}: {clean(event.fires)}")
        self._next_done = self._step()
        self._next_s = self.state.clock() + PROGRESS_EVERY_S

    def _step(self) -> int:
        """The number of executions after which progress is due next, if it is time."""
        progress = self.state.progress
        return progress.ended + max(1, int((progress.total or 0) * PROGRESS_SHARE))

    def _phase_started(self, signal: signals.PhaseStarted) -> None:
        self._say(messages.phase_line(signal))

    def _step_started(self, signal: signals.StepStarted) -> None:
        self._say(clean(signal.text))

    def _database_ready(self, signal: signals.DatabaseReady) -> None:
        database = clean(self.state.database or signal.description)
        self._say(f"database ready in {duration(signal.elapsed_s)}: {database}")

    def _query_finished(self, signal: signals.QueryFinished) -> None:
        result = signal.result
        if result.status != "ok":
            self._failures += 1
            if self._failures <= FAILURES_SHOWN or self._verbose:
                self._say(f"failed: {messages.query_failure(result)}")
            elif self._failures == FAILURES_SHOWN + 1:
                self._say("further failures of queries are counted, and kept in the journal")
        elif self._verbose and not self._quiet:
            self._say(messages.query_line(result))
        self._say_progress()

    def _execution_finished(self, signal: signals.ExecutionFinished) -> None:
        if self._verbose and not self._quiet:
            self._say(messages.execution_line(signal))
        self._say_progress()

    def _say_progress(self) -> None:
        """Say how far the run is, where it is time for that."""
        state = self.state
        self._ended_at = state.clock()
        if state.progress.ended >= self._next_done and not self._quiet and not self._intervals:
            now = self._ended_at
            if now >= self._next_s and state.run is not None:
                self._progress(now)

    def _progress(self, now: float) -> None:
        state, ended, total = self.state, self.state.progress.ended, self.state.progress.total
        self._next_done = self._step()
        pause_s = PROGRESS_EVERY_S
        if not total:
            pause_s = max(pause_s, state.elapsed_s() * PROGRESS_SHARE)
        self._next_s = now + pause_s
        if total is not None and ended >= total:
            return
        per_s = state.progress.per_s(now)
        speed = f"{rate(per_s)}/s" if per_s is not None else ""
        left_s = state.progress.left_s(now)
        left = f"left {clock_time(left_s)}" if left_s is not None else ""
        percentiles, warm = state.shown_latencies()
        latency = messages.latency_text(percentiles, ", ") if percentiles else ""
        latency += " in the warm-up" if warm else ""
        timeouts = state.statuses["timeout"]
        counts = [
            f"{count(state.failed)} failed" if state.failed else "",
            f"{count(timeouts)} timed out" if timeouts else "",
        ]
        fired = joined(
            [f"{clean(row.name)} {count(row.fired)}" for row in state.events.values() if row.fired]
        )
        events = f"events fired: {fired}" if fired else ""
        self._say(
            joined([joined([self._done_text(), speed, left, latency, *counts]), events], "; ")
        )
        for name, compared in state.compared.items():
            against = f" against {clean(name)}" if len(state.compared) > 1 else ""
            self._say(f"speed-up so far{against}: {messages.compared_text(compared)}")

    def _done_text(self) -> str:
        """How many queries, or executions, have ended."""
        ended, total = self.state.progress.ended, self.state.progress.total
        nouns = ("query", "queries") if total == self.state.total else ("execution", "executions")
        if not total:
            return plural(ended, *nouns)
        return f"{count(ended)} of {plural(total, *nouns)} ({ended * 100 // total} %)"

    def _interval_finished(self, signal: signals.IntervalFinished) -> None:
        self._intervals = True
        self._say(messages.interval_line(signal))

    def _event_triggered(self, signal: signals.EventTriggered) -> None:
        row = self.state.events[signal.event]
        if signal.outcome == "failed":
            if row.failed <= FAILURES_SHOWN or self._verbose:
                self._say(f"failed: {messages.event_failure(signal)}")
            elif row.failed == FAILURES_SHOWN + 1:
                self._say(f"further failures of event {clean(signal.event)} are counted")
        elif self._quiet:
            return
        elif self._verbose:
            self._say(messages.firing(signal))
        elif row.fired - row.failed == 1:
            more = "; further firings are counted" if signal.reason == "interval" else ""
            self._say(messages.firing(signal) + more)

    def _rows_collected(self, signal: signals.RowsCollected) -> None:
        now = self.state.clock()
        if not self._verbose and now < self._next_rows_s:
            return
        self._next_rows_s = now + max(PROGRESS_EVERY_S, signal.elapsed_s * PROGRESS_SHARE)
        row = self.state.pretraining[signal.event]
        self._say(f"event {clean(signal.event)} collects: {messages.collected_text(row)}")

    def _collection_finished(self, signal: signals.CollectionFinished) -> None:
        row = self.state.pretraining[signal.event]
        took = duration(signal.elapsed_s)
        self._say(f"event {clean(signal.event)} collected {messages.collected_text(row)} in {took}")
        self._next_rows_s = 0.0

    def _training_started(self, signal: signals.TrainingStarted) -> None:
        self._say(f"event {clean(signal.event)} trains model {clean(signal.model)}")

    def _training_finished(self, signal: signals.TrainingFinished) -> None:
        took = duration(signal.elapsed_s)
        self._say(f"event {clean(signal.event)} trained model {clean(signal.model)} in {took}")

    def _model_loaded(self, signal: signals.ModelLoaded) -> None:
        version = f" v{signal.version.version}" if signal.version is not None else ""
        self._say(f"model {clean(signal.model)}{version} loaded")

    def _model_saved(self, signal: signals.ModelSaved) -> None:
        row = self.state.models[signal.model]
        if row.saves <= SAVES_SHOWN or self._verbose:
            self._say(messages.model_saved(row, signal.after_query))
        elif row.saves == SAVES_SHOWN + 1:
            self._say(f"further saves of model {clean(signal.model)} are counted")

    def _driver_output(self, signal: signals.DriverOutput) -> None:
        if not self._quiet or signal.stream == "stderr":
            self._say(f"driver: {messages.output_text(signal)}".rstrip())

    def _notice(self, signal: signals.Notice) -> None:
        if self._quiet and signal.level == "info":
            return
        self._notices += 1
        if self._notices <= NOTICES_SHOWN or self._verbose:
            level = "" if signal.level == "info" else f"{clean(signal.level)}: "
            self._say(f"{level}{clean(signal.text)}")
        elif self._notices == NOTICES_SHOWN + 1:
            self._say("further notices are left out")
