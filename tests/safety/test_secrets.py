"""No password reaches a terminal, a file or the list of processes, however a command ends."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from urllib.parse import quote

import pytest
from pilot_starter import run_pilot
from tcp_server import SecretServer

pytestmark = pytest.mark.slow

DRIVERS = '''
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import psycopg2

from pilotcli import CheckpointedModel, HintPushHandler, QueryFinishEvent, WorkloadBeforeEvent
from pilotcli.common.errors import DriverError


class Raises(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        try:
            raise ValueError(self.config.dsn)
        except ValueError as error:
            raise RuntimeError(f"cannot use {self.config.store_dsn!r}") from error


class Refuses(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        raise DriverError(f"not with {self.config.dsn}", hint=f"try {self.config.store_dsn}")


class Exits(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        sys.exit(f"cannot use {self.config.dsn}")


class Prints(QueryFinishEvent):
    """Speaks of the password in every way that leads to a terminal."""

    def process(self, db_controller, data_manager):
        session = psycopg2.connect(self.config.dsn)
        password = session.info.password
        session.close()
        print(self.config, repr(self.config), vars(self.config))
        print("the password is", password, repr(password), ascii(password), [password])
        print(self.config.dsn, file=sys.stderr)
        os.write(1, f"to the descriptor: {self.config.dsn}\\n".encode())
        subprocess.run(["echo", "by a program:", "-"], check=True)
        subprocess.run(["cat"], input=self.config.dsn.encode(), check=True)
        logging.getLogger("mine").error("logged: %s", self.config.dsn)
        logging.getLogger("pilotcli.mine").error("logged: %s", self.config.store_dsn)
        warnings.warn(f"warned: {self.config.dsn}", stacklevel=1)


class Asks(QueryFinishEvent):
    """A statement with the password in it, which the server quotes in its error."""

    def process(self, db_controller, data_manager):
        password = psycopg2.extensions.parse_dsn(self.config.dsn)["password"]
        quoted = password.replace("'", "''")
        db_controller.execute(f"SELECT '{quoted}'::integer")


class Looks(QueryFinishEvent):
    """Writes down how every process of this machine was called."""

    def process(self, db_controller, data_manager):
        with Path("processes.txt").open("ab") as file:
            for one in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    file.write(one.read_bytes())
                except OSError:
                    continue


class Built(WorkloadBeforeEvent):
    def __init__(self, config, secret_token="", url=""):
        raise ValueError(f"{secret_token} {url} {config.dsn}")


class Steers(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "raise" in sql:
            raise KeyError(self.config.dsn)
        if "wrong" in sql:
            return {"work_mem": self.config.dsn}
        return {"search_path": "'" + self.config.dsn.replace("'", "''") + "'"}


class Loads(CheckpointedModel):
    def dump(self, folder):
        raise OSError(os.environ["MY_TOKEN"])

    def restore(self, folder):
        raise OSError(os.environ["MY_TOKEN"])

    load_model = save_model = lambda self: self.dump(None)
'''

BREAKS = """
import os
import sys

print("printed at the import:", os.environ["MY_TOKEN"])
print("\\x1b[31mprinted at the import:", os.environ["MY_TOKEN"], file=sys.stderr)
raise RuntimeError(f"{os.environ['MY_TOKEN']} at the import")
"""


class Secret:
    """A project whose config holds the server's password, and what its commands have left."""

    def __init__(self, folder: Path, server: SecretServer) -> None:
        self.folder = folder
        self.server = server
        self.environment = {"MY_TOKEN": server.password}
        self.said = ""
        folder.joinpath("drivers.py").write_text(DRIVERS)
        folder.joinpath("breaks.py").write_text(BREAKS)
        folder.joinpath("w.sql").write_text(
            "-- name: one\nSELECT 1;\n-- name: fails\nSELECT 1/0 AS raise;\n"
            "-- name: refused\nSELECT 1 AS wrong;\n"
        )

    def url(self, password: str | None = None, place: str | None = None) -> str:
        """A URL with the password percent-encoded."""
        secret = quote(password or self.server.password, safe="")
        return f"postgresql://maker:{secret}@{place or f'127.0.0.1:{self.server.port}/forum'}"

    def config(self, text: str = "", dsn: str | None = None) -> None:
        """Write the config: one password as a URL, one as key and value."""
        store = self.server.dsn("maker", "kept")
        head = f"home: .pilot\ndatabase:\n  dsn: {_yaml(dsn or self.url())}\n"
        head += f"store:\n  dsn: {_yaml(store)}\n"
        self.folder.joinpath("pilot.yaml").write_text(head + textwrap.dedent(text))

    def command(self, *words: str, environment: dict[str, str] | None = None) -> int:
        """Run `pilot words...` and keep what it says."""
        env = {**os.environ, **self.environment, **(environment or {})}
        done = run_pilot(*words, cwd=self.folder, env=env)
        self.said += done.stdout + done.stderr
        return done.returncode

    def leaks(self) -> list[str]:
        """Where a part of the password stands, besides the config itself."""
        parts = (self.server.head, self.server.tail)
        found = [
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != "pilot.yaml"
            if any(part.encode() in path.read_bytes() for part in parts)
        ]
        lines = [line for line in self.said.splitlines() if any(one in line for one in parts)]
        return found + lines


