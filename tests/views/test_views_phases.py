"""Phases in the live view, and what a large terminal shows."""

from __future__ import annotations

from typing import Any

import pytest

from pilotcli.common.signals import (
    ComparedSoFar,
    DatabaseReady,
    ExecutionFinished,
    ModelSaved,
    PairFinished,
    PhaseStarted,
    QueryStarted,
    SlowedQuery,
)
from pilotcli.views.frame import frame
from pilotcli.views.sections import arm_names
from pilotcli.views.state import RunState
from pilotcli.views.text import line_text, width

SLOWED = (
    SlowedQuery("two-cities", 3, 0.4, 0.1, 0.25, clear=True),
    SlowedQuery("echo", 4, 0.11, 0.1, 0.91, clear=False),
)


def compared(against: str = "native", **more: Any) -> ComparedSoFar:
    counts = {"faster": 12, "slower": 1, "same": 5, "unclear": 2, "different": 0}
    fields: dict[str, Any] = {"queries": 20, "speedup": 1.82, "low": 1.5, "high": 2.1, **counts}
    fields |= {"worst": "two-cities", "worst_speedup": 0.25, "total_speedup": 2.4}
    return ComparedSoFar(against=against, **{"slowed": SLOWED, **fields, **more})


class Seen:
    """A state with its clock, and the frames of it."""

    def __init__(self, make: Any, clock: Any, wall: Any) -> None:
        self.make, self.clock = make, clock
        self.state = RunState(clock, wall)

    def __call__(self, *signals: object) -> Seen:
        for signal in signals:
            self.state.apply(signal)
        return self

    def pair(self, seq: int, driver_s: float, baseline_s: float, against: str = "native") -> None:
        """A pair of the comparison, the baseline first."""
        label = f"query-{seq}"
        self(
            ExecutionFinished(label, seq, "comparison", against, baseline_s),
            self.make.finished(seq, label=label, elapsed_s=driver_s),
            PairFinished(label, seq, 1, driver_s, baseline_s, "ok", "ok", "same", against=against),
        )

    def lines(self, columns: int = 80, rows: int = 24) -> list[str]:
        """The frame, which must fit."""
        lines = [line_text(line).rstrip() for line in frame(self.state, columns, rows)]
        assert len(lines) <= rows
        assert all(width(line) <= columns for line in lines)
        return lines


@pytest.fixture
def seen(make: Any, clock: Any, wall: Any) -> Seen:
    return Seen(make, clock, wall)


def begin_paired(seen: Seen, **more: Any) -> None:
    """A paired run of 20 queries in its warm-up."""
    fields = {"total": 60, "against": "native", "executions": 180, **more}
    seen(
        DatabaseReady("embedded PostgreSQL", "18.0", 0.4),
        seen.make.started(**fields),
        PhaseStarted("warm-up", 40),
    )


def test_the_warm_up_counts_and_shows_its_latencies(seen: Seen) -> None:
    begin_paired(seen)
    seen(QueryStarted(seen.make.query(1, "query-1"), 0))
    for number in range(1, 10):
        arm = None if number % 2 else "native"
        seen(ExecutionFinished(f"query-{number}", number, "warm-up", arm, 0.02))
    seen.clock.now = 3.0
    assert seen.lines()[:7] == [
        "w.sql · run 7 · against native · embedded PostgreSQL 18.0",
        "━━━" + "─" * 62 + "    9/180   5 %",
        "phase    warm-up, not measured  9/40",
        "     – queries/s   elapsed 0:03   left 0:57",  # noqa: RUF001
        "query    query-9",
        "warm-up  p50 20.0 ms     p95 20.0 ms     p99 20.0 ms",
        "failed   0   timed out 0",
    ]


