"""An index, by its columns and table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pilotcli.common.records import Index as _Own

__all__ = ["Index"]


class Index(_Own):
    """pilot's own; drivers may add further attributes to it, sort indexes, and put them into sets.

    Those that PilotScope's what-if indexes get from HypoPG are there and stay None: pilot makes
    such an index again for each session, and finds it by its name.
    """

    hypopg_oid: int | None = None
    hypopg_name: str | None = None

    def __init__(
        self,
        columns: Iterable[str],
        table: str,
        index_name: str | None = None,
        index_method: str | None = None,
        **kinds: Any,
    ) -> None:
        """`index_method` changes nothing, as in PilotScope: indexes are B-trees. `kinds` are the
        further fields of `pilotcli.Index`."""
        named = tuple(columns)
        if not named:
            raise ValueError(f"an index on {table!r} needs a column at least")
        super().__init__(named, table, index_name, **kinds)

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
        """The name, or the name that PilotScope makes of the table and the columns."""
        return self.index_name or "_".join((self.table, *self.columns, "idx"))

    def joined_column_names(self) -> str:
        """The columns, with commas in between."""
        return ", ".join(self.columns)

    def index_idx(self) -> str:
        """The same as `get_index_name`."""
        return self.get_index_name()

    def is_single_column(self) -> bool:
        """Whether it has one column."""
        return len(self.columns) == 1

    def appendable_by(self, other: Index) -> bool:
        """Whether `other` is on one column of the same table that is not in this index yet."""
        return (
            isinstance(other, Index)
            and other.table == self.table
            and other.is_single_column()
            and other.columns[0] not in self.columns
        )

    def subsumes(self, other: Index) -> bool:
        """Whether this index begins with all columns of `other`, on the same table."""
        if not isinstance(other, Index) or other.table != self.table:
            return False
        return tuple(self.columns[: len(other.columns)]) == tuple(other.columns)

    def prefixes(self) -> list[Index]:
        """The indexes on the first columns of this one, the widest first."""
        widths = range(len(self.columns) - 1, 0, -1)
        return [Index(self.columns[:width], self.table) for width in widths]
