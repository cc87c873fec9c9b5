"""Rows that become a DataFrame when they are first used.

Making a DataFrame takes five times as long as a cheap query, and most scripts ignore the rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pilotcli.databases.protocols import Rows

if TYPE_CHECKING:
    import pandas

__all__ = ["Records"]


class Records:
    """Takes the place of a result's DataFrame; `isinstance` says that it is one."""

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

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Records.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self.frame, name, value)

    def __copy__(self) -> pandas.DataFrame:
        copied: pandas.DataFrame = self.frame.copy(deep=False)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> pandas.DataFrame:
        copied: pandas.DataFrame = self.frame.copy()
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.frame.__reduce_ex__(protocol)

    def __len__(self) -> int:
        return len(self._rows.rows) if self._frame is None else len(self._frame)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.frame)

    __hash__ = None  # type: ignore[assignment]


def _plain(value: Any) -> Any:
    return value.frame if type(value) is Records else value


def _binary(work: Callable[[Any, Any], Any]) -> Callable[[Records, Any], Any]:
    def method(self: Records, other: Any) -> Any:
        return work(self.frame, _plain(other))

    return method


def _reflected(work: Callable[[Any, Any], Any]) -> Callable[[Records, Any], Any]:
    def method(self: Records, other: Any) -> Any:
        return work(other, self.frame)

    return method


def _on_frame(work: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Records, *arguments: Any) -> Any:
        return work(self.frame, *arguments)

    return method


# Python looks up the methods behind operators on the class, past __getattr__.
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Records, f"__{_name}__", _binary(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor"):
    _work, _short = getattr(operator, _name), _name.rstrip("_")
    setattr(Records, f"__{_short}__", _binary(_work))
    setattr(Records, f"__r{_short}__", _reflected(_work))
for _name in ("neg", "pos", "invert", "abs", "contains", "getitem", "setitem", "delitem"):
    setattr(Records, f"__{_name}__", _on_frame(getattr(operator, _name)))
for _work in (round, bool, repr, str):
    setattr(Records, f"__{_work.__name__}__", _on_frame(_work))