def test_latencies_of_the_warm_up_give_way_to_those_of_measured_queries(seen: Seen) -> None:
    """Also where the driver has learned before the warm-up."""

    def latencies() -> str:
        (line,) = (line for line in seen.lines() if "p50" in line)
        return line

    begin_paired(seen)
    seen(PhaseStarted("learning", 20), seen.make.finished(1))
    assert "phase    learning  1/20" in seen.lines()
    assert latencies() == "latency  p50 10.0 ms     p95 10.0 ms     p99 10.0 ms"
    seen(PhaseStarted("warm-up", 20), ExecutionFinished("query-1", 1, "warm-up", None, 0.5))
    assert latencies() == "warm-up  p50 500 ms      p95 500 ms      p99 500 ms"
    seen(PhaseStarted("comparison", 20))
    assert latencies() == "warm-up  p50 500 ms      p95 500 ms      p99 500 ms"
    seen(seen.make.finished(2, elapsed_s=0.02))  # what the driver learned from has no part in it
    assert latencies() == "latency  p50 20.0 ms     p95 20.0 ms     p99 20.0 ms"


def test_the_phase_says_which_round_it_is_in(seen: Seen) -> None:
    begin_paired(seen)
    seen(PhaseStarted("comparison", 80, 2))
    for seq in range(1, 20):
        seen.pair(seq, 0.1, 0.2)
    assert "phase    comparison  38/80  round 1/2" in seen.lines()
    seen.pair(20, 0.1, 0.2)
    assert "phase    comparison  40/80  round 2/2" in seen.lines()


def test_the_only_phase_has_no_count_beside_the_total(seen: Seen) -> None:
    seen(seen.make.started(total=4, executions=4), PhaseStarted("replay", 4, 2))
    seen(seen.make.finished(1), seen.make.finished(2))
    assert seen.lines()[2] == "phase    replay  round 2/2"


def test_plans_are_part_of_the_total(seen: Seen) -> None:
    """Neither 100 % nor no time left while plans are taken."""
    begin_paired(seen, executions=100)
    for _ in range(80):
        seen(seen.make.finished(1))
    seen(PhaseStarted("plans", 20), ExecutionFinished("echo", 4, "plans", "native"))
    seen.clock.now = 81.0
    lines = seen.lines()
    assert lines[1].endswith(" 81/100  81 %")
    assert lines[2] == "phase    plans, not measured  1/20"
    assert lines[3].endswith("left 0:19")
    assert lines[4] == "query    echo"


def test_a_resumed_run_goes_on_from_what_it_had(seen: Seen) -> None:
    """What had ended before takes no time now."""
    seen(seen.make.started(total=60, executions=180, executed=80, before={"ok": 20}, resumed=True))
    seen(QueryStarted(seen.make.query(1)))
    seen.clock.now = 10.0
    seen(*(seen.make.finished(seq) for seq in range(1, 11)))
    lines = seen.lines()
    assert lines[1].endswith(" 90/180  50 %")
    assert lines[2].endswith("left 1:30")


def test_two_speedups_are_named_on_a_narrow_terminal(seen: Seen) -> None:
    begin_paired(seen)
    seen(compared(different=1))
    lines = seen.lines()
    assert "speed-up geometric mean 1.82x (1.5x to 2.1x), replay total 2.4x" in lines
    assert "queries  1 with OTHER ROWS, 1 slower, 12 faster, 5 same, 2 unclear" in lines
    assert "worst    two-cities  0.25x" in lines


def test_each_baseline_has_its_line(seen: Seen) -> None:
    begin_paired(seen, against="native and lero.yaml")
    seen(compared(), compared("lero.yaml", speedup=0.9, total_speedup=None, low=None))
    seen(compared(speedup=1.9))
    lines = [line for line in seen.lines(120) if line.startswith("speed-up")]
    assert lines == [
        "speed-up native: geometric mean 1.9x (1.5x to 2.1x), replay total 2.4x: "
        "1 slower, 12 faster, 5 same, 2 unclear",
        "speed-up lero.yaml: geometric mean 0.9x: 1 slower, 12 faster, 5 same, 2 unclear",
    ]


def test_a_low_terminal_has_the_tables_of_events_and_models_only(seen: Seen) -> None:
    begin_paired(seen)
    seen.pair(1, 0.1, 0.2)
    seen(compared())
    text = "\n".join(seen.lines(160, 24))
    assert "last queries" not in text and "slowed" not in text and "over time" not in text
    assert "Event0" in text and "model0" in text


