"""The queries of a run's workload, as its drivers see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pilotcli.common.records import Query


class QuerySource(Protocol):
    """A workload or a part of one; each iteration reads it again."""

    def __iter__(self) -> Iterator[Query]: ...

    def count(self) -> int | None:
        """How many queries there are, if that is quick to find out."""


class WorkloadQueries:
    """The queries that a run replays in each round, each as a `Query`, in the workload's order.

    Lazy: each iteration streams them from the workload's files again, so a workload of any length
    needs no memory. Iterate as often as needed, in any thread, also while the run replays them.

    - `len()`: how many there are, if that is known or quick to find out (16 MB of files at most);
      otherwise it raises `TypeError`;
    - `query.sql`, `query.label`, `query.seq`: the text, the name, and the number from 1 on, which
      is that of the results and of the collected rows;
    - `query.facts.weight`: how often the workload says that the query is called, None if it does
      not say so (`pilot workloads from-server` and `from-log --distinct` write it).

    Standard input is read to its end when it is iterated over; pilot keeps it in a temporary file.
    Iterating raises `WorkloadError` for what cannot be read.
    """

    def __init__(self, source: QuerySource) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Query]:
        return iter(self._source)

    def __len__(self) -> int:
        count = self._source.count()
        if count is None:
            raise TypeError("the number of queries is not known: iterate over them")
        return count

    def __bool__(self) -> bool:
        return True


def show_workload(driver: object, workload: WorkloadQueries | None) -> None:
    """Set the attribute `workload` of an event or a handler, unless the driver's class has one of
    its own."""
    if getattr(type(driver), "workload", None) is not None:
        return
    if isinstance(getattr(driver, "workload", None), (type(None), WorkloadQueries)):
        driver.workload = workload  # type: ignore[attr-defined]