def _yaml(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture
def secret(tmp_path: Path, secret_server: SecretServer) -> Secret:
    return Secret(tmp_path, secret_server)


EVENTS = ("Raises", "Refuses", "Exits", "Prints", "Asks", "Looks")
FORMATS = (("--format", "jsonl", "--verbose"), ("--format", "plain", "--verbose"), ("--debug",))


@pytest.mark.parametrize("options", FORMATS, ids=["jsonl", "plain", "debug"])
def test_a_run_with_events_that_know_the_password(secret: Secret, options: tuple[str, ...]) -> None:
    secret.config(f"events: [{', '.join(f'drivers.py:{one}' for one in EVENTS)}]\ncollect: seen\n")
    assert secret.command("run", "w.sql", "--output", "results.jsonl", *options) == 3
    for name in ("Asks", "Exits", "Raises", "Refuses"):
        assert re.search(rf"events failed: .*\b{name} \(drivers\.py:\d+: ", secret.said), name
    assert "to the descriptor: postgresql://maker:***@" in secret.said
    assert (secret.folder / "results.jsonl").stat().st_size
    assert (secret.folder / "processes.txt").stat().st_size
    assert secret.command("runs", "show") == 0
    assert secret.command("runs", "show", "--failed", "--format", "json") == 0
    assert "ValueError: ***" in secret.said or "ValueError: postgresql://maker:***@" in secret.said
    assert secret.leaks() == []


@pytest.mark.parametrize(
    "options",
    ["", "on_missing: skip, on_error: native"],
    ids=["error", "native"],
)
def test_a_run_with_a_handler(secret: Secret, options: str) -> None:
    secret.config(f"handlers: ['drivers.py:Steers']\nsteering: {{{options}}}\n")
    secret.command("run", "w.sql", "-o", "results.csv", "--verbose")
    assert "two" not in secret.said
    assert "one" in secret.said
    secret.command("runs", "show", "--failed")
    assert secret.leaks() == []


@pytest.mark.parametrize(
    "text",
    [
        "events: [{class: 'drivers.py:Built', args: {secret_token: '${MY_TOKEN}', url: x}}]",
        "events: [{class: 'drivers.py:Built', args: {url: '${MY_TOKEN}'}}]",
        "events: ['breaks.py:Any']",
        "models: {m: {class: 'drivers.py:Loads', load: true}}",
        "models: {m: {class: 'drivers.py:Loads', args: {nonsense: '${MY_TOKEN}'}}}",
        "run: {timeout: '${MY_TOKEN}'}",
        "run: {repeat: '${MY_TOKEN}'}\ndatabase: {}",
        "nonsense: '${MY_TOKEN}'",
        "workload: '${MY_TOKEN}.sql'",
        "events: [{class: 'drivers.py:Prints', nam: x}]",
    ],
)
def test_a_config_that_is_wrong_beside_the_secret(secret: Secret, text: str) -> None:
    secret.config(text)
    for words in (
        ("run", "--debug", *([] if "workload" in text else ["w.sql"])),
        ("run", "w.sql", "--dry-run"),
        ("config", "check"),
        ("doctor",),
    ):
        secret.command(*words)
    assert "error" in secret.said
    assert ("printed at the import: ***" in secret.said) == ("breaks" in text)
    assert "\x1b" not in secret.said
    assert secret.leaks() == []


def test_connections_that_cannot_be_made(secret: Secret, secret_server: SecretServer) -> None:
    port = secret_server.port
    wrong = [
        secret.url(password=f"{secret_server.password}wrong"),
        secret.url(place=f"no-such-host.invalid:{port}/forum"),
        secret.url(place=f"127.0.0.1:{port}/no_such_database"),
        secret.url(place="127.0.0.1:1/forum"),
        secret.url().replace("maker", "no_such_role"),
        secret.url(place="/forum?host=/nonexistent"),
        secret.url() + "?sslmode=verify-full&sslrootcert=/nonexistent",
        secret.url() + "?nonsense=1",
        secret.url(place="127.0.0.1:port/forum"),
        f"postgresql://maker:{secret_server.password}@127.0.0.1:{port}/forum",
        secret_server.dsn("maker", "no_such_database"),
        secret_server.dsn("nobodys"),
        secret_server.dsn("maker") + " nonsense=1",
        secret_server.dsn("maker").removesuffix("'"),
        secret_server.dsn("maker").replace("password=", "passwort="),
    ]
    for number, dsn in enumerate(wrong):
        secret.config(dsn=dsn)
        assert secret.command("run", "w.sql", "--debug") in (2, 4)
        if number % 3 == 0:
            assert secret.command("run", "w.sql", "--format", "jsonl") in (2, 4)
    for words in (("doctor",), ("config", "show"), ("db", "undo"), ("db", "status")):
        secret.command(*words)
    assert secret.said.count("Traceback") >= len(wrong)
    assert secret.leaks() == []


def test_a_store_that_cannot_be_used(secret: Secret, secret_server: SecretServer) -> None:
    secret.config("collect: seen\n")
    config = secret.folder / "pilot.yaml"
    config.write_text(config.read_text().replace("dbname=kept", "dbname=no_such_store"))
    assert secret.command("run", "w.sql") == 4
    assert secret.command("run", "w.sql", "--debug") == 4
    assert secret.command("doctor") == 4
    assert secret.leaks() == []


def test_a_password_of_the_environment(secret: Secret, secret_server: SecretServer) -> None:
    secret.config(
        "events: ['drivers.py:Looks', 'drivers.py:Exits']\n",
        dsn=f"host=127.0.0.1 port={secret_server.port} user=maker dbname=forum",
    )
    known = {"PGPASSWORD": secret_server.password}
    event = (secret.folder / "drivers.py").read_text()
    event = event.replace("{self.config.dsn}", "{os.environ['PGPASSWORD']}")
    (secret.folder / "drivers.py").write_text(event)
    assert secret.command("run", "w.sql", "--debug", environment=known) == 3
    assert secret.command("runs", "show", environment=known) == 0
    assert secret.command("doctor", environment=known) == 0
    assert "***" in secret.said
    assert secret.leaks() == []


def test_a_password_of_libpqs_own_file(secret: Secret, secret_server: SecretServer) -> None:
    port = secret_server.port
    secret.config(
        "events: ['drivers.py:Prints']\nstore: {database: kept}\n",
        dsn=f"host=127.0.0.1 port={port} user=maker dbname=forum",
    )
    text = (secret.folder / "pilot.yaml").read_text().splitlines()
    stores = [at for at, line in enumerate(text) if line.startswith("store:")]
    del text[stores[0] : stores[0] + 2]  # its DSN has the password
    (secret.folder / "pilot.yaml").write_text("\n".join(text))
    escaped = secret_server.password.replace("\\", "\\\\").replace(":", "\\:")
    file = secret.folder.parent / "pgpass"
    file.write_text(f"127.0.0.1:*:*:*:{escaped}\n")
    file.chmod(0o600)
    known = {"PGPASSFILE": str(file), "MY_TOKEN": ""}
    assert secret.command("run", "w.sql", "--verbose", environment=known) == 1
    assert "the password is ***" in secret.said
    assert secret.leaks() == []


def test_what_shows_a_config(secret: Secret) -> None:
    secret.config(
        "database: {}\n"
        "events: [{class: 'drivers.py:Prints', args: {pw: '${MY_TOKEN}', x: 'a ${MY_TOKEN} b'}}]\n"
    )
    secret.config("events: [{class: 'drivers.py:Built', args: {url: 'a ${MY_TOKEN} b'}}]\n")
    for words in (("config", "show"), ("config", "check"), ("config", "show", "--format", "json")):
        secret.command(*words)
    assert "a *** b" in secret.said
    assert secret.leaks() == []


def test_psql_is_called_without_a_password(secret: Secret, server_home: Path) -> None:
    store = f"store: {{dsn: {_yaml(secret.url())}}}\n"
    (secret.folder / "pilot.yaml").write_text(f"home: {server_home}\n{store}")
    look = "\\! cat /proc/[0-9]*/cmdline > processes.txt 2> /dev/null"
    known = {"PGPASSWORD": secret.server.password}
    secret.command("db", "psql", "--", "-c", look, "-c", "SELECT 1/0", environment=known)
    assert "division by zero" in secret.said
    assert b"psql" in (secret.folder / "processes.txt").read_bytes()
    assert secret.leaks() == []


def test_the_servers_log_has_no_password(secret: Secret, secret_server: SecretServer) -> None:
    before = secret_server.place.log_file.stat().st_size
    secret.config("events: ['drivers.py:Raises']\ncollect: seen\n")
    secret.command("run", "w.sql", "--verbose")
    secret.config(dsn=secret.url(password=f"{secret_server.password}wrong"))
    secret.command("run", "w.sql")
    log = secret_server.place.log_file.read_text()[before:]
    assert "password authentication failed" in log
    assert secret_server.head not in log
    assert secret_server.tail not in log
