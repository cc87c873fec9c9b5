from __future__ import annotations

import io
import re
import runpy
import threading
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from emulator import Terminal
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_maker import Make

from pilotcli.common.records import EventKind, QueryResult
from pilotcli.common.signals import (
    Bus,
    ComparedSoFar,
    DatabaseReady,
    DriverOutput,
    EventInfo,
    EventStarted,
    EventTriggered,
    ExecutionFinished,
    ModelInfo,
    ModelSaved,
    Notice,
    PairFinished,
    Phase,
    PhaseStarted,
    QueryFinished,
    QueryStarted,
    RowsCollected,
    RunStarted,
    SlowedQuery,
    StepStarted,
    TrainingFinished,
    TrainingStarted,
)
from pilotcli.views.frame import frame
from pilotcli.views.live import LiveView
from pilotcli.views.sections import saved_text
from pilotcli.views.state import RunState
from pilotcli.views.text import line_text, width

ROOT = Path(__file__).parents[2]


class Shown:
    """A live view without its thread, and the terminal that it paints on."""

    def __init__(self, columns: int, rows: int, color: bool = False, **options: Any) -> None:
        self._stream = io.StringIO()
        self.view = LiveView(
            self._stream, size=lambda: (columns, rows), color=color, thread=False, **options
        )
        self.terminal = Terminal(columns, rows)

    def __call__(self, *signals: object) -> Shown:
        for signal in signals:
            self.view(signal)
        return self

    def painted(self) -> str:
        """What one refresh writes; the terminal shows it too."""
        self.view.refresh()
        return self._take()

    def lines(self) -> list[str]:
        self.painted()
        return self.terminal.lines()

    def closed(self) -> list[str]:
        self.view.close()
        self._take()
        return self.terminal.lines()

    def _take(self) -> str:
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        self.terminal.feed(text)
        return text


@pytest.fixture
def show(clock: Any, wall: Any) -> Any:
    def of_size(columns: int = 80, rows: int = 24, color: bool = False, **options: Any) -> Shown:
        return Shown(columns, rows, color, clock=clock, wall=wall, **options)

    return of_size


def begin(make: Any) -> list[object]:
    return [
        DatabaseReady("embedded PostgreSQL", "18.0", 0.4),
        make.started(total=2400),
        QueryStarted(make.query(1)),
    ]


def test_the_frame_of_a_run(make: Any, show: Any, clock: Any, wall: Any) -> None:
    shown = show()
    shown(*begin(make)).painted()
    for seq in range(1, 1205):
        status = {7: "error", 8: "timeout"}.get(seq, "ok")
        shown.view.state.apply(make.finished(seq, status, elapsed_s=seq / 10_000))
    shown(
        ModelSaved(
            "model0", "Event0", 600, make.version(1, created_at=wall.now - 100), {"mae": 5.0}
        ),
        ModelSaved(
            "model0", "Event0", 1200, make.version(2, created_at=wall.now - 12), {"mae": 4.0}
        ),
        make.triggered(1, after_query=600, outcome="failed", error="no"),
        make.triggered(2, after_query=1200),
        QueryStarted(make.query(1205, "q17b")),
    )
    clock.now = 4.0
    shown.view._above.clear()
    assert shown.lines() == [
        "w.sql · run 7 · embedded PostgreSQL 18.0",
        "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────────────────────  1,204/2,400  50 %",
        "   301 queries/s   elapsed 0:04   left 0:03",
        "query    q17b  4.00 s",
        "latency  p50 60.5 ms     p95 115 ms      p99 119 ms",  # exact: 60.3, 114, 119
        "failed   1   timed out 1",
        "",
        "event           fired  last after   last took  took in all  failed",
        "  Event0            2       1,200      250 ms       500 ms       1",
        "",
        "model     version       saved     size  by      metric",
        "  model0       v2    12 s ago  14.2 kB  Event0  mae 4 ↓ 20 %",
    ]


