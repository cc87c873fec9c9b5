"""`pilot runs diff`: what was pushed into each of two runs of a query."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotcli.analysis.plan_pair import plan_pair
from pilotcli.common.records import Query, QueryResult, SteeringReport
from pilotcli.storage.journal import Journal
from pilotcli.views.plan_pair import show_plan_pair

KEY = "SELECT COUNT(*) FROM lines l, orders o WHERE l.order_id = o.id AND o.total < 500"


def test_pushed_rows_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    not_applied = (("Leading(l o)", "there is no l"),)
    pushed = SteeringReport(("work_mem = 7MB", KEY), not_applied, None, ((KEY, 1234.0),))
    with Journal.open(tmp_path) as journal:
        for report in (None, pushed):
            run = journal.start_run(
                kind="run", workload="w.sql", config_path=None, config_text="{}", database="x",
                options={},
            )  # fmt: skip
            logged = None if report is None else {"predicted_s": 1.0, "arm": "nl"}
            result = QueryResult(1, "q", "ok", 1e9, 0.5, 1, steering=report, logged=logged)
            run.add_result(Query(1, "q", "SELECT 1", "w.sql", 1, "SELECT"), result)
            run.finish("finished", 0, {})
            run.close()
    pair = plan_pair(tmp_path, "2", "1", "1")
    show_plan_pair(pair)
    shown = capsys.readouterr().out
    assert "not applied: Leading(l o): there is no l" in shown
    assert "pushed setting: work_mem = 7MB" in shown
    assert "pushed cardinality: 1,234 rows for SELECT COUNT(*) FROM lines l" in shown
    assert "logged predicted_s: 1.00 s, measured 500 ms: 2x too high" in shown
    assert "logged arm: nl" in shown
    show_plan_pair(pair, json=True)
    read = json.loads(capsys.readouterr().out)
    assert read["run"]["steering"] == ["work_mem = 7MB", KEY]
    assert read["run"]["cards"] == [[KEY, 1234.0]]
    assert read["baseline"]["cards"] == []


def test_any_two_arms_of_a_paired_run_are_compared_in_their_shared_rounds(tmp_path: Path) -> None:
    """Run 1 is the driver's, 2 and 3 are its baselines; they learned for two rounds."""
    with Journal.open(tmp_path) as journal:
        for number in (1, 2, 3):
            run = journal.start_run(
                kind="run", workload="w.sql", config_path=None, config_text="{}", database="x",
                options={"learn": 2},
            )  # fmt: skip
            for round in range(1, 5 - (number == 3)):
                result = QueryResult(1, "q", "ok", 1e9, 10.0**-round * number, 1, round=round)
                run.add_result(Query(1, "q", "SELECT 1", "w.sql", 1, "SELECT"), result)
            if number > 1:
                run.set_pair(1, "baseline")
            run.finish("finished", 0, {})
            run.close()
        own = "UPDATE runs SET paired_with = 2, arm = 'driver' WHERE run_id = 1"
        journal._connection.execute(own)
    for a, b, rounds in ((1, 2, (3, 4)), (1, 3, (3,)), (2, 3, (3,))):
        pair = plan_pair(tmp_path, str(a), str(b), "1")
        for number, side in ((a, pair.a), (b, pair.b)):
            times = [10.0**-round * number for round in rounds]
            assert side.mean_s == pytest.approx(sum(times) / len(times)), (a, b)
            assert side.times is not None and side.times.executions == len(rounds)
            assert side.name == ("the driver" if number == 1 else "the baseline")
