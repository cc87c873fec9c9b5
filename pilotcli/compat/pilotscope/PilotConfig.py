"""Configs: which database, and where."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, TypeVar

from pilotcli import config as own
from pilotcli.compat.pilotscope.PilotEnum import (
    DatabaseEnum,
    DataFetchMethodEnum,
    SparkSQLDataSourceEnum,
    TrainSwitchMode,
)
from pilotcli.databases import connect_store
from pilotcli.errors import CapabilityError

__all__ = ["PilotConfig", "PostgreSQLConfig", "SparkConfig", "provided"]

PilotConfig = own.PilotConfig
C = TypeVar("C", bound=own.PilotConfig)


class _Printed:
    """What PilotScope's configs have besides their values."""

    data_fetch_method = DataFetchMethodEnum.HTTP
    pretraining_model = TrainSwitchMode.WAIT
    is_local = True

    def print(self) -> None:
        """Show all values, without secrets."""
        print(self)  # noqa: T201 - PilotScope's own method of this name


class PostgreSQLConfig(_Printed, own.PostgreSQLConfig):
    """A PostgreSQL; without `db_host` the embedded one, so that a script runs without set-up.

    `db` names a database, which is made when it is missing.
    """

    db_type = DatabaseEnum.POSTGRESQL

    def __init__(
        self,
        pilotscope_core_host: str = "localhost",
        db_host: str | None = None,
        db_port: str | int | None = None,
        db_user: str | None = None,
        db_user_pwd: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(pilotscope_core_host, db_host, db_port, db_user, db_user_pwd, **options)
        self.pg_bin_path: str | None = None
        self.pgdata: str | None = None

    def enable_deep_control_local(self, pg_bin_path: str, pgdata: str) -> None:
        """Say where the server's programs and data are, for restarts and knobs.

        pilot finds a server of this machine by itself, and writes knobs with ALTER SYSTEM. Raises
        `CapabilityError` for folders that are not there.
        """
        for folder in (pg_bin_path, pgdata):
            if not Path(folder).is_dir():
                raise CapabilityError(f"there is no folder {folder}")
        self.pg_bin_path, self.pgdata = pg_bin_path, pgdata

    def enable_deep_control_remote(self, *arguments: Any, **named: Any) -> None:
        """Refused: pilot does not log into other machines. Raises `CapabilityError`."""
        raise CapabilityError(
            "pilot restarts servers of this machine only",
            hint="Run pilot on the server's machine; knobs that need no restart work from here.",
        )


class SparkConfig(_Printed, own.PilotConfig):
    """A Spark session. It can be described; pilot cannot work with one yet."""

    db_type = DatabaseEnum.SPARK

    def __init__(self, app_name: str = "pilot", master_url: str = "local[*]") -> None:
        super().__init__()
        self.app_name = app_name
        self.master_url = master_url
        self.datasource_type: SparkSQLDataSourceEnum | None = None
        self.host: str | None = None
        self.user: str | None = None
        self.pwd: str | None = None
        self.spark_configs: dict[str, Any] = {}

    def set_spark_session_config(self, config: dict[str, Any]) -> SparkConfig:
        """Settings of the session."""
        self.spark_configs.update(config)
        return self

    def use_postgresql_datasource(
        self,
        datasource_type: SparkSQLDataSourceEnum,
        host: str,
        db: str,
        user: str,
        pwd: str,
    ) -> None:
        """Read the tables of a PostgreSQL."""
        self.datasource_type = datasource_type
        self.host, self.db, self.user, self.pwd = host, db, user, pwd


def provided(config: C) -> C:
    """`config`, once the database that it names is there.

    Raises `CapabilityError` for Spark, and `DatabaseError` when the database cannot be made.
    """
    if isinstance(config, SparkConfig):
        raise CapabilityError("pilot does not work with Spark yet", hint="Use PostgreSQLConfig.")
    if config.db is not None and getattr(config, "dsn", None) is None:
        made = copy.copy(config)
        made.user_data_db_name = config.db
        made.store_dsn = None  # type: ignore[attr-defined]
        connect_store(made).close()
    return config
