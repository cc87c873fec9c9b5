"""The phases of a run, and one total for all of them."""

from __future__ import annotations

import os
import signal

import pytest
from project_folder import COLLECTS, Project

from pilotcli.common.signals import (
    Bus,
    ExecutionFinished,
    PhaseStarted,
    QueryFinished,
    RunStarted,
    Signal,
)
from pilotcli.run.commands import run

QUERIES = "SELECT 1;\nSELECT 2;\nSELECT 3;\n"
WARM_AND_TWO = ("run.warmup=2", "run.repeat=2")


def phases(project: Project) -> list[Signal]:
    return project.heard(PhaseStarted)


def begun(project: Project) -> RunStarted:
    (started,) = project.heard(RunStarted)
    assert isinstance(started, RunStarted)
    return started


def executions_ended(project: Project) -> int:
    """Executions that this part of the run has reported."""
    return len(project.heard(ExecutionFinished)) + len(project.heard(QueryFinished))


def interrupt_after(project: Project, executions: int, sets: tuple[str, ...]) -> None:
    """Run, and press Ctrl-C once so many executions have ended."""

    def listen(heard: Signal) -> None:
        project.signals.append(heard)
        kinds = (ExecutionFinished, QueryFinished)
        if isinstance(heard, kinds) and executions_ended(project) == executions:
            os.kill(os.getpid(), signal.SIGINT)

    project.signals.clear()
    finished = run(project.request("w.sql", sets=sets), Bus(listen))
    assert finished.exit_code == 130


def test_a_run_has_a_warm_up_and_its_rounds_in_one_total(project: Project) -> None:
    project.write("w.sql", QUERIES)
    project.run("w.sql", sets=WARM_AND_TWO)
    assert phases(project) == [PhaseStarted("warm-up", 6, 2), PhaseStarted("replay", 6, 2)]
    assert (begun(project).total, begun(project).executions) == (6, 12)
    assert executions_ended(project) == 12
    warmed = project.heard(ExecutionFinished)
    assert [(one.seq, one.label, one.phase, one.arm) for one in warmed] == [  # type: ignore[attr-defined]
        (seq, f"q{seq}", "warm-up", None) for seq in (1, 2, 3, 1, 2, 3)
    ]
    assert all(one.elapsed_s > 0 for one in warmed)  # type: ignore[attr-defined]
    places = [project.signals.index(phase) for phase in phases(project)]
    assert places[0] < project.signals.index(warmed[0])
    assert project.signals.index(warmed[-1]) < places[1]


def test_a_run_without_a_warm_up_has_one_phase(project: Project) -> None:
    project.write("w.sql", QUERIES)
    project.run("w.sql")
    assert phases(project) == [PhaseStarted("replay", 3, 1)]
    assert begun(project).executions == 3


def test_what_cannot_be_counted_has_no_size(project: Project) -> None:
    project.write("w.sql", QUERIES)
    project.run("w.sql", sets=("run.warmup=1", "run.duration=50ms"))
    assert phases(project) == [PhaseStarted("warm-up", 3, 1), PhaseStarted("replay", None, 1)]
    assert begun(project).executions is None


@pytest.mark.slow
@pytest.mark.parametrize("executions", [2, 30])
def test_a_resumed_run_counts_what_had_ended(project: Project, executions: int) -> None:
    """Interrupted in the first and in the second round of the warm-up."""
    project.write("w.sql", QUERIES + "SELECT pg_sleep(0.01);\n" * 20)
    interrupt_after(project, executions, WARM_AND_TWO)
    project.run("w.sql", sets=WARM_AND_TWO, resume=1)
    started = begun(project)
    assert started.executions == 4 * 23
    assert 0 < started.executed < started.executions
    assert started.executed + executions_ended(project) == started.executions
    sizes = [phase.executions for phase in phases(project)]  # type: ignore[attr-defined]
    assert sum(sizes) == executions_ended(project)


@pytest.mark.slow
def test_a_run_that_was_interrupted_in_a_round_is_warm(project: Project) -> None:
    project.write("w.sql", QUERIES + "SELECT pg_sleep(0.01);\n" * 20)
    interrupt_after(project, 2 * 23 + 5, WARM_AND_TWO)
    project.run("w.sql", sets=WARM_AND_TWO, resume=1)
    assert [phase.phase for phase in phases(project)] == ["replay"]  # type: ignore[attr-defined]
    assert begun(project).executed + executions_ended(project) == 4 * 23


def test_a_pretraining_is_a_phase_of_its_own(project: Project) -> None:
    events = COLLECTS.replace("enable_collection=False", "enable_collection=True")
    project.write("ev.py", events)
    project.config("events: ['ev.py:Collects']")
    project.write("w.sql", QUERIES)
    project.run("w.sql")
    assert phases(project) == [PhaseStarted("pretraining", 0), PhaseStarted("replay", 3, 1)]
    project.pretrain()
    assert phases(project) == [PhaseStarted("pretraining", 0)]
