"""`pilot doctor` tries what a run will do, and leaves nothing behind."""

from __future__ import annotations

import json

import psycopg2
import pytest
from project_folder import COLLECTS, Project

pytestmark = pytest.mark.slow


def _sql(project: Project, database: str, *statements: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(project.dsn, dbname=database)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def _checks(project: Project, *words: str) -> dict[str, dict[str, str]]:
    done = project.command("doctor", "--format", "json", *words)
    return {check["what"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.fixture
def stored(project: Project) -> Project:
    """A project with a store that has rows."""
    project.config("collect: seen")
    project.write("w.sql", "SELECT 1;")
    project.run("w.sql")
    return project


def test_a_store_that_can_be_written_stays_as_it_is(stored: Project) -> None:
    looks = (
        "SELECT relname::text, reltuples FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    before = (
        _sql(stored, stored.store, looks, "SELECT * FROM seen"),
        _sql(stored, stored.store, looks),
    )
    check = _checks(stored)["store"]
    assert check["state"] == "ok"
    assert check["found"].startswith(f"{stored.store} can be written, ")
    assert before == (
        _sql(stored, stored.store, looks, "SELECT * FROM seen"),
        _sql(stored, stored.store, looks),
    )


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("ALTER DATABASE {store} SET default_transaction_read_only = on", "read-only"),
        ("ALTER TABLE seen DROP COLUMN pilot_data_id", "was not made by pilot"),
        ("ALTER TABLE seen ADD CHECK (label <> 'probe')", "violates check"),
        ("DROP TABLE pilot_marks; CREATE VIEW pilot_marks AS SELECT 1 AS one", "pilot_marks"),
    ],
)
def test_a_store_that_cannot_be_written_is_a_problem(
    stored: Project, broken: str, words: str
) -> None:
    _sql(stored, stored.store, broken.format(store=stored.store))
    done = stored.command("doctor", "--format", "json")
    check = _checks(stored)["store"]
    assert check["state"] == "problem", check
    assert words in check["found"]
    assert done.returncode == 4


@pytest.mark.parametrize(
    ("column", "collect"),
    [
        ("execution_time", "execution_time: true"),
        ("estimated_cost", "estimated_cost: true"),
        ("row_count", "records: true, max_rows: 1"),
        ("buffercache", "buffercache: true"),
    ],
)
def test_a_column_that_cannot_take_what_a_run_stores_is_a_problem(
    project: Project, column: str, collect: str
) -> None:
    project.config(f"collect: {{table: seen, {collect}}}")
    project.write("w.sql", "SELECT 1;")
    project.run("w.sql")
    assert _checks(project)["store"]["state"] == "ok"
    _sql(project, project.store, f"ALTER TABLE seen ALTER {column} TYPE boolean USING true")
    check = _checks(project)["store"]
    assert check["state"] == "problem", check
    assert f"'{column}' of the table 'seen' is boolean" in check["found"]


def test_a_table_of_an_event_that_is_not_the_stores_is_a_problem(stored: Project) -> None:
    _sql(stored, stored.store, "CREATE TABLE t (a int)")
    stored.write("ev.py", COLLECTS)
    stored.config("events: ['ev.py:Collects']")
    check = _checks(stored)["store"]
    assert check["state"] == "problem", check
    assert "the table 't' in the store was not made by pilot" in check["found"]


def test_a_role_that_may_not_make_tables_is_a_problem(stored: Project) -> None:
    role = f"reader_of_{stored.store}"
    _sql(
        stored,
        stored.store,
        f"CREATE ROLE {role} LOGIN",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    )
    dsn = f"{stored.dsn.replace('user=', 'options=-crole=' + role + ' user=')}"
    words = dsn.split()
    dsn = " ".join(word for word in words if not word.startswith("dbname="))
    check = _checks(stored, "--set", f"store.dsn={dsn} dbname={stored.store}")["store"]
    _sql(stored, stored.store, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert check["state"] == "problem", check
    assert "permission denied" in check["found"]


def test_classes_are_built_as_a_run_builds_them(project: Project) -> None:
    project.write(
        "drivers.py",
        """
        from pilotcli import HintPushHandler, QueryFinishEvent

        class Event(QueryFinishEvent):
            def __init__(self, config):
                raise ValueError("no event today")

            def process(self, db_controller, data_manager):
                pass

        class Handler(HintPushHandler):
            def __init__(self, config):
                raise ValueError("no handler today")

            def acquire_injected_data(self, sql):
                pass
        """,
    )
    for key, name in (("events", "Event"), ("handlers", "Handler")):
        project.config(f"{key}: ['drivers.py:{name}']")
        check = _checks(project)["classes"]
        assert check["state"] == "problem", check
        assert "today" in check["found"]


def test_libraries_are_imported(project: Project) -> None:
    project.config()
    project.write("pandas.py", "raise ImportError('numpy.dtype size changed')")
    done = project.command(
        "doctor", "--format", "json", env={"PYTHONPATH": str(project.folder), "PATH": "/usr/bin"}
    )
    checks = {check["what"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["libraries"]["state"] == "problem"
    assert "numpy.dtype size changed" in checks["libraries"]["found"]