def test_the_running_event_is_marked_with_its_time(make: Any, show: Any, clock: Any) -> None:
    shown = show()
    shown(*begin(make), make.finished(1))
    shown(EventStarted("Event0", EventKind.QUERY_FINISH, "interval", 1))
    clock.now = 0.8
    lines = shown.lines()
    assert "event    Event0  800 ms" in lines
    assert "▶ Event0            0           –    800 ms …            –       0" in lines  # noqa: RUF001
    shown(make.triggered(1))
    assert "  Event0            1           1      250 ms       250 ms       0" in shown.lines()


def test_a_save_moves_nothing_and_no_name_is_cut(make: Any, show: Any, wall: Any) -> None:
    event, model = "CardinalityUpdate", "corrections"
    begun = replace(
        make.started(),
        events=(EventInfo(event, EventKind.QUERY_FINISH, "after every query"),),
        models=(ModelInfo(model, "m:M"),),
    )
    shown = show(80, 24)
    before = shown(begun, make.finished(1)).lines()
    version = make.version(11, created_at=wall.now - 100, size_bytes=117_000)
    after = shown(ModelSaved(model, event, 25, version, {"q_error": 22.47})).lines()
    assert [line for line in before if line.startswith("model")] == [
        line for line in after if line.startswith("model")
    ]
    (row,) = (line for line in after if model in line)
    assert "q_error 22.47" in row


def test_a_low_terminal_shows_the_events_that_fire(make: Any, show: Any) -> None:
    kind = EventKind.QUERY_FINISH
    begun = replace(
        make.started(),
        events=(
            EventInfo("Pretrains", EventKind.PRETRAINING, "never (neither collects nor trains)"),
            EventInfo("Learns", kind, "after every query"),
            EventInfo("Tunes", kind, "after every 9 queries"),
        ),
    )
    shown = show(60, 14)
    lines = shown(begun, make.finished(1)).lines()
    assert any("Learns" in line for line in lines)
    assert not any("Pretrains" in line for line in lines)
    shown(EventStarted("Tunes", kind, "interval", 9))
    assert any("▶ Tunes" in line for line in shown.lines())


def test_several_workers_show_the_first_labels(make: Any, show: Any) -> None:
    shown = show()
    shown(make.started(workers=5))
    shown(*(QueryStarted(make.query(n, f"q{n}"), worker=n) for n in range(5)))
    assert "query    q0, q1, q2 +2" in shown.lines()
    shown(make.finished(0, worker=0))
    assert "query    q1, q2, q3 +1" in shown.lines()


def test_an_uncounted_workload_has_a_count_instead_of_a_bar(make: Any, show: Any) -> None:
    shown = show()
    shown(make.started(total=None), make.finished(1), make.finished(2))
    text = "\n".join(shown.lines())
    assert "\n2 queries\n" in text
    assert "left" not in text and "━" not in text


def test_a_pretraining_shows_its_progress(make: Any, show: Any, clock: Any) -> None:
    shown = show()
    shown(make.started(total=0, events=0), StepStarted("loading"))
    assert "loading  0.00 µs" in shown.lines()
    shown(EventStarted("P", EventKind.PRETRAINING, "pretraining", 0))
    shown(RowsCollected("P", "plans", 300, 5300, 12, 2.0))
    assert "collected 5,300 rows in plans, 12 iterations, 150 rows/s" in shown.lines()
    shown(RowsCollected("P", "plans", 100, 5400, 13, 2.0, 6000))
    cut = "collected 5,400/6,000 rows (90 %) in plans, left 0:03, 13 iterations, 200 rows…"
    assert cut in shown.lines()
    shown(TrainingStarted("P", "model0"))
    clock.now = 3.2
    assert "training model0 on 5,400 rows  3.20 s" in shown.lines()
    shown(TrainingFinished("P", "model0", 3.2))
    shown(EventTriggered("P", EventKind.PRETRAINING, "pretraining", 0, "ok", 5.0, 1))
    assert not any(line.startswith(("training", "collected")) for line in shown.lines())


