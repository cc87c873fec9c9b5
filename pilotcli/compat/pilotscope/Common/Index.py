"""An index, by its columns and table."""

from __future__ import annotations

from typing import Any

from pilotcli.records import Index as _Own

__all__ = ["Index"]


class Index(_Own):
    """pilot's own; drivers may hang further attributes on it."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"{self.table}: {','.join(self.columns)}"

    __str__ = __repr__

    def get_index_name(self) -> str | None:
        """The name."""
        return self.index_name

    def joined_column_names(self) -> str:
        """The columns, with commas in between."""
        return ", ".join(self.columns)
