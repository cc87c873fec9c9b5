"""What a session promises, held against every server there is."""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from pilotcli.common.errors import DatabaseError, QueryCancelled, QueryError, QueryTimeout
from pilotcli.common.records import CopyData
from pilotcli.common.value_texts import as_sent
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget


def test_a_statement_is_not_cancelled_by_the_time_out_of_the_one_before(
    shared_target: PostgresTarget,
) -> None:
    """PostgreSQL does that to one in a hundred statements that follow one which ends just in time.
    The number of rows is always that which just fits into the time-out."""
    session = shared_target.session(timeout_s=0.004)
    rows, ended, cancelled = 1000.0, 0, 0
    for number in range(400):
        sql = f"SELECT {number}, (SELECT count(*) FROM generate_series(1, {int(rows)}))"
        try:
            assert session.execute(sql).rows == [(number, int(rows))]
            ended += 1
            rows *= 1.01 if cancelled else 1.2
        except QueryTimeout:
            cancelled += 1
            rows *= 0.99
    session.close()
    assert ended > 10 and cancelled > 10


def test_a_driver_s_time_out_cancels_no_statement_after_it(shared_target: PostgresTarget) -> None:
    session = shared_target.session()
    session.execute("SET statement_timeout = 20")
    rows, ended, began = 1000.0, 0, 0.0
    for number in range(80):
        sql = f"SELECT {number}, (SELECT count(*) FROM generate_series(1, {int(rows)}))"
        try:
            began = time.monotonic()
            assert session.execute(sql).rows == [(number, int(rows))]
            ended += 1
            rows *= 1.2 if ended == number + 1 else 1.01
        except QueryCancelled:
            assert time.monotonic() - began >= 0.02
            rows *= 0.99
    session.close()
    assert 0 < ended < 80


def test_rows_columns_and_count(session: PostgresSession) -> None:
    found = session.execute("SELECT g AS n, 'x' || g AS label FROM generate_series(1, 3) g")
    assert list(found.rows) == [(1, "x1"), (2, "x2"), (3, "x3")]
    assert list(found.columns) == ["n", "label"]
    assert found.row_count == 3


def test_changed_rows_are_counted(session: PostgresSession) -> None:
    session.execute("CREATE TABLE t (a int)")
    assert session.execute("INSERT INTO t SELECT generate_series(1, 7)").row_count == 7
    found = session.execute("UPDATE t SET a = a + 1 WHERE a > 5")
    assert (found.row_count, list(found.rows), list(found.columns)) == (2, [], [])


def test_percent_signs_are_no_parameters(session: PostgresSession) -> None:
    assert session.execute("SELECT 'a%' LIKE '%s'").rows == [(False,)]


@pytest.mark.parametrize("sql", ["", "  ", ";", "-- nothing", "/* a /* b */ c */ ;"])
def test_an_empty_statement_returns_nothing(session: PostgresSession, sql: str) -> None:
    found = session.execute(sql)
    assert (list(found.rows), found.row_count) == ([], None)


def test_several_statements_give_the_last_result(session: PostgresSession) -> None:
    assert session.execute("SET LOCAL work_mem = '1MB'; SELECT 1; SELECT 2").rows == [(2,)]


def test_settings_of_a_multi_statement_do_not_leak(session: PostgresSession) -> None:
    inside = session.execute("SET LOCAL work_mem = '1MB'; SHOW work_mem").rows
    assert (inside, session.execute("SHOW work_mem").rows) == ([("1MB",)], [("4MB",)])


def test_a_refused_statement(session: PostgresSession) -> None:
    with pytest.raises(QueryError, match='relation "nothing_here" does not exist') as caught:
        session.execute("SELECT * FROM nothing_here")
    assert caught.value.sqlstate == "42P01"
    assert not session.closed
    assert session.execute("SELECT 1").rows == [(1,)]


