"""Servers with the planner module loaded: the wheel's PostgreSQL and the others at hand.

An installed server without headers skips, saying so.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_folder import server_folder
from steered import KINDS, Steered, home_of, pg_config_of, postgres_bin

from pilotcli.common.errors import CapabilityError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.planner import Planner, build, load

SCHEMA = Path(__file__).with_name("schema.sql")


@pytest.fixture(scope="session")
def homes() -> Iterator[Path]:
    """A folder for homes that the servers' user can reach; all servers in it end with it."""
    with server_folder() as folder:
        yield folder
        for home in folder.iterdir():
            reset_servers(home)


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which installation."""
    return str(request.param)


@pytest.fixture(scope="session")
def cache(homes: Path, kind: str) -> Path:
    """A cache that holds the module for this installation."""
    cache = home_of(kind, homes) / "planner"
    try:
        build(pg_config_of(kind), cache)
    except CapabilityError as error:
        if "does not compile" in error.message:
            raise
        pytest.skip(f"the planner module cannot be built here: {error.message}")
    return cache


@pytest.fixture(scope="session")
def planner_target(homes: Path, kind: str, cache: Path) -> Iterator[PostgresTarget]:
    """One running server of this installation, with the tables of `schema.sql`."""
    config = PostgreSQLConfig(home=home_of(kind, homes))
    config.postgres_bin = postgres_bin(kind)
    config.setup = (SCHEMA,)
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    yield target
    target.close()


@pytest.fixture
def steered(planner_target: PostgresTarget, cache: Path) -> Iterator[Steered]:
    """A session with the module loaded."""
    session = planner_target.session()
    planner = load(session, cache=cache, pg_config=None, may_build=False)
    assert isinstance(planner, Planner), planner
    yield Steered(session)
    session.close()


@pytest.fixture
def role(planner_target: PostgresTarget) -> Iterator[str]:
    """A role that is no superuser."""
    name = f"ordinary_{secrets.token_hex(4)}"
    session = planner_target.session()
    session.execute(f"CREATE ROLE {name} LOGIN")
    session.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
    session.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    yield name
    session.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    session.close()