def test_what_stays_is_printed_above_in_order(make: Any, show: Any) -> None:
    shown = show()
    shown(*begin(make))
    shown.painted()
    shown(DriverOutput("first"), make.finished(1, "error", error="bad\nDETAIL", sqlstate="42601"))
    shown(Notice("info", "calm"), DriverOutput("second"), Notice("warning", "mind"))
    shown(make.triggered(outcome="failed", error="ValueError: no\nreally"))
    lines = shown.lines()
    assert lines[:7] == [
        "│ first",
        "✗ q1 (w.sql:1): bad [42601]",
        "calm",
        "│ second",
        "warning: mind",
        "✗ event Event0 failed after query 1: ValueError: no",
        "w.sql · run 7 · embedded PostgreSQL 18.0",
    ]


def test_only_the_first_failures_are_told(make: Any, show: Any) -> None:
    shown = show(rows=60)
    shown(*begin(make), *(make.finished(n, "error", error="bad") for n in range(1, 100)))
    shown(*(make.triggered(n, outcome="failed", error="no") for n in range(1, 100)))
    lines = shown.lines()
    assert sum(line.startswith("✗ q") for line in lines) == 5
    assert sum(line.startswith("✗ event") for line in lines) == 5
    told = "  further failures of queries are in the journal: pilot runs show 7 --failed"
    assert lines.count(told) == 1


def test_notices_do_not_flood(make: Any, show: Any) -> None:
    shown = show(rows=70)
    shown(*begin(make), *(Notice("warning", f"notice {n}") for n in range(1000)))
    above = [line for line in shown.lines() if "notice" in line]
    assert above[:2] == ["warning: notice 0", "warning: notice 1"]
    assert above[50:] == ["  further notices are left out"]


def test_signals_from_several_threads_are_all_counted(make: Any, show: Any) -> None:
    shown = show()
    finished = [make.finished(n, worker=n % 4) for n in range(2000)]

    def send() -> None:
        for number, signal in enumerate(finished):
            shown(signal)
            if number % 50 == 0:
                shown(DriverOutput("x"))
                shown.view.refresh()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown.view.state.done == shown.view.state.latencies.total == 8000
    assert shown.closed().count("│ x") == 160


def test_verbose_tells_queries_firings_and_saves(make: Any, show: Any) -> None:
    shown = show(verbose=True)
    shown(*begin(make), make.finished(1, row_count=3), make.triggered(1))
    shown(ModelSaved("model0", "Event0", 1, make.version(1), {}))
    assert shown.lines()[:3] == [
        "  q1: 10.0 ms, 3 rows",
        "  event Event0 fired after query 1, took 250 ms",
        "  model model0 v1 saved by Event0 after query 1: 14.2 kB",
    ]


def test_a_refresh_writes_only_what_changed(make: Any, show: Any, clock: Any) -> None:
    shown = show()
    shown(*begin(make))
    whole = shown.painted()
    assert shown.painted() == ""
    shown(QueryStarted(make.query(2, "another")))
    change = shown.painted()
    assert "another" in change
    assert "w.sql" not in change and "event" not in change
    assert len(change) < len(whole) / 4
    assert "\x1b[J" not in change and "\x1b[2K" not in change


def test_the_summary_takes_the_place_of_the_block(make: Any, show: Any) -> None:
    shown = show()
    shown(*begin(make), make.finished(1), DriverOutput("word"))
    shown.painted()
    shown(DriverOutput("last word"))
    shown(
        make.ended(status="interrupted", exit_code=130, queries=1, ok=1, reasons=("interrupted",))
    )
    expected = [
        "│ word",
        "│ last word",
        "",
        "run 7 interrupted: 1 of 2,400 queries in 2.00 s (0.50/s)",
        "queries   1 ok",
        "latency   p50 10.0 ms   p95 10.0 ms   p99 10.0 ms   max 10.0 ms",
        "events    Event0: 0 firings",
        "models    model0: not saved",
        "exit 130  interrupted",
        "look up   pilot runs show 7",
    ]
    assert shown.closed() == expected
    shown(DriverOutput("too late"))
    assert shown.painted() == ""
    assert shown.closed() == expected


def test_nothing_is_left_when_the_run_never_began(show: Any) -> None:
    shown = show()
    shown(StepStarted("starting PostgreSQL 18"))
    assert shown.lines() == ["pilot", "starting PostgreSQL 18  0.00 µs"]
    assert shown.closed() == []


