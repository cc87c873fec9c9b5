"""The config's database, for commands that use no other part of a config."""

from __future__ import annotations

import os
from pathlib import Path

from pilotcli.config import PostgreSQLConfig, choose_embedded, load_config


def database_config(config: Path | None, overrides: list[str] | None) -> PostgreSQLConfig:
    """Returns the database that a config names, or the environment, or else the embedded server.

    Raises `ConfigError` for a config that is not valid.
    """
    loaded = load_config(config, overrides)
    embedded = choose_embedded(loaded.database, os.environ)
    return PostgreSQLConfig.from_run_config(loaded, embedded=embedded)
