"""Homes that root's server can reach, and a server that asks for a password."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from server_folder import server_folder
from tcp_server import SecretServer

from pilotcli.common.redaction import forget_secrets
from pilotcli.databases.embedded.admin import reset_servers


@pytest.fixture(scope="session")
def secret_server() -> Iterator[SecretServer]:
    """A server on a network port whose roles `reader` and `maker` have the same password."""
    with server_folder() as folder:
        home = folder / "home"
        with SecretServer(home) as server:
            maker = psycopg2.connect(server.dsn("maker"))
            maker.autocommit = True
            maker.cursor().execute("CREATE DATABASE kept")
            maker.close()
            yield server
        reset_servers(home)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """No test masks what another one kept secret."""
    forget_secrets()
    yield
    forget_secrets()
