"""Statements that a server has counted become a workload: `pilot workloads from-server`."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from project_folder import PILOT
from steered import KINDS, postgres_bin

from pilotcli.common.errors import CapabilityError
from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.stat_statements import read_stat_statements

pytestmark = pytest.mark.slow

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",  # also what functions run inside
}
SHOP = """
CREATE SCHEMA "Odd schema";
CREATE EXTENSION pg_stat_statements SCHEMA "Odd schema";
CREATE ROLE ann LOGIN;
CREATE TABLE items AS SELECT n AS id, 'kind ' || n % 7 AS kind FROM generate_series(1, 1000) n;
GRANT ALL ON items TO ann;
CREATE VIEW slow AS SELECT count(*) FROM generate_series(1, 1000000);
CREATE FUNCTION inner_work() RETURNS int LANGUAGE sql VOLATILE
    AS 'SELECT max(id) FROM items AS inside';
"""


@dataclass
class Counted:
    """A server that counts statements, with a database `shop`, and a folder with its config."""

    conninfo: dict[str, Any]
    folder: Path
    tells_inner: bool
    """Whether the server says which statements functions have run; 13 does not."""

    def send(self, *statements: str, user: str | None = None, database: str = "shop") -> None:
        """Send statements, each for itself."""
        place = {**self.conninfo, "dbname": database}
        connection = psycopg2.connect(**place, **({"options": f"-c role={user}"} if user else {}))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def reset(self) -> None:
        self.send('SELECT "Odd schema".pg_stat_statements_reset()')

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `pilot workloads from-server words...`, which writes w.jsonl."""
        return subprocess.run(
            [PILOT, "workloads", "from-server", "-o", "w.jsonl", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """The lines that the command writes."""
        done = self.command(*words)
        assert done.returncode == 0, done.stderr
        lines = (self.folder / "w.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def dsn(self, database: str = "shop") -> str:
        place = {**self.conninfo, "dbname": database}
        return " ".join(f"{key}={value}" for key, value in place.items())


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest,
    make_home: Callable[[], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Counted]:
    config = PostgreSQLConfig(home=make_home())
    config.postgres_bin = postgres_bin(request.param)
    config.server_settings = SETTINGS
    target = open_target(config)
    session = target.session()
    assert isinstance(session, PostgresSession)
    parameters = session.connection.get_dsn_parameters()
    tells_inner = session.connection.server_version >= 140000
    session.close()
    conninfo = {key: parameters[key] for key in ("host", "port", "user")}
    made = Counted(conninfo, tmp_path_factory.mktemp("counted"), tells_inner)
    made.send("CREATE DATABASE shop", "CREATE DATABASE bare", database="postgres")
    made.send(SHOP)
    (made.folder / "pilot.yaml").write_text(
        f"home: .pilot\ndatabase: {{dsn: '{made.dsn()}'}}\n", "utf-8"
    )
    yield made
    target.close()


COUNT, SLOW, KINDS_OF = "SELECT count(*) FROM items", "TABLE slow", "SELECT kind FROM items"
WRITE = "UPDATE items SET kind = lower(kind)"


@pytest.fixture(scope="module")
def worked(server: Counted) -> Counted:
    """The server after some work of two users in two databases."""
    server.reset()
    server.send(*[COUNT] * 3, SLOW, WRITE, "BEGIN", "SELECT kind FROM items WHERE id = 4", "COMMIT")
    server.send("SELECT inner_work()", COUNT, KINDS_OF, user="ann")
    server.send("SELECT max(datname) FROM pg_database", database="postgres")
    return server


def of_the_work(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what pilot itself has sent on its way in."""
    return [row for row in rows if not row["sql"].startswith(("SET ", "SHOW ", "RESET "))]


def test_what_took_most_time_comes_first(worked: Counted) -> None:
    rows = of_the_work(worked.rows())
    found = {(row["sql"], row["database"], row["user"]): row for row in rows}
    admin = worked.conninfo["user"]
    assert {key[:2] for key in found} >= {(SLOW, "shop"), (KINDS_OF, "shop"), (WRITE, "shop")}
    assert ("SELECT max(datname) FROM pg_database", "postgres", admin) in found
    assert ("SELECT inner_work()", "shop", "ann") in found
    assert found[COUNT, "shop", admin]["weight"] == 3
    assert found[COUNT, "shop", "ann"]["weight"] == 1
    spent = [row["weight"] * row["duration_s"] for row in rows]
    assert spent == pytest.approx(sorted(spent, reverse=True), abs=1e-4)
    texts = [row["sql"] for row in rows]
    assert texts.index(SLOW) < texts.index(KINDS_OF)
    assert len({row["label"] for row in rows}) == len(rows)
    assert not [text for text in texts if "$1" in text or "BEGIN" in text]
    assert worked.tells_inner != any("inside" in text for text in texts)
    assert not [text for text in texts if "pg_stat_statements" in text]


def test_what_is_left_out_is_counted(worked: Counted) -> None:
    done = worked.command("--where", "database = shop", "--select-only")
    assert done.returncode == 0
    assert "which took " in done.stdout
    assert "left out: 1 statement with $1, whose values only a log of" in done.stderr
    assert "by --where, --min-duration or --select-only" in done.stderr
    assert "that use pg_stat_statements itself" in done.stderr
    assert "several databases: shop" in worked.command().stderr


def test_the_choice_is_that_of_logs(worked: Counted) -> None:
    assert {row["user"] for row in worked.rows("--where", "user = ann")} == {"ann"}
    others = worked.rows("--where", "database != shop", "--where", "user != ann")
    assert "shop" not in {row["database"] for row in others}
    assert WRITE not in [row["sql"] for row in worked.rows("--select-only")]
    assert not worked.command("--min-duration", "1h").stdout
    (count,) = [row for row in worked.rows("--distinct") if row["sql"] == COUNT]
    assert count["weight"] == 4
    refused = worked.command("--where", "application = web")
    assert refused.returncode == 2
    assert "--where: pg_stat_statements has no application" in refused.stderr


def test_the_workload_runs(worked: Counted) -> None:
    worked.rows("--where", "database = shop", "--where", "user = ann")
    done = subprocess.run(
        [PILOT, "run", "w.jsonl", "--format", "plain"],
        cwd=worked.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_values_are_made_up(server: Counted) -> None:
    server.reset()
    server.send("SELECT kind FROM items WHERE id = 7", "SELECT id + 3 FROM items")
    server.send("UPDATE items SET kind = 'kind 9' WHERE id = 5000", COUNT)
    words = ("--fill", "--seed", "3", "--where", "database = shop")
    done = server.command(*words)
    assert done.returncode == 0, done.stderr
    assert "made up: the values of 1 statement, from rows of the tables" in done.stderr
    assert "left out: 1 statement with $1 in a function, a sum, or" in done.stderr
    assert "with $1, that write, lock or are no queries" in done.stderr  # and a SET of pilot's own
    lines = (server.folder / "w.jsonl").read_text("utf-8").splitlines()
    rows = {row["sql"]: row for row in map(json.loads, lines)}
    assert "values" not in rows[COUNT]
    (filled,) = [row for row in rows.values() if row.get("values") == "sampled"]
    assert filled["sql"].startswith("SELECT kind FROM items WHERE id = '")
    again = of_the_work(server.rows(*words))  # pilot's own queries for values are not among them
    assert {row["sql"] for row in again} == {filled["sql"], COUNT}
    assert "made up: the values of 1 statement," in server.command(*words).stderr
    assert filled["sql"] not in [row["sql"] for row in server.rows(*words, "--anonymize")]


def test_a_role_that_may_not_see_all_texts(worked: Counted) -> None:
    worked.send('GRANT USAGE ON SCHEMA "Odd schema" TO ann')
    dsn = f"{worked.dsn()} options='-c role=ann'"
    done = worked.command("--set", f"database.dsn={dsn}")
    assert done.returncode == 0, done.stderr
    assert "of other users, whose texts only a role with pg_read_all_stats sees" in done.stderr
    rows = [json.loads(line) for line in (worked.folder / "w.jsonl").read_text().splitlines()]
    assert {row["user"] for row in rows} == {"ann"}
    assert "<insufficient privilege>" not in [row["sql"] for row in rows]


def reading(config: PostgreSQLConfig, *first: str) -> str:
    """The message and the hint of a refusal to read the statistics, after some statements."""
    with (
        contextlib.closing(open_target(config)) as target,
        contextlib.closing(target.session()) as session,
    ):
        for statement in first:
            session.execute(statement)
        with pytest.raises(CapabilityError) as refusal:
            read_stat_statements(session)
    return f"{refusal.value.message}: {refusal.value.hint}"


def test_what_is_missing_is_said(
    server: Counted, make_home: Callable[[], Path], request: pytest.FixtureRequest
) -> None:
    outside = PostgreSQLConfig(home=make_home())
    outside.dsn = server.dsn("bare")
    outside.embedded = False
    text = reading(outside)
    assert "the database has no extension pg_stat_statements: Run CREATE EXTENSION" in text
    old = "CREATE EXTENSION pg_stat_statements VERSION '1.7'"
    assert "is of version 1.7, and pilot needs 1.8: Run ALTER" in reading(outside, "BEGIN", old)
    new = "CREATE EXTENSION pg_stat_statements"
    hidden = "REVOKE ALL ON pg_stat_statements FROM PUBLIC"
    text = reading(outside, "BEGIN", new, hidden, "SET LOCAL ROLE ann")
    assert "cannot be read: permission denied" in text
    assert "GRANT pg_read_all_stats" in text
    plain = PostgreSQLConfig(home=make_home())
    plain.postgres_bin = postgres_bin(request.node.callspec.params["server"])
    text = reading(plain, "CREATE EXTENSION pg_stat_statements")
    assert "cannot be read: pg_stat_statements must be loaded via" in text
    assert "--set database.settings.shared_preload_libraries=pg_stat_statements" in text