def test_the_detail_and_the_hint_of_an_error_are_kept(session: PostgresSession) -> None:
    with pytest.raises(QueryError, match=r"what \(why\)") as caught:
        session.execute("DO $$BEGIN RAISE 'what' USING DETAIL = 'why', HINT = 'how'; END$$")
    assert caught.value.hint == "how"


def test_a_character_zero_is_refused_not_cut_off(session: PostgresSession) -> None:
    session.execute("CREATE TABLE t (a int)")
    with pytest.raises(QueryError, match="code 0"):
        session.execute("INSERT INTO t VALUES (1)\0, (2)")
    assert session.execute("SELECT count(*) FROM t").rows == [(0,)]


def test_what_cannot_be_encoded_is_an_error(session: PostgresSession) -> None:
    with pytest.raises(QueryError, match="surrogates"):
        session.execute("SELECT '\udc80'")


def test_a_timeout(shared_target: PostgresTarget) -> None:
    session = shared_target.session(timeout_s=0.3)
    with pytest.raises(QueryTimeout, match=r"0\.3 s") as caught:
        session.execute("SELECT pg_sleep(10)")
    assert caught.value.sqlstate == "57014"
    assert session.execute("SELECT 1").rows == [(1,)]
    session.close()


def test_reset_all_of_a_workload_keeps_the_timeout(shared_target: PostgresTarget) -> None:
    session = shared_target.session(timeout_s=0.3)
    session.execute("RESET ALL")
    with pytest.raises(QueryTimeout):
        session.execute("SELECT pg_sleep(10)")
    session.close()


def test_a_cancel_is_no_timeout(shared_target: PostgresTarget) -> None:
    session = shared_target.session(timeout_s=60)
    watcher = shared_target.session()
    pid = session.execute("SELECT pg_backend_pid()").rows[0][0]
    canceller = threading.Thread(target=_cancel_when_busy, args=(watcher, pid, session))
    canceller.start()
    with pytest.raises(QueryCancelled):
        session.execute("SELECT pg_sleep(30)")
    canceller.join()
    assert session.execute("SELECT 1").rows == [(1,)]
    session.close()
    watcher.close()


def _cancel_when_busy(watcher: PostgresSession, pid: int, session: PostgresSession) -> None:
    _wait_until_busy(watcher, pid)
    session.cancel()


def _wait_until_busy(watcher: PostgresSession, pid: int) -> None:
    give_up_at = time.monotonic() + 60
    busy = f"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = {pid}"
    while watcher.execute(busy).rows != [(True,)]:
        assert time.monotonic() < give_up_at


def test_somebody_elses_cancel_is_no_timeout(shared_target: PostgresTarget) -> None:
    session = shared_target.session(timeout_s=60)
    watcher = shared_target.session()
    pid = session.execute("SELECT pg_backend_pid()").rows[0][0]

    def cancel() -> None:
        _wait_until_busy(watcher, pid)
        watcher.execute(f"SELECT pg_cancel_backend({pid})")

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(QueryCancelled):
        session.execute("SELECT pg_sleep(30)")
    canceller.join()
    session.close()
    watcher.close()


def test_a_lost_connection_of_a_foreign_server_is_an_error_of_the_query(
    session: PostgresSession,
) -> None:
    """postgres_fdw and dblink raise it when the other server cannot be reached."""
    with pytest.raises(QueryError, match="no other server"):
        session.execute("DO $$ BEGIN RAISE 'no other server' USING ERRCODE = '08001'; END $$")
    assert session.execute("SELECT 1").rows == [(1,)]


