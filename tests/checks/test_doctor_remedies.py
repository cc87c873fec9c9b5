"""Each remedy of `pilot doctor` leads to what it promises, if it is followed to the letter.

On a copy of each installation at hand, so that its libraries can be added to.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from own_installation import own_installation
from server_folder import server_folder
from steered import KINDS, pg_config_of

from pilotcli.checks.doctor import Check, examine_all
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.opening import open_target
from pilotcli.steering.planner import Missing, Planner, build, load
from pilotcli.steering.probing import Capability

pytestmark = pytest.mark.slow

MOST_STEPS = 4

_numbers = itertools.count(1)


@dataclass
class Place:
    """A database of a running server and an ordinary role there, and how to follow remedies."""

    kind: str
    server: EmbeddedServer
    home: Path
    role: str

    @property
    def database(self) -> str:
        return f"db_{self.role}"

    def dsn(self, user: str = "") -> str:
        known = {**self.server.conninfo(self.database), "user": user or self.role}
        return " ".join(f"{key}={value}" for key, value in known.items())

    def sql(self, *statements: str, database: str = "") -> list[tuple[object, ...]]:
        """Run statements as the superuser."""
        connection = psycopg2.connect(**self.server.conninfo(database or self.database))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    @property
    def version(self) -> int:
        return int(str(self.sql("SHOW server_version_num")[0][0])) // 10000

    def has(self, extension: str) -> bool:
        known = f"SELECT 1 FROM pg_available_extensions WHERE name = '{extension}'"
        return bool(self.sql(known))

    def look(
        self, *more: str, user: str = "", build: bool = False
    ) -> tuple[dict[str, Check], dict[str, Capability]]:
        """What the doctor says to the role."""
        settings = [f"database.dsn={self.dsn(user)}", f"home={self.home}"]
        settings += [f"store.dsn={self.dsn('postgres')}", *more]
        pg_config = pg_config_of(self.kind) if build else None
        found = list(examine_all(None, settings, build=build, pg_config=pg_config))
        return (
            {item.what: item for item in found if isinstance(item, Check)},
            {item.what: item for item in found if isinstance(item, Capability)},
        )

    def follow(self, remedy: str) -> None:
        """Do what a remedy says: its commands and statements, as they are."""
        commands = re.findall(r"`([^`]+)`", remedy)
        assert commands, f"nothing to follow: {remedy}"
        for command in commands:
            if command.startswith("pilot doctor --build"):
                self.look(build=True)
            elif command.startswith("install "):
                subprocess.run(command, shell=True, check=True)
            elif re.match("(GRANT|CREATE|ALTER) ", command):
                self.sql(*command.split("; "))

    def reach(
        self, what: str, *more: str, user: str = "", remedy: Callable[[str], str] = str
    ) -> Capability:
        """Follow the remedies for a capability until there is none; returns what it is then."""
        for _ in range(MOST_STEPS):
            found = self.look(*more, user=user)[1][what]
            if not found.remedy:
                return found
            self.follow(remedy(found.remedy))
        raise AssertionError(f"the remedies lead nowhere: {found}")


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def programs(kind: str) -> Iterator[Path]:
    """The programs of an installation that is the tests' own."""
    with server_folder() as folder:
        yield own_installation(kind, folder)


@pytest.fixture(scope="module")
def server(programs: Path) -> Iterator[EmbeddedServer]:
    """A running server that takes every role."""
    with server_folder() as folder:
        home = folder / ".pilot"
        with EmbeddedServer.acquire(home, postgres_bin=programs) as server:
            with (server.data_dir / "pg_hba.conf").open("a") as file:
                file.write("local all all trust\n")
            yield server
        reset_servers(home)


@pytest.fixture
def place(kind: str, server: EmbeddedServer, programs: Path) -> Iterator[Place]:
    """A new database and an ordinary role, with a table that belongs to another role."""
    role = f"plain_{next(_numbers)}"
    with server_folder() as folder:
        place = Place(kind, server, folder / "home", role)
        place.sql(f"CREATE DATABASE {place.database}", database="postgres")
        place.sql(
            "SELECT pg_reload_conf()",
            f"CREATE ROLE {role} LOGIN",
            f"CREATE ROLE owner_of_{role}",
            "CREATE TABLE orders (id int)",
            f"ALTER TABLE orders OWNER TO owner_of_{role}",
            f"GRANT SELECT ON orders TO {role}",
        )
        yield place
        place.sql(f"DROP OWNED BY {role}, owner_of_{role}")
        place.sql(
            f"DROP DATABASE {place.database} WITH (FORCE)",
            f"DROP ROLE {role}, owner_of_{role}",
            "ALTER SYSTEM RESET ALL",
            "SELECT pg_reload_conf()",
            database="postgres",
        )
    plugins(programs).unlink(missing_ok=True)


