"""Paired runs: both arms are recorded, compared and judged; wrong rows are failures."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from paired import run_pair
from project_folder import PILOT, Project, started

from pilotcli.common.signals import ComparedSoFar, Notice, PairFinished

pytestmark = pytest.mark.slow

HANDLERS = """
from pilotcli import HintPushHandler


class Slowing(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"enable_indexscan": "off"} if "slow" in sql else {}


class Wrong(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"extra_float_digits": "-15"} if "float" in sql else {}


class WrongZone(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"timezone": "Asia/Tokyo"} if "clock" in sql else {}
"""
SORTING = """

class Sorting(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"enable_hashagg": "off"}
"""
QUERIES = """
SELECT 1;
SELECT count(*) FROM generate_series(1, 3000) AS n;
SELECT n FROM generate_series(1, 20) AS n ORDER BY n DESC;
SELECT timestamptz '2026-01-01 00:00Z'::text AS clock;
"""


def with_handler(project: Project, name: str) -> None:
    project.write("own.py", HANDLERS)
    project.config(f"handlers:\n  - class: own.py:{name}\n")


def test_both_arms_are_runs_of_their_own_that_name_each_other(project: Project) -> None:
    project.write("w.sql", QUERIES)
    with_handler(project, "Slowing")
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 0, finished.reasons
    assert finished.resume is None
    assert comparison is not None
    with project.journal() as journal:
        driver, baseline = journal.run(1), journal.run(2)
        assert (driver.arm, driver.paired_with) == ("driver", 2)
        assert (baseline.arm, baseline.paired_with) == ("baseline", 1)
        assert driver.status == baseline.status == "finished"
        for run_id in (1, 2):
            results = list(journal.results(run_id))
            assert len(results) == 12
            assert all(one.ok and one.answer for one in results)
            assert all(one.execution_s is not None for one in results)
            plans = list(journal.plans(run_id))
            assert {one.round for one in plans} == {0, 1}
            assert {one.seq for one in plans} == {1, 2, 3, 4}
            actual = next(one for one in plans if one.seq == 2 and one.round == 0)
            assert actual.plan["Plan"]["Actual Rows"] == 1
    assert comparison.paired and not comparison.by_rounds
    assert (comparison.rounds_a, comparison.rounds_b) == (3, 3)
    assert len(comparison.queries) == 4
    assert {one.answers for one in comparison.queries} == {"same"}
    assert not comparison.only_a and not comparison.only_b
    assert comparison.payback is None or comparison.payback == 0


def test_which_arm_goes_first_changes_from_round_to_round(project: Project) -> None:
    project.write("w.sql", "".join(f"SELECT {number};\n" for number in range(40)))
    run_pair(project, "w.sql", sets=("run.repeat=2",))
    with project.journal() as journal:
        began = [
            {(one.seq, one.round): one.started_at for one in journal.results(run_id)}
            for run_id in (1, 2)
        ]
    first = {key: began[0][key] < began[1][key] for key in began[0]}
    # Each goes first once for each query, and in each round for about half of the queries.
    assert all(first[seq, 1] != first[seq, 2] for seq in range(1, 41))
    assert 5 < sum(first[seq, 1] for seq in range(1, 41)) < 35


def test_other_rows_are_a_failure_and_not_a_speed_up(project: Project) -> None:
    project.write("w.sql", QUERIES)
    with_handler(project, "WrongZone")
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 1
    assert finished.reasons == ("1 query gives other rows than the baseline",)
    assert comparison is not None
    assert comparison.queries[0].label == "q4"
    assert comparison.queries[0].answers == "different"
    told = [one.text for one in project.heard(Notice) if one.level == "error"]  # type: ignore[attr-defined]
    assert told == ["q4 gives other rows than the baseline"]


def test_other_rows_fail_by_the_gate_where_there_is_one(project: Project) -> None:
    project.write("w.sql", QUERIES)
    with_handler(project, "WrongZone")
    finished, _ = run_pair(project, "w.sql", gates=("results.differ",))
    assert finished.exit_code == 5
    assert finished.reasons == ("results.differ: 1 (q4)",)


def test_floats_that_differ_in_their_last_digits_are_the_same(project: Project) -> None:
    project.write(
        "w.sql",
        "SELECT sum(x) FROM (SELECT 0.1::float8 + random() * 0 AS x FROM generate_series(1, 1000)"
        " ORDER BY random()) AS s;\nSELECT 0.1::float8 + 0.2::float8;\n",
    )
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 0
    assert comparison is not None
    assert {one.answers for one in comparison.queries} == {"same"}


def test_sums_of_reals_in_another_order_are_the_same(project: Project) -> None:
    project.write("own.py", HANDLERS + SORTING)
    project.config("handlers:\n  - class: own.py:Sorting\n")
    project.write(
        "w.sql",
        "SELECT n % 100 AS g, sum((n * 0.37)::real) AS x FROM generate_series(1, 20000) AS n"
        " GROUP BY g;\n",
    )
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    assert comparison.queries[0].plan_changed
    assert comparison.queries[0].answers == "same"


def test_what_a_query_does_not_determine_is_no_failure(project: Project) -> None:
    project.write("w.sql", "SELECT random();\nSELECT now();\nSELECT 'limit' AS x;\n")
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 0
    assert comparison is not None
    assert sorted(one.answers for one in comparison.queries) == [
        "same",
        "undetermined",
        "undetermined",
    ]


def test_statements_that_write_are_run_once_where_the_database_is_shared(project: Project) -> None:
    project.write(
        "w.sql",
        """
        CREATE TABLE paired_notes (n int);
        INSERT INTO paired_notes SELECT generate_series(1, 10);
        SELECT count(*) FROM paired_notes;
        BEGIN;
        DELETE FROM paired_notes WHERE n = 1;
        SELECT count(*) FROM paired_notes;
        COMMIT;
        CREATE TEMP TABLE mine AS SELECT 1 AS n;
        INSERT INTO mine VALUES (2);
        SELECT sum(n) FROM mine;
        PREPARE reads AS SELECT count(*) FROM paired_notes;
        EXECUTE reads;
        DROP TABLE paired_notes;
        """,
    )
    finished, comparison = run_pair(project, "w.sql", sets=("run.repeat=1",))
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    told = [one.text for one in project.heard(Notice)]  # type: ignore[attr-defined]
    assert any(text.startswith("4 statements write") for text in told), told
    with project.journal() as journal:
        ran = {one.seq for one in journal.results(2)}
        rows = {one.seq: one for one in journal.results(2)}
    assert ran == {3, 8, 9, 10, 11, 12}
    assert all(one.ok for one in rows.values())
    assert {one.answers for one in comparison.queries} <= {"same", "undetermined"}
    assert [one.seq for one in comparison.only_a] == [1, 2, 5, 6, 13]


INDEXES = """
from pilotcli import Index, IndexPushHandler, KnobPushHandler


