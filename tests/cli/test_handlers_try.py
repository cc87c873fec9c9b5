"""`pilot handlers list` and `pilot handlers try`: what a handler does to one query."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from project_folder import Project
from terminal_session import in_terminal

pytestmark = pytest.mark.slow

DRIVER = """
import json

from pilotcli import CardPushHandler, HintPushHandler, Index, IndexPushHandler, KnobPushHandler


class Good(HintPushHandler):
    def acquire_injected_data(self, sql):
        self.log(predicted_s=0.25, arm="no hash")
        print("asked about", sql.split()[-1], "of", len(self.workload))
        return {"enable_hashjoin": "off", "enable_mergejoin": "off"}


class Nothing(HintPushHandler):
    def acquire_injected_data(self, sql):
        return None


class Typo(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"enable_nestlop": "off"}


class Fails(HintPushHandler):
    def acquire_injected_data(self, sql):
        wanted = "xxx"
        return json.loads("{")


class Cards(CardPushHandler):
    def __init__(self, config, key="tried_a a"):
        super().__init__(config)
        self.key = key

    def acquire_injected_data(self, sql):
        return {f"SELECT count(*) FROM {self.key}": 7}


class Knobs(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "7MB", "enable_hashjoin": "off", "enable_mergejoin": "off"}


