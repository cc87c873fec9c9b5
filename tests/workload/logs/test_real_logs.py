"""Logs that a real server wrote are replayed, and have the effects that they had there."""

from __future__ import annotations

import csv
import ctypes
import importlib.util
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import server_logs
from pilot_starter import run_pilot
from server_folder import server_folder

from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.embedded.server import EmbeddedServer

pytestmark = pytest.mark.slow

LOGGED = {
    "durations": {"log_min_duration_statement": "0"},
    "statements": {"log_statement": "all", "log_duration": "on"},
    "statements alone": {"log_statement": "all"},
}
START = """
CREATE TABLE accounts (id int PRIMARY KEY, balance numeric NOT NULL, note text, day date);
INSERT INTO accounts SELECT i, 100, NULL, '2026-01-01' FROM generate_series(1, 20) i;
"""
SCRIPT = """
\\set from random(1, 20)
\\set to random(1, 20)
BEGIN;
UPDATE accounts SET balance = balance - :from WHERE id = :from;
UPDATE accounts SET balance = balance + :from WHERE id = :to;
SELECT sum(balance) FROM accounts WHERE id <> :to;
END;
"""
LAST = "the last statement"
PREFIX = "%m [%p] %q%u@%d "
STATE = "SELECT id, balance, note, day FROM accounts ORDER BY id"


LogOf = Callable[[dict[str, str]], tuple[dict[str, Path], list[object]]]


class Libpq:
    """libpq's own functions: its extended protocol, which psycopg2 does not use."""

    def __init__(self, dsn: str) -> None:
        spec = importlib.util.find_spec("psycopg2")
        assert spec is not None and spec.origin is not None
        folders = [Path(spec.origin).parents[1] / "psycopg2_binary.libs"]
        files = [file for folder in folders for file in folder.glob("libpq-*.so*")]
        if not files:
            pytest.skip("psycopg2 has no libpq of its own here")
        self._lib = ctypes.CDLL(str(files[0]))
        self._lib.PQconnectdb.restype = ctypes.c_void_p
        self._lib.PQexecParams.restype = ctypes.c_void_p
        self._connection = ctypes.c_void_p(self._lib.PQconnectdb(dsn.encode()))

    def execute(self, sql: str, *values: str | None) -> None:
        """Send a statement with its values apart."""
        texts = [None if value is None else value.encode() for value in values]
        given = (ctypes.c_char_p * len(values))(*texts)
        result = self._lib.PQexecParams(
            self._connection, sql.encode(), len(values), None, given, None, None, 0
        )
        self._lib.PQclear(ctypes.c_void_p(result))

    def close(self) -> None:
        """Close the connection."""
        self._lib.PQfinish(self._connection)


def work(conninfo: dict[str, object]) -> None:
    """Send statements of many kinds, in several sessions."""
    with (
        psycopg2.connect(**conninfo, application_name="one") as one,
        psycopg2.connect(**conninfo, application_name="two") as two,
        one.cursor() as first,
        two.cursor() as second,
    ):
        # Two sessions, whose transactions overlap.
        first.execute("UPDATE accounts SET note = %s WHERE id = 1", ("it's\n\ta \\ line",))
        second.execute("UPDATE accounts SET note = 'two', day = %s WHERE id = 2", ("2026-02-03",))
        first.execute("DELETE FROM accounts WHERE id = 3; INSERT INTO accounts VALUES (30, 1)")
        one.commit()
        second.execute("SELECT count(*) FROM accounts")
        two.commit()
        # What failed has no effect, nor has its transaction.
        first.execute("UPDATE accounts SET balance = 0")
        with pytest.raises(psycopg2.errors.DivisionByZero):
            first.execute("SELECT 1 / 0 FROM accounts")
        one.rollback()
        first.execute("UPDATE accounts SET note = 'lost' WHERE id = 5")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            first.execute("INSERT INTO accounts VALUES (1, 1)")
        one.commit()  # which the server carries out as ROLLBACK
        first.execute("PREPARE p (int) AS UPDATE accounts SET note = 'p' WHERE id = $1")
        first.execute("EXECUTE p(6)")
        first.execute("DO $$ BEGIN UPDATE accounts SET note = 'do' WHERE id = 7; END $$")
        first.execute("DO $$ BEGIN RAISE LOG 'statement: DELETE FROM accounts'; END $$")
        first.execute("SELECT '\x1f\x7f\u2028\"\r\t/', E'\\b\\\\'")
        one.commit()
    for connection in (one, two):
        connection.close()
    libpq = Libpq(" ".join(f"{key}={value}" for key, value in conninfo.items()))
    update = "UPDATE accounts SET note = $1, day = $2 WHERE id = $3 AND note IS DISTINCT FROM '$1'"
    libpq.execute(update, "it's $2, 'a\\b'", "2026-03-04", "8")
    libpq.execute(update, None, None, "9")
    libpq.execute("UPDATE accounts SET balance = balance / $1 WHERE id = $2", "3", "10")
    libpq.execute("UPDATE accounts SET balance = 1 / $1::int", "0")  # fails
    libpq.close()