class ById(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["n"], "paired_rows", "paired_by_n")]


class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "13MB"}
"""


def test_knobs_and_indexes_are_there_in_the_drivers_rounds_only(project: Project) -> None:
    project.write(
        "make.sql", "CREATE TABLE paired_rows AS SELECT generate_series(1, 50000) AS n;\n"
    )
    project.config()
    assert project.run("make.sql").exit_code == 0
    project.write("own.py", INDEXES)
    project.write(
        "w.sql",
        "SELECT count(*) FROM paired_rows WHERE n = 77;\n"
        "SELECT current_setting('work_mem') AS random_name;\n",
    )
    project.config("handlers:\n  - class: own.py:ById\n  - class: own.py:Knobs\n")
    try:
        finished, comparison = run_pair(project, "w.sql")
        assert comparison is not None
        by_label = {one.label: one for one in comparison.queries}
        assert comparison.by_rounds
        assert by_label["q1"].plan_changed is True
        assert by_label["q1"].answers == "same"
        # What a query says of the knob differs, so that both are seen to have been there.
        assert by_label["q2"].answers == "different"
        assert finished.exit_code == 1
        with project.journal() as journal:
            shown = {
                run_id: json.dumps([dict(one.plan) for one in journal.plans(run_id, seq=1)])
                for run_id in (2, 3)
            }
        assert "paired_by_n" in shown[2] and "paired_by_n" not in shown[3]
    finally:
        project.config()
        project.write("drop.sql", "DROP TABLE paired_rows;\n")
        project.run("drop.sql")


ANOTHER_EACH_TIME = """
from pilotcli import KnobPushHandler, QueryFinishEvent