class Indexes(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["n"], "tried_a", "tried_index")]
"""
SETUP = """
CREATE TABLE IF NOT EXISTS tried_a AS SELECT n, n % 10 AS m FROM generate_series(1, 1000) AS n;
CREATE TABLE IF NOT EXISTS tried_b AS SELECT n FROM generate_series(1, 10) AS n;
ANALYZE tried_a; ANALYZE tried_b;
"""
JOIN = "SELECT count(*) FROM tried_a a JOIN tried_b b ON a.m = b.n"
NAMES = ("Good", "Nothing", "Typo", "Fails", "Cards", "Knobs", "Indexes")


@pytest.fixture
def tried(project: Project) -> Project:
    project.write("drivers.py", DRIVER)
    project.write("setup.sql", SETUP)
    project.write("w.sql", f"SELECT 1;\n-- name: joined\n{JOIN};\nDELETE FROM tried_b;\n")
    project.config("")
    assert project.run("setup.sql").exit_code == 0
    handlers = ", ".join(f"drivers.py:{name}" for name in NAMES)
    project.config(f"workload: w.sql\nhandlers: [{handlers}]")
    return project


def test_the_list(tried: Project) -> None:
    listed = json.loads(tried.command("handlers", "list", "--format", "json").stdout)
    assert [handler["name"] for handler in listed] == list(NAMES)
    assert [handler["pushes"] for handler in listed][-3:] == ["cardinalities", "knobs", "indexes"]
    assert {handler["called"] for handler in listed[:5]} == {"before each query"}
    assert {handler["called"] for handler in listed[5:]} == {"before the workload"}
    table = tried.command("handlers", "list").stdout
    assert table.splitlines()[0].split()[:3] == ["HANDLER", "PUSHES", "CALLED"]
    tried.config("workload: w.sql")
    assert "The config has no handlers" in tried.command("handlers", "list").stdout


@pytest.mark.parametrize("query", ["2", "joined"])
def test_pushes_and_both_plans(tried: Project, query: str) -> None:
    done = tried.command("handlers", "try", "Good", "--query", query)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "asked about b.n of 3"
    assert lines[1].startswith("joined  ") and lines[1].endswith("w.sql:3")
    assert lines[2].strip() == JOIN
    assert "pushed setting: enable_hashjoin = off" in lines
    assert "logged: predicted_s = 0.25" in lines
    assert "logged: arm = no hash" in lines
    (head,) = (line for line in lines if line.startswith("native"))
    assert head.split() == ["native", "│", "with", "Good"]  # it was only planned
    assert "  join of a b: Hash Join → Nested Loop" in lines
    assert "│" in done.stdout and "Hash Join" in done.stdout


def test_analyze_runs_both_ways(tried: Project) -> None:
    done = tried.command("handlers", "try", "Good", "--query", "joined", "--analyze")
    assert done.returncode == 0, done.stderr
    (head,) = (line for line in done.stdout.splitlines() if line.startswith("native"))
    assert head.split()[2] in ("µs", "ms", "s") and head.split()[-1] in ("µs", "ms", "s")
    refused = tried.command("handlers", "try", "Good", "--query", "3", "--analyze")
    assert refused.returncode == 2
    assert "--analyze would run q3 three times, and it may write" in refused.stderr
    tried.write("count.sql", "SELECT 1 / count(*) FROM tried_b;")
    assert tried.command("handlers", "try", "Nothing", "--query", "3").returncode == 0
    assert tried.run("count.sql", sets=("handlers=[]",)).ok == 1  # nothing was deleted


def test_a_query_that_is_given(tried: Project) -> None:
    done = tried.command("handlers", "try", "Nothing", "--sql", JOIN)
    assert done.returncode == 0
    assert "Nothing pushes nothing for this query" in done.stdout
    assert "The plans have the same structure" in done.stdout
    tried.write("other.sql", f"-- name: here\n{JOIN}")
    done = tried.command("handlers", "try", "Nothing", "--workload", "other.sql")
    assert done.stdout.startswith("here  other.sql:2\n")


def test_a_setting_that_the_server_lacks(tried: Project) -> None:
    done = tried.command("handlers", "try", "Typo")
    assert done.returncode == 3
    assert "error: Typo: the server refuses a pushed setting" in done.stderr
    assert "Did you mean 'enable_nestloop'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_handler_that_fails(tried: Project) -> None:
    done = tried.command("handlers", "try", "Fails")
    assert done.returncode == 3
    place = "drivers.py:" + str(DRIVER.splitlines().index('        return json.loads("{")') + 1)
    assert f"error: Fails: {place}: JSONDecodeError: Expecting" in done.stderr
    assert done.stderr.count("  File ") == 1
    whole = tried.command("handlers", "try", "Fails", "--full-traceback").stderr
    assert whole.count("  File ") > 3
    with in_terminal(tried.folder, "handlers", "try", "Fails", "--pdb") as shown:
        shown.wait_for("(Pdb) ")
        shown.type("p 'in', wanted")
        shown.wait_for("('in', 'xxx')")
        shown.type("c")
        shown.wait_for("error: Fails: drivers.py:")
        assert shown.end() == 3


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_cardinalities_that_are_taken_and_that_are_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    own = Project(tmp_path, "", "")
    own.write("drivers.py", DRIVER)
    own.write("setup.sql", SETUP)
    handlers = "[drivers.py:Cards, {class: drivers.py:Cards, name: other, args: {key: other o}}]"
    own.write("pilot.yaml", f"database: {{name: own, setup: setup.sql}}\nhandlers: {handlers}")
    done = own.command("handlers", "try", "Cards", "--sql", JOIN)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "pushed cardinality: 7 rows for SELECT count(*) FROM tried_a a" in lines
    assert "  rows expected of a: 1,000 → 7" in lines
    done = own.command("handlers", "try", "other", "--sql", JOIN)
    assert done.returncode == 3
    assert "this is not a sub-plan query of the query: SELECT count(*) FROM other o" in done.stderr


def test_knobs_and_indexes_are_undone(tried: Project) -> None:
    done = tried.command("handlers", "try", "Knobs", "--query", "joined")
    assert done.returncode == 0, done.stderr
    assert "for the whole workload, undone after this: work_mem = 7MB" in done.stdout
    assert "  join of a b: Hash Join → Nested Loop" in done.stdout.splitlines()
    sql = "SELECT count(*) FROM tried_a WHERE n = 5"
    done = tried.command("handlers", "try", "Indexes", "--sql", sql)
    assert "undone after this: index on tried_a (n)" in done.stdout
    assert "tried_index" in done.stdout
    tried.write(
        "after.sql",
        "SELECT 1 / CAST(current_setting('work_mem') <> '7MB' AS int);"
        "SELECT 1 / CAST(count(*) = 0 AS int) FROM pg_indexes WHERE indexname = 'tried_index';",
    )
    assert tried.run("after.sql", sets=("handlers=[]",)).ok == 2


def test_what_is_not_there(tried: Project) -> None:
    for words, said in (
        (("Goood",), "Did you mean 'Good'?"),
        (("Good", "--query", "joind"), "Did you mean 'joined'?"),
        (("Good", "--query", "9"), "the workload has no query '9' among its 3 queries"),
        (("Good", "--query", "1", "--sql", "SELECT 1"), "--sql and --query name two queries"),
    ):
        done = tried.command("handlers", "try", *words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    tried.config("handlers: ['drivers.py:Good']")
    done = tried.command("handlers", "try", "Good")
    assert (done.returncode, "there is no workload that has the query" in done.stderr) == (2, True)
