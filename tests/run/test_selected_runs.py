"""Runs of a part of a workload: what they replay, keep when continued, and are compared by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paired import run_pair
from project_folder import Project

from pilotcli.common.signals import RunStarted

QUERIES = """\
-- name: hot-a
SELECT 1;
SET work_mem = '8MB';
-- name: hot-b
SELECT current_setting('work_mem');
-- name: slow
SELECT pg_sleep(0.05);
-- name: broken
SELECT 1 / (SELECT count(*) FROM pg_class WHERE relname = 'no such');
-- name: a,b ${c}
SELECT 1 / 0;
"""


@pytest.fixture
def workload(project: Project) -> Project:
    project.config()
    project.write("w.sql", QUERIES)
    return project


def labels(project: Project, run: int | None = None) -> list[str]:
    with project.journal() as journal:
        return [query.label for query in journal.queries(journal.run(run).run_id)]


def test_a_selection_keeps_the_numbers_of_the_workload(workload: Project) -> None:
    workload.run("w.sql", sets=("run.select=hot-b", "run.repeat=2"))
    (started,) = workload.heard(RunStarted)
    assert isinstance(started, RunStarted)
    assert started.total == 4
    with workload.journal() as journal:
        results = list(journal.results(journal.run().run_id))
        assert journal.run().workload.endswith("w.sql (2 of 6 queries)")
    assert [(one.seq, one.label, one.round) for one in results] == [
        *((2, "q2", 1), (3, "hot-b", 1)),
        *((2, "q2", 2), (3, "hot-b", 2)),
    ]


def test_options_take_precedence_over_the_config(workload: Project) -> None:
    workload.config("run: {select: hot-*, exclude: hot-a}\n")
    assert workload.command("run", "w.sql").returncode == 0
    assert labels(workload) == ["q2", "hot-b"]
    assert workload.command("run", "w.sql", "--select", "1", "--exclude", "3").returncode == 0
    assert labels(workload) == ["hot-a"]
    done = workload.command("run", "w.sql", "--select", "hto-b", "--dry-run")
    assert done.returncode == 2
    assert "Did you mean 'hot-b'?" in done.stderr


def test_what_failed_in_the_last_run_runs_again(workload: Project) -> None:
    assert workload.command("run", "w.sql", "--name", "all").returncode == 1
    workload.write("other.sql", "SELECT 1;")
    assert workload.command("run", "other.sql").returncode == 0
    (workload.folder / "w.sql").write_text(QUERIES.replace("1 / (", "1 + ("))
    assert workload.command("run", "w.sql", "--failed").returncode == 1
    assert labels(workload) == ["q2", "broken", "a,b ${c}"]
    # Of the newest run of this workload, one has failed.
    assert workload.command("run", "./w.sql", "--failed").returncode == 1
    assert labels(workload) == ["q2", "a,b ${c}"]
    assert workload.command("run", "w.sql", "--failed-of", "all", "--exclude", "q*").returncode == 1
    assert labels(workload) == ["broken", "a,b ${c}"]


def test_the_slowest_of_the_last_run_run_again(workload: Project) -> None:
    workload.command("run", "w.sql")
    workload.command("run", "w.sql", "--slowest", "1")
    assert labels(workload) == ["q2", "slow"]
    workload.command("run", "w.sql", "--select", "hot-*", "--failed-of", "1")
    done = workload.command("run", "w.sql", "--slowest", "1", "--failed-of", "1", "--dry-run")
    assert "(2 of 6 queries)" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--failed"], "nothing is selected: no query failed in run 1"),
        (["other.sql", "--failed"], "there is no earlier run of this workload"),
        (["--failed-of", "9"], "there is no run 9"),
        (["--failed", "--resume"], "continued with the queries that it began with"),
        (["--slowest", "0"], "greater than or equal to 1"),
    ],
)
def test_nothing_to_run_again_is_an_error(
    workload: Project, words: list[str], message: str
) -> None:
    workload.write("other.sql", "SELECT 1;")
    workload.command("run", "w.sql", "--select", "hot-*")
    begin = [] if "other.sql" in words else ["w.sql"]
    done = workload.command("run", *begin, *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_continued_run_keeps_its_selection(workload: Project) -> None:
    workload.command("run", "w.sql")
    words = ("--failed", "--max-failures", "0", "--fail-fast", "--repeat", "2")
    workload.command("run", "w.sql", *words)
    assert labels(workload) == ["q2", "broken"]
    workload.command("run", "--resume", "--no-fail-fast", "--force")
    assert labels(workload) == ["q2", "broken", "a,b ${c}"]
    with workload.journal() as journal:
        counts = journal.counts(journal.run().run_id)
    assert (counts["ok"], counts["error"]) == (2, 4)


def test_both_arms_of_a_paired_run_have_the_selection(workload: Project) -> None:
    finished, comparison = run_pair(workload, "w.sql", sets=("run.select=hot-*",))
    assert comparison is not None
    assert finished.queries == 9
    assert {query.label for query in comparison.queries} == {"hot-a", "hot-b"}
    assert comparison.part == "both runs have replayed only a part of the workload: hot-*"
    done = workload.command("runs", "compare", "1")
    assert "run 1 against run 2, a part of the workload: " in done.stdout


def test_a_comparison_of_a_selection_says_so(workload: Project) -> None:
    workload.command("run", "w.sql")
    workload.command("run", "w.sql", "--exclude", "broken,slow")
    words = ("runs", "compare", "2", "1", "--format", "json")
    whole = json.loads(workload.command(*words).stdout)
    assert whole["part"] == (
        "run 2 has replayed only a part of the workload: all without broken,slow"
    )
    part = json.loads(workload.command(*words, "--select", "hot-*", "--exclude", "1").stdout)
    assert [query["label"] for query in part["queries"]] == ["hot-b"]
    assert part["part"].startswith("1 of 3 queries: hot-* without 1; run 2 has replayed")
    assert part["costs"]["query_s"] == part["queries"][0]["run"]["mean_s"]
    assert part["only_in_baseline"] == []
    done = workload.command("runs", "compare", "2", "1", "--select", "hto-b")
    assert (done.returncode, "Did you mean 'hot-b'?" in done.stderr) == (2, True)


def test_queries_of_a_run_are_selected_to_be_shown(workload: Project) -> None:
    workload.command("run", "w.sql", "--plans")
    workload.command("run", "w.sql", "--plans")
    for words, expected in (
        (["--select", "hot-*"], {"hot-a", "hot-b"}),
        (["--exclude", "1-3", "--failed"], {"broken", "a,b ${c}"}),
    ):
        done = workload.command("runs", "show", "1", *words, "--format", "json")
        shown = json.loads(done.stdout)
        results = shown.get("slowest") or shown["failed"]
        assert {result["label"] for result in results} == expected
    words = ["runs", "diff", "2", "1", "--select", "hot-*"]
    done = workload.command(*words, "--format", "json")
    assert [pair["label"] for pair in json.loads(done.stdout)] == ["hot-a", "hot-b"]
    assert "hot-a  " in (table := workload.command(*words).stdout) and "hot-b  " in table


@pytest.fixture
def folds(workload: Project) -> Project:
    """A cross-validation: run 1 has judged some of the queries, run 3 the others."""
    words = ("--against", "native", "--folds", "2", "--rounds", "2")
    workload.command("run", "w.sql", *words)
    with workload.journal() as journal:
        assert [journal.run(run).fold for run in (1, 3)] == [1, 2]
    return workload


def removed(project: Project, run: int) -> None:
    """Remove a run, so that the one before is the newest again."""
    done = project.command("runs", "rm", str(run), "--yes")
    assert done.returncode == 0, done.stderr


def compared(project: Project, *words: str) -> dict[str, Any]:
    """What `pilot runs compare` writes as JSON."""
    done = project.command("runs", "compare", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compared_labels(project: Project, *words: str) -> set[str]:
    return {query["label"] for query in compared(project, *words)["queries"]}


@pytest.mark.slow
def test_queries_are_selected_in_all_folds(folds: Project) -> None:
    found = compared(folds, "1", "--select", "hot-*,slow,broken", "--exclude", "hot-b")
    assert {query["label"] for query in found["queries"]} == {"hot-a", "slow", "broken"}
    assert found["part"] == "3 of 5 queries: hot-*,slow,broken without hot-b"
    assert sum(fold["queries"] for fold in found["folds"]) == 3
    assert not any("learned from" in text for text in found["warnings"])
    assert compared_labels(folds, "3", "--select", "w.sql:1") == {"hot-a"}
    (one,) = compared(folds, "1", "--select", "1")["folds"]
    assert one["queries"] == 1
    assert compared_labels(folds, "1", "--failed") == {"broken", "a,b ${c}"}
    assert compared_labels(folds, "3", "--slowest", "1") == {"slow"}
    done = folds.command("runs", "compare", "1", "--select", "zzz")
    assert (done.returncode, "Labels are hot-a, hot-b" in done.stderr) == (2, True)
    part = folds.command("runs", "compare", "1", "--select", "slow").stdout
    assert part.startswith("1 fold of run 1, a part of the workload: ")
    assert "1 of 5 queries: slow" in part


@pytest.mark.slow
def test_what_failed_or_was_slow_in_any_fold_runs_again(folds: Project) -> None:
    folds.command("run", "w.sql", "--failed", "--max-failures", "5")
    assert labels(folds) == ["q2", "broken", "a,b ${c}"]
    removed(folds, 5)
    folds.command("run", "w.sql", "--slowest", "1")
    assert labels(folds) == ["q2", "slow"]
    with folds.journal() as journal:
        judged = {result.label for result in journal.results(1) if result.round > 1}
    failed = {"broken", "a,b ${c}"} & judged
    done = folds.command("run", "w.sql", "--failed-of", "1")
    assert {*labels(folds)} - {"q2"} == failed if failed else done.returncode == 2


@pytest.mark.slow
def test_what_drivers_learned_from_does_not_run_again(workload: Project) -> None:
    workload.write("train.sql", "SELECT pg_sleep(0.1); SELECT 2 / 0;\n-- name: hot-a\nSELECT 3;")
    words = ("run", "w.sql", "--against", "native", "--learn-on", "train.sql", "--rounds", "1")
    workload.command(*words, "--exclude", "broken")
    workload.command("run", "w.sql", "--slowest", "1", "--failed-of", "1")
    assert labels(workload) == ["q2", "a,b ${c}"]
    removed(workload, 3)
    workload.command("run", "w.sql", "--slowest", "1")
    assert labels(workload) == ["q2", "slow"]
    removed(workload, 4)
    done = workload.command("run", "w.sql", "--slowest", "9", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_queries_that_drivers_learned_from_are_not_selected(workload: Project) -> None:
    workload.write("train.sql", "-- name: hot-a\nSELECT 3;")
    words = ("run", "w.sql", "--against", "native", "--learn-on", "train.sql", "--rounds", "1")
    workload.command(*words)
    found = compared(workload, "1", "--select", "hot-*")
    assert found["part"] == "2 of 5 queries: hot-*"
    done = workload.command("runs", "diff", "1", "--select", "hot-*", "--format", "json")
    assert [pair["sql"] for pair in json.loads(done.stdout)] == [
        "SELECT 1",
        "SELECT current_setting('work_mem')",
    ]


@pytest.mark.slow
def test_arms_are_ranked_by_all_queries_only(workload: Project) -> None:
    other = workload.folder / "other.yaml"
    other.write_text((workload.folder / "pilot.yaml").read_text())
    against = ("--against", "native", "--against", "other.yaml")
    workload.command("run", "w.sql", *against, "--rounds", "1")
    shown = workload.command("runs", "compare", "1")
    assert "speed-ups are against" in shown.stdout
    shown = workload.command("runs", "compare", "1", "--slowest", "1")
    assert "a part of the workload" in shown.stdout
    assert "speed-ups are against" not in shown.stdout


@pytest.mark.slow
def test_the_learning_part_of_a_split_does_not_run_again(workload: Project) -> None:
    words = ("--against", "native", "--split", "50/50", "--seed", "4", "--rounds", "1")
    workload.command("run", "w.sql", *words)
    judged = compared_labels(workload, "1")
    assert len(judged) < 5
    workload.command("run", "w.sql", "--slowest", "9")
    assert {*labels(workload)} - {"q2"} == judged


def test_a_label_that_others_have_is_chosen_by_its_number(workload: Project) -> None:
    workload.write("w.sql", "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n-- name: b\nSELECT 3;")
    workload.command("run", "w.sql", "--select", "2")
    workload.command("run", "w.sql", "--slowest", "1")
    with workload.journal() as journal:
        assert [query.sql for query in journal.queries(2)] == ["SELECT 2"]
    # The text says which of them it is, once the numbers have changed.
    workload.write("w.sql", "-- name: a\nSELECT 1;\nSELECT 0;\n-- name: a\nSELECT 2;")
    workload.command("run", "w.sql", "--slowest", "1")
    with workload.journal() as journal:
        assert [query.seq for query in journal.queries(3)] == [3]


def test_chosen_queries_that_the_workload_does_not_have_are_named(workload: Project) -> None:
    workload.command("run", "w.sql")
    (workload.folder / "w.sql").write_text(QUERIES.replace("-- name: broken", "-- name: mended"))
    done = workload.command("run", "w.sql", "--failed")
    assert "warning: 1 of the failed queries of run 1 left out, not in the workload: broken" in (
        done.stderr
    )
    assert labels(workload) == ["q2", "a,b ${c}"]
    workload.write("other.sql", "SELECT 1;")
    done = workload.command("run", "other.sql", "--failed-of", "1")
    assert done.returncode == 2
    assert "the workload has none of the failed queries of run 1: broken, a,b ${c}" in done.stderr
    assert "--select" not in done.stderr


def test_two_runs_are_compared_by_what_failed_or_was_slow(workload: Project) -> None:
    workload.command("run", "w.sql", "--plans", "--exclude", "hot-b")
    (workload.folder / "w.sql").write_text(QUERIES.replace("SELECT 1 / 0", "SELECT 1 / 0 AS b"))
    workload.command("run", "w.sql", "--plans", "--no-fail-fast")
    failed = compared(workload, "2", "1", "--failed")
    assert [query["label"] for query in failed["queries"]] == ["broken"]
    assert failed["part"].startswith("1 of 5 queries: failed in this run or in the baseline; run 1")
    assert failed["only_in_run"] == failed["only_in_baseline"] == []
    slow = compared(workload, "2", "1", "--slowest", "1")
    assert [query["label"] for query in slow["queries"]] == ["slow"]
    assert slow["part"].startswith("1 of 5 queries: the slowest 1 of this run; ")
    both = compared(workload, "2", "1", "--exclude", "slow", "--failed", "--slowest", "3")
    assert [query["label"] for query in both["queries"]] == ["broken"]
    done = workload.command("runs", "compare", "2", "1", "--select", "hot-*", "--failed")
    assert done.returncode == 2
    assert "no query of hot-* failed in this run or in the baseline" in done.stderr
    done = workload.command("runs", "compare", "2", "1", "--select", "hot-b")
    assert "none of the selected queries has run in both: hot-b" in done.stderr
    for words, expected in (
        (["--failed"], ["broken"]),
        (["--slowest", "1"], ["slow"]),
        (["--select", "hot-*", "--slowest", "5"], ["hot-a"]),
    ):
        done = workload.command("runs", "diff", "2", "1", *words, "--format", "json")
        assert [pair["label"] for pair in json.loads(done.stdout)] == expected


def test_a_query_that_failed_in_the_baseline_alone_is_compared(workload: Project) -> None:
    workload.write("w.sql", "SELECT * FROM made_later; SELECT 2;")
    workload.command("run", "w.sql")
    prepare = ("--prepare", "CREATE TABLE made_later ()", "--cleanup", "DROP TABLE made_later")
    assert workload.command("run", "w.sql", *prepare).returncode == 0
    assert compared_labels(workload, "2", "1", "--failed") == {"q1"}


def test_the_same_text_twice_is_compared_with_its_own_place(workload: Project) -> None:
    workload.write("w.sql", "SELECT pg_sleep(0.02);\n-- name: other\nSELECT pg_sleep(0.02);")
    workload.command("run", "w.sql")
    workload.command("run", "w.sql")
    (query,) = compared(workload, "2", "1", "--select", "other")["queries"]
    assert (query["run"]["seq"], query["baseline"]["seq"]) == (2, 2)