def plugins(programs: Path) -> Path:
    """Where the module goes among the libraries of an installation."""
    done = subprocess.run(
        [programs / "pg_config", "--pkglibdir"], capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip()) / "plugins" / "pilot_planner.so"


@pytest.fixture
def compiles(place: Place, tmp_path: Path) -> None:
    try:
        build(pg_config_of(place.kind), tmp_path / "probe")
    except Exception as error:
        if "does not compile" in str(error):
            raise
        pytest.skip(f"the planner module cannot be built here: {error}")


@pytest.mark.usefixtures("compiles")
@pytest.mark.parametrize("user", ["", "postgres"], ids=["ordinary", "superuser"])
def test_the_planner_module(place: Place, user: str) -> None:
    first = place.look(user=user)[1]
    assert first["pushed cardinalities"].state != "full"
    found = place.reach("pushed cardinalities", user=user)
    assert found.how.startswith("relations and joins: planner module")
    _, after = place.look(user=user)
    for what in ("plan and time", "sub-plan cardinalities"):
        assert after[what].state == "full", after[what]


def test_auto_explain_alone(place: Place) -> None:
    first = place.look()[1]["plan and time"]
    if place.version < 15 or not place.has("pg_buffercache"):
        assert "for this alone" not in first.remedy
        return
    found = place.reach("plan and time", remedy=lambda text: text.splitlines()[-1])
    assert found.how.endswith("auto_explain")
    # What is granted is all that a query's own message sets.
    target = open_target(PostgreSQLConfig(dsn=place.dsn(), home=place.home))
    with contextlib.closing(target), contextlib.closing(target.session()) as session:
        session.execute("SET auto_explain.log_analyze = on; SET auto_explain.sample_rate = 1")


@pytest.mark.parametrize("what", ["hint comments", "scan and join methods"])
def test_pg_hint_plan(place: Place, what: str) -> None:
    if not place.has("pg_hint_plan"):
        found = place.look()[1][what]
        assert f"nstall pg_hint_plan (package postgresql-{place.version}-pg-hint-plan)" in (
            found.remedy
        )
        assert f"ALTER ROLE {place.role} SET session_preload_libraries" in found.remedy
        return
    assert place.reach(what).state == "full"


def test_libraries_that_are_preloaded_already_stay(place: Place) -> None:
    if not place.has("pg_hint_plan"):
        pytest.skip("this server has no pg_hint_plan")
    where = f"ROLE {place.role} IN DATABASE {place.database}"
    place.sql(f"ALTER {where} SET session_preload_libraries = 'auto_explain'")
    place.reach("hint comments")
    ((kept,),) = place.sql(
        f"SELECT setconfig[1] FROM pg_db_role_setting WHERE setrole = '{place.role}'::regrole"
    )
    assert "auto_explain" in str(kept)
    assert "pg_hint_plan" in str(kept)


def test_a_preloaded_library_that_is_missing(place: Place) -> None:
    place.sql(f"ALTER ROLE {place.role} SET session_preload_libraries = '/nowhere/module.so'")
    check = place.look()[0]["database"]
    assert check.state == "problem"
    assert '"/nowhere/module.so"' in check.found
    assert "`session_preload_libraries` of the role" in check.remedy
    place.sql(f"ALTER ROLE {place.role} RESET session_preload_libraries")
    assert place.look()[0]["database"].state == "ok"


def test_knobs(place: Place) -> None:
    first = place.look()[1]["knobs"]
    assert first.state == "missing"
    if place.version < 15:
        assert first.remedy.startswith("Use a superuser")
        assert place.look(user="postgres")[1]["knobs"].state == "full"
        return
    place.follow(first.remedy)
    assert place.look()[1]["knobs"].state == "full"


def test_settings_that_nobody_may_change(place: Place) -> None:
    if place.version < 17:
        pytest.skip("allow_alter_system came with PostgreSQL 17")
    config = place.server.data_dir / "postgresql.conf"
    before = config.read_text()
    config.write_text(f"{before}\nallow_alter_system = off\n")
    place.sql("SELECT pg_reload_conf()")
    found = place.look(user="postgres")[1]["knobs"]
    config.write_text(before)
    place.sql("SELECT pg_reload_conf()")
    assert found.state == "missing"
    assert "`allow_alter_system = on`" in found.remedy
    assert "GRANT" not in found.remedy


