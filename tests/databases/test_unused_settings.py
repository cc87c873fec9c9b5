"""Settings that have no effect on the server that a config names are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_folder import Project
from psycopg2.extensions import make_dsn, parse_dsn

from pilotcli.common.errors import ConfigError
from pilotcli.config import load_config
from pilotcli.databases.unused_settings import refuse_unused

DSN = "postgresql://h/mine"


def _refused(tmp_path: Path, text: str, **environ: str) -> str:
    path = tmp_path / "pilot.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        refuse_unused(load_config(path), environ, embedded=False)
    assert all(problem.hint for problem in caught.value.problems)
    return str(caught.value)


def test_a_dsn_and_a_name_that_name_two_databases(tmp_path: Path) -> None:
    text = f"database: {{dsn: '{DSN}', name: other}}"
    assert "names the database 'mine', and `database.name` 'other'" in _refused(tmp_path, text)
    text = "store: {dsn: 'dbname=mine', database: other}"
    assert "`store.dsn` names the database 'mine'" in _refused(tmp_path, text)


@pytest.mark.parametrize(
    "key", ["setup: a.sql", "settings: {jit: off}", "postgres_bin: /usr/lib/postgresql/15/bin"]
)
def test_what_only_the_embedded_server_has(tmp_path: Path, key: str) -> None:
    name = key.partition(":")[0]
    shown = _refused(tmp_path, f"database: {{dsn: '{DSN}', {key}}}")
    assert f"`database.{name}` is for the embedded server" in shown
    assert "PGHOST is set" in _refused(tmp_path, f"database: {{{key}}}", PGHOST="h")
    assert "`database.embedded` is false" in _refused(
        tmp_path, f"database: {{embedded: false, {key}}}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "database: {dsn: 'postgresql://h', name: other}",
        f"database: {{dsn: '{DSN}', name: mine}}",
        "database: {name: other}",
        "store: {dsn: 'host=h', database: other}",
        "store: {dsn: 'host=h dbname=other', database: other}",
        "store: {dsn: 'host=h dbname=mine'}",
        "database: {dsn: 'no such=string='}",
    ],
)
def test_what_agrees_is_no_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pilot.yaml"
    path.write_text(text)
    refuse_unused(load_config(path), {}, embedded=False)


@pytest.mark.slow
def test_every_command_that_would_use_them_refuses_them(project: Project) -> None:
    project.config("events: ['ev.py:Collects']")
    project.write(
        "ev.py",
        """
        from pilotcli import PretrainingModelEvent

        class Collects(PretrainingModelEvent):
            def __init__(self, config):
                super().__init__(config, None, "t", enable_collection=False, enable_training=False)

            def iterative_data_collection(self, db_controller, data_manager):
                return [], True

            def custom_model_training(self, pilot_model, db_controller, data_manager):
                return None
        """,
    )
    project.write("w.sql", "SELECT 1;")
    project.write("setup.sql", "CREATE TABLE t (a int);")
    for command in ("run w.sql", "run w.sql --dry-run", "config check", "pretrain"):
        for setting in ("database.name=other", "database.setup=setup.sql"):
            done = project.command(*command.split(), "--set", setting)
            assert done.returncode == 2, (command, setting, done.stdout)
            assert setting.partition("=")[0] in done.stderr
    done = project.command("doctor", "--set", "database.name=other")
    assert done.returncode == 2
    assert "`database.name` 'other'" in done.stdout


@pytest.mark.slow
def test_a_store_of_a_server_takes_the_name_of_its_database(project: Project) -> None:
    server = make_dsn(**{key: v for key, v in parse_dsn(project.dsn).items() if key != "dbname"})
    project.config("collect: seen")
    project.write("w.sql", "SELECT 1;")
    project.run("w.sql")  # makes the store
    sets = (f"store.dsn={server}", f"store.database={project.store}")
    project.run("w.sql", sets=sets)
    done = project.command("run", "w.sql", *(f"--set={key}" for key in sets))
    assert done.returncode == 0, done.stderr + done.stdout
