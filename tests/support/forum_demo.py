"""The demo's files, and the config of a server that holds its data."""

from __future__ import annotations

from pathlib import Path

from pilotcli.config import PostgreSQLConfig

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workloads" / "forum_schema.sql"


def forum_config(home: Path, database: str, postgres_bin: Path | None = None) -> PostgreSQLConfig:
    """A config of an embedded server with the forum's data in `database`."""
    config = PostgreSQLConfig(home=home, db=database, embedded=True)
    config.setup = (SCHEMA,)
    config.postgres_bin = postgres_bin
    config.user_data_db_name = f"store_of_{database}"
    return config
