"""The latencies of a run's last lines are those of every later look at the run."""

from __future__ import annotations

import pytest
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
