"""The `PilotConfig` that drivers receive, with PilotScope's documented names.

It says which database a controller, a `DataManager` or an interactor built from it connects to.
Built from Python it takes PilotScope's arguments; `pilot run` builds it from the YAML config.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pilotcli.common.redaction import MASK
from pilotcli.config.model import DatabaseSection, RunConfig
from pilotcli.config.secrets import masked

if TYPE_CHECKING:
    from typing_extensions import Self

LIBPQ_TARGETS = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


def choose_embedded(database: DatabaseSection, environ: Mapping[str, str]) -> bool:
    """Whether the target is the embedded server.

    `database.embedded` decides; if it is unset, a `dsn` or a libpq variable in `environ` that names
    a server or a database means another server.
    """
    if database.embedded is not None:
        return database.embedded
    return database.dsn is None and not _names_target(environ)


def _names_target(environ: Mapping[str, str]) -> bool:
    """Whether a variable of libpq in `environ` names a server or a database."""
    return any(environ.get(name) for name in LIBPQ_TARGETS)


class PilotConfig:
    """Which database to use, and for how long.

    - `db`: the database's name; None uses the one of `dsn` or the embedded server's `pilot`;
    - `sql_execution_timeout`, `once_request_timeout`: seconds; None never times out;
    - `user_data_db_name`: the database of the store, beside the target;
    - `store_schema`: the schema of the store's tables, created if missing; None is that of the
      connection;
    - `planner`: whether the planner module is built and loaded where it is needed (`auto`), or
      `never`;
    - `home`: the folder of the embedded server, the journal and the checkpoints;
    - `base`: the folder that a driver's relative paths are relative to: the config file's, or the
      current one.
    """

    db_type = "POSTGRESQL"

    def __init__(
        self,
        db: str | None = None,
        pilotscope_core_host: str = "localhost",
        *,
        home: str | Path | None = None,
    ) -> None:
        self.db = db
        self.pilotscope_core_host = pilotscope_core_host
        self.home = Path(home or ".pilot").absolute()
        self.base = Path.cwd()
        self.sql_execution_timeout: float | None = 300.0
        self.once_request_timeout: float | None = 300.0
        self.user_data_db_name = "pilot_data"
        self.store_schema: str | None = None
        self.connect_timeout: float = 10.0
        self.planner: Literal["auto", "never"] = "auto"

    def _shown(self) -> dict[str, object]:
        return {k: MASK if k in _SECRET and v else masked(v, k) for k, v in vars(self).items()}

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}={value!r}" for key, value in self._shown().items())
        return f"{type(self).__name__}({inner})"


_SECRET = frozenset({"db_user_pwd", "dsn", "store_dsn"})


class PostgreSQLConfig(PilotConfig):
    """A PostgreSQL: the embedded one when neither `db_host` nor `dsn` is given, and the environment
    has none of `LIBPQ_TARGETS`. `embedded` decides where it is given.

    `dsn` is a libpq connection string or URL and wins over the single arguments; arguments that
    are None are left to libpq (environment, service file, ~/.pgpass).
    """

    def __init__(
        self,
        pilotscope_core_host: str = "localhost",
        db_host: str | None = None,
        db_port: str | int | None = None,
        db_user: str | None = None,
        db_user_pwd: str | None = None,
        *,
        db: str | None = None,
        dsn: str | None = None,
        embedded: bool | None = None,
        home: str | Path | None = None,
    ) -> None:
        super().__init__(db, pilotscope_core_host, home=home)
        self.db_host = db_host
        self.db_port = db_port
        self.db_user = db_user
        self.db_user_pwd = db_user_pwd
        self.dsn = dsn
        if embedded is None:
            embedded = dsn is None and db_host is None and not _names_target(os.environ)
        self.embedded = embedded
        self.store_dsn: str | None = None
        self.postgres_bin: Path | None = None
        self.server_settings: Mapping[str, str] = {}
        self.session_settings: Mapping[str, str] = {}
        self.setup: tuple[Path, ...] = ()

    @classmethod
    def from_run_config(cls, config: RunConfig, *, embedded: bool) -> Self:
        """The `PilotConfig` of a YAML config; `embedded` is what the loader decided."""
        made = cls(
            db=config.database.name, dsn=config.database.dsn, embedded=embedded, home=config.home
        )
        made.base = config.base.absolute()
        made.sql_execution_timeout = config.run.timeout
        made.once_request_timeout = config.run.timeout
        made.user_data_db_name = config.store.database
        made.store_dsn = config.store.dsn
        made.planner = config.steering.planner
        made.connect_timeout = config.database.connect_timeout
        made.postgres_bin = config.database.postgres_bin
        made.server_settings = config.database.settings
        made.session_settings = config.database.session
        made.setup = config.database.setup
        return made
