"""Times by name, summed over a program."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pandas

__all__ = ["TimeStatistic"]


class TimeStatistic:
    """Adds up how long what is between `start` and `end` of a name took, in seconds.

    Safe for several threads: each has starts of its own.
    """

    _started: ClassVar[dict[tuple[int, Hashable], float]] = {}
    _guard = threading.Lock()
    _totals: ClassVar[dict[Hashable, tuple[int, float]]] = {}

    @classmethod
    def start(cls, name: Hashable) -> None:
        """Begin to measure `name` in this thread."""
        cls._started[threading.get_ident(), name] = time.perf_counter()

    @classmethod
    def end(cls, name: Hashable) -> None:
        """End it. Raises `RuntimeError` without a start."""
        began = cls._started.pop((threading.get_ident(), name), None)
        if began is None:
            raise RuntimeError(f"TimeStatistic.end({name!r}) without a start in this thread")
        cls.add_time(name, time.perf_counter() - began)

    @classmethod
    def add_time(cls, name: Hashable, inc_time: float) -> None:
        """Add a time that was measured otherwise."""
        with cls._guard:
            count, total = cls._totals.get(name, (0, 0.0))
            cls._totals[name] = (count + 1, total + inc_time)

    @classmethod
    def report(cls) -> pandas.DataFrame:
        """A row for each name: `name`, `count`, `total_time`, `average_time`."""
        import pandas

        rows = [(name, count, total, total / count) for name, (count, total) in cls._items()]
        columns = ["name", "count", "total_time", "average_time"]
        frame: pandas.DataFrame = pandas.DataFrame(rows, columns=columns)
        return frame

    @classmethod
    def save_xlsx(cls, file_path: str) -> None:
        """Write `report` into a file of Excel; needs the package openpyxl."""
        cls.report().to_excel(file_path, index=False)

    @classmethod
    def get_average_data(cls) -> dict[Hashable, float]:
        """Name to average."""
        return {name: total / count for name, (count, total) in cls._items()}

    @classmethod
    def get_sum_data(cls) -> dict[Hashable, float]:
        """Name to sum."""
        return {name: total for name, (_, total) in cls._items()}

    @classmethod
    def get_count_data(cls) -> dict[Hashable, int]:
        """Name to count."""
        return {name: count for name, (count, _) in cls._items()}

    @classmethod
    def clear(cls) -> None:
        """Forget all."""
        with cls._guard:
            cls._totals.clear()
            cls._started.clear()

    @classmethod
    def _items(cls) -> list[tuple[Hashable, tuple[int, float]]]:
        with cls._guard:
            return list(cls._totals.items())