def test_colour_only_where_it_is_wanted(make: Any, show: Any) -> None:
    def text(color: bool) -> str:
        return show(color=color)(*begin(make), DriverOutput("x")).painted()

    assert "\x1b[1m" in text(True)
    assert not re.search(r"\x1b\[[0-9;]*m", text(False))


def test_signals_cannot_steer_the_terminal(make: Any, show: Any) -> None:
    evil = "\x1b[2J\x1b]0;x\x07[bold red]\r\n\x9b1A\u202e"
    shown = show(color=True, verbose=True)
    shown(
        StepStarted(evil),
        DatabaseReady(evil, evil, 1),
        make.started(workload=evil),
        QueryStarted(make.query(1, evil)),
        make.finished(1, "error", label=evil, error=evil, sqlstate=evil, file=evil),
        EventStarted(evil, EventKind.QUERY_FINISH, "interval", 1),
        DriverOutput(evil),
        Notice("error", evil),
        make.triggered(event=evil, outcome="failed", error=evil),
        ModelSaved(evil, evil, 1, None, {evil: 1.0}),
    )
    text = shown.painted()  # the emulator fails on every sequence that is not the view's own
    assert "[bold red]" in text
    shown(make.ended(reasons=(evil,), exit_code=3, slowest=(make.finished(label=evil).result,)))
    assert any("[bold red]" in line for line in shown.closed())


def test_the_thread_paints_and_ends(make: Any) -> None:
    written = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            if "word" in text:
                written.set()
            return super().write(text)

    with LiveView(Stream(), refresh_hz=1000) as view:
        view(make.started())
        view(DriverOutput("word"))
        assert written.wait(60)
    assert not [one for one in threading.enumerate() if one.name == "pilot-live"]


def test_a_view_that_cannot_paint_does_not_stop_the_run(
    make: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def broken(state: RunState, columns: int, rows: int) -> Any:
        failed.set()
        raise RuntimeError("a defect")

    with LiveView(io.StringIO(), refresh_hz=1000) as view:
        monkeypatch.setattr("pilotcli.views.live.frame", broken)
        bus = Bus(view)
        bus.emit(make.started())
        assert failed.wait(60)
        bus.emit(make.finished(1))
        assert view.state.done == 1
    assert "the live view failed" in caplog.text


def test_a_picture_of_the_frame(make: Any, show: Any) -> None:
    shown = show()
    shown(*begin(make), make.finished(1, label="<q & a>"))
    as_svg = runpy.run_path(str(ROOT / "docs" / "make_picture.py"))["as_svg"]
    svg = as_svg(frame(shown.view.state, 79, 23), "pilot run <w.sql>")
    ElementTree.fromstring(svg)
    assert svg.startswith("<svg") and "Event0" in svg and "&lt;q&#160;&amp;&#160;a&gt;" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in svg.replace("url(#", "")


def test_when_a_model_was_saved() -> None:
    now = 1_700_000_000.0
    assert saved_text(now - 59.9, now) == "59 s ago"
    assert saved_text(now - 60, now) == "22:12:20"
    assert saved_text(now - 100_000, now) == "2023-11-13"
    assert saved_text(float("nan"), now) == saved_text(None, now)


label = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["東京" * 40, "\x1b[5A", "[red]", "e\u0301" * 50, "👩‍👩‍👧‍👦" * 30]),
)
seconds = st.one_of(st.floats(), st.floats(0, 1e5))
small = st.integers(0, 10**9)
names = st.sampled_from(["Event0", "Event1", "another event with a rather long name", "東京"])
kinds = st.sampled_from(EventKind)
statuses = st.sampled_from(["ok", "timeout", "cancelled", "error", "steering_error"])
phases = st.sampled_from(get_args(Phase))
factors = st.floats(1e-9, 1e9)
slowed = st.builds(SlowedQuery, label, small, seconds, seconds, factors, st.booleans())
queries = st.builds(
    lambda text, worker, round_: (text, worker, round_), label, st.integers(0, 9), st.integers(0, 2)
)


def _version(size_bytes: int, at: float, metric: float) -> Any:
    return Make.version(3, size_bytes=size_bytes, created_at=at, metrics={"mae": metric})