def test_a_high_terminal_shows_the_last_queries_of_a_single_run(seen: Seen) -> None:
    seen(seen.make.started(total=4, models=0))
    for seq, status in enumerate(("ok", "timeout", "error", "wrong_answer"), start=1):
        seen(seen.make.finished(seq, status, elapsed_s=seq / 10))
    assert seen.lines(80, 40)[6:] == [
        "",
        "event           fired  last after   last took  took in all  failed",
        "  Event0            0           –           –            –       0",  # noqa: RUF001
        "",
        "latency over time",
        "worst    ▁█                                        up to 200 ms",
        "mean     ▁█                                        100 ms to 200 ms",
        "events                                             0 firings",
        "models                                             0 versions",
        "",
        "last queries                time  status",
        "  q4                      400 ms  wrong answer",
        "  q3                      300 ms  error",
        "  q2                      200 ms  timeout",
        "  q1                      100 ms  ok",
    ]


def test_a_middle_terminal_has_all_of_a_paired_run_below_each_other(seen: Seen) -> None:
    begin_paired(seen, total=20)
    seen(ExecutionFinished("echo", 4, "warm-up", "native", 0.05), PhaseStarted("comparison", 120))
    seen.pair(1, 0.1, 0.25)
    seen(compared())
    seen(seen.make.finished(2, label="query-2", elapsed_s=0.3))
    assert seen.lines(100, 44)[9:] == [
        "",
        "event           fired  last after   last took  took in all  failed",
        "  Event0            0           –           –            –       0",  # noqa: RUF001
        "",
        "model     version       saved     size  by      metric",
        "  model0        –           –        –  –       –",  # noqa: RUF001
        "",
        "latency over time",
        "worst    ▁█                                        up to 300 ms",
        "mean     ▁█                                        100 ms to 300 ms",
        "native   ▇                                         250 ms to 250 ms",
        "events                                             0 firings",
        "models                                             0 versions",
        "",
        "slowed by the driver      driver  baseline  speed-up  verdict",
        "  two-cities              400 ms    100 ms     0.25x  slower",
        "  echo                    110 ms    100 ms     0.91x  unclear",
        "",
        "",
        "",
        "",
        "last queries              driver    native  speed-up  status",
        "  query-2                 300 ms         –         –  ok",  # noqa: RUF001
        "  query-1                 100 ms    250 ms      2.5x  ok",
        "  echo                   50.0 ms         –         –  warm-up, native",  # noqa: RUF001
    ]


@pytest.mark.parametrize("rows", [24, 30, 40, 60])
def test_the_worst_query_is_shown_once(seen: Seen, rows: int) -> None:
    """In a line of its own, or where there is room as the first of the slowed ones."""
    begin_paired(seen)
    seen(PhaseStarted("comparison", 120))
    seen.pair(1, 0.1, 0.25)
    seen(compared())
    assert sum("two-cities" in line for line in seen.lines(100, rows)) == 1


def test_a_wide_terminal_has_two_panes(seen: Seen) -> None:
    begin_paired(seen)
    seen(PhaseStarted("comparison", 120))
    for seq in range(1, 31):
        seen.pair(seq, 0.1, 0.25)
    seen(compared(), seen.make.triggered(1, after_query=30))
    lines = seen.lines(160, 50)
    assert len(lines) < 50, "there is room for messages above"
    (head,) = (line for line in lines if line.startswith("speed-up"))
    assert head.endswith("replay total 2.4x: 1 slower, 12 faster, 5 same, 2 unclear")
    (events,) = (line for line in lines if line.startswith("event "))
    assert events.index("slowed by the driver") == 81
    (last,) = (line for line in lines if "last queries" in line)
    assert last.index("last queries") == 81
    assert sum("query-" in line for line in lines[7:]) == 18
    assert lines.index(last) < next(n for n, line in enumerate(lines) if "query-30  " in line[81:])
    assert any(line.startswith("native   █") for line in lines)


def test_tables_keep_their_columns_when_a_short_label_follows_a_long_one(seen: Seen) -> None:
    begin_paired(seen)
    seen(seen.make.finished(1, label="a-rather-long-label-of-a-query"))

    def header() -> str:
        (found,) = (line for line in seen.lines(100, 40) if line.startswith("last queries"))
        return found

    before = header()
    seen(*(seen.make.finished(seq, label=f"q{seq}") for seq in range(2, 60)))
    assert header() == before