def test_a_lost_connection(shared_target: PostgresTarget) -> None:
    session, other = shared_target.session(), shared_target.session()
    pid = session.execute("SELECT pg_backend_pid()").rows[0][0]
    other.execute(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(DatabaseError, match="was lost"):
        session.execute("SELECT 1")
    assert session.closed
    with pytest.raises(DatabaseError, match="was lost"):
        session.execute("SELECT 1")
    session.cancel()
    session.rollback()
    other.close()


def test_transaction_flags(session: PostgresSession) -> None:
    assert (session.in_transaction, session.transaction_failed) == (False, False)
    session.execute("BEGIN")
    assert (session.in_transaction, session.transaction_failed) == (True, False)
    with pytest.raises(QueryError):
        session.execute("SELECT 1/0")
    assert (session.in_transaction, session.transaction_failed) == (True, True)
    session.rollback()
    assert (session.in_transaction, session.transaction_failed) == (False, False)
    session.rollback()


def test_explain_does_not_run_the_statement(session: PostgresSession) -> None:
    session.execute("CREATE TABLE t (a int)")
    plan = session.explain("INSERT INTO t VALUES (1)")
    assert plan["Plan"]["Node Type"] == "ModifyTable"
    assert session.execute("SELECT count(*) FROM t").rows == [(0,)]


def test_copy_in_reads_only_its_slice(session: PostgresSession, tmp_path: Path) -> None:
    file = tmp_path / "data.sql"
    file.write_bytes(b"before\n1\tone\n2\ttwo\nafter\n")
    session.execute("CREATE TABLE t (a int, b text)")
    copy = CopyData(file, offset=7, size_bytes=len(b"1\tone\n2\ttwo\n"))
    assert session.execute("-- load\nCOPY t FROM STDIN", copy).row_count == 2
    assert session.execute("SELECT * FROM t ORDER BY 1").rows == [(1, "one"), (2, "two")]


def test_copy_in_that_fails(session: PostgresSession, tmp_path: Path) -> None:
    file = tmp_path / "data.sql"
    file.write_bytes(b"one\n")
    session.execute("CREATE TABLE t (a int)")
    with pytest.raises(QueryError, match=r'invalid input syntax.*COPY t, line 1, column a: "one"'):
        session.execute("COPY t FROM STDIN", CopyData(file, 0, 4))
    assert session.execute("SELECT count(*) FROM t").rows == [(0,)]


def test_copy_without_data_loads_nothing(session: PostgresSession) -> None:
    session.execute("CREATE TABLE t (a int)")
    assert session.execute("COPY t FROM STDIN").row_count == 0


@pytest.mark.parametrize("lead", ["", "/* x /* y */ */ ", "-- x\n", "\n ; "])
def test_copy_out_counts_rows(session: PostgresSession, lead: str) -> None:
    found = session.execute(f"{lead}copy (SELECT generate_series(1, 5)) TO STDOUT")
    assert found.row_count == 5


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("'294276-01-01'::date", "294276-01-01"),
        ("'4713-01-01 BC'::date", "4713-01-01 BC"),
        ("'0044-03-15 12:00 BC'::timestamp", "0044-03-15 12:00:00 BC"),
        ("'12000-01-01'::timestamptz", "12000-01-01 00:00:00+00"),
        ("interval '2000000000 days'", "2000000000 days"),
        ("interval '178000000 years'", "178000000 years"),
        ("array['294276-01-01'::date]", "{294276-01-01}"),
        ("array['infinity'::date]", "{infinity}"),
        ("'infinity'::date", "infinity"),
        ("'-infinity'::timestamptz", "-infinity"),
        ("'24:00'::time", "24:00:00"),
        ("array['24:00'::time]", "{24:00:00}"),
        ("interval '1 month'", "1 mon"),
        ("interval '25 hours'", "25:00:00"),
        ("array[interval '1 year 2 hours']", '{"1 year 02:00:00"}'),
        ("lower(daterange('0044-03-15 BC', null))", "0044-03-15 BC"),
        ("json '9" + 5000 * "9" + "'", "9" + 5000 * "9"),
        ("interval '-1 day 2 hours'", "-1 days +02:00:00"),
        ("interval '-2 days 22 hours'", "-2 days +22:00:00"),
        ("array[interval '-1 day 2 hours']", '{"-1 days +02:00:00"}'),
        ("'[2:3]={1,2}'::int[]", "[2:3]={1,2}"),
        ("'[0:1]={a,b}'::text[]", "[0:1]={a,b}"),
        ("'[0:0]={2024-01-01}'::date[]", "[0:0]={2024-01-01}"),
        ("'[0:0]={1}'::json[]", "[0:0]={1}"),
        ('json \'{"a": 1, "a": 2}\'', '{"a": 1, "a": 2}'),
        ("json '\"\\ud800\"'", '"\\ud800"'),
        ("array[json '\"\\ud800\"']", '{"\\"\\\\ud800\\""}'),
        ("(repeat('[', 900) || repeat(']', 900))::jsonb", 900 * "[" + 900 * "]"),
        ("(repeat('[', 5000) || repeat(']', 5000))::json", 5000 * "[" + 5000 * "]"),
    ],
)
def test_what_python_cannot_hold_comes_as_text(
    session: PostgresSession, sql: str, text: str
) -> None:
    session.execute("SET timezone = 'UTC'")
    assert session.execute(f"SELECT {sql}, 1").rows == [(text, 1)]


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_numbers_in_json_keep_their_digits(session: PostgresSession, kind: str) -> None:
    text = (
        "[0.1, 1.50, 1e-400, 0.12345678901234567890123, 3.3333333333333333, 12345678901234567890]"
    )
    (value,) = session.execute(f"SELECT '{text}'::{kind}").rows[0]
    assert [type(item) for item in value] == [float, float, Decimal, Decimal, Decimal, int]
    assert value[2:4] == [Decimal("1e-400"), Decimal("0.12345678901234567890123")]
    assert session.execute(f"SELECT array['{text}'::{kind}]").rows == [([value],)]


