"""The latencies of a run's last lines are those of every later look at the run."""

from __future__ import annotations

import json

import pytest
from paired import run_pair
from project_folder import Project

from pilotcli.common.signals import RunFinished
from pilotcli.views.messages import latency_text
from pilotcli.views.state import RunState
from pilotcli.views.summary import summary
from pilotcli.views.text import line_text

pytestmark = pytest.mark.slow


def test_the_end_shows_the_percentiles_that_the_journal_has(project: Project) -> None:
    project.write("w.sql", "".join(f"SELECT {number};\n" for number in range(70)))
    finished = project.run("w.sql")
    assert project.heard(RunFinished) == [finished]
    with project.journal() as journal:
        found = journal.statistics(1)
    kept = (found.p50_s, found.p95_s, found.p99_s, found.max_s)
    assert finished.latency_s == kept
    state = RunState(clock=lambda: 0.0)
    for signal in project.signals:
        state.apply(signal)
    assert f"latency   {latency_text(kept)}" in map(line_text, summary(state))


def test_what_a_driver_learned_from_is_not_among_what_was_compared(project: Project) -> None:
    """The learning query sleeps, and is neither in the latencies nor among the slowest."""
    project.write("learn.sql", "-- name: asleep\nSELECT pg_sleep(0.3);\nSELECT 1;\n")
    project.write("w.sql", "SELECT 2;\nSELECT 3;\nSELECT 1/0;\n")
    project.config("events: [pilotcli.drivers.observe.AnalyzeTables]")
    learn_on = f"run.learn_on={project.folder / 'learn.sql'}"
    finished, _ = run_pair(project, "w.sql", sets=(learn_on, "run.learn=2"))
    assert (finished.queries, finished.learned) == (13, {"ok": 4})
    assert {result.round for result in finished.slowest} <= {3, 4, 5}
    assert "asleep" not in {result.label for result in finished.slowest}
    with project.journal() as journal:
        compared = journal.compared_statistics(journal.run(1))
        assert compared is not None
        assert (compared.total, compared.counts) == (9, {"ok": 6, "error": 3})
        times = sorted(r.elapsed_s for r in journal.results(1) if r.ok and r.round > 2)
        assert (compared.p50_s, compared.max_s) == (times[2], times[-1])
        assert journal.compared_statistics(journal.run(2)) is None  # it did not learn
        everything = journal.statistics(1)
    assert finished.latency_s == (compared.p50_s, compared.p95_s, compared.p99_s, compared.max_s)
    assert everything.max_s is not None
    assert everything.max_s >= 0.3
    state = RunState(clock=lambda: 0.0)
    for signal in project.signals:
        state.apply(signal)
    lines = list(map(line_text, summary(state)))
    said = "4 of these to learn from; below: the 9 compared"
    assert f"learned   {said}" in lines
    assert not any("asleep" in line for line in lines)
    shown = project.command("runs", "show", "1").stdout
    assert f"learned   {said}" in shown
    assert "asleep" not in shown
    assert f"latency   {latency_text(finished.latency_s)}" in shown
    parsed = json.loads(project.command("runs", "show", "1", "--format", "json").stdout)
    assert parsed["compared"]["max_s"] == compared.max_s
    assert {query["executions"] for query in parsed["repeats"]} == {3}
    assert {result["round"] for result in parsed["slowest"]} <= {3, 4, 5}
