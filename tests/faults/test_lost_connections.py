"""Connections lost during a run: what runs again, what does not, and what pilot reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_folder import Project

from pilotcli.common.signals import Notice


@pytest.fixture
def falling(project: Project) -> Project:
    """A workload whose connection an event ends while the query after it runs."""
    project.write(
        "ev.py",
        """
        import threading
        from pilotcli import QueryFinishEvent

        class Ends(QueryFinishEvent):
            fallen = False

            def process(self, db_controller, data_manager):
                if self.fallen:
                    return
                self.fallen = True
                ask = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE query LIKE '%falls%' AND state = 'active' AND pid <> pg_backend_pid()"
                )

                def end():
                    while not db_controller.execute(ask, fetch=True):
                        pass

                threading.Thread(target=end, daemon=True).start()
        """,
    )
    project.config("events: ['ev.py:Ends']\nrun: {max_failures: 5}")
    return project


def statuses(project: Project) -> list[tuple[str, int]]:
    with project.journal() as journal:
        return [(one.status, one.attempts) for one in journal.results(journal.run().run_id)]


@pytest.mark.parametrize("explain", ["", "EXPLAIN ANALYZE "])
def test_a_read_runs_again(falling: Project, explain: str) -> None:
    falling.write("w.sql", f"SELECT 1; {explain}SELECT 'falls', pg_sleep(1); SELECT 3;")
    finished = falling.run("w.sql")
    assert (finished.exit_code, finished.ok) == (0, 3), finished
    assert statuses(falling) == [("ok", 1), ("ok", 2), ("ok", 1)]
    assert any("connected again" in one.text for one in falling.heard(Notice))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "lost",
    [
        "INSERT INTO kept SELECT 2 FROM (SELECT 'falls', pg_sleep(1)) AS f",
        "WITH f AS (INSERT INTO kept SELECT 2 RETURNING n) SELECT 'falls', pg_sleep(1) FROM f",
        "SELECT 'falls', nextval('numbers'), pg_sleep(1)",
        "EXPLAIN ANALYZE INSERT INTO kept SELECT 2 FROM (SELECT 'falls', pg_sleep(1)) AS f",
    ],
)
def test_what_may_have_written_does_not(falling: Project, lost: str) -> None:
    falling.write(
        "w.sql",
        f"CREATE TABLE kept AS SELECT 1 AS n; CREATE SEQUENCE numbers; {lost}; SELECT 4;"
        "DROP TABLE kept; DROP SEQUENCE numbers;",
    )
    falling.run("w.sql")
    assert statuses(falling) == [("ok", 1)] * 2 + [("error", 1)] + [("ok", 1)] * 3


def test_what_was_committed_before_the_rest_of_its_chain_does_not(falling: Project) -> None:
    falling.write(
        "w.sql",
        "CREATE TABLE kept AS SELECT 1 AS n; BEGIN; INSERT INTO kept VALUES (2); COMMIT AND CHAIN;"
        "INSERT INTO kept SELECT 3 FROM (SELECT 'falls', pg_sleep(1)) AS f; COMMIT;"
        "SELECT 1 / (count(*) = 3)::int FROM kept; DROP TABLE kept;",
    )
    finished = falling.run("w.sql")
    assert (finished.exit_code, finished.ok) == (0, 8), list(statuses(falling))
    assert statuses(falling)[4] == ("ok", 2)


def test_a_block_is_rolled_back_and_so_runs_again_with_the_settings_before_it(
    falling: Project,
) -> None:
    falling.write(
        "w.sql",
        "SET work_mem = '9MB'; BEGIN; CREATE TABLE kept AS SELECT 1 AS n;"
        "INSERT INTO kept SELECT 2 FROM (SELECT 'falls', pg_sleep(1)) AS f; COMMIT;"
        "SELECT 1 / (count(*) - 1) FROM kept;"
        "SELECT 1 / (current_setting('work_mem') = '9MB')::int; DROP TABLE kept;",
    )
    finished = falling.run("w.sql")
    assert (finished.exit_code, finished.ok) == (0, 8), list(statuses(falling))
    assert statuses(falling)[3] == ("ok", 2)


def test_a_query_that_ends_its_own_connection_is_given_up(project: Project) -> None:
    project.config("run: {max_failures: 1}")
    project.write("w.sql", "SELECT pg_terminate_backend(pg_backend_pid()); SELECT 2;")
    assert project.run("w.sql").exit_code == 0
    assert statuses(project) == [("error", 3), ("ok", 1)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_an_event_restarts_is_waited_for(tmp_path: Path, workers: int) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    project = Project(tmp_path, "", "")
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class Restarts(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                db_controller.restart()
        """,
    )
    project.write("pilot.yaml", "events: [{class: 'ev.py:Restarts', args: {interval_count: 4}}]")
    project.write("w.sql", "SET work_mem = '9MB';\n" + "SELECT pg_sleep(0.02);\n" * 10)
    done = project.command("run", "w.sql", "--workers", str(workers), "--timeout", "30s")
    assert done.returncode == 0, done.stdout + done.stderr
    with project.journal() as journal:
        assert [one.status for one in journal.results(1)] == ["ok"] * 11
        assert [one.outcome for one in journal.firings(1)] == ["ok"] * 2


@pytest.fixture
def dying(tmp_path: Path) -> Project:
    """A workload on the embedded server, which a handler kills when it sees the third query."""
    tmp_path.chmod(0o711)  # as root the server is another user's
    project = Project(tmp_path, "", "")
    project.write(
        "own.py",
        """
        import os
        import signal
        from pathlib import Path

        from pilotcli import HintPushHandler


        class Kills(HintPushHandler):
            killed = False

            def acquire_injected_data(self, sql):
                if "3" in sql and not self.killed:
                    self.killed = True
                    (file,) = Path(".pilot/pg").glob("*/data/postmaster.pid")
                    pid = int(file.read_text().split()[0])
                    os.kill(pid, signal.SIGQUIT)
                    os.waitpid(pid, 0)  # pilot has started it
                return {}
        """,
    )
    project.write("pilot.yaml", "handlers: ['own.py:Kills']")
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4;")
    return project


def test_a_server_that_dies_in_the_warm_up_is_started_again(dying: Project) -> None:
    done = dying.command("run", "w.sql", "--warmup", "2", "--reconnect", "5s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it was started again" in done.stdout + done.stderr
    assert statuses(dying) == [("ok", 1)] * 4


def test_an_arm_that_was_idle_as_the_server_died_sends_its_query_again(dying: Project) -> None:
    options = ("--against", "native", "--warmup", "0", "--rounds", "2", "--reconnect", "5s")
    done = dying.command("run", "w.sql", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    with dying.journal() as journal:
        for run_id in (1, 2):
            results = list(journal.results(run_id))
            assert [one.status for one in results] == ["ok"] * 8
            assert max(one.attempts for one in results) == 2
