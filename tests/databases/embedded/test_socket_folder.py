"""Where the embedded server's socket is: a folder that nobody else can enter, with a short path."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotcli.databases.embedded.folder import PORT, Place, State
from pilotcli.databases.embedded.os_user import Account, server_account


@pytest.fixture
def account(home: Path) -> Account:
    """Who runs the server."""
    home.mkdir(parents=True)
    return server_account(home)


@pytest.fixture
def deep(home: Path, account: Account) -> Place:
    """A place with a path too long for a socket, of signs that are all ordinary."""
    folder = home / ("deep-" * 12) / ("folder-" * 8)
    folder.mkdir(parents=True)
    return Place(folder, 18)


@pytest.mark.parametrize("length", [99, 100, 101, 107, 108])
def test_a_path_is_used_up_to_what_every_system_takes(
    home: Path, account: Account, length: int
) -> None:
    rest = length - len(f"{home}/x/run/.s.PGSQL.{PORT}")
    place = Place(home / ("x" * (rest + 1)), 18)
    place.folder.mkdir()
    found = place.socket_dir(account)
    assert (found == place.folder / "run") == (length <= 100)
    assert len(f"{found}/.s.PGSQL.{PORT}") <= 100
    assert found.stat().st_mode & 0o777 == 0o700
    place.forget_socket_dir(found)


def test_a_folder_that_others_can_enter_is_not_used_again(deep: Place, account: Account) -> None:
    first = deep.socket_dir(account)
    deep.write_state(State("18", str(first)))
    assert deep.socket_dir(account) == first
    first.chmod(0o755)
    second = deep.socket_dir(account)
    assert second != first
    for path in (first, second):
        deep.forget_socket_dir(path)
        assert not path.exists()
