"""Configs: which database, and where."""

from __future__ import annotations

import copy
import logging
from contextlib import closing
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
from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.opening import DEFAULT_DATABASE, connect_store, open_target
from pilotcli.steering.planner import find_pg_config

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PilotConfig", "PostgreSQLConfig", "SparkConfig", "pilot_logger", "provided"]

log = logging.getLogger(__name__)

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
        pilotscope_core_host: str | None = None,
        user_data_db_name: str | None = None,
        sql_execution_timeout: float | None = None,
        once_request_timeout: float | None = None,
        *,
        is_local: bool = True,
    ) -> None:
        own.PilotConfig.__init__(self, db, pilotscope_core_host or "localhost")
        self.db_type = db_type
        self.user_data_db_name = user_data_db_name or self.user_data_db_name
        self._set_timeouts(sql_execution_timeout, once_request_timeout)
        self.is_local = self._is_local = is_local
        self._enable_deep_control = False

    def _set_timeouts(self, sql_execution: float | None, once_request: float | None) -> None:
        """Set time-outs in seconds; None keeps what there is."""
        if sql_execution is not None:
            self.sql_execution_timeout = sql_execution
        if once_request is not None:
            self.once_request_timeout = once_request

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
        pilotscope_core_host: str | None = None,
        db_host: str | None = None,
        db_port: str | int | None = None,
        db_user: str | None = None,
        db_user_pwd: str | None = None,
        db: str | None = None,
        sql_execution_timeout: float | None = None,
        once_request_timeout: float | None = None,
        **options: Any,
    ) -> None:
        host = pilotscope_core_host or "localhost"
        own.PostgreSQLConfig.__init__(
            self, host, db_host, db_port, db_user, db_user_pwd, db=db, **options
        )
        self._set_timeouts(sql_execution_timeout, once_request_timeout)
        self.is_local = self._is_local = True
        self._enable_deep_control = False
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

    def enable_deep_control_local(
        self,
        pg_bin_path: str | None = None,
        pg_data_path: str | None = None,
        *,
        pgdata: str | None = None,
    ) -> None:
        """Say where the server's programs and data are, for restarts and knobs.

        pilot finds a server of this machine by itself, and writes knobs with ALTER SYSTEM: no file
        of the server's is read or copied here. What is not given is looked up; for the embedded
        server, also a folder that is not there. The planner module is built with the `pg_config` in
        `pg_bin_path`. `pgdata` is an older name of `pg_data_path`.

        Raises `CapabilityError` for folders that are not there, or cannot be looked up.
        """
        programs, data = pg_bin_path, pg_data_path or pgdata
        if self.embedded:
            own_folders = _embedded_folders(self)
            for given in (programs, data):
                if given is not None and not Path(given).is_dir():
                    log.warning("there is no folder %s: the embedded server's is taken", given)
            programs, data = (
                given if given is not None and Path(given).is_dir() else known
                for given, known in zip((programs, data), own_folders, strict=True)
            )
        elif programs is None or data is None:
            known_programs, known_data = _folders_of_server(self)
            programs, data = programs or known_programs, data or known_data
        for folder in (programs, data):
            if not self.embedded and not Path(folder).is_dir():
                raise CapabilityError(f"there is no folder {folder}")
        self.pg_bin_path, self.pgdata, self._enable_deep_control = programs, data, True
        self.pg_ctl = str(Path(programs) / "pg_ctl")
        self.db_config_path = str(Path(data) / "postgresql.conf")
        self.backup_db_config_path = str(Path(data) / "pilotscope_postgresql_backup.conf")

    def enable_deep_control_remote(
        self,
        pg_bin_path: str | None = None,
        pg_data_path: str | None = None,
        db_host_user: str | None = None,
        db_host_pwd: str | None = None,
        db_host_ssh_port: str | int | None = None,
        *,
        pgdata: str | None = None,
    ) -> None:
        """Refused: pilot does not log into other machines. Raises `CapabilityError`."""
        raise CapabilityError(
            "pilot restarts servers of this machine only",
            hint="Run pilot on the server's machine; knobs that need no restart work from here.",
        )


