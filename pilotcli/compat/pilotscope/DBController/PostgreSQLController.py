"""The controller of a PostgreSQL."""

from __future__ import annotations

from typing import Any

from pilotcli.databases.controller import PostgreSQLController as _Own
from pilotcli.errors import CapabilityError

__all__ = ["PostgreSQLController"]


class PostgreSQLController(_Own):
    """pilot's controller, with what else PilotScope's drivers call."""

    def _connect_if_loss(self) -> None:
        """Connect unless that is so: pilot does it whenever it is needed."""
        self.session()

    def _reset(self) -> None:
        """Leave the session as it was when new."""
        self.reset()

    def _surun(self, cmd: str) -> int:
        raise CapabilityError(
            "pilot runs no shell commands as the server's user",
            hint="Use start(), shutdown() and restart().",
        )

    def get_available_extensions(self) -> list[str]:
        """The extensions that are installed in the database."""
        rows = self.session().execute("SELECT extname FROM pg_extension ORDER BY extname").rows
        return [str(row[0]) for row in rows]

    def get_relation_content(
        self, relation_names: str, fetch_column_name: bool = False
    ) -> list[tuple[Any, ...]]:
        """All rows of a relation."""
        from psycopg2 import sql

        name = sql.Identifier(*relation_names.split("."))
        text = sql.SQL("SELECT * FROM {}").format(name).as_string(self.session().connection)
        found: list[tuple[Any, ...]] = self.execute(text, True, fetch_column_name)
        return found

    def get_column_number_of_distinct_value(self, table_name: str, column_name: str) -> int:
        """The number of different values of a column."""
        return int(self.get_number_of_distinct_value(table_name, column_name))