class Knobs(KnobPushHandler):
    asked = 0

    def acquire_injected_data(self, sql):
        self.asked += 1
        return {"work_mem": f"{10 + self.asked}MB"}


class Learns(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        pass
"""


def test_knobs_are_asked_for_once_in_all_rounds_that_are_compared(project: Project) -> None:
    project.write("own.py", ANOTHER_EACH_TIME)
    project.write("w.sql", "SELECT 1;")
    project.config(
        "events: [{class: 'own.py:Learns', args: {interval_count: 9}}]\n"
        "handlers: ['own.py:Knobs']\nrun: {learn: 2, warmup: 1}"
    )
    finished, _ = run_pair(project, "w.sql")
    assert finished.exit_code == 0, finished.reasons
    told = [one.text for one in project.heard(Notice)]  # type: ignore[attr-defined]
    set_to = [text.split(" = ")[1] for text in told if "for this workload: work_mem" in text]
    # Two learning rounds; then the warm-up, three rounds and the plans.
    assert set_to == ["11MB", "12MB"] + ["13MB"] * 5
    assert sum("Knobs answered in" in text for text in told) == 3


def test_an_event_that_changes_what_both_arms_use_is_told(project: Project) -> None:
    project.write(
        "own.py",
        """
        from pilotcli import QueryFinishEvent

        class Knob(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                db_controller.set_knobs({"work_mem": "14MB"})
        """,
    )
    project.write("w.sql", QUERIES)
    project.config("events:\n  - class: own.py:Knob\n")
    run_pair(project, "w.sql")
    told = [one.text for one in project.heard(Notice)]  # type: ignore[attr-defined]
    assert sum("holds for the baseline too" in text for text in told) == 1


def test_another_config_is_the_other_arm(project: Project) -> None:
    project.write("w.sql", QUERIES)
    with_handler(project, "Slowing")
    project.write(
        "other.yaml",
        f"""
        home: .other
        database: {{dsn: '{project.dsn}', session: {{timezone: Asia/Tokyo}}}}
        """,
    )
    outcome = project.command("run", "w.sql", "--against", "other.yaml", "--rounds", "2")
    assert outcome.returncode == 1, outcome.stderr
    assert "WRONG     other rows than the baseline: q4" in outcome.stdout
    again = project.command("runs", "compare", "1", "--format", "table")
    assert "WRONG     other rows than the baseline: q4" in again.stdout
    assert not (project.folder / ".other" / "journal.db").exists()


def test_two_arms_do_not_learn_from_each_other(project: Project) -> None:
    project.write("w.sql", QUERIES)
    project.write(
        "own.py",
        """
        from pilotcli import PilotModel

        class Own(PilotModel):
            def save_model(self): pass
            def load_model(self): pass
        """,
    )
    same = "models: {own: own.py:Own}\n"
    project.config(same)
    (project.folder / "other.yaml").write_text((project.folder / "pilot.yaml").read_text())
    refused = project.command("run", "w.sql", "--against", "other.yaml")
    assert refused.returncode == 2
    assert "two arms would save the model 'own'" in refused.stderr
    project.config("collect: {table: seen, execution_time: true}\n")
    (project.folder / "other.yaml").write_text((project.folder / "pilot.yaml").read_text())
    refused = project.command("run", "w.sql", "--against", "other.yaml")
    assert refused.returncode == 2
    assert "two arms would collect into the table 'seen'" in refused.stderr
    fine = project.command("run", "w.sql", "--against", "native", "--quiet")
    assert fine.returncode == 0, fine.stderr
    assert fine.stdout.splitlines()[-1].startswith("run 1 against run 2: ")
    empty = project.command("run", "--against", "native")
    assert empty.returncode == 2 and "there is no workload to run" in empty.stderr


def test_gates_decide_the_exit_code(project: Project) -> None:
    project.write("own.py", HANDLERS)
    # A nested loop without an index is many times slower, on any machine.
    project.write(
        "w.sql",
        "CREATE TEMP TABLE IF NOT EXISTS gated AS SELECT g AS n, repeat('x', 50) AS t"
        " FROM generate_series(1, 20000) AS g;\n"
        "CREATE INDEX IF NOT EXISTS by_n ON gated (n);\nANALYZE gated;\n"
        "SELECT count(*), 'slow' FROM gated a JOIN gated b ON a.n = b.n WHERE a.n < 20;\n",
    )
    project.write(
        "own.py",
        """
        from pilotcli import HintPushHandler

        class Slowing(HintPushHandler):
            def acquire_injected_data(self, sql):
                off = ("indexscan", "indexonlyscan", "bitmapscan", "hashjoin", "mergejoin")
                return {f"enable_{one}": "off" for one in off}
        """,
    )
    project.config("handlers:\n  - class: own.py:Slowing\n")
    finished, comparison = run_pair(
        project,
        "w.sql",
        sets=("run.repeat=6",),
        gates=("any.slowdown > 50%", "queries.slower > 0"),
    )
    assert comparison is not None
    assert comparison.queries[0].verdict == "slower"
    assert finished.exit_code == 5
    assert len(finished.reasons) == 2
    assert finished.reasons[0].startswith("any.slowdown > 50%: slower: q4 by")
    outcome = project.command("runs", "compare", "1", "--fail-if", "any.slowdown > 50%")
    assert outcome.returncode == 5
    assert outcome.stderr.startswith("fails: any.slowdown > 50%: slower: q4 by")
    assert "SLOWER    by far: q4" in outcome.stdout
    passes = project.command("runs", "compare", "2", "1", "--fail-if", "any.slowdown > 50%")
    assert passes.returncode == 0


def test_gates_do_not_pass_where_nothing_was_compared(project: Project) -> None:
    project.write("w.sql", "CREATE TABLE IF NOT EXISTS made (a int);\nDROP TABLE made;\n")
    project.config()
    gate = "total.slowdown > 5%"
    finished, comparison = run_pair(project, "w.sql", gates=(gate, "results.differ"))
    assert comparison is None
    assert finished.exit_code == 5
    [reason] = finished.reasons
    assert reason.startswith(f"{gate}: nothing could be measured")
    notices = [one.text for one in project.signals if isinstance(one, Notice)]
    assert "nothing was compared: no query ran in both arms" in notices
    finished, _ = run_pair(project, "w.sql")
    assert finished.exit_code == 0


def test_equal_arms_pass_all_gates(project: Project) -> None:
    # Long enough that other load on this machine does not double the time of one arm.
    project.write("w.sql", "".join(f"SELECT pg_sleep(0.02), {n};\n" for n in range(6)))
    outcome = project.command(
        *("run", "w.sql", "--against", "native", "--rounds", "5"),
        *("--fail-if", "total.slowdown > 100%", "--fail-if", "results.differ"),
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_each_arm_is_shown_as_what_it_is(project: Project) -> None:
    project.write("w.sql", QUERIES)
    project.config("events: [pilotcli.drivers.observe.AnalyzeTables]")
    run_pair(project, "w.sql", sets=("run.learn=2", "run.repeat=3"))
    driver, baseline = (project.command("runs", "show", run).stdout for run in ("1", "2"))
    assert driver.splitlines()[0] == "run       1 (run, driver of a pair with run 2)"
    assert baseline.splitlines()[0] == "run       2 (run, baseline of a pair with run 1)"
    # How often each query ran: without the rounds of learning, which are the driver's alone.
    for shown, executions in ((driver, 20), (baseline, 12)):
        assert f"\nqueries   {executions}: " in shown
        assert re.search(r"^ +4 +q4 +3 ", shown, re.MULTILINE)


def test_rounds_of_learning_are_the_drivers_alone(project: Project) -> None:
    project.write("w.sql", QUERIES)
    project.write(
        "own.py",
        """
        from pilotcli import QueryFinishEvent

        class Watching(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                pass
        """,
    )
    project.config("events:\n  - class: own.py:Watching\n    args: {interval_count: 4}\n")
    finished, comparison = run_pair(project, "w.sql", sets=("run.learn=2", "run.repeat=3"))
    assert finished.exit_code == 0
    assert finished.event_firings == 5
    with project.journal() as journal:
        assert {one.round for one in journal.results(1)} == {1, 2, 3, 4, 5}
        assert {one.round for one in journal.results(2)} == {3, 4, 5}
    assert comparison is not None
    assert (comparison.rounds_a, comparison.rounds_b) == (3, 3)


def test_whoever_watches_hears_of_each_pair_and_of_the_sum(project: Project) -> None:
    project.write("w.sql", QUERIES)
    with_handler(project, "WrongZone")
    run_pair(project, "w.sql")
    pairs = project.heard(PairFinished)
    assert len(pairs) == 12
    assert {one.answers for one in pairs} == {"same", "different"}  # type: ignore[attr-defined]
    last = project.heard(ComparedSoFar)[-1]
    assert isinstance(last, ComparedSoFar)
    assert (last.queries, last.different) == (4, 1)
    assert last.faster + last.slower + last.same + last.unclear == 4
    assert last.worst in {"q1", "q2", "q3", "q4"}


def test_jsonl_has_the_pairs(project: Project) -> None:
    project.write("w.sql", QUERIES)
    outcome = project.command("run", "w.sql", "--against", "native", "--format", "jsonl")
    told = [json.loads(line) for line in outcome.stdout.splitlines()]
    kinds = [one["signal"] for one in told]
    assert kinds.count("pair_finished") == 12
    assert "compared_so_far" in kinds
    started_run = next(one for one in told if one["signal"] == "run_started")
    assert started_run["against"] == "native"
    assert started_run["total"] == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--against", "nowhere.yaml"), "nowhere.yaml"),
        (("--fail-if", "results.differ"), "--fail-if needs something to compare with"),
        (("--against", "native", "--fail-if", "total.slowdown"), "has no limit"),
        (("--against", "native", "--fail-if", "all.slowdown > 5%"), "there is no all.slowdown"),
        (("--against", "native", "--fail-if", "five percent"), "is no condition"),
        (("--against", "native", "--fail-if", "total.slowdown < 5%"), "says nothing"),
        (("--against", "native", "--resume"), "cannot be continued"),
        (("--learn", "2"), "--learn is for a paired run"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    project: Project, words: tuple[str, ...], said: str
) -> None:
    project.write("w.sql", QUERIES)
    project.config()
    outcome = project.command("run", "w.sql", *words)
    assert outcome.returncode == 2
    assert said in outcome.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "w.sql", "--against", "native"), 0),
        (("run", "w.sql", "--against", "native", "--fail-if", "queries.faster < 9"), 5),
        (("runs", "compare", "1", "--fail-if", "queries.faster < 9"), 5),
        (("runs", "compare", "1", "--fail-if", "queries.faster < 9", "--format", "json"), 5),
    ],
)
def test_whoever_stops_reading_gets_the_exit_code_of_the_comparison(
    project: Project, words: tuple[str, ...], code: int
) -> None:
    project.write("w.sql", QUERIES)
    project.config()
    if words[0] == "runs":
        run_pair(project, "w.sql")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [PILOT, *words],
            cwd=project.folder,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_a_dry_run_looks_at_both_arms(project: Project) -> None:
    project.write("w.sql", QUERIES)
    with_handler(project, "Slowing")
    words = ("run", "w.sql", "--dry-run", "--learn", "2", "--rounds", "3", "--against")
    fine = project.command(*words, "native")
    assert fine.returncode == 0, fine.stderr
    assert "4 queries, 5 times" in fine.stdout
    config = (project.folder / "pilot.yaml").read_text()
    (project.folder / "other.yaml").write_text(config.replace("Slowing", "Missing"))
    refused = project.command(*words, "other.yaml")
    assert refused.returncode == 2
    assert "Missing" in refused.stderr


def interrupt(project: Project, *words: str) -> None:
    """A paired run that Ctrl-C stops after its first pair."""
    with started(project, *words, "--format", "jsonl") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"pair_finished"' in line:
                process.send_signal(2)
                break
        rest = process.stdout.read()
        assert process.wait(60) == 130
    assert '"interrupted"' in rest and "baseline: interrupted" not in rest


@pytest.mark.parametrize("number", [(), ("1",), ("2",)])
def test_a_paired_run_that_was_interrupted_is_resumed(
    project: Project, number: tuple[str, ...]
) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.02);\n" * 10)
    project.config()
    interrupt(project, "--against", "native", "--rounds", "2", "--fail-if", "any.slowdown > 90x")
    with project.journal() as journal:
        assert journal.run(1).status == journal.run(2).status == "interrupted"
        before = sum(journal.counts(1).values())
    compared = project.command("runs", "compare", "1")
    assert compared.returncode == 0, compared.stderr
    assert "it was interrupted" in compared.stdout
    refused = project.command("run", "--resume", "--against", "native")
    assert "a run cannot be continued against anything else" in refused.stderr
    done = project.command("run", "--resume", *number, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    signals = [json.loads(line) for line in done.stdout.splitlines()]
    (begun,) = [one for one in signals if one["signal"] == "run_started"]
    assert (begun["run_id"], begun["against"], begun["resumed"]) == (1, "native", True)
    assert (begun["total"], sum(begun["before"].values())) == (20, before)
    pairs = [one for one in signals if one["signal"] == "pair_finished"]
    assert 0 < len(pairs) < 20
    with project.journal() as journal:
        assert journal.run(1).status == journal.run(2).status == "finished"
        for run_id in (1, 2):
            places = [(one.round, one.seq) for one in journal.results(run_id)]
            assert places == [(round, seq) for round in (1, 2) for seq in range(1, 11)]
        options = journal.run(1).options
        assert (options["repeat"], options["warmup"]) == (2, 1)
    refused = project.command("run", "--resume", "2")
    assert "run 1 is complete: there is nothing to resume" in refused.stderr


def test_a_resumed_paired_run_has_its_gates(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.02);\n" * 10)
    project.config()
    interrupt(project, "--against", "native", "--rounds", "1", "--fail-if", "total.speedup < 90")
    done = project.command("run", "--resume")
    assert done.returncode == 5, done.stderr
    assert "total.speedup < 90" in done.stdout


def test_a_plain_run_is_not_resumed_with_gates(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.02);\n" * 10)
    project.config()
    with started(project, "--format", "jsonl") as process:
        assert process.stdout is not None
        next(line for line in process.stdout if '"query_finished"' in line)
        process.send_signal(2)
        process.communicate()
    refused = project.command("run", "--resume", "--fail-if", "any.slowdown > 2x")
    assert "--fail-if needs something to compare with, and run 1 has nothing" in refused.stderr


def test_a_resumed_paired_run_has_the_other_config(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.02);\n" * 10)
    with_handler(project, "Slowing")
    text = (project.folder / "pilot.yaml").read_text()
    project.write("other.yaml", text.replace("Slowing", "WrongZone"))
    interrupt(project, "--against", "other.yaml", "--rounds", "1")
    done = project.command("run", "--resume", "--format", "plain")
    assert done.returncode == 0, done.stderr
    assert "in turns with other.yaml" in done.stdout
    with project.journal() as journal:
        for run_id, name in ((1, "Slowing"), (2, "WrongZone")):
            handlers = json.loads(journal.run(run_id).config_text)["handlers"]
            assert name in str(handlers)
            assert [one.seq for one in journal.results(run_id)] == list(range(1, 11))


def test_a_changed_baseline_is_refused(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.02);\n" * 10)
    with_handler(project, "Slowing")
    text = (project.folder / "pilot.yaml").read_text()
    project.write("other.yaml", text.replace("Slowing", "WrongZone"))
    interrupt(project, "--against", "other.yaml", "--rounds", "1")
    project.write("other.yaml", text.replace("Slowing", "Wrong"))
    refused = project.command("run", "--resume")
    assert refused.returncode == 2
    assert "the config of run 2 has changed: handlers[0]" in refused.stderr


BY_ROUNDS = """
import os, signal
from pathlib import Path
from pilotcli import HintPushHandler, KnobPushHandler


class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql):
        off = {"enable_indexscan": "off", "enable_indexonlyscan": "off"}
        return {"random_page_cost": "1.25", **off}


class Dies(HintPushHandler):
    def acquire_injected_data(self, sql):
        with open("asked", "a") as file:
            file.write("x")
        if Path("asked").stat().st_size == int(os.environ.get("DIES_AT", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("calls", [2, 6, 10])
def test_a_paired_run_by_rounds_is_resumed(
    project: Project, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    project.write("ev.py", BY_ROUNDS)
    sql = "SELECT current_setting('random_page_cost') FROM pg_class WHERE oid = 1259;\n"
    project.write("w.sql", sql * 4)
    project.config("handlers: ['ev.py:Knobs', 'ev.py:Dies']")
    monkeypatch.setenv("DIES_AT", str(calls))  # in the warm-up, the first round, the second
    words = ("run", "w.sql", "--against", "native", "--rounds", "2")
    assert project.command(*words).returncode == -9
    done = project.command("run", "--resume", "--format", "jsonl")
    signals = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stdout + done.stderr
    assert signals[-1]["reasons"] == ["4 queries give other rows than the baseline"]
    texts = [one["text"] for one in signals if one["signal"] in ("notice", "step_started")]
    assert sum("undone: random_page_cost" in text for text in texts) >= 1
    with project.journal() as journal:
        for run_id in (1, 2):
            places = [(one.round, one.seq, one.status) for one in journal.results(run_id)]
            assert places == [(round, seq, "ok") for round in (1, 2) for seq in (1, 2, 3, 4)]
        # The knob was in effect in each of the driver's rounds, and in none of the baseline's.
        answers = [{one.answer for one in journal.results(run_id)} for run_id in (1, 2)]
        assert [len(found) for found in answers] == [1, 1]
        assert answers[0] != answers[1]
        plans = [
            [str(one.plan) for one in journal.plans(run_id) if one.round == 0] for run_id in (1, 2)
        ]
        assert [len(found) for found in plans] == [4, 4]
        assert ["Index Only Scan" in text for text in plans[0] + plans[1]] == [False] * 4 + [
            True
        ] * 4
    assert not list((project.folder / ".pilot").glob("run-*"))


FLOATS = """
import os, signal
from pilotcli import HintPushHandler


class Dies(HintPushHandler):
    def acquire_injected_data(self, sql):
        with open("asked", "a") as file:
            file.write(sql + "\\n")
        if os.environ.get("DIES") and "last" in sql:
            os.kill(os.getpid(), signal.SIGKILL)


class Reversed(Dies):
    def acquire_injected_data(self, sql):
        super().acquire_injected_data(sql)
        return {"enable_seqscan": "off"} if "sum" in sql else None
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_half_pair_is_completed_and_compared(
    project: Project, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    project.write("ev.py", FLOATS)
    table = f"floats_{project.store}"
    project.write(
        "prepare.sql",
        f"CREATE TABLE {table} AS SELECT n, CASE WHEN n = 1 THEN 1e16 ELSE 1.0::float8 / n END AS f"
        f" FROM generate_series(1, 1000) AS n; CREATE INDEX ON {table} (n DESC); ANALYZE {table};",
    )
    project.write("w.sql", f"SELECT sum(f) AS last FROM (SELECT f FROM {table} WHERE n > 1) AS t;")
    project.config("handlers: ['ev.py:Dies']")
    assert project.run("prepare.sql").exit_code == 0
    project.config("handlers: ['ev.py:Reversed']")
    # The driver's arm dies in its half; in one order the baseline's half has ended before.
    words = ("run", "w.sql", "--against", "native", "--rounds", "1", "--warmup", "0")
    monkeypatch.setenv("DIES", "1")
    assert project.command(*words, "--set", f"run.seed={seed}").returncode == -9
    monkeypatch.delenv("DIES")
    with project.journal() as journal:
        newest = journal.run().run_id
        half = sum(journal.counts(newest).values())
    done = project.command("run", "--resume", "--format", "jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    (pair,) = [
        one for one in map(json.loads, done.stdout.splitlines()) if one["signal"] == "pair_finished"
    ]
    assert pair["answers"] == "same"
    assert half in (0, 1)
    with project.journal() as journal:
        assert journal.counts(newest) == journal.counts(newest - 1) == {"ok": 1}


def test_runs_that_cannot_be_compared_say_why(project: Project, tmp_path: Path) -> None:
    project.write("a.sql", "SELECT 1;\nSELECT 2;\n")
    project.write("b.sql", "SELECT 3;\n")
    project.run("a.sql")
    project.run("b.sql")
    for words, said in (
        (("1", "2"), "have no query in common"),
        (("1", "1"), "compared with itself"),
        (("1",), "took turns with no other run"),
        (("1", "9"), "there is no run 9"),
        (("x", "1"), "there is no run named 'x'"),
        (("1", "elsewhere:1"), "there are no runs in elsewhere yet"),
        (("1", "elsewhere/.pilot:1"), "Begin one: pilot run WORKLOAD"),
        (("1", "./.pilo:2"), "Did you mean .pilot?"),
        (("1", f"{project.folder}:2"), f"Did you mean {project.folder}/.pilot?"),
        (
            ("1", f"../{project.folder.name}x/.pilot:2"),
            f"Did you mean ../{project.folder.name}/.pi",
        ),
    ):
        outcome = project.command("runs", "compare", *words)
        assert outcome.returncode == 2, words
        assert said in outcome.stderr


def test_a_paired_run_that_ends_in_its_warm_up_is_shown_alone(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.05);\n" * 200)
    project.config()
    words = ("--against", "native", "--format", "jsonl", "--report", "page.html")
    with started(project, *words) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"query_started"' in line:
                process.send_signal(2)
                break
        process.stdout.read()
        assert process.wait(60) == 130
    shown = project.command("runs", "show", "1")
    assert shown.returncode == 0, shown.stderr
    assert "interrupted" in shown.stdout
    assert "<h1>Run 1</h1>" in (project.folder / "page.html").read_text("utf-8")


def test_a_run_in_which_nothing_ended_cannot_be_compared(project: Project) -> None:
    project.write("a.sql", "SELECT 1;\n")
    project.run("a.sql")
    project.write("b.sql", "SET work_mem = '4MB';\n")
    project.run("b.sql")
    outcome = project.command("runs", "compare", "1", "2")
    assert outcome.returncode == 2
    assert "no query of run 2 has ended that could be compared" in outcome.stderr


def test_unmatched_queries_are_listed(project: Project) -> None:
    project.write("a.sql", "SELECT 1;\nSELECT 2;\nSELECT 2;\n")
    project.write("b.sql", "SELECT 2;\nSELECT 3;\n")
    project.run("a.sql")
    project.run("b.sql")
    outcome = project.command("runs", "compare", "1", "2", "--fail-if", "queries.unmatched")
    assert "only run   q1, q3" in outcome.stdout
    assert "only base  q2" in outcome.stdout
    assert outcome.returncode == 5
