"""Homes that root's server can reach, and a server that asks for a password."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tcp_server import TcpServer

from pilotcli.databases.embedded import reset_servers
from pilotcli.redaction import forget_secrets


class SecretServer(TcpServer):
    """A server whose password no other text holds, with every sign that is spelt in many ways."""

    head, tail = f"Kx{secrets.token_hex(4)}", f"Wz{secrets.token_hex(4)}"
    password = f"{head}'\\ %/@:?&=ü\"{tail}"


@pytest.fixture(scope="session")
def secret_server() -> Iterator[SecretServer]:
    """A server on a network port whose roles `reader` and `maker` have the same password."""
    with tempfile.TemporaryDirectory(prefix="pilot-safety-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        with SecretServer(home) as server:
            yield server
        reset_servers(home)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """No test masks what another one kept secret."""
    forget_secrets()
    yield
    forget_secrets()
