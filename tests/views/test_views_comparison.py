"""A comparison and a run over time in the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison, Effect, Verdict
from pilotcli.analysis.wording import verdict_text
from pilotcli.common.quantities import MISSING
from pilotcli.common.records import EventKind, Query, QueryResult
from pilotcli.common.signals import EventTriggered
from pilotcli.storage.journal import FiringRecord, Journal, TimelinePart
from pilotcli.views.charts import speedup_bars, timeline
from pilotcli.views.comparison import show_comparison, show_shared
from pilotcli.views.text import line_text, width


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Sixty queries, of which some are faster and one is slower by far."""
    home = tmp_path_factory.mktemp("compared")
    with Journal.open(home) as journal:
        for factors in ({3: 6.0, **dict.fromkeys(range(20, 40), 0.5)}, {}):
            run = journal.start_run(
                kind="run", workload="w.sql", config_path=None, config_text="{}", database="x",
                options={},
            )  # fmt: skip
            for round in (1, 2, 3):
                for seq in range(1, 61):
                    noise = 1 + ((seq * 7 + round * 3) % 5) / 500
                    time_s = seq / 1000 * noise * factors.get(seq, 1.0)
                    label = f"q{seq} \x1b[31m" + "long " * 12
                    run.add_result(
                        Query(seq, label, f"SELECT {seq}", "w.sql", seq, "SELECT"),
                        QueryResult(seq, label, "ok", 1e9 + seq, time_s, 1, round=round),
                    )
            run.finish("finished", 0, {})
            run.close()
        return compare(journal, 1, journal, 2)