def test_slowed_queries_of_several_baselines_are_in_one_table(seen: Seen) -> None:
    begin_paired(seen, against="native and lero.yaml")
    other = SlowedQuery("chains", 5, 3.0, 1.0, 0.33, clear=True)
    seen(seen.make.finished(1), compared(), compared("configs/lero.yaml", slowed=(other,)))
    lines = seen.lines(110, 50)
    at = next(n for n, line in enumerate(lines) if line.startswith("slowed by the driver"))
    assert lines[at : at + 4] == [
        "slowed by the driver    against      driver  baseline  speed-up  verdict",
        "  chains                lero         3.00 s    1.00 s     0.33x  slower",
        "  two-cities            native       400 ms    100 ms     0.25x  slower",
        "  echo                  native       110 ms    100 ms     0.91x  unclear",
    ]


def test_a_query_with_two_baselines_is_one_row(seen: Seen) -> None:
    begin_paired(seen, against="native and configs/lero.yaml")
    seen(ExecutionFinished("query-0", 9, "warm-up", "configs/lero.yaml", 0.07))
    seen(PhaseStarted("comparison", 120), compared(), compared("configs/lero.yaml"))
    seen.pair(1, 0.1, 0.2)
    seen(PairFinished("query-1", 1, 1, 0.1, 0.05, "ok", "ok", "same", against="configs/lero.yaml"))

    def last(columns: int) -> list[str]:
        lines = seen.lines(columns, 50)
        at = next(n for n, line in enumerate(lines) if line.startswith("last queries"))
        return lines[at:]

    assert last(110) == [
        "last queries              driver    native  to native      lero   to lero  status",
        "  query-1                 100 ms    200 ms         2x   50.0 ms      0.5x  ok",
        "  query-0                70.0 ms         –          –         –         –  warm-up, lero",  # noqa: RUF001
    ]
    assert last(80) == [
        "last queries              driver  to native   to lero  status",
        "  query-1                 100 ms         2x      0.5x  ok",
        "  query-0                70.0 ms          –         –  warm-up, lero",  # noqa: RUF001
    ]


def test_arms_with_files_of_the_same_name_are_shown_with_their_folders() -> None:
    assert arm_names(["native", "a/x.yaml", "b/x.yaml", "b/y.yml"]) == {
        "native": "native",
        "a/x.yaml": "a/x.yaml",
        "b/x.yaml": "b/x.yaml",
        "b/y.yml": "y",
    }


def test_the_chart_has_one_part_for_many_queries(seen: Seen) -> None:
    seen(seen.make.started(total=400, models=1))
    for seq in range(1, 401):
        seen(seen.make.finished(seq, elapsed_s=0.01 if seq <= 200 else 0.1))
    seen(ModelSaved("model0", "Event0", 400, None, {}))
    lines = seen.lines(80, 50)
    at = lines.index("latency over time")
    assert lines[at + 2] == "mean     " + "▁" * 20 + "█" * 20 + "  10.0 ms to 100 ms"
    assert lines[at + 4] == "models   " + " " * 39 + "↑  1 version"


def test_the_chart_shows_each_pair_in_one_part(seen: Seen) -> None:
    """Whichever arm went first."""
    begin_paired(seen, total=20)
    seen(PhaseStarted("comparison", 40), compared())
    for seq in range(1, 5):
        seen.pair(seq, 0.1, 0.1 * seq)
    lines = seen.lines(80, 50)
    assert lines[lines.index("latency over time") + 3] == (
        "native   ▁▄▇█" + " " * 36 + "  100 ms to 400 ms"
    )


def test_the_chart_of_an_uncounted_workload_makes_room(seen: Seen) -> None:
    seen(seen.make.started(total=None))
    for seq in range(1, 10_001):
        seen(seen.make.finished(seq, elapsed_s=0.01 if seq <= 5000 else 0.1))
    parts = seen.state.trend.parts
    assert 20 <= len(parts) <= 40
    assert sum(part.results for part in parts) == 10_000
    quick = sum(part.results for part in parts if part.max_s < 0.05)
    assert 4000 < quick <= 5000
