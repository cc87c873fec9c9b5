"""Load shapes: rates, durations, think times, and a line for each interval."""

from __future__ import annotations

import itertools

import pytest
from project_folder import Project

from pilotcli.common.errors import UsageError
from pilotcli.common.records import Query
from pilotcli.common.signals import Bus, IntervalFinished, Notice, QueryFinished, RunStarted
from pilotcli.config.model import RunSection
from pilotcli.replay.load import Load
from pilotcli.run.commands import run
from pilotcli.run.paired import Baseline, native, run_paired

ANY = Query(1, "q1", "SELECT 1")


def due_times(count: int, **options: object) -> list[float]:
    load = Load(RunSection(**options), clock=lambda: 50.0)  # type: ignore[arg-type]
    return [(load.due(ANY) or 0.0) - 50.0 for _ in range(count)]


def test_a_constant_rate() -> None:
    assert due_times(5, rate=4.0) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_random_arrivals_have_the_rate_and_their_seed() -> None:
    times = due_times(20_001, rate=100.0, arrivals="poisson", seed=3)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert times[-1] == pytest.approx(200.0, rel=0.03)
    # Of exponential gaps, 1/e are longer than their mean.
    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)
    assert times == due_times(20_001, rate=100.0, arrivals="poisson", seed=3)
    assert times != due_times(20_001, rate=100.0, arrivals="poisson", seed=4)


def test_a_ramp_rises_to_the_rate() -> None:
    times = due_times(401, rate=100.0, ramp=4.0)
    # 200 queries within the ramp, of which a quarter in its first half; then a hundred a second.
    assert sum(at_s < 2.0 for at_s in times) == 50
    assert sum(at_s < 4.0 for at_s in times) == 200
    assert times[400] == pytest.approx(6.0)
    assert times == sorted(times)


def verdict_after(*, late_s: float, ramp: float | None = None) -> tuple[bool, str] | None:
    now = [0.0]
    load = Load(RunSection(rate=10.0, ramp=ramp), clock=lambda: now[0])
    for number in range(101):
        due = load.due(ANY)
        assert due is not None
        now[0] = due + late_s * number / 100
        load.note_sent(due)
    return load.verdict()


def test_a_rate_that_was_held_or_not() -> None:
    assert verdict_after(late_s=0.05) == (True, "the rate of 10/s was held: 101 queries in 10.1 s")
    held = verdict_after(late_s=10.0)
    assert held is not None
    assert held[0] is False
    assert "10/s could not be held: 5.0/s were reached, and the last" in held[1]


def test_in_the_ramp_no_rate_is_said_to_be_held() -> None:
    held = verdict_after(late_s=0.0, ramp=30.0)
    assert held is not None
    assert held[0] is True
    assert "10/s was not asked for yet: the ramp was held: 101 queries in" in held[1]
    late = verdict_after(late_s=10.0, ramp=30.0)
    assert late is not None
    assert late[0] is False
    assert late[1].startswith("the ramp could not be held: the last query was sent")
    after = verdict_after(late_s=0.0, ramp=1.0)
    assert after is not None
    assert after[1].startswith("the rate of 10/s was held")


