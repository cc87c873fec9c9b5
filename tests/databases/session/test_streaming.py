"""Results of any size: a session that keeps the first rows and counts the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from project_folder import Project

from pilotcli.common.errors import DatabaseError, PilotError
from pilotcli.databases.protocols import Session, Target
from pilotcli.databases.session import watchdog
from pilotcli.storage.store.data_manager import DataManager

pytestmark = pytest.mark.slow

ALIKE = (
    "SELECT 1, 2.50::numeric, 'ä', NULL, true, 1.5::float8",
    "SELECT '{1,2,NULL}'::int[], ARRAY['a', NULL], '2020-02-29'::date, 'infinity'::timestamptz",
    "SELECT '{\"a\": [1]}'::jsonb, length('abc'::bytea), interval '1 day 02:03', 'NaN'::float8",
    "SELECT g, repeat('x', g) FROM generate_series(1, 2500) AS g",
    "SELECT FROM generate_series(1, 3)",
    "SELECT 1 AS a, 2 AS a WHERE false",
    "SELECT 1; SELECT 2, 3; SELECT 'last'",
    "SELECT 1; CREATE TEMP TABLE one (n int)",
    "CREATE TEMP TABLE kept (n int, t text DEFAULT 'x'); INSERT INTO kept SELECT 1 RETURNING *",
    "INSERT INTO kept SELECT generate_series(1, 3000) RETURNING n",
    "UPDATE kept SET n = 0 WHERE n > 10",
    "COPY kept TO STDOUT",
    "SELECT 1; COPY kept TO STDOUT",
    "COPY kept FROM STDIN; SELECT 1",
    "SELECT 1 / 0",
    "SELECT 1; SELECT 1 / (g - 1500) FROM generate_series(1, 3000) AS g",
    "SELEC 1",
    "SELECT * FROM kep",
    "BEGIN; SELECT 1 / 0",
    "SELECT 2",
    "ROLLBACK",
    "-- nothing",
    "",
    "SELECT 'a\0b'",
    "SELECT '\ud800'",
    "DO $$ BEGIN RAISE NOTICE 'told'; END $$",
    "EXPLAIN (FORMAT JSON) SELECT 1",
    "SHOW search_path",
)


@pytest.fixture
def both(target: Target) -> Iterator[tuple[Session, Session]]:
    sessions = target.session(timeout_s=30), target.session(timeout_s=30, max_rows=10_000)
    yield sessions
    for one in sessions:
        one.close()


def came_of(session: Session, sql: str) -> object:
    try:
        rows = session.execute(sql)
    except PilotError as error:
        return type(error), getattr(error, "sqlstate", None)
    return [repr(row) for row in rows.rows], rows.row_count, rows.columns


def test_results_are_those_of_an_ordinary_session(both: tuple[Session, Session]) -> None:
    plain, streaming = both
    for sql in ALIKE:
        assert came_of(streaming, sql) == came_of(plain, sql), sql
        assert streaming.in_transaction == plain.in_transaction, sql


def test_errors_are_told_alike(both: tuple[Session, Session]) -> None:
    for sql in ("SELECT 1 / 0", "SELECT lenght('a')", "SELECT pg_input_error_info(1)"):
        told = []
        for session in both:
            with pytest.raises(PilotError) as caught:
                session.execute(sql)
            told.append((type(caught.value), caught.value.message, caught.value.hint))
        assert told[0] == told[1]


def test_notices_arrive_with_their_statement(target: Target) -> None:
    session = target.session(max_rows=1)
    session.listen()  # type: ignore[attr-defined]
    session.execute("DO $$ BEGIN RAISE NOTICE 'told'; END $$")
    assert session.take_notices() == ["NOTICE:  told\n"]  # type: ignore[attr-defined]
    session.close()


def test_a_time_out_and_a_lost_connection_are_what_they_are(target: Target) -> None:
    from pilotcli.common.errors import QueryTimeout

    session, other = target.session(timeout_s=0.5, max_rows=1), target.session()
    with pytest.raises(QueryTimeout):
        session.execute("SELECT pg_sleep(100)")
    ((pid,),) = session.execute("SELECT pg_backend_pid()").rows
    other.execute(f"SELECT pg_terminate_backend({pid})")
    gone = f"SELECT FROM pg_stat_activity WHERE pid = {pid}"
    while other.execute(gone).rows:
        pass
    with pytest.raises(DatabaseError, match="was lost"):
        session.execute("SELECT 1")
    assert session.closed
    other.close()


def test_rows_beyond_the_limit_are_counted_and_not_kept(project: Project) -> None:
    project.write("w.sql", "SELECT g FROM generate_series(1, 300000) AS g; SELECT 1;")
    project.config("collect: {table: kept, records: true, max_rows: 3}")
    assert project.run("w.sql").exit_code == 0
    with project.journal() as journal:
        assert [one.row_count for one in journal.results(1)] == [300_000, 1]
    config = project.request("w.sql").config
    from pilotcli.config import PostgreSQLConfig

    with DataManager(PostgreSQLConfig.from_run_config(config, embedded=False)) as manager:
        frame = manager.read_all("kept")
    assert frame["records"].tolist() == [[[1], [2], [3]], [[1]]]
    assert frame["row_count"].tolist() == [300_000, 1]


def test_a_table_is_needed_only_to_store(project: Project) -> None:
    project.write("w.sql", "SELECT g FROM generate_series(1, 5000) AS g;")
    project.config("collect: {max_rows: 0}")
    assert project.run("w.sql").exit_code == 0
    with project.journal() as journal:
        assert next(iter(journal.results(1))).row_count == 5000
    with pytest.raises(PilotError, match=r"collect\.table is missing"):
        project.request("w.sql", sets=("collect.records=true",))


def test_a_result_that_is_too_large_ends_its_query_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "MOST_GROWTH_BYTES", 100 << 20)
    monkeypatch.setattr(watchdog, "TICK_S", 0.01)
    project.write("w.sql", "SELECT repeat('x', 1000) FROM generate_series(1, 100000000); SELECT 1;")
    project.config("run: {max_failures: 1}")
    finished = project.run("w.sql")
    assert (finished.ok, finished.errors) == (1, 1)
    with project.journal() as journal:
        error = next(iter(journal.results(1))).error
    assert error is not None and "GiB while it read the result" in error
