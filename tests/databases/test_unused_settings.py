"""Settings that have no effect on the server that a config names are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_folder import COLLECTS, Project
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


@pytest.fixture
def service_file(tmp_path: Path) -> str:
    """A file with the service `svc`, which names a database, and `bare`, which names none."""
    file = tmp_path / "services"
    file.write_text(
        "[svcs]\ndbname=no\n\n# svc\n [svc]\n#dbname=no\nhost=h\ndbname=mine\ndbname=no\n"
        "[bare]\nhost=h\n"
    )
    return str(file)


def test_a_service_and_a_name_that_name_two_databases(tmp_path: Path, service_file: str) -> None:
    of_dsn = "database: {dsn: 'service=svc', name: other}"
    shown = _refused(tmp_path, of_dsn, PGSERVICEFILE=service_file)
    said = "the service 'svc' of `database.dsn` names the database 'mine', and `database.name`"
    assert said in shown
    of_store = "store: {dsn: 'service=svc', database: other}"
    shown = _refused(tmp_path, of_store, PGSERVICEFILE=service_file)
    assert "the service 'svc' of `store.dsn` names the database 'mine'" in shown
    for name in ("{name: other}", "{dsn: 'host=h', name: other}"):
        shown = _refused(tmp_path, f"database: {name}", PGSERVICEFILE=service_file, PGSERVICE="svc")
        assert "the service 'svc' of PGSERVICE names the database 'mine'" in shown
        shown = _refused(tmp_path, f"database: {name}", PGDATABASE="mine")
        assert "PGDATABASE names the database 'mine', and `database.name` 'other'" in shown


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("database: {dsn: 'service=svc', name: mine}", {"PGDATABASE": "other"}),
        ("database: {dsn: 'service=svc dbname=x', name: x}", {"PGDATABASE": "other"}),
        ("database: {dsn: 'service=bare', name: other}", {}),
        ("database: {dsn: 'service=none', name: other}", {}),
        ("database: {name: mine}", {"PGSERVICE": "svc", "PGDATABASE": "other"}),
        ("database: {name: mine}", {"PGDATABASE": "mine"}),
        ("store: {dsn: 'service=bare', database: other}", {"PGDATABASE": "mine"}),
    ],
)
def test_a_service_that_agrees_is_no_error(
    tmp_path: Path, service_file: str, text: str, environ: dict[str, str]
) -> None:
    path = tmp_path / "pilot.yaml"
    path.write_text(text)
    refuse_unused(load_config(path), {"PGSERVICEFILE": service_file, **environ}, embedded=False)


@pytest.mark.slow
def test_the_service_is_read_as_libpq_reads_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = parse_dsn(project.dsn)
    lines = "".join(f"{key}={value}\n" for key, value in params.items() if key != "dbname")
    file = project.write("services", "")
    file.write_text(f"[bare]\n{lines}[full]\n{lines}dbname={params['dbname']}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    project.config("collect: seen")
    project.write("w.sql", "SELECT 1;")
    project.run("w.sql")  # makes the store
    for name, code in (("other", 2), (params["dbname"], 0)):
        sets = ("database.dsn=service=full", f"database.name={name}")
        done = project.command("run", "w.sql", *(f"--set={key}" for key in sets))
        assert done.returncode == code, done.stderr
        assert ("names the database" in done.stderr) == (code == 2)
    sets = ("store.dsn=service=bare", f"store.database={project.store}")
    done = project.command("run", "w.sql", *(f"--set={key}" for key in sets))
    assert done.returncode == 0, done.stderr + done.stdout


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
@pytest.mark.parametrize("setting", ["database.name=other", "database.setup=setup.sql"])
def test_every_command_that_would_use_them_refuses_them(project: Project, setting: str) -> None:
    project.config("events: ['ev.py:Collects']")
    project.write("ev.py", COLLECTS)
    project.write("w.sql", "SELECT 1;")
    project.write("setup.sql", "CREATE TABLE t (a int);")
    for command in ("run w.sql", "run w.sql --dry-run", "config check", "pretrain"):
        done = project.command(*command.split(), "--set", setting)
        assert done.returncode == 2, (command, done.stdout)
        assert setting.partition("=")[0] in done.stderr
    done = project.command("doctor", "--set", setting)
    assert done.returncode == 2
    assert f"`{setting.partition('=')[0]}`" in done.stdout


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
