"""The forum's data on the shared server, and the queries over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forum_demo import forum_config

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.databases.opening import open_target
from pilotcli.storage.store.data_manager import DataManager


@pytest.fixture(scope="session")
def forum(server_home: Path) -> Iterator[PostgreSQLConfig]:
    """The config of a database that holds the forum."""
    config = forum_config(server_home, "forum")
    target = open_target(config)
    yield config
    target.close()


@pytest.fixture
def controller(forum: PostgreSQLConfig) -> Iterator[PostgreSQLController]:
    """What an event gets to work with: the forum's database."""
    controller = PostgreSQLController(forum)
    yield controller
    controller.close()


@pytest.fixture
def data_manager(pilot_config: PostgreSQLConfig) -> Iterator[DataManager]:
    """A store of this test's own."""
    with DataManager(pilot_config) as manager:
        yield manager