def pgbench(folder: Path, conninfo: dict[str, object]) -> None:
    """Run pgbench with each protocol; transactions of one client do not overlap."""
    script = folder / "script.sql"
    script.write_text(SCRIPT)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    environment = {names[key]: str(value) for key, value in conninfo.items() if key in names}
    for protocol in ("simple", "extended", "prepared"):
        subprocess.run(
            [find_binaries().folder / "pgbench", "-n", "-t5", "-M", protocol, "-f", script],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
        )


@pytest.fixture
def log_of() -> Iterator[LogOf]:
    """A function that runs the work on a server with these settings: its logs, and the tables."""
    with server_folder() as folder:

        def run(settings: dict[str, str]) -> tuple[dict[str, Path], list[object]]:
            destination = "csvlog,jsonlog,stderr"
            server = EmbeddedServer.acquire(
                folder / ".pilot",
                settings={
                    "logging_collector": "on",
                    "log_min_messages": "warning",  # the default; pilot's own logs no errors
                    "log_destination": destination,
                    "log_filename": "monday.log",
                    "log_line_prefix": PREFIX,
                    **settings,
                },
            )
            try:
                conninfo = dict(server.conninfo("postgres"))
                with psycopg2.connect(**conninfo) as connection, connection.cursor() as cursor:
                    cursor.execute("SET log_statement = 'none'")
                    cursor.execute("SET log_min_duration_statement = -1; SET log_duration = off")
                    cursor.execute(START)
                connection.close()
                work(conninfo)
                pgbench(folder, conninfo)
                with psycopg2.connect(**conninfo) as connection, connection.cursor() as cursor:
                    cursor.execute(STATE)
                    state = cursor.fetchall()
                    cursor.execute(f"SELECT '{LAST}'")
                connection.close()
                folder_of_logs = server.place.data_dir / "log"
                logs = {file.suffix: file for file in folder_of_logs.iterdir()}
                deadline = time.monotonic() + 60  # the server writes its logs by a process apart
                while any(LAST not in file.read_text("utf-8") for file in logs.values()):
                    assert time.monotonic() < deadline, "the logs are not written to their end"
                    time.sleep(0.01)
                return logs, state
            finally:
                server.release()

        yield run


def test_the_logs_of_tests_are_written_as_the_server_writes_them(log_of: LogOf) -> None:
    logs, _ = log_of(LOGGED["durations"])
    texts = {kind: file.read_bytes().decode() for kind, file in logs.items()}
    entries = csv.reader(io.StringIO(texts[".csv"], newline="\n"), strict=True)
    rows = [dict(zip(server_logs.COLUMNS, entry, strict=True)) for entry in entries]
    assert len(rows) > 100
    assert server_logs.csvlog_of(rows) == texts[".csv"]
    assert server_logs.jsonlog_of(rows) == texts[".json"]
    assert server_logs.textlog_of(rows, PREFIX) == texts[".log"]


@pytest.mark.parametrize("logged", LOGGED)
def test_a_replayed_log_has_the_effects_that_it_had(
    logged: str, log_of: LogOf, tmp_path: Path
) -> None:
    logs, state = log_of(LOGGED[logged])
    found = {}
    for kind, file in sorted(logs.items()):
        workload = tmp_path / f"{kind}.jsonl"
        words = ("workloads", "from-log", str(file), "-o", str(workload))
        made = run_pilot(*words, cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        rows = [json.loads(line) for line in workload.read_bytes().splitlines()]
        found[kind] = sorted(row["sql"] for row in rows)
    assert found[".csv"] == found[".json"] == found[".log"]
    # Once by the file that was made of it, once as it is.
    for place, path in enumerate([tmp_path / ".csv.jsonl", logs[".csv"]]):
        assert replayed(path, tmp_path / str(place)) == state


def replayed(workload: Path, folder: Path) -> list[object]:
    """The table after a replay on a fresh server with the same start."""
    folder.mkdir()
    (folder / "start.sql").write_text(START)
    with server_folder() as home:
        (folder / "pilot.yaml").write_text(
            f"home: {home}/.pilot\ndatabase: {{setup: [start.sql]}}\n"
        )
        done = run_pilot("run", str(workload), "--format", "plain", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        server = EmbeddedServer.acquire(home / ".pilot")
        try:
            connection = psycopg2.connect(**server.conninfo("pilot"))
            with connection, connection.cursor() as cursor:
                cursor.execute(STATE)
                rows = list(cursor.fetchall())
            connection.close()
            return rows
        finally:
            server.release()