def test_a_range_with_a_bound_that_python_cannot_hold(session: PostgresSession) -> None:
    found = session.execute("SELECT daterange('0044-03-15 BC', '2000-01-01')").rows[0][0]
    assert (found.lower, found.upper) == ("0044-03-15 BC", datetime.date(2000, 1, 1))


def test_ordinary_values_keep_their_types(session: PostgresSession) -> None:
    found = session.execute(
        "SELECT date '2024-02-29', timestamp '2024-02-29 12:00', interval '1 day',"
        " array[date '2024-02-29'], json '{\"a\": [1]}', null::date"
    )
    day = datetime.date(2024, 2, 29)
    noon = datetime.datetime(2024, 2, 29, 12)
    assert found.rows == [(day, noon, datetime.timedelta(1), [day], {"a": [1]}, None)]


def test_session_settings_hold_for_each_session(shared_target: PostgresTarget) -> None:
    shared_target.config.session_settings = {  # type: ignore[attr-defined]
        "work_mem": "7MB",
        "search_path": "a, pg_catalog",
    }
    try:
        session = shared_target.session()
        assert session.execute("SHOW work_mem").rows == [("7MB",)]
        assert session.execute("SHOW search_path").rows == [("a, pg_catalog",)]
        session.close()
    finally:
        shared_target.config.session_settings = {}  # type: ignore[attr-defined]


def test_the_version_is_the_servers(shared_target: PostgresTarget) -> None:
    session = shared_target.session()
    said = session.execute("SHOW server_version").rows[0][0]
    session.close()
    assert said.split()[0] == shared_target.server_version
    assert shared_target.server_version in shared_target.description


