"""What a node of a plan costs: for the planner, in time, in pages, and on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotcli.common.quantities import count, duration, plural, size

LEAST_S = 1e-6
PAGE_BYTES = 8192
"""A server's block size, unless it was compiled with another one."""
_GATHERS = ("Gather", "Gather Merge")
_HIT = ("Shared Hit Blocks", "Local Hit Blocks")
_READ = ("Shared Read Blocks", "Local Read Blocks")
_TEMP = ("Temp Written Blocks",)


@dataclass(frozen=True, slots=True)
class NodeCosts:
    """The costs of one node; None where nobody measured them.

    - `planned`: the planner's total cost of one execution, in its units, nodes below included;
    - `total_s`: seconds of all executions together, nodes below included; `own_s`: without those.
      What runs in parallel counts as the mean of its processes;
    - `pages`: pages of tables and indexes that the node itself used, of which `read` were not in
      the server's cache;
    - `spilled_bytes`: what the node itself wrote to temporary files.
    """

    planned: float | None = None
    total_s: float | None = None
    own_s: float | None = None
    pages: int | None = None
    read: int | None = None
    spilled_bytes: int | None = None

    @property
    def words(self) -> str:
        """All that is known, in words: `12 ms, 3 ms of its own; 1,200 pages; cost 34`."""
        parts = []
        if self.total_s is not None and self.own_s is not None:
            own = f"{duration(self.own_s)} of its own" if self.own_s >= LEAST_S else "no own time"
            whole = duration(self.total_s)
            parts.append(f"{whole}, {own}" if self.own_s < self.total_s else whole)
        if self.pages:
            read = f", {count(self.read)} of them read" if self.read else ""
            parts.append(f"{plural(self.pages, 'page')}{read}")
        if self.spilled_bytes:
            parts.append(f"{size(self.spilled_bytes)} to disk")
        if self.planned is not None:
            parts.append(
                f"cost {self.planned:,.0f}" if self.planned >= 10 else f"cost {self.planned:.3g}"
            )
        return "; ".join(parts)


def node_costs(
    fields: Mapping[str, Any],
    below: Sequence[Mapping[str, Any]],
    processes: float,
    of_ctes: Mapping[str, float],
) -> NodeCosts:
    """Returns the costs of the node `fields` of a plan as JSON, with the nodes `below` it.

    `processes` is how many processes ran it side by side; `of_ctes` has the seconds of each CTE,
    which are in the time of the node that scans it.
    """
    total = total_s(fields, processes)
    own = total
    if total is not None:
        each = processes_below(fields, below, processes)
        # The first plan that needs it runs an InitPlan: its time is not in that of its parent.
        inner = [node for node in below if node.get("Parent Relationship") != "InitPlan"]
        spent = sum(total_s(node, each) or 0.0 for node in inner)
        spent += of_ctes.get(str(fields.get("CTE Name")), 0.0)
        own = max(0.0, total - spent)
    hit, read, temp = (_own(fields, below, names) for names in (_HIT, _READ, _TEMP))
    return NodeCosts(
        planned=finite_number(fields.get("Total Cost")),
        total_s=total,
        own_s=own,
        pages=None if hit is None else hit + (read or 0),
        read=read,
        spilled_bytes=_spilled(fields) if temp is None else temp * PAGE_BYTES,
    )


def total_s(fields: Mapping[str, Any], processes: float) -> float | None:
    """Returns the seconds of all executions of a node with those below; None if not measured."""
    each_ms = finite_number(fields.get("Actual Total Time"))
    loops = finite_number(fields.get("Actual Loops"))
    return None if each_ms is None or loops is None else each_ms * loops / processes / 1000


def processes_below(
    fields: Mapping[str, Any], below: Sequence[Mapping[str, Any]], processes: float
) -> float:
    """Returns how many processes ran the nodes below a node that `processes` of them ran."""
    if fields.get("Node Type") not in _GATHERS or not below:
        return processes
    outer, inner = (finite_number(node.get("Actual Loops")) for node in (fields, below[-1]))
    return processes * max(1.0, inner / outer) if outer and inner else processes


def finite_number(value: Any) -> float | None:
    """Returns `value` as a float; None for what is no number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _own(
    fields: Mapping[str, Any], below: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> int | None:
    """Returns the sum of these counts of a node without the nodes below; None if not measured."""
    if finite_number(fields.get(names[0])) is None:
        return None

    def summed(node: Mapping[str, Any]) -> float:
        return sum(finite_number(node.get(name)) or 0.0 for name in names)

    return _whole(max(0.0, summed(fields) - sum(map(summed, below))))


def _spilled(fields: Mapping[str, Any]) -> int | None:
    """Returns the bytes on disk that the node itself reports, where no buffers were measured."""
    kilobytes = finite_number(fields.get("Disk Usage"))
    if fields.get("Sort Space Type") == "Disk":
        kilobytes = finite_number(fields.get("Sort Space Used"))
    return None if kilobytes is None else _whole(kilobytes * 1024)


def _whole(number: float) -> int | None:
    return int(number) if math.isfinite(number) else None
