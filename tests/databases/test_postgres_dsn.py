"""A PostgreSQL by DSN or by libpq's environment, and one clear message for each failure."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tcp_server import TcpServer

from pilotcli.common.errors import DatabaseError, PilotError, UsageError
from pilotcli.config.model import DatabaseSection
from pilotcli.config.pilot_config import PostgreSQLConfig, choose_embedded
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target


def config_of(dsn: str | None, timeout_s: float = 10.0) -> PostgreSQLConfig:
    config = PostgreSQLConfig(dsn=dsn, embedded=False)
    config.connect_timeout = timeout_s
    return config


def ask(target: Target, sql: str) -> object:
    session = target.session()
    try:
        return session.execute(sql).rows[0][0]
    finally:
        session.close()
        target.close()


def failure(dsn: str | None, kind: type[PilotError] = DatabaseError, **more: float) -> PilotError:
    with pytest.raises(kind) as caught:
        open_target(config_of(dsn, **more))
    error = caught.value
    for text in (error.message, error.hint or ""):
        assert TcpServer.password not in text
        assert "s3cret" not in text
    assert error.hint
    return error


def test_a_key_value_string(tcp_server: TcpServer) -> None:
    target = open_target(config_of(tcp_server.dsn()))
    assert f"127.0.0.1:{tcp_server.port}" in target.description
    assert "forum" in target.description
    assert TcpServer.password not in target.description
    assert ask(target, "SELECT current_database()") == "forum"


def test_a_url_with_a_quoted_password(tcp_server: TcpServer) -> None:
    url = f"postgresql://reader:s3cret%20pass%2Fword%40x@127.0.0.1:{tcp_server.port}/forum"
    assert ask(open_target(config_of(url)), "SELECT current_user") == "reader"


def test_single_arguments(tcp_server: TcpServer) -> None:
    config = PostgreSQLConfig(
        db_host="127.0.0.1",
        db_port=tcp_server.port,
        db_user="reader",
        db_user_pwd=TcpServer.password,
        db="forum",
    )
    assert not config.embedded
    assert ask(open_target(config), "SELECT current_database()") == "forum"


def test_the_environment(
    tcp_server: TcpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"127.0.0.1:*:*:reader:{TcpServer.password}\n")
    passwords.chmod(0o600)
    for name, value in {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(tcp_server.port),
        "PGUSER": "reader",
        "PGDATABASE": "forum",
        "PGPASSFILE": str(passwords),
        "PGOPTIONS": "-c work_mem=9MB",
    }.items():
        monkeypatch.setenv(name, value)
    config = config_of(None)
    assert ask(open_target(config), "SELECT current_database()") == "forum"
    session = open_target(config).session(timeout_s=60)
    assert session.execute("SHOW work_mem").rows == [("9MB",)]
    assert session.execute("SHOW statement_timeout").rows == [("1min",)]
    session.close()


def test_a_config_made_in_python_reads_the_environment(
    tcp_server: TcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PostgreSQLConfig().embedded
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(tcp_server.port))
    monkeypatch.setenv("PGUSER", "reader")
    monkeypatch.setenv("PGPASSWORD", TcpServer.password)
    assert PostgreSQLConfig(embedded=True).embedded
    config = PostgreSQLConfig(db="forum")
    assert not config.embedded
    assert ask(open_target(config), "SELECT current_database()") == "forum"


def test_a_service(tcp_server: TcpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    services = tmp_path / "services"
    services.write_text(
        f"[forum]\nhost=127.0.0.1\nport={tcp_server.port}\nuser=reader\ndbname=forum\n"
        f"password={TcpServer.password}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSERVICE", "forum")
    assert ask(open_target(config_of(None)), "SELECT current_database()") == "forum"
    monkeypatch.setenv("PGSERVICE", "forun")
    assert "forun" in failure(None).message


def test_nothing_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = failure(f"postgresql://reader:s3cret@127.0.0.1:{port}/forum")
    assert error.message == f"PostgreSQL at 127.0.0.1:{port} does not answer: Connection refused"
    assert error.exit_code == 4


def test_no_socket(tmp_path: Path) -> None:
    error = failure(f"host={tmp_path} dbname=forum")
    assert str(tmp_path) in error.message
    assert "does not answer" in error.message


def test_an_unknown_host() -> None:
    assert "does not answer" in failure("host=no-such-host.invalid dbname=forum").message


def test_a_server_that_never_replies() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        error = failure(f"host=127.0.0.1 port={port} dbname=forum", timeout_s=1)
    assert "timeout expired" in error.message


def test_a_wrong_password(tcp_server: TcpServer) -> None:
    error = failure(tcp_server.dsn(password="s3cret but wrong"))
    assert "refuses the password for the role 'reader'" in error.message


def test_no_password(tcp_server: TcpServer) -> None:
    error = failure(f"host=127.0.0.1 port={tcp_server.port} user=reader dbname=forum")
    assert "asks for a password" in error.message


def test_a_database_that_does_not_exist_is_not_created(tcp_server: TcpServer) -> None:
    for _ in range(2):  # the second time shows that the first created nothing
        error = failure(tcp_server.dsn("maker", "forun"))
        assert "has no database 'forun'" in error.message
        assert "forum" in (error.hint or "")


def test_a_role_that_does_not_exist(tcp_server: TcpServer) -> None:
    error = failure(f"host=127.0.0.1 port={tcp_server.port} user=ghost dbname=forum")
    assert "ghost" in error.message
    assert "role" in error.message


def test_no_agreement_on_encryption(tcp_server: TcpServer) -> None:
    error = failure(tcp_server.dsn() + " sslmode=require")
    assert "encryption" in error.message


@pytest.mark.parametrize(
    "dsn",
    [
        "this is no dsn s3cret",
        "postgresql://reader:s3cret%zz@127.0.0.1/forum",
        "postgresql://reader:s3cret@x@127.0.0.1/forum",
        "postgresql://reader:s3cret/x@127.0.0.1/forum",
        "postgresql://reader:12/s3cret@127.0.0.1/forum",
        "host=127.0.0.1 passwort=s3cret",
    ],
)
def test_a_string_that_cannot_be_read_is_not_shown(dsn: str) -> None:
    error = failure(dsn, UsageError)
    assert "database.dsn" in error.message
    assert "%40" in (error.hint or "") or error.hint == "Did you mean 'password'?"


def test_a_session_setting_that_the_server_refuses(tcp_server: TcpServer) -> None:
    config = config_of(tcp_server.dsn())
    target = open_target(config)
    config.session_settings = {"work_mem": "much"}
    with pytest.raises(UsageError, match="work_mem = much"):
        target.session()


@pytest.mark.parametrize(
    ("section", "environ", "embedded"),
    [
        (DatabaseSection(), {}, True),
        (DatabaseSection(), {"PGHOST": ""}, True),
        (DatabaseSection(), {"PGUSER": "x", "PGPORT": "1"}, True),
        (DatabaseSection(), {"PGHOST": "x"}, False),
        (DatabaseSection(), {"PGHOSTADDR": "x"}, False),
        (DatabaseSection(), {"PGSERVICE": "x"}, False),
        (DatabaseSection(), {"PGDATABASE": "x"}, False),
        (DatabaseSection(embedded=True), {"PGHOST": "x"}, True),
        (DatabaseSection(embedded=False), {}, False),
        (DatabaseSection(dsn="host=x"), {}, False),
    ],
)
def test_which_target_it_is(
    section: DatabaseSection, environ: dict[str, str], embedded: bool
) -> None:
    assert choose_embedded(section, environ) is embedded
