"""Sessions of a log: each on a connection of its own, in order, and at the log's times."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from project_folder import Project

from pilotcli.common.records import Query, QueryFacts
from pilotcli.common.signals import Bus, Notice, QueryFinished
from pilotcli.config.model import RunSection
from pilotcli.replay.load import Load
from pilotcli.replay.sessions import Sessions
from pilotcli.replay.units import Begun
from pilotcli.run.commands import run


def lines(*queries: tuple[str | None, str] | tuple[str | None, str, float]) -> str:
    rows = []
    for session, sql, *at_s in queries:
        row: dict[str, object] = {"sql": sql}
        if session is not None:
            row["session"] = session
        if at_s:
            row["at_s"] = at_s[0]
        rows.append(json.dumps(row))
    return "\n".join(rows)


def heard(project: Project) -> list[QueryFinished]:
    return [signal for signal in project.heard(QueryFinished) if isinstance(signal, QueryFinished)]


def warnings(project: Project) -> list[str]:
    return [signal.text for signal in project.heard(Notice) if isinstance(signal, Notice)]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_each_session_has_a_connection_and_keeps_its_order(project: Project, workers: int) -> None:
    sessions = [f"s{number}" for number in range(5)]
    queries: list[tuple[str | None, str]] = [
        (name, f"SELECT set_config('pilot.own', '{name}', false)") for name in sessions
    ]
    queries += [(name, "BEGIN") for name in sessions]
    # A session that shared its connection with another would see that one's setting, or its block.
    for _ in range(4):
        queries += [
            (name, f"SELECT 1 / (current_setting('pilot.own') = '{name}')::int")
            for name in sessions
        ]
    queries += [(name, "COMMIT") for name in sessions]
    project.write("w.jsonl", lines(*queries))
    finished = project.run("w.jsonl", sets=(f"run.workers={workers}", "run.repeat=2"))
    assert (finished.exit_code, finished.queries) == (0, 70), finished.reasons
    order = defaultdict(list)
    for signal in heard(project):
        order[signal.result.round, signal.query.facts.session].append(signal.query.seq)
    assert len(order) == 10
    assert all(seqs == sorted(seqs) for seqs in order.values())
    waits = [text for text in warnings(project) if "5 sessions are open at once" in text]
    assert len(waits) == (workers < 5)


def test_sessions_wait_for_each_other_where_they_must(project: Project) -> None:
    # The second session can only end while the first one is still open, on another connection.
    lock = "pg_advisory_lock(17)"
    project.write(
        "w.jsonl",
        lines(
            ("a", f"SELECT {lock}"),
            ("b", "SELECT 1"),
            ("b", f"SELECT {lock}"),
            ("a", "SELECT pg_advisory_unlock(17)"),
        ),
    )
    finished = project.run("w.jsonl", sets=("run.workers=2", "run.timeout=20s"))
    assert (finished.exit_code, finished.ok) == (0, 4), finished.reasons


def test_a_session_that_was_interrupted_gets_its_settings_again() -> None:
    def query(seq: int, session: str, sql: str, command: str) -> Query:
        return Query(seq, f"q{seq}", sql, command=command, facts=QueryFacts(session=session))

    workload = [
        query(1, "a", "SET work_mem = '1MB'", "SET"),
        query(2, "b", "SELECT 1", "SELECT"),
        query(3, "a", "BEGIN", "BEGIN"),
        query(4, "c", "SELECT 2", "SELECT"),
        query(5, "a", "SELECT 3", "SELECT"),
        query(6, "a", "COMMIT", "COMMIT"),
        query(7, "c", "SELECT 4", "SELECT"),
    ]
    done = bytearray([0, 1, 1, 1, 1, 0, 0, 0])
    left = [list(units) for units in Sessions(workload, done)]
    assert [[[query.seq for query in unit] for unit in units] for units in left] == [
        [[1, 3, 5], [6]],
        [[7]],
    ]
    first = left[0][0]
    assert isinstance(first, Begun)
    assert first.again == 2


def test_queries_are_read_only_as_far_as_they_are_needed() -> None:
    read: list[int] = []

    class Workload:
        def __iter__(self):  # type: ignore[no-untyped-def]
            read.clear()
            for seq in range(1, 101):
                read.append(seq)
                facts = QueryFacts(session="ab"[seq % 2])
                yield Query(seq, f"q{seq}", "SELECT 1", facts=facts)

    sessions = iter(Sessions(Workload(), None))
    first = next(sessions)
    assert [query.seq for query in next(first)] == [1]
    assert read == [1]
    second = next(sessions)
    assert [query.seq for query in next(second)] == [2]
    assert [query.seq for query in next(first)] == [3]
    assert len(read) == 3
    assert len(list(first)) == 48
    assert len(list(second)) == 49
    assert next(sessions, None) is None


def test_sessions_cannot_be_shuffled(project: Project) -> None:
    project.write("w.jsonl", lines(("a", "SELECT 1")))
    finished = project.run("w.jsonl", sets=("run.shuffle=true",))
    assert finished.exit_code == 2
    assert "cannot be shuffled" in finished.reasons[0]


@pytest.mark.parametrize(("pace", "speed"), [(1.0, 1.0), (2.0, 2.0), (0.5, 0.5)])
def test_queries_are_due_at_the_times_of_the_log(pace: float, speed: float) -> None:
    # The log may begin anywhere, and each round begins it again.
    now = [50.0]
    load = Load(RunSection(pace=pace), clock=lambda: now[0])
    queries = [
        Query(seq, f"q{seq}", "SELECT 1", facts=QueryFacts(at_s=at_s))
        for seq, at_s in enumerate((100.0, 100.5, 102.0), 1)
    ]
    assert [load.due(query) for query in queries] == [50, 50 + 0.5 / speed, 50 + 2 / speed]
    assert load.due(Query(4, "q4", "SELECT 1")) is None
    now[0] = 90.0
    load.begin_round()
    assert [load.due(query) for query in queries] == [90, 90 + 0.5 / speed, 90 + 2 / speed]


@pytest.mark.parametrize(("pace", "least_s"), [("original", 0.2), ("x2", 0.1), ("x0.5", 0.4)])
def test_a_run_takes_as_long_as_its_log(project: Project, pace: str, least_s: float) -> None:
    times = (100.0, 100.1, 100.2)
    project.write("w.jsonl", lines(*(("a", "SELECT 1", at_s) for at_s in times)))
    finished = project.run("w.jsonl", sets=(f"run.pace={pace}", "run.workers=2"))
    assert finished.exit_code == 0
    assert finished.elapsed_s >= least_s


def test_the_wait_of_a_late_query_is_part_of_its_latency(project: Project) -> None:
    project.write("w.jsonl", lines(("a", "SELECT pg_sleep(0.4)", 0.0), ("a", "SELECT 1", 0.1)))
    project.run("w.jsonl", sets=("run.pace=original",))
    late = heard(project)[1].result
    assert late.wait_s > 0.25
    assert late.elapsed_s > late.wait_s
    with project.journal() as journal:
        assert [result.wait_s for result in journal.results(1)][1] == late.wait_s


def test_fast_is_the_default(project: Project) -> None:
    project.write("w.jsonl", lines(("a", "SELECT 1", 0.0), ("a", "SELECT 1", 100_000.0)))
    for sets in ((), ("run.pace=fast",)):
        assert project.run("w.jsonl", sets=sets).exit_code == 0
        assert {signal.result.wait_s for signal in heard(project)} == {0.0}


def test_a_session_that_goes_on_has_its_settings(project: Project) -> None:
    own = "current_setting('pilot.own', true)"
    project.write(
        "w.jsonl",
        lines(
            ("a", "SELECT set_config('pilot.other', '1', false)"),
            ("a", "SET pilot.own = 'a'"),
            ("b", "SELECT 1/0"),
            ("a", f"SELECT 1 / ({own} = 'a')::int"),
        ),
    )
    # One worker replays a to its end first: the failure is the last query of the first part.
    first = project.run("w.jsonl", sets=("run.fail_fast=true", "run.limit=3"))
    assert (first.queries, first.resume) == (3, "pilot run --resume 1")
    request = project.request("w.jsonl", sets=("run.max_failures=9",), resume=1, force=True)
    finished = run(request, Bus(project.signals.append))
    assert (finished.queries, finished.errors, finished.ok) == (4, 1, 3)
