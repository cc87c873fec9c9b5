"""A small shop's data on each PostgreSQL that the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from server_folder import server_folder
from steered import KINDS, postgres_bin

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget

SHOP = """
CREATE TABLE shops (id int PRIMARY KEY, city text);
CREATE TABLE orders (id int PRIMARY KEY, shop int REFERENCES shops, total int, day int);
CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders, article int, price int);
INSERT INTO shops SELECT n, 'city ' || n % 7 FROM generate_series(1, 100) AS n;
INSERT INTO orders SELECT n, n % 100 + 1, n % 1000, n % 365 FROM generate_series(1, 5000) AS n;
INSERT INTO lines SELECT n, n % 5000 + 1, n % 50, n % 99 FROM generate_series(1, 20000) AS n;
CREATE INDEX lines_by_order ON lines (order_id);
CREATE INDEX orders_by_shop ON orders (shop);
ANALYZE shops; ANALYZE orders; ANALYZE lines
"""


@pytest.fixture(scope="session", params=KINDS)
def shop_target(request: pytest.FixtureRequest) -> Iterator[PostgresTarget]:
    """A running server with the shop's tables, one for each installation."""
    programs = postgres_bin(request.param)
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.postgres_bin = programs
        target = open_target(config)
        assert isinstance(target, PostgresTarget)
        session = target.session()
        session.execute(SHOP)
        session.close()
        yield target
        target.close()


@pytest.fixture
def shop_home(shop_target: PostgresTarget) -> Path:
    """A home that the server's user can read."""
    return shop_target.config.home


@pytest.fixture
def shop(shop_target: PostgresTarget) -> Iterator[PostgresSession]:
    """A session in the shop's database."""
    session = shop_target.session(timeout_s=60)
    yield session
    session.close()


@pytest.fixture
def shop_config(shop_target: PostgresTarget) -> PostgreSQLConfig:
    """The config of the shop's server."""
    assert isinstance(shop_target.config, PostgreSQLConfig)
    return shop_target.config
