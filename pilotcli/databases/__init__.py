"""The databases that pilot works with: the target, and the server of the store.

Importing this package opens nothing and loads no driver; that happens when a database is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotcli.config.pilot_config import PilotConfig
    from pilotcli.databases.protocols import Target

__all__ = ["connect_store", "is_embedded", "open_target"]


def is_embedded(config: PilotConfig) -> bool:
    """Whether the target of `config` is the embedded server."""
    return bool(getattr(config, "embedded", False))


def open_target(config: PilotConfig, *, on_step: Callable[[str], None] | None = None) -> Target:
    """The database under test, reachable when this returns; to be closed by the caller.

    The embedded server is created, started and filled from `config.setup` as needed. `on_step`
    hears in words what takes a while, and warnings.

    Raises `DatabaseError` when it cannot be reached, `StorageError` when the folder of the
    embedded server cannot be used, `WorkloadError` when a setup file fails, `UsageError` when the
    config does not allow it.
    """
    from pilotcli.databases.opening import open_postgres

    return open_postgres(config, on_step)


def connect_store(config: PilotConfig, *, may_create: bool = True) -> Any:
    """A new psycopg2 connection to the store's database, in autocommit mode.

    That database is created when it is missing, if it `may_create`, and no `store.dsn` is given.

    Raises `StoreError` when it can be neither reached nor created.
    """
    from pilotcli.databases.opening import connect_to_store

    return connect_to_store(config, may_create=may_create)
