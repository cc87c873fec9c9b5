"""A database with the forum, one with small tables of every kind, and catalogs of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forum_demo import forum_config

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.planner import Missing, load
from pilotcli.steering.subplans import GraphCatalog


def opened(config: PostgreSQLConfig) -> Iterator[PostgresSession]:
    """A session whose queries end after a while."""
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    session = target.session(timeout_s=60)
    if session.connection.server_version >= 180000:  # joins of a table with itself stay joins
        session.execute("SET enable_self_join_elimination = off")
    yield session
    session.close()
    target.close()


@pytest.fixture(scope="session")
def forum_session(server_home: Path) -> Iterator[PostgresSession]:
    """A session in the forum's database."""
    yield from opened(forum_config(server_home, "forum"))


@pytest.fixture(scope="session")
def forum_catalog(forum_session: PostgresSession) -> GraphCatalog:
    """The catalog of the forum's database."""
    return GraphCatalog(forum_session)


@pytest.fixture(scope="session")
def small_session(server_home: Path) -> Iterator[PostgresSession]:
    """A session in a database of small tables."""
    config = PostgreSQLConfig(home=server_home, db="subplans", embedded=True)
    config.setup = (Path(__file__).with_name("small.sql"),)
    config.user_data_db_name = "store_of_subplans"
    yield from opened(config)


@pytest.fixture(scope="session")
def small(small_session: PostgresSession) -> GraphCatalog:
    """The catalog of the small tables."""
    return GraphCatalog(small_session)


@pytest.fixture(scope="session")
def with_planner(
    forum_session: PostgresSession, small_session: PostgresSession, server_home: Path
) -> None:
    """The planner module in both sessions; skips where it cannot be built."""
    for session in (forum_session, small_session):
        planner = load(session, cache=server_home / "planner", pg_config=None, may_build=True)
        if isinstance(planner, Missing):
            pytest.skip(f"the planner module is not to be had: {planner.reason}")
