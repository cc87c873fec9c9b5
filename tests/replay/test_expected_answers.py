"""Expected answers: from the workload, and from an earlier run."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from project_folder import Project

from pilotcli.cli.replay import native
from pilotcli.common.errors import UsageError, WorkloadError
from pilotcli.common.signals import Bus, Notice, QueryFinished
from pilotcli.run.commands import run
from pilotcli.run.paired import Baseline, run_paired
from pilotcli.run.resume import resume_request


def lines(*queries: tuple[str, str | None]) -> str:
    """A .jsonl file of queries with what they expect."""
    rows = [
        {"sql": sql, **({} if expect is None else {"expect": expect})} for sql, expect in queries
    ]
    return "\n".join(map(json.dumps, rows))


def outcomes(project: Project) -> list[tuple[str, str | None]]:
    return [
        (signal.result.status, signal.result.error)
        for signal in project.heard(QueryFinished)
        if isinstance(signal, QueryFinished)
    ]


def notices(project: Project) -> list[str]:
    return [signal.text for signal in project.heard(Notice) if isinstance(signal, Notice)]


@pytest.mark.parametrize(
    ("sql", "right", "wrong", "found"),
    [
        ("SELECT count(*) FROM generate_series(1, 7)", "7", "8", "7"),
        ("SELECT sum(i) FROM generate_series(1, 3) i", "6", "1", "6"),
        ("SELECT i FROM generate_series(1, 3) i", "3", "1", "3 rows"),
        ("SELECT 'a', 2", "1", "2", "1 row"),
        ("SELECT 5.4", "1", "5", "1 row with 5.4"),
        ("SELECT '5'", "1", "5", "1 row with '5'"),
        ("SELECT repeat('x', 99)", "1", "5", f"1 row with '{60 * 'x'}…'"),
        ("SELECT 5 WHERE false", "0", "5", "0 rows"),
        ("SELECT NULL::int", "1", "0", "1 row with NULL"),
        ("SELECT 42", "1 row", "42 rows", "1 row"),
        ("VALUES (1), (2)", " 2 rows ", "3 rows", "2 rows"),
    ],
)
def test_a_number_is_the_count_or_the_number_of_rows(
    project: Project, sql: str, right: str, wrong: str, found: str
) -> None:
    project.write("w.jsonl", lines((sql, right), (sql, wrong), (sql, None)))
    finished = project.run("w.jsonl")
    error = f"wrong answer: expected {wrong}, found {found}"
    assert outcomes(project) == [("ok", None), ("wrong_answer", error), ("ok", None)]
    assert (finished.exit_code, finished.ok, finished.wrong, finished.errors) == (1, 2, 1, 0)
    assert list(finished.reasons) == ["1 query gave a wrong answer"]
    assert "2 answers checked, 1 wrong" in notices(project)


def test_no_number_of_failures_allows_a_wrong_answer(project: Project) -> None:
    project.write("w.jsonl", lines(("SELECT 1", "2"), ("SELECT 1/0", None), ("SELECT 2", "2")))
    finished = project.run("w.jsonl", sets=("run.max_failures=5",))
    assert (finished.exit_code, list(finished.reasons)) == (1, ["1 query gave a wrong answer"])
    assert finished.queries == 3
    finished = project.run("w.jsonl", sets=("run.max_failures=5", "run.fail_fast=true"))
    assert finished.queries == 1


def test_a_digest_is_what_an_export_has(project: Project) -> None:
    sql = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v ORDER BY random()"
    project.write("w.jsonl", lines((sql, None)))
    assert project.run("w.jsonl", sets=("run.answers=true",)).exit_code == 0
    with project.journal() as journal:
        (result,) = journal.results(1)
    assert result.answer is not None
    assert re.fullmatch(r"2:[0-9a-f]{32}", result.answer)
    other = "SELECT * FROM (VALUES (1, 'a'), (2, 'c')) v"
    project.write("w.jsonl", lines((sql, result.answer), (other, result.answer)))
    assert project.run("w.jsonl").exit_code == 1
    (right, wrong) = outcomes(project)
    assert right == ("ok", None)
    assert wrong[0] == "wrong_answer"
    assert str(wrong[1]).startswith(f"wrong answer: expected the rows {result.answer}, found 2:")


def test_what_a_query_leaves_open_is_not_wrong(project: Project) -> None:
    sql = "SELECT i FROM generate_series(1, 9) i LIMIT 2"
    project.write("w.jsonl", lines((sql, None)))
    project.run("w.jsonl", sets=("run.answers=true",))
    with project.journal() as journal:
        (result,) = journal.results(1)
    assert result.answer is not None
    fixed = result.answer.partition("/")[0]
    expected = f"{fixed}/2:{32 * '0'}"
    project.write("w.jsonl", lines((sql, expected), (sql.replace("2", "3"), expected)))
    project.run("w.jsonl")
    assert [status for status, _ in outcomes(project)] == ["ok", "wrong_answer"]


def test_what_is_no_answer_is_refused_before_its_query_runs(project: Project) -> None:
    bad = [("SELECT 1", "1"), ("SELECT 2", "two"), ("SELECT 3", "-1")]
    project.write("w.jsonl", lines(*bad) + "\n{}")
    project.write("w.csv", "sql,expect\n" + "".join(f"{a},{b}\n" for a, b in bad) + "SELECT 4")
    project.write("w.sql", "".join(f"-- expect: {b}\n{a};\n" for a, b in bad) + "\\watch\n")
    for name in ("w.jsonl", "w.csv", "w.sql"):
        with pytest.raises(WorkloadError) as refused:
            project.run(name)
        text = refused.value.message
        assert text.count("which is no answer") == 2
        assert "'two'" in text
        assert "'-1'" in text
        assert refused.value.hint == "3 places are refused: correct each, or remove it."
    assert outcomes(project) == []
    shown = project.command("run", "w.jsonl", "--dry-run")
    assert (shown.returncode, "which is no answer" in shown.stderr) == (2, True)


def test_answers_come_from_an_earlier_run(project: Project) -> None:
    project.write("w.sql", "SELECT n FROM answers_t ORDER BY 1; SELECT count(*) FROM answers_t;")
    made = "CREATE TABLE answers_t AS SELECT generate_series(1, 3) AS n;"
    project.write("make.sql", "DROP TABLE IF EXISTS answers_t; " + made)
    project.write("change.sql", "UPDATE answers_t SET n = 9 WHERE n = 2;")
    assert project.run("make.sql").exit_code == 0
    assert project.run("w.sql", sets=("run.answers=true",)).run_id == 2
    assert project.run("w.sql", sets=("run.expect_from=2",)).exit_code == 0
    assert "2 answers checked, none wrong" in notices(project)
    assert project.run("w.sql").run_id == 4
    assert project.run("change.sql").exit_code == 0
    finished = project.run("w.sql", sets=("run.expect_from=2", "run.workers=2"))
    assert (finished.exit_code, finished.wrong, finished.ok) == (1, 1, 1)
    # Without digests only the number of rows is known, and that is said.
    finished = project.run("w.sql", sets=("run.expect_from=4",))
    assert finished.exit_code == 0
    assert any("kept only the number of rows" in text for text in notices(project))
    with pytest.raises(UsageError, match="run 2 has the answer of no query of this workload"):
        project.run("change.sql", sets=("run.expect_from=2",))
    # What is not quick to read is known at the end only.
    request = project.request("w.sql", sets=("run.expect_from=2",))
    stdin = io.BytesIO(b"SELECT 'other'")
    finished = run(replace(request, workload=("-",), stdin=stdin), Bus())
    assert finished.exit_code == 1
    assert list(finished.reasons) == [
        "no query was found in run 2 by its label and text: no answer checked"
    ]
    shown = project.command("run", "w.sql", "--expect-from", "99")
    assert shown.returncode == 2
    assert "there is no run 99" in shown.stderr


def test_rows_that_are_not_kept_are_counted(project: Project) -> None:
    sql = "SELECT i FROM generate_series(1, 3) i"
    project.config("collect: {max_rows: 0}")
    other = "3:" + 32 * "0"
    queries = ((sql, "3"), (sql, "2"), (sql, other), (sql, "4" + other[1:]), ("SELECT 5", "6"))
    project.write("w.jsonl", lines(*queries))
    project.run("w.jsonl")
    statuses = [status for status, _ in outcomes(project)]
    assert statuses == ["ok", "wrong_answer", "ok", "wrong_answer", "ok"]
    assert any("only the number of rows is checked" in text for text in notices(project))


def test_a_collected_row_has_the_status(project: Project) -> None:
    project.config("collect: {table: expected_rows, execution_time: true}")
    project.write("w.jsonl", lines(("SELECT 1", "2")))
    project.run("w.jsonl")
    shown = project.command("runs", "show", "1", "--failed")
    assert "wrong answer: expected 2, found 1" in shown.stdout


def test_a_steered_query_is_checked(project: Project) -> None:
    project.write(
        "drivers.py",
        """
        from pilotcli import HintPushHandler

        class Slow(HintPushHandler):
            def acquire_injected_data(self, sql):
                return {"enable_hashjoin": "off"}
        """,
    )
    project.config("handlers: ['drivers.py:Slow']")
    project.write("w.jsonl", lines(("SELECT 1", "1"), ("SELECT 1", "2")))
    finished = project.run("w.jsonl")
    assert finished.steered == 2, finished.reasons
    assert [status for status, _ in outcomes(project)] == ["ok", "wrong_answer"]


def test_a_run_that_is_continued_goes_on_to_check(project: Project) -> None:
    project.write("w.jsonl", lines(("SELECT 1", "2"), ("SELECT 2", "2"), ("SELECT 3", "4")))
    sets = ("run.fail_fast=true",)
    assert project.run("w.jsonl", sets=sets, overrides=sets).queries == 1
    config = project.folder / "pilot.yaml"
    request = resume_request("1", "run", config, ("run.fail_fast=false",))
    project.signals.clear()
    finished = run(
        request.__class__(**{**_fields(request), "force": True}), Bus(project.signals.append)
    )
    assert (finished.exit_code, finished.queries, finished.wrong) == (1, 3, 2)
    assert [status for status, _ in outcomes(project)] == ["ok", "wrong_answer"]


def _fields(request: object) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__slots__}  # type: ignore[attr-defined]


def test_both_arms_of_a_pair_are_checked(project: Project) -> None:
    project.write("w.jsonl", lines(("SELECT 1", "2"), ("SELECT 2", "2")))
    request = project.request("w.jsonl")
    baseline = Baseline(native(request.config))
    finished, _ = run_paired(request, [baseline], Bus(project.signals.append))
    assert (finished.exit_code, finished.wrong) == (1, 1)
    assert any("baseline: 1 query gave a wrong answer" in text for text in notices(project))
