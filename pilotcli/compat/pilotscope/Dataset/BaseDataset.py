"""Data sets: tables and queries in files of a folder that the user names, as `data_dir` or in the
environment variable PILOTSCOPE_DATA_DIR.

Nothing is fetched: PilotScope's repository and the sites that it names have the files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum
from pilotcli.errors import CapabilityError, UsageError

__all__ = ["BaseDataset"]


class BaseDataset:
    """One data set. Subclasses name its files and where they are to be had."""

    db_name = ""
    schema_file: str | None = None
    train_sql_file: str | None = None
    test_sql_file: str | None = None
    source = "PilotScope's repository, pilotscope/Dataset"

    def __init__(
        self,
        use_db_type: Any = DatabaseEnum.POSTGRESQL,
        created_db_name: str | None = None,
        data_dir: str | Path | None = None,
    ) -> None:
        # Some of PilotScope's own scripts give the enumeration itself.
        if use_db_type not in (DatabaseEnum.POSTGRESQL, DatabaseEnum):
            raise CapabilityError("data sets are loaded into a PostgreSQL only")
        self.use_db_type = use_db_type
        self.created_db_name = created_db_name or self.db_name
        given = data_dir or os.environ.get("PILOTSCOPE_DATA_DIR")
        self.data_dir = None if given is None else Path(given)

    def read_train_sql(self) -> list[str]:
        """The training queries. Raises `UsageError` where their file is not to be found."""
        return _statements(self._file(self.train_sql_file))

    def read_test_sql(self) -> list[str]:
        """The test queries; likewise."""
        return _statements(self._file(self.test_sql_file))

    def load_to_db(self, config: Any) -> None:
        """Make the database `created_db_name` and load the tables into it; `config.db` names it
        from then on."""
        script = self._file(self.schema_file)
        config.db = self.created_db_name
        controller = DBControllerFactory.get_db_controller(config)
        try:
            from pilotcli.workload import open_workload

            session = controller.session()
            with open_workload([str(script)]) as workload:
                for query in workload:
                    session.execute(query.sql, query.copy)
        finally:
            controller.close()

    def _file(self, name: str | None) -> Path:
        what = type(self).__name__
        if name is None:
            raise UsageError(f"{what} has no such file")
        if self.data_dir is None:
            raise UsageError(
                f"{what} needs the folder with its files",
                hint=f"Name it: {what}(DatabaseEnum.POSTGRESQL, data_dir=...), or set "
                f"PILOTSCOPE_DATA_DIR. They come from {self.source}.",
            )
        path = self.data_dir / name
        if not path.is_file():
            raise UsageError(f"there is no file {path}", hint=f"It comes from {self.source}.")
        return path


def _statements(path: Path) -> list[str]:
    from pilotcli.workload import open_workload

    with open_workload([str(path)]) as workload:
        return [query.sql for query in workload]