class SparkConfig(PilotConfig):
    """A Spark session. It can be described; pilot cannot work with one yet."""

    def __init__(
        self,
        pilotscope_core_host: str | None = None,
        app_name: str | None = None,
        master_url: str | None = None,
        db: str | None = None,
        sql_execution_timeout: float | None = None,
        once_request_timeout: float | None = None,
    ) -> None:
        super().__init__(
            DatabaseEnum.SPARK,
            db,
            pilotscope_core_host,
            sql_execution_timeout=sql_execution_timeout,
            once_request_timeout=once_request_timeout,
        )
        self.app_name = app_name or "pilot"
        self.master_url = master_url or "local[*]"
        self.datasource_type: SparkSQLDataSourceEnum | None = None
        self.db_host: str | None = None
        self.db_port: str | int | None = None
        self.db_user: str | None = None
        self.db_user_pwd: str | None = None
        self.jdbc = "org.postgresql:postgresql:42.6.0"
        self.spark_configs: dict[str, Any] = {}
        self.db_config_path: str | None = None
        self.backup_db_config_path: str | None = None

    def set_spark_session_config(self, config: dict[str, Any]) -> SparkConfig:
        """Settings of the session."""
        self.spark_configs.update(config)
        return self

    def enable_cardinality_estimation(self) -> None:
        """Settings with which Spark's planner uses estimates of cardinalities."""
        names = ("spark.sql.cbo.enabled", "spark.sql.cbo.joinReorder.enabled")
        self.set_spark_session_config(dict.fromkeys(names, True))

    def set_datasource(
        self, datasource_type: SparkSQLDataSourceEnum, **datasource_conn_info: Any
    ) -> SparkConfig:
        """Where tables are: `host`, `db`, `user`, `pwd`, and `jdbc` for another driver.

        Raises `NotImplementedError` for what is no PostgreSQL, and `KeyError` when one is missing.
        """
        if datasource_type is not SparkSQLDataSourceEnum.POSTGRESQL:
            raise NotImplementedError(f"there is no data source {datasource_type!r}")
        host, db, user, pwd = (datasource_conn_info[key] for key in ("host", "db", "user", "pwd"))
        self.use_postgresql_datasource(host, db_user=user, db_user_pwd=pwd, db=db)
        self.jdbc = datasource_conn_info.get("jdbc") or self.jdbc
        return self

    def use_postgresql_datasource(
        self,
        db_host: str = "localhost",
        db_port: str | int = "5432",
        db_user: str = "postgres",
        db_user_pwd: str = "postgres",  # noqa: S107 - PilotScope's own default
        db: str = "stats_tiny",
    ) -> None:
        """Read the tables of a PostgreSQL."""
        self.datasource_type = SparkSQLDataSourceEnum.POSTGRESQL
        self.db_host, self.db_port, self.db = db_host, db_port, db
        self.db_user, self.db_user_pwd = db_user, db_user_pwd

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


def _embedded_folders(config: own.PostgreSQLConfig) -> tuple[str, str]:
    """The folders of the embedded server's programs and data."""
    found = find_binaries(config.postgres_bin)
    return str(found.folder), str(config.home / "pg" / str(found.major) / "data")


def _folders_of_server(config: own.PostgreSQLConfig) -> tuple[str, str]:
    """The folders of programs and data of a server on this machine. Raises `CapabilityError`."""
    with closing(open_target(config)) as target:
        session = target.session()
        version = str(session.execute("SHOW server_version").rows[0][0]).split()[0]
        pg_config = find_pg_config(version)
        if pg_config is None:
            raise CapabilityError(
                f"the programs of PostgreSQL {version} are not found on this machine",
                hint="Name their folder: enable_deep_control_local(pg_bin_path=...).",
            )
        return str(pg_config.parent), str(session.execute("SHOW data_directory").rows[0][0])


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