def test_two_names_of_an_option_do_not_contradict_each_other(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    project.config()
    for words in (("--clients", "4", "--workers", "2"), ("--repeat", "1", "--rounds", "2")):
        shown = project.command("run", "w.sql", *words)
        assert shown.returncode == 2
        assert "are two names of one option" in shown.stderr
    shown = project.command("run", "w.sql", "--clients", "2", "--workers", "2", "--rounds", "3")
    assert shown.returncode == 0, shown.stderr
    assert "queries   3 ok" in shown.stdout


def results(project: Project) -> list[QueryFinished]:
    return [signal for signal in project.heard(QueryFinished) if isinstance(signal, QueryFinished)]


def test_a_stall_shows_in_every_latency_after_it(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.5);" + "SELECT 1;" * 20)
    finished = project.run("w.sql", sets=("run.rate=100/s",))
    assert finished.exit_code == 0
    waits = [signal.result.wait_s for signal in results(project)]
    # Sent one after the other, the queries behind the stall would each look fast.
    assert min(waits[1:]) > 0.25
    assert all(signal.result.elapsed_s >= signal.result.wait_s for signal in results(project))
    texts = [signal.text for signal in project.heard(Notice) if isinstance(signal, Notice)]
    assert any("the rate of 100/s could not be held" in text for text in texts)


def test_a_rate_goes_on_through_all_rounds_over_the_same_connections(project: Project) -> None:
    project.write("w.sql", "SELECT pg_backend_pid();")
    project.config("collect: {table: load_pids, records: true}")
    sets = ("run.rate=500/s", "run.repeat=20", "run.workers=3", "run.arrivals=poisson")
    finished = project.run("w.sql", sets=sets)
    assert (finished.exit_code, finished.queries) == (0, 20)
    assert sorted(signal.result.round for signal in results(project)) == list(range(1, 21))


def test_a_duration_repeats_the_workload(project: Project) -> None:
    project.write("w.sql", "SELECT 1; SELECT 2;")
    sets = ("run.duration=1s", "run.workers=2", "run.think=10ms", "run.every=300ms")
    finished = project.run("w.sql", sets=sets)
    assert (finished.exit_code, finished.resume) == (0, None)
    assert finished.elapsed_s >= 1.0
    # Two workers that think 10 ms after each query: 200 at most.
    assert 4 < finished.queries <= 202
    (started,) = project.heard(RunStarted)
    assert isinstance(started, RunStarted)
    assert started.total is None
    intervals = [
        one for one in project.heard(IntervalFinished) if isinstance(one, IntervalFinished)
    ]
    assert sum(one.queries for one in intervals) == finished.queries
    assert len(intervals) >= 3
    assert intervals[0].from_s == 0.0
    assert all(before.to_s == after.from_s for before, after in itertools.pairwise(intervals))
    assert all(len(one.latency_s) == 4 for one in intervals if one.queries)


def test_a_block_is_ended_when_the_time_is_up(project: Project) -> None:
    project.write("w.sql", "BEGIN; SELECT pg_sleep(0.2); SELECT 1; COMMIT;")
    finished = project.run("w.sql", sets=("run.duration=300ms", "run.workers=2"))
    assert finished.exit_code == 0
    assert finished.queries % 4 == 0


def test_a_run_with_a_duration_is_continued_for_the_rest(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.02);" * 5 + "SELECT 1/0;")
    sets = ("run.duration=1s", "run.fail_fast=true", "run.max_failures=2")
    finished = project.run("w.sql", sets=sets)
    assert finished.resume is not None
    before = finished.elapsed_s
    assert before < 0.9
    again = (*sets[:2], "run.max_failures=1000")
    request = project.request("w.sql", sets=again, resume=1, force=True)
    finished = run(request, Bus(project.signals.append))
    assert finished.resume is None
    assert finished.elapsed_s >= 1.0
    with project.journal() as journal:
        found = [(result.round, result.seq) for result in journal.results(1)]
    assert len(found) == len(set(found))
    # A round has five queries of 20 ms: had the second begun at 0 again, there would be more.
    assert len(found) <= 6 * (1.0 / 0.1 + 2)


def test_the_lines_of_intervals(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.3);" * 2)
    shown = project.command("run", "w.sql", "--every", "100ms", "--clients", "2")
    assert shown.returncode == 0
    assert "0:00-0:00: 0.00/s" in shown.stdout
    assert "/s, p50 3" in shown.stdout


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("run.rate=5/s", "run.think=1s"), "run.rate and run.think both say"),
        (("run.pace=x2", "run.rate=5"), "run.rate and run.pace both say"),
        (("run.arrivals=poisson",), "needs a rate"),
        (("run.duration=1s", "run.repeat=2"), "how often the workload is replayed"),
    ],
)
def test_shapes_that_exclude_each_other(
    project: Project, sets: tuple[str, ...], message: str
) -> None:
    project.write("w.sql", "SELECT 1;")
    with pytest.raises(UsageError, match=message):
        project.run("w.sql", sets=sets)


def test_a_pair_takes_no_load(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    request = project.request("w.sql", sets=("run.rate=5/s",))
    with pytest.raises(UsageError, match=r"takes no run\.rate"):
        run_paired(request, [Baseline(native(request.config))], Bus())
