"""Handlers for the whole workload whose changes the server refuses, and a stop meanwhile."""

from __future__ import annotations

import psycopg2
import pytest
from project_folder import Project

from pilotcli.common.signals import Notice

pytestmark = pytest.mark.slow

DRIVERS = """
import asyncio

import numpy
from pilotcli import HintPushHandler, Index, IndexPushHandler, KnobPushHandler

class OnView(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["a"], "t", "made_first"), Index(["a"], "v")]

class Taken(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["a"], "t", "t")]

class Hasty(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "9MB", "statement_timeout": "1ms"}

class Wrong(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "many"}

class Single(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return Index(["a"], "t", "single")

class Lazy(IndexPushHandler):
    def acquire_injected_data(self, sql):
        yield Index(["a"], "t", "made_first")
        raise ValueError("no further index")

class Table(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return numpy.array([1, 2])

class Settings(dict):
    def items(self):
        raise ValueError("no settings")

class Hints(HintPushHandler):
    def acquire_injected_data(self, sql):
        return Settings(work_mem="9MB")

class ZeroByte(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["a"], "t", "made\\0up")]

class HalfPair(IndexPushHandler):
    def acquire_injected_data(self, sql):
        return [Index(["a"], "t", "made_first"), Index(["a"], "t", "\\ud800")]

class Unreadable:
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

class NoText(KnobPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": Unreadable()}

class Cancelled(KnobPushHandler):
    def acquire_injected_data(self, sql):
        raise asyncio.CancelledError
"""

REFUSED = ["OnView", "Taken", "Hasty", "Wrong", "Single", "Lazy", "Table"]
REFUSED += ["ZeroByte", "HalfPair", "NoText", "Cancelled"]


@pytest.fixture
def steered(project: Project) -> Project:
    """A project with a table, a view, and handlers that ask for what is refused."""
    with psycopg2.connect(project.dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "DROP VIEW IF EXISTS v; DROP TABLE IF EXISTS t;"
            "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a; CREATE VIEW v AS TABLE t"
        )
    connection.close()
    project.write("drivers.py", DRIVERS)
    project.write("w.sql", "SELECT count(*) FROM t;")
    return project


def _settings(project: Project) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(project.dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM pg_settings WHERE name IN ('work_mem', 'statement_timeout')"
                " AND source = 'configuration file'"
                " UNION ALL SELECT indexname FROM pg_indexes WHERE tablename = 't'"
            )
            return list(cursor.fetchall())
    finally:
        connection.close()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_change_names_its_handler(steered: Project, name: str) -> None:
    steered.config(f"handlers: ['drivers.py:{name}']")
    finished = steered.run("w.sql")
    assert finished.exit_code == 3
    assert any(reason.startswith(f"{name}: ") for reason in map(str, finished.reasons)), (
        finished.reasons
    )
    assert _settings(steered) == []


@pytest.mark.parametrize("name", REFUSED)
def test_native_skips_a_handler_whose_change_is_refused(steered: Project, name: str) -> None:
    steered.config(f"steering: {{on_error: native}}\nhandlers: ['drivers.py:{name}']")
    finished = steered.run("w.sql")
    assert (finished.exit_code, finished.ok) == (0, 1)
    notices = [notice.text for notice in steered.heard(Notice)]  # type: ignore[attr-defined]
    assert any(f"nothing by {name}: " in text for text in notices), notices
    assert _settings(steered) == []


def test_a_query_runs_natively_where_reading_what_a_handler_returned_fails(
    steered: Project,
) -> None:
    steered.config("steering: {on_error: native}\nhandlers: ['drivers.py:Hints']")
    finished = steered.run("w.sql")
    assert (finished.exit_code, finished.ok, finished.native) == (0, 1, 1)


def test_a_stop_in_an_index_handler_makes_no_index(steered: Project) -> None:
    steered.write(
        "drivers.py",
        """
        import os, signal
        from pilotcli import Index, IndexPushHandler
        from pilotcli.common.errors import QueryCancelled

        class Stopped(IndexPushHandler):
            def acquire_injected_data(self, sql):
                os.kill(os.getpid(), signal.SIGINT)
                try:
                    self.interactor.db_controller.execute("SELECT pg_sleep(5)")
                except QueryCancelled:
                    pass
                return [Index(["a"], "t", f"made_{number}") for number in range(3)]
        """,
    )
    steered.config("handlers: ['drivers.py:Stopped']")
    done = steered.command("run", "w.sql", "-v")
    assert done.returncode == 130, done.stdout + done.stderr
    assert "index on" not in done.stdout
    assert _settings(steered) == []
