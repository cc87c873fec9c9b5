"""Rows that become a DataFrame when they are looked at.

To make a DataFrame takes five times as long as a cheap query, and most scripts only run theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pilotcli.databases.base import Rows

if TYPE_CHECKING:
    import pandas

__all__ = ["Records"]


class Records:
    """Stands in for the DataFrame of a result; counts as one for `isinstance`."""

    __slots__ = ("_frame", "_rows")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._frame: pandas.DataFrame | None = None

    @property
    def frame(self) -> pandas.DataFrame:
        """The DataFrame itself."""
        if self._frame is None:
            import pandas

            rows = self._rows
            self._frame = pandas.DataFrame.from_records(list(rows.rows), columns=rows.columns)
        return self._frame

    @property
    def __class__(self) -> type:
        import pandas

        return pandas.DataFrame

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise TypeError("the class of a result cannot be changed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.frame, name)

    def __getitem__(self, key: Any) -> Any:
        return self.frame[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.frame[key] = value

    def __len__(self) -> int:
        return len(self._rows.rows) if self._frame is None else len(self._frame)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.frame)

    def __contains__(self, key: Any) -> bool:
        return key in self.frame

    def __eq__(self, other: object) -> Any:
        return self.frame == other

    def __ne__(self, other: object) -> Any:
        return self.frame != other

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.frame)

    def __repr__(self) -> str:
        return repr(self.frame)

    def __str__(self) -> str:
        return str(self.frame)
