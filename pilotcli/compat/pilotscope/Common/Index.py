"""An index, by its columns and table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pilotcli.records import Index as _Own

__all__ = ["Index"]


class Index(_Own):
    """pilot's own; drivers may hang further attributes on it, sort them, and put them into sets.

    Those that PilotScope's what-if indexes get from HypoPG are there and stay None: pilot makes
    such an index anew for each session, and finds it by its name.
    """

    hypopg_oid: int | None = None
    hypopg_name: str | None = None

    def __init__(self, columns: Iterable[str], table: str, index_name: str | None = None) -> None:
        super().__init__(tuple(columns), table, index_name)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash((self.columns, self.table, self.index_name))

    def __lt__(self, other: Index) -> bool:
        return (len(self.columns), *self.columns) < (len(other.columns), *other.columns)

    def __repr__(self) -> str:
        return f"{self.table}: {','.join(self.columns)}"

    __str__ = __repr__

    def get_index_name(self) -> str:
        """The name, or the one that PilotScope makes of the table and the columns."""
        return self.index_name or "_".join((self.table, *self.columns, "idx"))

    def joined_column_names(self) -> str:
        """The columns, with commas in between."""
        return ", ".join(self.columns)