def test_where_the_data_is(place: Place) -> None:
    first = place.look()[1]["restart"]
    assert "may not see where its data is" in first.how
    place.follow(first.remedy)
    assert "may not see" not in place.look()[1]["restart"].how


def test_indexes(place: Place) -> None:
    assert place.reach("indexes").state == "full"


def test_the_store(place: Place) -> None:
    """The store's own role may make tables, after the remedy at the latest."""
    place.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    own = f"store.dsn={place.dsn()}"
    check = place.look(own)[0]["store"]
    assert check.state == "problem"
    place.follow(check.remedy)
    assert place.look(own)[0]["store"].state == "ok"


def test_the_buffer_cache(place: Place) -> None:
    first = place.look()[1]["buffer cache"]
    if not place.has("pg_buffercache"):
        assert "Install PostgreSQL's contrib modules" in first.remedy
        return
    assert place.reach("buffer cache").state == "full"


def test_hypopg(place: Place) -> None:
    first = place.look("steering.planner=never")[1]["what-if indexes"]
    if not place.has("hypopg"):
        assert f"nstall HypoPG (package postgresql-{place.version}-hypopg)" in first.remedy
        return
    assert place.reach("what-if indexes", "steering.planner=never").how.startswith("HypoPG")


@pytest.mark.usefixtures("compiles")
@pytest.mark.parametrize("setting", ["session_preload_libraries", "shared_preload_libraries"])
def test_a_server_that_loads_the_module(place: Place, setting: str, tmp_path: Path) -> None:
    """An ordinary role has it, and --build finds nothing wrong where it cannot build."""
    built = build(pg_config_of(place.kind), place.home / "planner")
    place.home.chmod(0o755)
    place.sql(f"ALTER SYSTEM SET {setting} = '{built}'")
    place.sql("SELECT pg_reload_conf()")
    if setting == "shared_preload_libraries":
        restart(place)
    found = place.look()[1]
    for what in ("plan and time", "sub-plan cardinalities", "pushed cardinalities"):
        assert found[what].state == "full", found[what]
    elsewhere = [
        f"database.dsn={place.dsn()}",
        f"home={tmp_path}",
        f"store.dsn={place.dsn('postgres')}",
    ]
    checks = examine_all(None, elsewhere, build=True, pg_config=Path("/nowhere/pg_config"))
    (module,) = [item for item in checks if isinstance(item, Check) and item.what == "module"]
    if setting == "shared_preload_libraries":
        place.sql(f"ALTER SYSTEM RESET {setting}")
        restart(place)
    assert module.state == "ok", module


def restart(place: Place) -> None:
    """Restart the server, as an administrator does."""
    config = PostgreSQLConfig(dsn=place.dsn("postgres"), home=place.home)
    with contextlib.closing(open_target(config)) as target:
        target.knobs.restart()


@pytest.mark.usefixtures("compiles")
@pytest.mark.parametrize("loads", ["the role", "the server", "the plugins"])
def test_a_module_of_an_earlier_pilot_is_replaced(place: Place, loads: str, programs: Path) -> None:
    """What the remedy names takes the place of what is loaded."""
    built = build(pg_config_of(place.kind), place.home / "planner")
    place.home.chmod(0o755)
    old = plugins(programs)
    if loads != "the plugins":
        old = old.with_name("old") / "pilot_planner.so"
    old.parent.mkdir(exist_ok=True, parents=True)
    old.write_bytes(built.read_bytes().replace(b"pilot_planner 2 ", b"pilot_planner 1 "))
    old.chmod(0o755)
    if loads == "the role":
        library = old.with_suffix("")
        place.sql(f"ALTER ROLE {place.role} SET session_preload_libraries = '{library}'")
    elif loads == "the server":
        place.sql(
            f"ALTER SYSTEM SET session_preload_libraries = '{old}'", "SELECT pg_reload_conf()"
        )
    user = "postgres" if loads == "the server" else ""
    found = place.look(user=user)[1]["pushed cardinalities"]
    assert found.state != "full"
    assert str(built) in found.remedy
    place.follow(found.remedy)
    assert place.look(user=user)[1]["pushed cardinalities"].state == "full"


def test_what_the_doctor_says_is_what_a_session_does(place: Place) -> None:
    """`missing` and `full` of the module agree with what loading it gives."""
    target = open_target(PostgreSQLConfig(dsn=place.dsn(), home=place.home))
    with contextlib.closing(target), contextlib.closing(target.session()) as session:
        found = load(session, cache=place.home / "planner", pg_config=None, may_build=False)
    state = place.look()[1]["pushed cardinalities"].state
    assert isinstance(found, Planner if state == "full" else Missing)
