"""Configs: which database, and where."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pilotcli import config as own
from pilotcli.common.errors import CapabilityError
from pilotcli.compat.errors import raising_theirs
from pilotcli.compat.pilotscope.PilotEnum import (
    DatabaseEnum,
    DataFetchMethodEnum,
    SparkSQLDataSourceEnum,
    TrainSwitchMode,
)
from pilotcli.databases.opening import DEFAULT_DATABASE, connect_store

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PilotConfig", "PostgreSQLConfig", "SparkConfig", "pilot_logger", "provided"]

C = TypeVar("C", bound=own.PilotConfig)

pilot_logger = logging.getLogger("PilotScope")
"""A logger for drivers; pilot writes nothing into it, and shows what they do."""


class PilotConfig(own.PilotConfig):
    """The base of configs, with what PilotScope's have besides their values."""

    db_type: Any = DatabaseEnum.POSTGRESQL
    data_fetch_method = DataFetchMethodEnum.HTTP
    pretraining_model = TrainSwitchMode.WAIT

    def __init__(
        self,
        db_type: DatabaseEnum = DatabaseEnum.POSTGRESQL,
        db: str | None = None,
        pilotscope_core_host: str = "localhost",
        is_local: bool = True,
    ) -> None:
        own.PilotConfig.__init__(self, db, pilotscope_core_host)
        self.db_type = db_type
        self.is_local = is_local

    def print(self) -> None:
        """Show all values, a line each, without secrets."""
        for key, value in self._shown().items():
            print(f"{key} = {value}")  # noqa: T201 - PilotScope's own method of this name


class PostgreSQLConfig(PilotConfig, own.PostgreSQLConfig):
    """A PostgreSQL; without `db_host` the embedded one, so that a script runs without set-up.

    `db` names a database, which is made when it is missing.
    """

    def __init__(
        self,
        pilotscope_core_host: str = "localhost",
        db_host: str | None = None,
        db_port: str | int | None = None,
        db_user: str | None = None,
        db_user_pwd: str | None = None,
        **options: Any,
    ) -> None:
        own.PostgreSQLConfig.__init__(
            self, pilotscope_core_host, db_host, db_port, db_user, db_user_pwd, **options
        )
        self.is_local = True
        self.pg_bin_path: str | None = None
        self.pgdata: str | None = None
        self.pg_ctl: str | None = None
        self.db_config_path: str | None = None
        self.backup_db_config_path: str | None = None
        self.db_host_user: str | None = None
        self.db_host_pwd: str | None = None
        self.db_host_port: str | int | None = None

    @classmethod
    def from_run_config(cls, config: own.RunConfig, *, embedded: bool) -> Self:
        """The config of a run. `db` is the name of its database also where the YAML config has it
        in `database.dsn`, or nowhere: PilotScope's drivers look up queries by it."""
        made = super().from_run_config(config, embedded=embedded)
        if made.db is None:
            made.db = _database_of(made)
        return made

    def enable_deep_control_local(self, pg_bin_path: str, pgdata: str) -> None:
        """Say where the server's programs and data are, for restarts and knobs.

        pilot finds a server of this machine by itself, and writes knobs with ALTER SYSTEM: no file
        of the server's is read or copied here. Raises `CapabilityError` for folders that are not
        there.
        """
        for folder in (pg_bin_path, pgdata):
            if not Path(folder).is_dir():
                raise CapabilityError(f"there is no folder {folder}")
        self.pg_bin_path, self.pgdata = pg_bin_path, pgdata
        self.pg_ctl = str(Path(pg_bin_path) / "pg_ctl")
        self.db_config_path = str(Path(pgdata) / "postgresql.conf")
        self.backup_db_config_path = str(Path(pgdata) / "pilotscope_postgresql_backup.conf")

    def enable_deep_control_remote(
        self,
        pg_bin_path: str,
        pgdata: str,
        db_host_user: str,
        db_host_pwd: str,
        db_host_ssh_port: str | int = 22,
    ) -> None:
        """Refused: pilot does not log into other machines. Raises `CapabilityError`."""
        raise CapabilityError(
            "pilot restarts servers of this machine only",
            hint="Run pilot on the server's machine; knobs that need no restart work from here.",
        )


class SparkConfig(PilotConfig):
    """A Spark session. It can be described; pilot cannot work with one yet."""

    def __init__(self, app_name: str = "pilot", master_url: str = "local[*]") -> None:
        super().__init__(DatabaseEnum.SPARK)
        self.app_name = app_name
        self.master_url = master_url
        self.datasource_type: SparkSQLDataSourceEnum | None = None
        self.host: str | None = None
        self.user: str | None = None
        self.pwd: str | None = None
        self.jdbc = "org.postgresql:postgresql:42.6.0"
        self.spark_configs: dict[str, Any] = {}
        self.db_config_path: str | None = None
        self.backup_db_config_path: str | None = None

    def set_spark_session_config(self, config: dict[str, Any]) -> SparkConfig:
        """Settings of the session."""
        self.spark_configs.update(config)
        return self

    def set_datasource(
        self, datasource_type: SparkSQLDataSourceEnum, **datasource_conn_info: Any
    ) -> SparkConfig:
        """Where tables are: `host`, `db`, `user`, `pwd`, and `jdbc` for another driver.

        Raises `NotImplementedError` for what is no PostgreSQL, and `KeyError` when one is missing.
        """
        if datasource_type is not SparkSQLDataSourceEnum.POSTGRESQL:
            raise NotImplementedError(f"there is no data source {datasource_type!r}")
        values = [datasource_conn_info[key] for key in ("host", "db", "user", "pwd")]
        self.use_postgresql_datasource(datasource_type, *values)
        self.jdbc = datasource_conn_info.get("jdbc") or self.jdbc
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

    def push_knob_config(self, db_config_path: str, backup_db_config_path: str) -> SparkConfig:
        """The files of knobs."""
        self.db_config_path = db_config_path
        self.backup_db_config_path = backup_db_config_path
        return self

    set_knob_config = push_knob_config


@raising_theirs
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


def _database_of(config: own.PostgreSQLConfig) -> str | None:
    """The database that a config without a name for it leads to; None where only libpq knows."""
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    if config.embedded:
        return DEFAULT_DATABASE
    if config.dsn is None:
        return None
    try:
        return parse_dsn(config.dsn).get("dbname")
    except ProgrammingError:
        return None  # it is refused, with a message of its own, when it is used