def _started(query: tuple[str, int, int]) -> QueryStarted:
    return QueryStarted(Make.query(1, query[0]), query[2], query[1])


def _run_started(workload: str, total: int | None, labels: list[str], workers: int) -> RunStarted:
    events = [EventInfo(f"{n}{one}", EventKind.QUERY_FINISH, "x") for n, one in enumerate(labels)]
    models = [ModelInfo(f"{n}{one}", "x") for n, one in enumerate(labels[::2])]
    return RunStarted(1, workload, total, tuple(events), tuple(models), workers)


def _finished(query: tuple[str, int, int], status: Any, took: float, error: str) -> QueryFinished:
    started = _started(query)
    result = QueryResult(
        1, query[0], status, 0.0, took, error=error, round=query[2], worker=query[1]
    )
    return QueryFinished(started.query, result)


signals_ = st.one_of(
    st.builds(
        _run_started, label, st.one_of(st.none(), small), st.lists(label, max_size=30),
        st.integers(1, 99),
    ),
    st.builds(StepStarted, label),
    st.builds(DatabaseReady, label, label, seconds),
    st.builds(_started, queries),
    st.builds(_finished, queries, statuses, seconds, label),
    st.builds(EventStarted, names, kinds, st.just("interval"), small),
    st.builds(
        EventTriggered, names, kinds, st.just("interval"), small,
        st.sampled_from(["ok", "failed", "kept"]), seconds, small, label,
    ),
    st.builds(
        RowsCollected, names, label, small, small, small, seconds, st.one_of(st.none(), small)
    ),
    st.builds(PhaseStarted, phases, st.one_of(st.none(), small), st.integers(0, 9)),
    st.builds(
        ExecutionFinished, label, small, phases, st.one_of(st.none(), label),
        st.one_of(st.none(), seconds),
    ),
    st.builds(
        PairFinished, label, st.just(1), st.integers(0, 2), seconds, seconds, statuses, statuses,
        st.just("same"), label,
    ),
    st.builds(
        ComparedSoFar, small, *[st.one_of(st.none(), factors)] * 3, *[small] * 5,
        st.one_of(st.none(), label), st.one_of(st.none(), factors), st.one_of(st.none(), factors),
        label, st.lists(slowed, max_size=10).map(tuple),
    ),
    st.builds(TrainingStarted, names, label),
    st.builds(
        lambda model, event, version, metric: ModelSaved(model, event, 1, version, {model: metric}),
        label, names, st.builds(_version, small, seconds, seconds), seconds,
    ),
    st.builds(DriverOutput, label),
    st.builds(Notice, st.sampled_from(["info", "warning", "error"]), label),
    st.just("no signal at all"),
)  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(signals_, max_size=30),
    st.sampled_from([60, 80, 200]) | st.integers(1, 220),
    st.integers(10, 50) | st.integers(1, 60),
)
def test_a_frame_fits_whatever_happened(sent: list[Any], columns: int, rows: int) -> None:
    state = RunState(clock=lambda: 1e5, wall=lambda: 1.7e9)
    for signal in sent:
        state.apply(signal)
    lines = frame(state, columns, rows)
    assert 1 <= len(lines) <= rows
    assert max(width(line_text(line)) for line in lines) <= columns
    shown = "".join(line_text(line) for line in lines)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.lists(st.lists(signals_, max_size=6), max_size=8),
    st.sampled_from([60, 80, 200]),
    st.integers(10, 50),
)
def test_the_terminal_always_shows_the_frame(
    clock: Any, wall: Any, steps: list[list[Any]], columns: int, rows: int
) -> None:
    """Painting changes only comes to the same as painting the whole frame."""
    shown = Shown(columns, rows, clock=clock, wall=wall)
    for step in steps:
        shown(*step)
        shown.view._above.clear()  # what is printed above may be longer than the screen is wide
        lines = shown.lines()
        expected = [
            line_text(line).rstrip() for line in frame(shown.view.state, columns - 1, rows - 1)
        ]
        while expected and not expected[-1]:
            expected.pop()
        assert lines == expected
        assert shown.terminal.wrapped == 0
        assert not shown.terminal.gone
    shown.view.close()