def test_a_statement_ends_with_the_process_that_asked_for_it(
    target: PostgresTarget, session: PostgresSession
) -> None:
    program = """
import pathlib, sys
from pilotcli.databases.session.connection import Server
from pilotcli.databases.target import PostgresTarget
from pilotcli.config import PostgreSQLConfig
dsn = dict(pair.split("=", 1) for pair in sys.argv[2].split())
made = PostgresTarget(PostgreSQLConfig(home=pathlib.Path(sys.argv[1])), Server(dsn), name="")
asking = made.session()
print(asking.connection.info.backend_pid, flush=True)
asking.execute("SELECT pg_sleep(600)")
"""
    parameters = session.connection.get_dsn_parameters()
    if major_of(target.server_version) < 14:
        pytest.skip("the server cannot do it")
    dsn = " ".join(f"{key}={parameters[key]}" for key in ("host", "port", "user", "dbname"))
    command = [sys.executable, "-c", program, str(target.config.home), dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pilot:
        assert pilot.stdout is not None
        backend = int(pilot.stdout.readline())
        asks = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND state = 'active'"
        while session.execute(asks).rows != [(1,)]:
            assert pilot.poll() is None
        pilot.kill()
    there = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}"
    # A sleep of the server's, not ours: a tenth of the statement's own time is given up on.
    for _ in range(600):
        if session.execute(there).rows == [(0,)]:
            return
        session.execute("SELECT pg_sleep(0.1)")
    pytest.fail("the statement runs on")


@pytest.mark.parametrize("source", ["database.session", "the role"])
def test_a_date_style_holds_from_the_first_statement_on(
    shared_target: PostgresTarget, session: PostgresSession, source: str
) -> None:
    """psycopg2 makes it ISO as it connects, and RESET ALL of a workload takes that back."""
    asked = "SELECT current_setting('DateStyle'), '05/04/2020'::date::text"
    if source == "the role":
        session.execute("ALTER ROLE CURRENT_USER SET DateStyle = 'SQL, DMY'")
    else:
        shared_target.config.session_settings = {  # type: ignore[attr-defined]
            "datestyle": "SQL, DMY"
        }
    try:
        opened = shared_target.session()
        assert opened.execute(asked).rows == [("SQL, DMY", "05/04/2020")]
        opened.execute("RESET ALL")
        assert opened.execute(asked).rows == [("SQL, DMY", "05/04/2020")]
        assert opened.execute("SELECT '05/04/2020'::date").rows == [("05/04/2020",)]
        opened.close()
    finally:
        shared_target.config.session_settings = {}  # type: ignore[attr-defined]
        session.execute("ALTER ROLE CURRENT_USER RESET DateStyle")


MOMENTS = (
    "SELECT interval '1 year 2 mons 3 days 04:05:06.7', interval '-1 day', time '12:30', "
    "timestamptz '2024-02-29 12:00:00.5+00', date '2024-02-03', array[interval '1 day 2 hours']"
)


@pytest.mark.parametrize("style", ["postgres", "postgres_verbose", "sql_standard", "iso_8601"])
@pytest.mark.parametrize("dates", ["ISO", "SQL, DMY", "German", "Postgres, MDY"])
def test_values_are_kept_as_they_were_sent(
    session: PostgresSession, style: str, dates: str
) -> None:
    session.execute(f"SET intervalstyle = '{style}'; SET datestyle = '{dates}'")
    (values,) = session.execute(MOMENTS).rows
    texts = MOMENTS.removeprefix("SELECT ")
    (expected,) = session.execute(f"SELECT (v.*)::text FROM (SELECT {texts}) AS v").rows[0]
    unquoted = expected.replace('"', "").replace("\\", "")
    assert unquoted == "(" + ",".join(map(as_sent, values)).replace('"', "") + ")"


def test_what_is_collected_is_the_server_s_text(session: PostgresSession) -> None:
    found = session.execute(
        "SELECT '\\x00ff'::bytea, array['\\x01'::bytea], interval '1 day 00:00:01.5', "
        "tsrange('2024-01-01', '2024-01-02 12:00'), int4range(1, 5), 'empty'::int4range"
    )
    assert [as_sent(value) for value in found.rows[0]] == [
        "\\x00ff",
        '{"\\\\x01"}',
        "1 day 00:00:01.5",
        '["2024-01-01 00:00:00","2024-01-02 12:00:00")',
        "[1,5)",
        "empty",
    ]