def test_the_disaster_comes_before_the_average(
    comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    show_comparison(comparison, limit=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SLOWER    by far: q3 ")
    assert lines[0].endswith("6.0x")
    assert lines[1].startswith("run 1 against run 2: ")
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == "… and 57 more queries: --all"
    assert any(line.startswith("note       the two runs did not take turns") for line in lines)
    show_comparison(comparison, limit=3, answer_last=True)
    assert "SLOWER" not in capsys.readouterr().out.splitlines()[0]


def test_more_rounds_are_named_where_most_queries_are_unclear(
    comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    for unclear, said in ((30, False), (31, True)):
        queries = tuple(
            replace(query, verdict="unclear" if number < unclear else "same")
            for number, query in enumerate(comparison.queries)
        )
        show_comparison(replace(comparison, queries=queries), limit=0)
        shown = " ".join(capsys.readouterr().out.split())
        text = "note 31 queries are unclear: whether faster, slower or the same, these rounds "
        assert (f"{text}cannot tell. More rounds tell smaller differences from noise" in shown) is (
            said
        )


def test_what_is_about_one_of_several_comparisons_says_which(
    comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    show_shared(
        [replace(comparison, warnings=("all",)), replace(comparison, warnings=("all", "one"))]
    )
    shown = capsys.readouterr().out.splitlines()
    assert len([line for line in shown if line.startswith("answers")]) == 1
    assert shown[-2:] == ["note       all", "note       run 1 against run 2: one"]


def test_a_terminal_has_whole_words_in_lines_of_its_width(
    comparison: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotcli.views.console.wants_live", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    show_comparison(comparison, limit=0)
    lines = capsys.readouterr().out.splitlines()
    assert all(width(line) <= 80 for line in lines)
    note = next(at for at, line in enumerate(lines) if line.startswith("note       the two runs"))
    assert lines[note + 1].startswith(" " * 11)
    assert lines[note].split()[-1] in comparison.warnings[0].split()


def test_the_most_hurt_and_the_most_helped_are_listed(
    comparison: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 columns, with the reasons below the queries that are slower."""
    monkeypatch.setattr("pilotcli.views.console.wants_live", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    reasons = ("one reason " * 12, "another", "a third")
    queries = [
        replace(query, reasons=reasons if query.verdict == "slower" else ())
        for query in comparison.queries
    ]
    show_comparison(replace(comparison, queries=queries))
    lines = capsys.readouterr().out.splitlines()
    assert all(width(line) <= 80 for line in lines)
    hurt, helped = lines.index("most hurt"), lines.index("most helped")
    assert lines[hurt + 2].split()[0] == "3"
    assert lines[hurt + 3].startswith("       one reason one reason")
    assert lines[hurt + 4].startswith("         reason one")
    assert "       another" in lines and "       a third" not in lines
    assert [line.split()[0] for line in lines[helped + 2 : helped + 7]] == [
        *("39", "38", "37", "36", "35")
    ]
    assert lines[-1] == "… and 54 more queries: --all"
    show_comparison(comparison, answer_last=True)
    assert "… and 54 more queries: pilot runs compare 1 --all" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_bars_fit_and_leave_out_the_middle(comparison: Comparison, columns: int) -> None:
    lines = [line_text(line) for line in speedup_bars(comparison, columns)]
    assert all(width(line.rstrip()) <= columns for line in lines)
    assert lines[0].startswith("q3 ") and lines[0].rstrip().endswith("0.167x")
    assert "… 40 in between" in lines
    assert lines[0].index("█") < lines[0].index("│") < lines[-1].index("█")


def firing(after: int, outcome: str = "ok") -> FiringRecord:
    signal = EventTriggered("E", EventKind.QUERY_FINISH, "interval", after, "ok", 0.1, 1)
    return FiringRecord(
        signal.event, signal.kind, signal.reason, after, outcome, 0.1, 1, 0.0, None, None
    )  # type: ignore[arg-type]


def test_events_stand_where_they_fired() -> None:
    parts = [TimelinePart(10, int(n == 4), 0.001 * 10**n, 0.002 * 10**n) for n in range(5)]
    lines = [line_text(line) for line in timeline(parts, [firing(10), firing(41, "failed")], [50])]
    names = [line.split()[0] for line in lines]
    assert names == ["worst", "mean", "events", "models", "failed"]
    assert lines[1][9:14] == "▁▃▄▆█"
    assert lines[2][9:14] == "│   ✗"
    assert lines[3][9:14] == "    ↑"
    assert lines[4][9:14] == "    ✗"
    assert timeline([], [], []) == []


def test_a_journal_is_read_in_parts(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = journal.start_run(
            kind="run", workload="w", config_path=None, config_text="{}", database="x", options={}
        )
        for seq in range(1, 8):
            result = QueryResult(seq, "q", "ok" if seq != 5 else "error", 1e9, seq / 10)
            run.add_result(Query(seq, "q", "SELECT 1"), result)
        run.close()
        parts = journal.timeline(run.run_id, 3)
        assert [part.results for part in parts] == [3, 2, 2]
        assert [part.failed for part in parts] == [0, 1, 0]
        assert parts[-1].max_s == pytest.approx(0.7)
        assert len(journal.timeline(run.run_id, 60)) == 7
        assert journal.timeline(99, 3) == []


@pytest.mark.parametrize(
    ("speedup", "low", "high", "verdict", "told"),
    [
        (1.5, 1.2, 1.9, "faster", "1.5x faster, 98% interval 1.2x to 1.9x"),
        (0.25, 0.2, 0.5, "slower", "4x slower, 98% interval 2x to 5x"),
        (0.8, 0.7, 0.9, "slower", "25% slower, 98% interval 11% to 43%"),
        (0.58, 0.32, 0.8, "slower", "72% slower, 98% interval 25% to 212%"),
        (0.4, 0.3, 0.8, "slower", "2.5x slower, 98% interval 1.25x to 3.33x"),
        (2.0, 4e-13, 5e12, "unclear", "unclear (2x measured), 98% interval <0.0001x to >10,000x"),
        (None, None, None, "unclear", "nothing could be measured"),
        (1.0, 0.9, 1.1, "same", "the same within the noise (1x), 98% interval 0.9x to 1.1x"),
        (1.2, None, None, "unclear", "unclear (1.2x measured)"),
    ],
)
def test_an_effect_in_words(
    speedup: float | None, low: float | None, high: float | None, verdict: Verdict, told: str
) -> None:
    assert verdict_text(Effect(speedup, low, high, 0.98, verdict, "made up")) == told


def test_times_that_nobody_knows_are_shown_as_unknown(
    comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    known = replace(comparison.costs_b, planning_s=0.25)
    show_comparison(replace(comparison, costs_b=known), limit=3)
    lines = capsys.readouterr().out.splitlines()
    (planning,) = (line.split() for line in lines if line.lstrip().startswith("planning"))
    assert planning == ["planning", "250", "ms", MISSING]


def test_a_label_is_not_cut_for_intervals_that_are_not_there(
    comparison: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after one round, in a terminal of 80 columns."""
    monkeypatch.setattr("pilotcli.views.console.wants_live", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    queries = [
        replace(query, label="core-authors", low=None, high=None, answers="same")
        for query in comparison.queries
    ]
    show_comparison(replace(comparison, queries=queries), limit=3)
    lines = capsys.readouterr().out.splitlines()
    assert not any("INTERVAL" in line for line in lines)
    assert sum("core-authors" in line for line in lines) >= 3
