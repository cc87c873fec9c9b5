"""Servers that do not answer, statements that do not end: the run goes on or says why not.

None of these tests looks at a clock: without what they test, they would not end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from black_hole import BlackHole
from project_folder import Project, started

from pilotcli.common.signals import Bus, QueryStarted
from pilotcli.run.commands import run

STOPS = """
    import os, signal, threading
    from pathlib import Path
    from pilotcli import QueryFinishEvent

    class Stops(QueryFinishEvent):
        done = False

        def process(self, db_controller, data_manager):
            if self.done:
                return
            self.done = True
            ask = (
                "SELECT pid FROM pg_stat_activity WHERE query LIKE '%hangs%' "
                "AND state = 'active' AND pid <> pg_backend_pid()"
            )

            def stop():
                while not (found := db_controller.execute(ask, fetch=True)):
                    pass
                Path("stopped").write_text(str(found[0][0]))
                os.kill(found[0][0], signal.SIGSTOP)

            threading.Thread(target=stop, daemon=True).start()
    """


@pytest.fixture
def stopping(project: Project) -> Iterator[Project]:
    """A workload whose second query's server process is stopped while it runs."""
    project.write("ev.py", STOPS)
    project.write("w.sql", "SELECT 1; SELECT 'hangs', pg_sleep(100); SELECT 3;")
    project.config("events: ['ev.py:Stops']\nrun: {max_failures: 5, timeout: 1s}")
    yield project
    stopped = project.folder / "stopped"
    if stopped.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(stopped.read_text()), signal.SIGCONT)


def statuses(project: Project) -> list[tuple[str, int]]:
    with project.journal() as journal:
        return [(one.status, one.attempts) for one in journal.results(journal.run().run_id)]


def test_a_stopped_server_process_ends_one_query_and_no_more(stopping: Project) -> None:
    finished = stopping.run("w.sql")
    assert statuses(stopping) == [("ok", 1), ("timeout", 1), ("ok", 1)]
    assert finished.timeouts == 1
    with stopping.journal() as journal:
        error = list(journal.results(journal.run().run_id))[1].error
    assert error is not None
    assert "time-out of 1 s: the server did not answer, so the connection was cut" in error


def test_ctrl_c_ends_a_query_whose_server_process_is_stopped(stopping: Project) -> None:
    with started(stopping, "--set", "run.timeout=null") as process:
        while not (stopping.folder / "stopped").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert statuses(stopping)[0] == ("ok", 1)
    assert "go on     pilot run --resume 1" in output, output


def server_socket(project: Project) -> str:
    parameters = dict(one.split("=", 1) for one in project.dsn.split())
    return str(Path(parameters["host"]) / f".s.PGSQL.{parameters['port']}")


def through(hole: BlackHole, project: Project) -> str:
    """The project's server by way of the hole."""
    parameters = dict(one.split("=", 1) for one in project.dsn.split())
    parameters |= {"host": "127.0.0.1", "port": str(hole.port)}
    return " ".join(f"{key}={value}" for key, value in parameters.items())


def test_a_network_that_swallows_everything_ends_the_run_resumably(project: Project) -> None:
    with BlackHole(server_socket(project)) as hole:
        project.config("run: {timeout: 1s, reconnect: 1s, max_failures: 5}")
        project.write("w.sql", "SELECT 1; SELECT pg_sleep(0.2); SELECT 3; SELECT 4;")
        dsn = through(hole, project)
        sets = (f"database.dsn={dsn}", "database.connect_timeout=2s")

        def heard(signal: object) -> None:
            project.signals.append(signal)  # type: ignore[arg-type]
            if isinstance(signal, QueryStarted) and signal.query.seq == 2:
                hole.swallows.set()

        finished = run(project.request("w.sql", sets=sets), Bus(heard))
        assert finished.exit_code == 4, finished
        assert "did not come back within 1 s" in finished.reasons[0]
        assert statuses(project) == [("ok", 1), ("timeout", 1)]
        hole.swallows.clear()
        again = run(project.request("w.sql", sets=sets, resume=finished.run_id), Bus(heard))
    assert again.queries == 4
    assert statuses(project) == [("ok", 1), ("timeout", 1), ("ok", 1), ("ok", 1)]


def test_a_lock_that_is_not_given_and_a_long_sleep_end_by_the_time_out(project: Project) -> None:
    with contextlib.closing(psycopg2.connect(project.dsn)) as holder, holder.cursor() as cursor:
        cursor.execute("CREATE TABLE held (n int)")
        holder.commit()
        cursor.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        project.config("run: {timeout: 1s, max_failures: 5}")
        project.write("w.sql", "SELECT count(*) FROM held; SELECT pg_sleep(100); SELECT 3;")
        project.run("w.sql")
        holder.rollback()
        cursor.execute("DROP TABLE held")
        holder.commit()
    assert statuses(project) == [("timeout", 1), ("timeout", 1), ("ok", 1)]


def test_cancelling_holds_up_no_other_thread(project: Project) -> None:
    """psycopg2's own cancel keeps all threads waiting until the server has heard it."""
    from pilotcli.databases.session.libpq import Line

    with (
        BlackHole(server_socket(project)) as hole,
        contextlib.closing(psycopg2.connect(through(hole, project))) as connection,
    ):
        line = Line(connection)
        hole.swallows.set()
        cancelling = threading.Thread(target=line.cancel, daemon=True)
        cancelling.start()
        # This thread goes on, though nobody hears the cancel.
        cancelling.join(0.2)
        assert cancelling.is_alive()
