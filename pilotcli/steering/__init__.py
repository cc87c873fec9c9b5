"""How push and pull handlers reach the database; so far the places where they hang.

A scheduler without a `Steering` sends every query as it stands. One with it asks before each query
for the text to send, which may carry settings and hints in front of the statement, and for how
long the driver took to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pilotcli.records import Query

__all__ = ["Prepared", "Steering"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query as it is sent. `inference_s`: seconds that the driver needed to decide."""

    sql: str
    inference_s: float = 0.0


class Steering(Protocol):
    """Decides how a query is sent."""

    def prepare(self, query: Query) -> Prepared:
        """Called before each query. What it raises becomes the status `steering_error`."""
