"""`pilot db` from the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from pilot_starter import PILOT, run_pilot

from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.embedded.server import EmbeddedServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
MAIN = "from pilotcli.cli.main import main; main()"


class Pilot:
    """Runs `pilot db` in a folder that holds a config and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".pilot"

    def __call__(self, *arguments: str, code: int = 0, answer: str = "") -> str:
        if answer:
            done = subprocess.run(
                [PILOT, "db", *arguments],
                cwd=self.folder,
                input=answer,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        else:
            done = run_pilot("db", *arguments, cwd=self.folder)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr


@pytest.fixture
def pilot(home: Path) -> Iterator[Pilot]:
    home.mkdir()
    pilot = Pilot(home)
    yield pilot
    reset_servers(pilot.home)


def test_from_start_to_reset(pilot: Pilot) -> None:
    assert "pilot db start" in pilot("status")
    assert "does not run" in pilot("url", code=4)
    url = pilot("start").strip()
    assert pilot("url").strip() == url
    connection = psycopg2.connect(url)
    assert connection.info.dbname == "pilot"
    connection.close()
    (status,) = json.loads(pilot("status", "--format", "json"))
    assert status["running"]
    assert status["pinned"]
    assert status["users"] == []
    assert f"process {status['pid']}" in pilot("status")
    assert "stopped" in pilot("stop")
    assert "No embedded server is running" in pilot("stop")
    (status,) = json.loads(pilot("status", "--format", "json"))
    assert not status["running"]
    for answer in ("n\n", ""):
        assert "Nothing was deleted" in pilot("reset", code=130, answer=answer)
    assert json.loads(pilot("status", "--format", "json"))
    assert "Deleted" in pilot("reset", "--yes")
    assert "pilot db start" in pilot("status")


def test_psql(pilot: Pilot) -> None:
    assert pilot("psql", "--", "-Atc", "SELECT current_database()") == "pilot\n"
    assert pilot("psql", "--", "-At", answer="SELECT 6 * 7;") == "42\n"
    assert "division by zero" in pilot("psql", "--", "-c", "SELECT 1/0", code=1)
    (status,) = json.loads(pilot("status", "--format", "json"))
    assert not status["running"]


def test_the_configs_setup_fills_the_database(pilot: Pilot) -> None:
    (pilot.folder / "setup.sql").write_text("CREATE TABLE t AS SELECT 5 AS a;\n")
    (pilot.folder / "pilot.yaml").write_text(
        "database:\n  embedded: true\n  name: forum\n  setup: setup.sql\n"
    )
    assert pilot("psql", "--", "-Atc", "SELECT a FROM t") == "5\n"
    assert "/forum?" in pilot("start")


def test_another_server_is_not_pilots_to_look_after(pilot: Pilot) -> None:
    for command in ("start", "url", "psql"):
        said = pilot(command, "--set", "database.dsn=host=nowhere", code=2)
        assert "not the embedded one" in said
    assert not pilot.home.exists()


def test_reset_of_a_server_in_use(pilot: Pilot) -> None:
    with EmbeddedServer.acquire(pilot.home):
        said = pilot("reset", "--yes", code=4)
        assert f"process {os.getpid()}" in said
        assert str(os.getpid()) in pilot("stop")
