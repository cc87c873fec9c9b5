"""Paired runs that learn from other queries than those that they are judged on."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from signal import SIGINT

import pytest
from paired import run_pair
from project_folder import Project

from pilotcli.analysis.compare import compare
from pilotcli.analysis.compare_named import compare_experiment, rank_arms
from pilotcli.analysis.wording import learning_text, training_text
from pilotcli.common.labels import RunLabels
from pilotcli.common.signals import (
    Bus,
    ExecutionFinished,
    Notice,
    PhaseStarted,
    QueryFinished,
    RunStarted,
    Signal,
)
from pilotcli.config import load_config
from pilotcli.run.experiment import fold_count
from pilotcli.run.paired import Baseline, native, run_paired
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

pytestmark = pytest.mark.slow

DRIVER = """
import json

from pilotcli import CheckpointedModel, HintPushHandler, PeriodicModelUpdateEvent


class Seen(CheckpointedModel):
    "The texts of the queries that the driver has learned from."

    def dump(self, folder):
        (folder / "seen.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "seen.json").read_text())


class Learn(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        rows = data_manager.read_all("observed")
        has_rows = rows["physical_plan"].astype(str).str.contains("Actual Rows")
        return [*rows["sql"], f"{int(has_rows.sum())} with actual rows"]


class Use(HintPushHandler):
    def __init__(self, config, pilot_model):
        super().__init__(config)
        self.pilot_model = pilot_model

    def acquire_injected_data(self, sql):
        return {"application_name": f"learned-{len(self.pilot_model.model or [])}"}
"""
CONFIG = """
collect: {table: observed, physical_plan: true, actual_rows: true}
models: {seen: 'own.py:Seen'}
events:
  - class: own.py:Learn
    model: seen
    args: {interval_count: 2, execute_on_init: false}
handlers:
  - class: own.py:Use
    model: seen
"""
TEST = "SELECT 1 AS a; SELECT 2 AS b; SELECT 3 AS c;"
TRAIN = "SELECT 11 AS x; SELECT 12 AS y; SELECT 13 AS z; SELECT 14 AS v;"


@pytest.fixture
def learner(project: Project) -> Project:
    project.write("own.py", DRIVER)
    project.write("test.sql", TEST)
    project.write("train.sql", TRAIN)
    project.config(CONFIG)
    return project


def learned(project: Project, version: int) -> list[str]:
    path = project.folder / ".pilot" / "models" / "seen"
    found = next(path.glob(f"*{version}*/seen.json"))
    texts: list[str] = json.loads(found.read_text())
    return texts


def on(project: Project, name: str) -> str:
    return f"run.learn_on={project.folder / name}"


def test_a_driver_learns_from_one_workload_and_is_judged_on_another(learner: Project) -> None:
    finished, comparison = run_pair(
        learner, "test.sql", sets=(on(learner, "train.sql"), "run.learn=2", "run.warmup=1")
    )
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    assert [query.sql for query in sorted(comparison.queries, key=lambda query: query.seq)] == (
        ["SELECT 1 AS a", "SELECT 2 AS b", "SELECT 3 AS c"]
    )
    learning = comparison.learning
    assert learning is not None
    assert (learning.queries, learning.rounds, learning.same, learning.alike) == (4, 2, 0, 0)
    assert learning.frozen
    assert learning.elapsed_s > learning.collection_s > 0
    with learner.journal() as journal:
        results = list(journal.results(1))
        assert {(r.seq, r.round) for r in results if r.round <= 2} == {
            (seq, round) for seq in (4, 5, 6, 7) for round in (1, 2)
        }
        assert {(r.seq, r.round) for r in results if r.round > 2} == {
            (seq, round) for seq in (1, 2, 3) for round in (3, 4, 5)
        }
        assert {r.round for r in journal.results(2)} == {3, 4, 5}
        assert len(journal.models(1)) == 4  # after every 2 of 8 queries, and none while comparing
    versions = learned(learner, 4)
    assert set(versions[:-1]) == {f"SELECT 1{n} AS {name}" for n, name in enumerate("xyzv", 1)}
    assert versions[-1] == "8 with actual rows"


def test_a_driver_that_learns_apart_does_not_see_the_judged_queries(learner: Project) -> None:
    learner.write(
        "own.py",
        DRIVER.replace(
            "        return {",
            "        assert {query.sql for query in self.workload} == {\n"
            "            f'SELECT 1{n} AS {name}' for n, name in enumerate('xyzv', 1)\n"
            "        }\n"
            "        return {",
        ),
    )
    finished, _ = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert finished.exit_code == 0, finished.reasons


def test_models_are_updated_while_comparing_if_the_user_says_so(learner: Project) -> None:
    _, comparison = run_pair(
        learner, "test.sql", sets=(on(learner, "train.sql"), "run.freeze=false")
    )
    assert comparison is not None
    assert comparison.learning is not None
    assert not comparison.learning.frozen
    with learner.journal() as journal:
        assert len(journal.models(1)) == 2 + 4


def test_phases_come_in_order_and_their_sizes_are_those_of_all_arms(learner: Project) -> None:
    run_pair(learner, "test.sql", sets=(on(learner, "train.sql"), "run.warmup=2", "run.learn=3"))
    phases = learner.heard(PhaseStarted)
    assert [(phase.phase, phase.executions) for phase in phases] == [  # type: ignore[attr-defined]
        ("learning", 12),
        ("warm-up", 12),
        ("comparison", 18),
        ("plans", 6),
    ]
    ended = len(learner.heard(ExecutionFinished)) + len(learner.heard(QueryFinished))
    assert ended == 12 + 12 + 18 + 6


def test_an_experiment_begins_without_what_was_learned_before(learner: Project) -> None:
    # The first run learns from the queries that the second one is judged on.
    assert learner.run("test.sql").exit_code == 0
    _, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert comparison is not None
    assert not any("trained before" in text for text in comparison.warnings)
    with learner.journal() as journal:
        versions = [model.version for model in journal.models(2)]
        # The model of the first run stays the one to use.
        assert (
            CheckpointStore(learner.folder / ".pilot" / "models").current("seen")
            == (journal.models(1)[-1])
        )
    texts = [notice.text for notice in learner.heard(Notice)]  # type: ignore[attr-defined]
    assert any(f"this run has learned version {versions[-1]}" in text for text in texts)
    for version in versions:
        assert not any(sql in TEST for sql in learned(learner, version)[:-1])
    # Without --fresh it is there, and the comparison says so.
    _, comparison = run_pair(
        learner, "test.sql", sets=(on(learner, "train.sql"), "run.fresh=false")
    )
    assert comparison is not None
    assert any("trained before" in text for text in comparison.warnings)


def test_queries_that_are_in_both_workloads_are_named(learner: Project) -> None:
    learner.write("train.sql", "SELECT 1 AS a; SELECT 99 AS b; SELECT 5 AS other;")
    _, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    texts = [notice.text for notice in learner.heard(Notice)]  # type: ignore[attr-defined]
    assert any(text.startswith("2 queries are among those to learn from") for text in texts)
    assert comparison is not None
    learning = comparison.learning
    assert learning is not None
    assert (learning.same, learning.alike) == (1, 1)


def test_a_driver_that_learns_from_the_judged_queries_is_said_to(learner: Project) -> None:
    _, comparison = run_pair(learner, "test.sql", sets=("run.learn=1",))
    assert comparison is not None
    assert any("learned from these same queries" in text for text in comparison.warnings)


def test_nothing_is_instrumented_in_compared_rounds(learner: Project) -> None:
    learner.config(CONFIG + "run: {freeze: false}\n")
    run_pair(learner, "test.sql", sets=("run.learn=1",))
    texts = learned(learner, 6)
    assert texts[-1] == "3 with actual rows"  # those of the learning round
    assert len(texts) == 1 + 12


EVERYTHING = (
    "{table: observed, physical_plan: true, actual_rows: true, estimated_cost: true, "
    "subquery_cards: true, server_times: true}"
)


def test_all_arms_have_the_same_settings_and_libraries(project: Project) -> None:
    # A library has settings of its own, so the list of all settings names those that are loaded.
    project.write("w.sql", "SELECT name, setting, source FROM pg_settings; SELECT 1;")
    project.write(
        "own.py",
        """
        from pilotcli import CommentPushHandler

        class Nothing(CommentPushHandler):
            def acquire_injected_data(self, sql):
                return None
        """,
    )
    skips = "steering: {on_missing: skip}\n"
    project.config(f"collect: {EVERYTHING}\n{skips}handlers: ['own.py:Nothing']\n")
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    assert {query.answers for query in comparison.queries} == {"same"}
    assert comparison.differences == ()


def test_a_config_may_insist_on_instruments_in_all_arms(learner: Project) -> None:
    learner.config(CONFIG.replace("actual_rows: true", "actual_rows: true, compared: true"))
    _, comparison = run_pair(learner, "test.sql", sets=("run.freeze=false",))
    with learner.journal() as journal:
        for run_id in (1, 2):
            plans = [plan for plan in journal.plans(run_id) if plan.round]
            assert plans
            assert all("Actual Rows" in plan.plan["Plan"] for plan in plans)
    assert comparison is not None
    assert any("collect.compared" in text for text in comparison.differences)


def test_a_failed_update_is_said_beside_the_verdict(learner: Project) -> None:
    fails = DRIVER.replace(
        "rows = data_manager", "raise ValueError('no')\n        rows = data_manager"
    )
    learner.write("own.py", fails)
    finished, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert finished.exit_code == 3
    assert comparison is not None
    assert any(text.startswith("2 of 2 trainings of models failed") for text in comparison.warnings)


def test_no_phase_begins_after_an_interruption(learner: Project) -> None:
    request = learner.request("test.sql", sets=(on(learner, "train.sql"), "run.warmup=1"))
    bus = interrupt_in(1)
    bus.subscribe(learner.signals.append, PhaseStarted)
    finished, _ = run_paired(request, [Baseline(native(request.config))], bus)
    assert finished.exit_code == 130
    assert [phase.phase for phase in learner.heard(PhaseStarted)] == ["learning"]  # type: ignore[attr-defined]


def test_a_split_of_one_workload(learner: Project) -> None:
    learner.write("test.sql", "".join(f"SELECT {n} AS c{n};\n" for n in range(1, 11)))
    _, comparison = run_pair(learner, "test.sql", sets=("run.split=70/30", "run.seed=5"))
    assert comparison is not None
    assert len(comparison.queries) == 3
    assert comparison.learning is not None
    assert comparison.learning.queries == 7
    with learner.journal() as journal:
        assert journal.run(1).workload.endswith("test.sql (70/30 by query, seed 5)")
        judged = {query.sql for query in comparison.queries}
        assert not judged & set(learned(learner, journal.models(1)[-1].version))


def test_folds_judge_each_query_once_by_a_driver_that_has_not_seen_it(learner: Project) -> None:
    learner.write("test.sql", "".join(f"SELECT {n} AS c{n};\n" for n in range(1, 8)))
    learner.config(CONFIG + "run: {folds: 3, repeat: 2}\n")
    shown = learner.command("run", "test.sql", "--against", "native")
    assert shown.returncode == 0, shown.stderr
    with learner.journal() as journal:
        runs = sorted(journal.runs(limit=None), key=lambda run: run.run_id)
        assert [(run.experiment, run.fold) for run in runs] == [
            (1, 1), (1, 1), (1, 2), (1, 2), (1, 3), (1, 3),
        ]  # fmt: skip
        comparison = compare_experiment(journal, 1)
        assert sorted(query.sql for query in comparison.queries) == [
            f"SELECT {n} AS c{n}" for n in range(1, 8)
        ]
        assert [fold.queries for fold in comparison.folds] == [3, 2, 2]
        for run in runs[::2]:
            judged = {r.seq for r in journal.results(run.run_id) if r.round > 1}
            texts = {q.sql for q in journal.queries(run.run_id) if q.seq in judged}
            assert not texts & set(learned(learner, journal.models(run.run_id)[-1].version))
    assert "all 3 folds of run 1" in shown.stdout
    again = learner.command("runs", "compare", "3")
    assert "all 3 folds of run 1" in again.stdout
    one = learner.command("runs", "compare", "3", "4")
    assert "run 3 against run 4" in one.stdout


def interrupt_in(round: int) -> Bus:
    """A bus that interrupts its run as by Ctrl-C when a query of this round has ended."""

    seen = []

    def stop(signal: object) -> None:
        assert isinstance(signal, QueryFinished)
        if signal.result.round == round and not seen:  # the second one ends the process at once
            seen.append(signal)
            os.kill(os.getpid(), SIGINT)

    bus = Bus()
    bus.subscribe(stop, QueryFinished)
    return bus


@pytest.mark.parametrize("round", [1, 2, 3])
def test_an_interrupted_run_of_several_workers_is_continued(learner: Project, round: int) -> None:
    learner.write(
        "test.sql", "".join(f"SELECT {n} AS c{n}, pg_sleep(0.02);\n" for n in range(1, 20))
    )
    learner.config(CONFIG + "run: {workers: 2, repeat: 2, learn: 1, freeze: true}\n")
    request = learner.request("test.sql")
    baseline = Baseline(native(request.config))
    finished, _ = run_paired(request, [baseline], interrupt_in(round))
    assert finished.exit_code == 130
    with learner.journal() as journal:
        assert 0 < len([r for r in journal.results(1) if r.ok]) < 3 * 19
    shown = learner.command("run", "--resume")
    assert shown.returncode == 0, shown.stderr
    with learner.journal() as journal:
        assert sorted((r.round, r.seq) for r in journal.results(1) if r.ok) == [
            (number, seq) for number in (1, 2, 3) for seq in range(1, 20)
        ]
        assert len([r for r in journal.results(2) if r.ok]) == 2 * 19
        # After 19 learned queries the update has fired 9 times, and never while comparing.
        assert len(journal.models(1)) == 9


def test_an_interrupted_cross_validation_is_continued_with_its_fold(learner: Project) -> None:
    learner.write("test.sql", "SELECT 1 AS a; SELECT 2 AS b; SELECT 3 AS c; SELECT 4 AS d;")
    learner.config(CONFIG + "run: {folds: 2, repeat: 2}\n")
    request = learner.request("test.sql")
    assert fold_count(request) == 2
    baseline = Baseline(native(request.config))
    labels = RunLabels("cross", ("slow",), "why")
    request = replace(request, fold=1, labels=labels)
    finished, _ = run_paired(request, [baseline], interrupt_in(2))
    assert finished.exit_code == 130
    shown = learner.command("run", "--resume", "--tag", "again")
    assert shown.returncode == 0, shown.stderr
    with learner.journal() as journal:
        runs = sorted(journal.runs(limit=None), key=lambda run: run.run_id)
        assert [(run.status, run.fold) for run in runs] == [
            ("finished", 1), ("finished", 1), ("finished", 2), ("finished", 2),
        ]  # fmt: skip
        assert {(run.name, run.tags, run.note) for run in runs} == {
            ("cross", ("slow", "again"), "why")
        }
        comparison = compare_experiment(journal, 1)
        assert len(comparison.queries) == 4
        assert comparison.rounds_a == 2


def test_several_arms_take_turns_and_are_ranked(learner: Project) -> None:
    learner.write(
        "hands.py",
        """
        from pilotcli import HintPushHandler

        class Slow(HintPushHandler):
            def acquire_injected_data(self, sql):
                return {"enable_indexscan": "off", "enable_bitmapscan": "off"}
        """,
    )
    learner.write("test.sql", "SELECT count(*) FROM pg_class WHERE oid = 1259; SELECT 1;")
    text = (learner.folder / "pilot.yaml").read_text().partition("collect:")[0]
    learner.write("slow.yaml", text + "handlers: ['hands.py:Slow']\n")
    other = load_config(learner.folder / "slow.yaml")
    request = learner.request("test.sql", sets=("run.repeat=3",))
    baselines = [Baseline(native(request.config)), Baseline(other, "slow.yaml")]
    finished, comparisons = run_paired(request, baselines, Bus(learner.signals.append))
    assert finished.exit_code == 0, finished.reasons
    assert [(found.run_a.run_id, found.run_b.run_id) for found in comparisons] == [(1, 2), (1, 3)]
    assert all(found.paired and found.rounds_a == 3 for found in comparisons)
    with learner.journal() as journal:
        began = sorted(
            (result.started_at, result.round, run)
            for run in (1, 2, 3)
            for result in journal.results(run)
            if result.seq == 1
        )
        order = [[run for _, round, run in began if round == each] for each in (1, 2, 3)]
        assert [sorted(runs) for runs in order] == [[1, 2, 3]] * 3
        assert sorted(runs[0] for runs in order) == [1, 2, 3]  # each goes first once
        ranking = rank_arms(journal, journal.run(1))
    assert ranking is not None
    assert ranking.reference == "native"
    assert {arm.name for arm in ranking.arms} == {"pilot.yaml", "native", "slow.yaml"}
    assert [arm.run_id for arm in ranking.arms if arm.total is None] == [2]
    assert all(1 <= arm.best <= arm.worst <= 3 for arm in ranking.arms)
    shown = learner.command("runs", "compare", "1")
    assert "PLACE" in shown.stdout


def test_all_arms_with_events_learn_and_what_they_learn_is_not_compared(learner: Project) -> None:
    text = (learner.folder / "pilot.yaml").read_text()
    learner.write("other.py", DRIVER.replace("observed", "elsewhere"))
    other_text = text.replace("home: .pilot", "home: .other").replace("observed", "elsewhere")
    learner.write("other.yaml", other_text.replace("own.py", "other.py"))
    other = load_config(learner.folder / "other.yaml")
    _, comparison = run_pair(learner, "test.sql", sets=("run.learn=2",), baseline=other)
    assert comparison is not None
    assert (comparison.rounds_a, comparison.rounds_b) == (3, 3)
    with learner.journal() as journal:
        for run_id in (1, 2):
            assert {result.round for result in journal.results(run_id)} == {1, 2, 3, 4, 5}


def test_several_workers_replay_every_query_in_each_arm(learner: Project) -> None:
    learner.write("test.sql", "".join(f"SELECT {n} AS c{n};\n" for n in range(1, 30)))
    finished, comparison = run_pair(
        learner, "test.sql", sets=("run.workers=3", "run.learn=1", "run.warmup=1")
    )
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    assert len(comparison.queries) == 29
    assert {query.answers for query in comparison.queries} == {"same"}
    with learner.journal() as journal:
        results = list(journal.results(1))
        assert sorted((r.round, r.seq) for r in results) == [
            (round, seq) for round in range(1, 5) for seq in range(1, 30)
        ]
        assert len({r.worker for r in results}) > 1
        assert len(list(journal.results(2))) == 3 * 29


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--learn-on", "train.sql"), "--learn-on is for a paired run"),
        (("--folds", "2"), "--folds is for a paired run"),
        (("--freeze",), "--freeze is for a paired run"),
        (("--against", "native", "--learn-on", "train.sql", "--folds", "2"), "run.learn_on=[]"),
        (("--against", "native", "--learn-on", "nowhere.sql"), "nowhere.sql"),
        (("--against", "native", "--split", "80"), "two parts of 100, such as 80/20"),
        (("--against", "native", "--split", "100/0"), "two parts of 100, such as 80/20"),
        (("--against", "native", "--folds", "1"), "a whole number from 2 on"),
        (("--against", "native", "--folds", "9"), "3 queries cannot make 9 folds"),
        (("--against", "native", "--split", "120/20"), "two parts of 100, such as 80/20"),
        (("--against", "native", "--split", "1/99"), "empty\n  Choose another --split.\n"),
        (("--against", "native", "--split", "1/99", "--split-by", "template"), "-by query.\n"),
        (("--against", "native", "--split-by", "template"), "has nothing to split\n  Add --split"),
        (
            ("--against", "native", "--learn-on", "train.sql", "--split-by", "template"),
            "has nothing to split\n  Leave it out",
        ),
        (("--against", "native", "--split", "50/50", "--learn", "0"), "learns in no round"),
        (("--against", "native", "--split", "50/50", "--split-by", "words"), "split_by"),
        (
            ("--against", "native", "--folds", "2", "--report", "r.html"),
            "--folds makes several runs",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    learner: Project, words: tuple[str, ...], said: str
) -> None:
    shown = learner.command("run", "test.sql", *words)
    assert shown.returncode == 2
    assert said in shown.stderr
    assert not (learner.folder / "r.html").exists()


def test_the_paths_to_learn_on_may_be_several(learner: Project, tmp_path: Path) -> None:
    learner.write("more/train 2.sql", "SELECT 21 AS w;")
    shown = learner.command(
        *("run", "test.sql", "--against", "native"),
        *("--learn-on", "train.sql", "--learn-on", "more/train 2.sql"),
    )
    assert shown.returncode == 0, shown.stderr
    with learner.journal() as journal:
        assert journal.run(1).workload == "test.sql, learned on 2 files"
        assert sum(r.round == 1 for r in journal.results(1)) == 5


def test_a_dry_run_says_what_is_learned_from_and_what_is_in_both(learner: Project) -> None:
    learner.write("train.sql", TRAIN + "SELECT 7 AS a;")
    words = ("run", "test.sql", "--against", "native", "--dry-run")
    shown = learner.command(*words, "--learn-on", "train.sql", "--learn", "2")
    assert shown.returncode == 0, shown.stderr
    assert (
        "learning: train.sql, 5 queries, 2 rounds\njudged:   3 queries, 3 rounds\n" in shown.stdout
    )
    assert "warning:  1 query is among those to learn from, too" in shown.stdout
    shown = learner.command(*words, "--folds", "3")
    assert "learning: fold 1 of 3, test.sql (the other part), 2 queries, 1 round" in shown.stdout
    shown = learner.command(*words)
    assert "learning:" not in shown.stdout
    shown = learner.command(*words, "--learn-on", "nowhere.sql")
    assert (shown.returncode, shown.stdout) == (2, "")


def test_a_check_of_the_config_looks_for_the_workload_to_learn_on(learner: Project) -> None:
    shown = learner.command("config", "check", "--set", "run.learn_on=nothere.sql")
    assert shown.returncode == 2
    assert "run.learn_on: nothere.sql does not exist" in shown.stderr
    shown = learner.command("config", "check", "--set", "run.learn_on=train.sql")
    assert shown.returncode == 0, shown.stderr


def test_what_is_known_about_several_comparisons_is_shown_once(learner: Project) -> None:
    head = (learner.folder / "pilot.yaml").read_text().partition("collect:")[0]
    learner.write("other.yaml", head)
    learner.write("train.sql", TRAIN + "SELECT 7 AS a;")
    shown = learner.command(
        *("run", "test.sql", "--against", "native", "--against", "other.yaml"),
        *("--learn-on", "train.sql"),
    )
    assert shown.returncode == 0, shown.stderr
    after = " ".join(shown.stdout.partition("speed-ups are against")[2].split())
    assert after.count("learned from 5 queries in 1 round") == 1
    assert after.count("differ in their values only from queries that the driver learned") == 1


def test_the_rows_of_a_run_that_began_fresh_can_be_shown_to_an_event(learner: Project) -> None:
    words = ("events", "fire", "Learn")
    shown = learner.command(
        *("run", "test.sql", "--against", "native", "--learn-on", "train.sql", "--name", "apart")
    )
    assert shown.returncode == 0, shown.stderr
    hidden = learner.command(*words)
    assert "such as run 1: `--run 1` shows them" in hidden.stderr
    for run in ("1", "apart"):
        fired = learner.command(*words, "--run", run)
        assert fired.returncode == 0, fired.stderr
        assert "the store has of run 1: 13 rows in observed" in fired.stderr
        assert "SELECT 11 AS x" in fired.stdout
    unknown = learner.command(*words, "--run", "nobody")
    assert unknown.returncode == 2
    assert "there is no run named 'nobody'" in unknown.stderr


def test_without_events_nothing_learns(learner: Project) -> None:
    learner.config("handlers: ['plain.py:Hints']")
    learner.write(
        "plain.py",
        """
        from pilotcli import HintPushHandler

        class Hints(HintPushHandler):
            def acquire_injected_data(self, sql):
                return {"enable_hashjoin": "off"}
        """,
    )
    finished, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert (finished.exit_code, finished.queries) == (0, 9)
    assert comparison is not None
    assert comparison.learning is None
    assert [phase.phase for phase in learner.heard(PhaseStarted)] == [  # type: ignore[attr-defined]
        "comparison",
        "plans",
    ]
    texts = [notice.text for notice in learner.heard(Notice)]  # type: ignore[attr-defined]
    assert any(text.startswith("no arm has events: nothing learns") for text in texts)


def test_only_the_arm_that_learns_has_queries_to_learn_from(learner: Project) -> None:
    """Here the baseline: the driver's arm has no events."""
    text = (learner.folder / "pilot.yaml").read_text()
    learner.write("learns.yaml", text.replace("home: .pilot", "home: .other"))
    learner.config()
    other = load_config(learner.folder / "learns.yaml")
    finished, comparison = run_pair(
        learner, "test.sql", sets=(on(learner, "train.sql"),), baseline=other
    )
    (began,) = learner.heard(RunStarted)
    assert (finished.queries, began.total) == (9, 9)  # type: ignore[attr-defined]
    assert comparison is not None
    assert comparison.learning is None
    assert training_text(comparison).endswith(" in the baseline, none in this run")


def test_a_driver_that_has_learned_nothing_is_said_to(learner: Project) -> None:
    text = (learner.folder / "pilot.yaml").read_text()
    (learner.folder / "pilot.yaml").write_text(
        text.replace("interval_count: 2", "interval_count: 50")
    )
    said = "no model was saved while the driver learned"
    _, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert comparison is not None
    assert any(said in warning for warning in comparison.warnings)
    learner.config(CONFIG)
    _, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert comparison is not None
    assert not any(said in warning for warning in comparison.warnings)


def test_runs_that_took_no_turns_are_compared_without_what_they_learned_from(
    learner: Project,
) -> None:
    run_pair(learner, "test.sql", sets=(on(learner, "train.sql"), "run.learn=2"))  # 1 and 2
    learner.write("all.sql", TEST + TRAIN)
    learner.run("all.sql")  # 3
    with learner.journal() as journal:
        found = compare(journal, 1, journal, 3)
        assert [query.label for query in found.only_b] == ["q4", "q5", "q6", "q7"]
        assert len(found.queries) == 3
        assert not any("between the rounds" in warning for warning in found.warnings)
        learned = f"the queries of {learner.folder / 'train.sql'}, 2 rounds"
        assert f"learned before: {learned}, in the baseline nothing" in found.differences
        assert len(compare(journal, 3, journal, 1).queries) == 3


def test_the_versions_of_a_first_experiment_become_the_current_ones_in_turn(
    learner: Project,
) -> None:
    """There is nothing before that would have to stay."""
    for experiment in (1, 3):
        run_pair(learner, "test.sql", sets=(on(learner, "train.sql"), "run.learn=3"))
        with learner.journal() as journal:
            assert len(journal.models(experiment)) == 6
            current = CheckpointStore(learner.folder / ".pilot" / "models").current("seen")
            assert current == journal.models(1)[-1]
        texts = [notice.text for notice in learner.heard(Notice)]  # type: ignore[attr-defined]
        stays = [text for text in texts if "version 6 stays the current one" in text]
        assert len(stays) == (experiment == 3)


def test_an_interruption_while_plans_are_taken_leaves_a_complete_run(learner: Project) -> None:
    pressed: list[Signal] = []

    def listen(heard: Signal) -> None:
        if isinstance(heard, ExecutionFinished) and heard.phase == "plans" and not pressed:
            pressed.append(heard)
            os.kill(os.getpid(), SIGINT)

    request = learner.request("test.sql", sets=("run.repeat=2",))
    baselines = [Baseline(native(request.config))]
    finished, (comparison,) = run_paired(request, baselines, Bus(listen))
    assert (finished.status, finished.exit_code, finished.resume) == ("finished", 130, None)
    assert finished.reasons == ("interrupted after the last query",)
    assert comparison.rounds_a == 2
    assert not any("not complete" in warning for warning in comparison.warnings)
    shown = learner.command("run", "--resume", "1")
    assert "run 1 is complete: there is nothing to resume" in shown.stderr


def test_what_was_learned_is_counted_in_queries_of_the_workload(learner: Project) -> None:
    """Not in texts, of which several queries may have the same."""
    learner.write("train.sql", "SELECT 1 AS a; SELECT 1 AS a; SELECT 2 AS b; SELECT 3 AS c;")
    _, comparison = run_pair(learner, "test.sql", sets=(on(learner, "train.sql"),))
    assert comparison is not None
    assert learning_text(comparison).startswith(
        "from 4 queries in 1 round, the 3 compared here among them; "
    )
    (same,) = [warning for warning in comparison.warnings if "these same queries" in warning]
    assert "--learn-on" not in same
    assert "split" not in same


def test_contradictions_are_found_before_a_run(learner: Project) -> None:
    shown = learner.command(
        "config", "check", "--set", "run.learn_on=train.sql", "--set", "run.split=80/20"
    )
    assert shown.returncode == 2
    assert "--learn-on (run.learn_on) and --split (run.split) both say what" in shown.stderr
