from __future__ import annotations

import io
import re
import threading
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pilotcli.common.records import EventKind
from pilotcli.common.signals import (
    CollectionFinished,
    ComparedSoFar,
    DatabaseReady,
    DriverOutput,
    EventStarted,
    ExecutionFinished,
    ModelSaved,
    Notice,
    PhaseStarted,
    QueryStarted,
    RowsCollected,
    StepStarted,
    TrainingFinished,
    TrainingStarted,
)
from pilotcli.views import plain
from pilotcli.views.plain import PlainView


class Log:
    """A plain view over a buffer, with its clocks."""

    def __init__(self, clock: Any, wall: Any, **options: Any) -> None:
        self.stream = io.StringIO()
        self.clock = clock
        self.view = PlainView(self.stream, clock=clock, wall=wall, **options)

    def __call__(self, *signals: object) -> Log:
        for signal in signals:
            self.view(signal)
        return self

    def lines(self) -> list[str]:
        """What was written, without its time stamps, which must be there."""
        found = self.stream.getvalue().splitlines()
        assert all(line.startswith("2023-11-14T22:13:20 ") for line in found)
        return [line[20:] for line in found]


def test_a_whole_log(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(
        StepStarted("starting PostgreSQL 18"),
        DatabaseReady("embedded PostgreSQL", "18.0", 0.42),
        make.started(total=3),
        EventStarted("Event0", EventKind.QUERY_FINISH, "interval", 1),
        QueryStarted(make.query()),
    )
    clock.now = 2.0
    log(
        make.finished(1),
        ModelSaved("model0", "Event0", 1, make.version(1), {"mae_ms": 10.0}),
        make.triggered(1),
        make.finished(2, "error", error="ERROR:  no table\nLINE 1", sqlstate="42P01"),
        make.triggered(2, outcome="failed", error="ValueError: bad", traceback="..."),
        DriverOutput("trained on 3 rows"),
        make.finished(3, "timeout", elapsed_s=1.5),
        ModelSaved("model0", "Event0", 3, make.version(2), {"mae_ms": 8.0}),
        make.triggered(3),
        Notice("warning", "the connection was lost; connected again"),
        make.ended(
            status="failed", exit_code=3, queries=3, ok=1, errors=1, timeouts=1, event_firings=3,
            event_failures=1, slowest=(make.finished(3, "timeout", elapsed_s=1.5).result,),
            reasons=("1 firing of an event failed",),
        ),
    )  # fmt: skip
    log.view.close()
    log.view.close()
    assert log.lines() == [
        "starting PostgreSQL 18",
        "database ready in 420 ms: embedded PostgreSQL 18.0",
        "run 7: w.sql, 3 queries",
        "event Event0: after every query",
        "model model0 v1 saved by Event0 after query 1: 14.2 kB, mae_ms 10",
        "event Event0 fired after query 1, took 250 ms; further firings are counted",
        "failed: q2 (w.sql:2): ERROR:  no table [42P01]",
        "failed: event Event0 failed after query 2: ValueError: bad",
        "driver: trained on 3 rows",
        "failed: q3 (w.sql:3): timed out after 1.50 s",
        "model model0 v2 saved by Event0 after query 3: 14.2 kB, mae_ms 8 ↓ 20 %",
        "warning: the connection was lost; connected again",
        "run 7 failed: 3 queries in 2.00 s (1.5/s)",
        "queries   1 ok, 1 failed, 1 timed out",
        "latency   p50 10.0 ms   p95 1.50 s   p99 1.50 s   max 1.50 s",
        "events    Event0: 3 firings in 750 ms, 1 failed (ValueError: bad)",
        "models    model0: v1 → v2, saved 2 times, mae_ms 10 → 8 (↓ 20 %)",
        "slowest       1.50 s  q3  w.sql:3 timeout",
        "exit 3    1 firing of an event failed",
        "look up   pilot runs show 7",
    ]


def test_ten_thousand_queries_make_a_short_log(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(make.started(total=10_000))
    for seq in range(1, 10_001):
        clock.now = seq * 0.05
        status = "error" if seq % 3 == 0 else "ok"
        log(QueryStarted(make.query(seq)), make.finished(seq, status, error="bad"))
        log(ModelSaved("model0", "Event0", seq, make.version(seq), {"mae": 1 / seq}))
        log(make.triggered(seq, outcome="ok" if seq % 5 else "failed", error="E: no"))
    log.view.close()
    lines = log.lines()
    progress = [line for line in lines if " of 10,000 queries (" in line]
    assert [line.split(" ")[0] for line in progress] == [f"{n},000" for n in range(1, 10)]
    assert progress[0].endswith("333 failed; events fired: Event0 999")
    assert sum(line.startswith("failed: q") for line in lines) == 20
    assert sum(line.startswith("failed: event") for line in lines) == 20
    assert len(lines) < 90


def test_progress_waits_for_time_and_share(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(make.started(total=100, events=0))
    for seq, now in ((50, 9.0), (51, 10.0), (55, 30.0), (61, 31.0)):
        while log.view.state.done < seq - 1:
            log(make.finished())
        clock.now = now
        log(make.finished(seq))
    assert [line for line in log.lines() if " of 100 " in line] == [
        "51 of 100 queries (51 %), 5.1/s, left 0:09, p50 10.0 ms, p95 10.0 ms, p99 10.0 ms",
        "61 of 100 queries (61 %), 2.0/s, left 0:19, p50 10.0 ms, p95 10.0 ms, p99 10.0 ms",
    ]


def test_progress_counts_the_executions_of_all_phases(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    begun = make.started(total=20, events=0, executions=100, against="native")
    log(begun, PhaseStarted("warm-up", 40, 1))
    for number in range(1, 61):
        clock.now = float(number)
        if number == 41:
            log(PhaseStarted("comparison", 40, 2))
        if number <= 40:
            log(ExecutionFinished("q", 1, "warm-up", "native", 1.0))
        elif number % 2:
            log(ExecutionFinished("q", 1, "comparison", "native", 0.02))
        else:
            log(make.finished(number))
    assert log.lines() == [
        "run 7: w.sql, 20 queries, 100 executions in all phases, in turns with native",
        "phase warm-up, not measured: 40 executions",
        *(
            f"{number} of 100 executions ({number} %), 1.0/s, left {left}, "
            "p50 995 ms, p95 995 ms, p99 995 ms in the warm-up"
            for number, left in ((10, "1:30"), (20, "1:20"), (30, "1:10"), (40, "1:00"))
        ),
        "phase comparison: 40 executions in 2 rounds",
        *(
            f"{number} of 100 executions ({number} %), 1.0/s, left {left}, "
            "p50 10.0 ms, p95 10.0 ms, p99 10.0 ms"
            for number, left in ((50, "0:50"), (60, "0:40"))
        ),
    ]


def test_a_speedup_is_shown_for_each_baseline(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(make.started(total=4, events=0, executions=8, against="native and lero.yaml"))
    found = ComparedSoFar(1, 2.0, None, None, 0, 0, 0, 1, 0, total_speedup=3.0)
    clock.now = 20.0
    log(found, replace(found, against="lero.yaml", speedup=0.5), make.finished(1))
    assert log.lines()[-2:] == [
        "speed-up so far against native: geometric mean 2x, replay total 3x: 1 unclear",
        "speed-up so far against lero.yaml: geometric mean 0.5x, replay total 3x: 1 unclear",
    ]


def test_progress_of_an_uncounted_workload_comes_ever_rarer(
    make: Any, clock: Any, wall: Any
) -> None:
    log = Log(clock, wall)
    log(make.started(total=None, events=0))
    for second in range(1, 10_000):
        clock.now = float(second)
        log(make.finished(second))
    told = [line for line in log.lines() if "queries, " in line]
    assert told[0].startswith("10 queries")
    assert 30 < len(told) < 80


def test_quiet_tells_failures_warnings_and_one_line(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall, quiet=True)
    log(
        StepStarted("starting"),
        make.started(total=2),
        make.finished(1),
        make.finished(2, "error", error="bad"),
        make.triggered(1),
        make.triggered(2, outcome="failed", error="E: no"),
        DriverOutput("chatter"),
        DriverOutput("a driver's warning", "stderr"),
        Notice("info", "nothing of note"),
        Notice("warning", "mind this"),
        make.ended(queries=2, ok=1, errors=1, status="failed", exit_code=1),
    )
    log.view.close()
    assert log.lines() == [
        "failed: q2 (w.sql:2): bad",
        "failed: event Event0 failed after query 2: E: no",
        "driver: a driver's warning",
        "warning: mind this",
        "run 7 failed: 2 queries in 2.00 s (1.0/s): 1 ok, 1 failed",
    ]


def test_notices_do_not_flood(clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(*(Notice("warning", f"number {n}") for n in range(1000)))
    assert log.lines()[49:] == ["warning: number 49", "further notices are left out"]


def test_verbose_tells_each_query_and_firing(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall, verbose=True)
    log(make.started(total=None, events=0))
    for seq in (1, 2):
        log(make.finished(seq, row_count=seq), make.triggered(seq))
    log(
        PhaseStarted("warm-up", 2),
        ExecutionFinished("q3", 3, "warm-up", None, 0.01),
        ExecutionFinished("q3", 3, "warm-up", "native", 0.02),
        ExecutionFinished("q3", 3, "plans"),
    )
    assert log.lines()[1:] == [
        "q1: 10.0 ms, 1 row",
        "event Event0 fired after query 1, took 250 ms",
        "q2: 10.0 ms, 2 rows",
        "event Event0 fired after query 2, took 250 ms",
        "phase warm-up, not measured: 2 executions",
        "q3: 10.0 ms, warm-up",
        "q3: 20.0 ms, warm-up, native",
        "q3: plans",
    ]


def test_a_pretraining(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(make.started(total=0, events=0), PhaseStarted("pretraining", 0))
    for step in range(1, 41):
        clock.now = step * 0.5
        log(RowsCollected("P", "plans", 10, step * 10, step, step * 0.5, 400))
    log(
        CollectionFinished("P", "plans", 400, 40, 20.0),
        TrainingStarted("P", "model0"),
        TrainingFinished("P", "model0", 1.5),
        make.ended(queries=0, ok=0),
    )
    log.view.close()
    assert log.lines()[1:] == [
        "phase pretraining",
        "event P collects: 10/400 rows (2 %) in plans, left 0:19, 1 iteration, 20 rows/s",
        "event P collects: 210/400 rows (52 %) in plans, left 0:09, 21 iterations, 20 rows/s",
        "event P collected 400 rows in plans, 40 iterations, 20 rows/s in 20.0 s",
        "event P trains model model0",
        "event P trained model model0 in 1.50 s",
        "run 7 finished in 2.00 s",
        "models    model0: not saved",
        "look up   pilot runs show 7",
    ]


def test_an_interrupted_and_a_broken_run_say_so(make: Any, clock: Any, wall: Any) -> None:
    log = Log(clock, wall)
    log(make.started(total=100, events=0, models=0), make.finished(1))
    log(make.ended(status="interrupted", exit_code=130, queries=1, ok=1, reasons=("interrupted",)))
    log.view.close()
    assert "run 7 interrupted: 1 of 100 queries in 2.00 s (0.50/s)" in log.lines()

    broken = Log(clock, wall)
    broken(make.started(total=100, events=0, models=0))
    clock.now = 4.0
    broken(make.finished(1))
    broken.view.close()
    assert "run 7 did not finish: 1 of 100 queries in 4.00 s (0.25/s)" in broken.lines()


def test_a_run_that_never_began_has_no_summary(clock: Any, wall: Any) -> None:
    for quiet in (False, True):
        log = Log(clock, wall, quiet=quiet)
        log.view.close()
        assert log.lines() == []


def test_nothing_reaches_the_log_that_steers_a_terminal(make: Any, clock: Any, wall: Any) -> None:
    evil = "\x1b[2J\x1b]0;x\x07[bold red]\r\x9b1A\u202e"
    log = Log(clock, wall, verbose=True)
    log(
        StepStarted(evil),
        DatabaseReady(evil, evil, 1),
        make.started(workload=evil),
        make.finished(1, "error", label=evil, error=evil, sqlstate=evil, file=evil),
        make.finished(1, label=evil),
        DriverOutput(evil),
        Notice("warning", evil),
        make.triggered(event=evil, outcome="failed", error=evil),
        ModelSaved(evil, evil, 1, None, {evil: 1.0}),
        make.ended(reasons=(evil,), exit_code=3, slowest=(make.finished(label=evil).result,)),
    )
    log.view.close()
    text = log.stream.getvalue()
    assert "[bold red]" in text
    assert {unicodedata.category(char) for char in text if char != "\n"} & {"Cc", "Cf"} == set()


@pytest.fixture
def silent_view(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PlainView, io.StringIO]]:
    """A view that speaks after a tenth of a second of silence, by the real clock."""
    monkeypatch.setattr(plain, "SILENCE_S", 0.1)
    stream = io.StringIO()
    with PlainView(stream) as view:
        yield view, stream


def said(stream: io.StringIO, pattern: str) -> bool:
    """Whether a line comes that has the pattern."""
    for _ in range(600):
        if re.search(pattern, stream.getvalue()):
            return True
        time.sleep(0.05)
    return False


def test_a_long_query_does_not_leave_the_log_silent(make: Any, silent_view: Any) -> None:
    view, stream = silent_view
    view(make.started(total=3))
    view(make.finished(1, label="quick"))
    monotonic = view.state.clock
    view.state.clock = lambda: monotonic() + 100
    assert said(
        stream, r"1 of 3 queries \(33 %\), no query has ended for 1\.?\d* min.*one was quick"
    )


def test_a_long_step_and_a_long_event_do_not_leave_the_log_silent(
    make: Any, silent_view: Any
) -> None:
    view, stream = silent_view
    view(StepStarted("filling the database"))
    assert said(stream, r"filling the database, for \d")
    view(make.started(total=3))
    view(EventStarted("Event0", EventKind.QUERY_FINISH, "interval", 1))
    assert said(stream, r"event Event0 has been running for \d")


def test_nothing_is_said_while_a_debugger_has_the_terminal(silent_view: Any) -> None:
    view, stream = silent_view
    view(StepStarted("filling the database"))
    view.step_aside()
    before = stream.getvalue()
    time.sleep(0.5)  # five times as long as the view may be silent
    view.step_back()
    assert stream.getvalue() == before
    assert said(stream, r"filling the database, for \d")


def test_a_view_that_is_quiet_stays_silent(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "SILENCE_S", 0.01)
    before = threading.active_count()
    with PlainView(io.StringIO(), quiet=True):
        assert threading.active_count() == before
