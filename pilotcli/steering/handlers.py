"""Push handlers: what drivers derive from to put something into the database for each query.

A subclass implements `acquire_injected_data(sql)`; what that returns goes into the database for
this query and no other. Names and returned forms are those that PilotScope documents. `None` means
that the handler has nothing to say for the query.

Knobs and indexes outlive a query: handlers of theirs are asked once a workload, before its first
query, and what they changed is undone when the run ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pilotcli.common.records import Index
from pilotcli.steering.methods import Method
from pilotcli.steering.requests import Pushes

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.steering.interactor import PilotDataInteractor

__all__ = [
    "BasePushHandler",
    "CardPushHandler",
    "CommentPushHandler",
    "HintPushHandler",
    "IndexPushHandler",
    "JoinOrderPushHandler",
    "KnobPushHandler",
    "QueryPushHandler",
    "ScanJoinMethodPushHandler",
    "WorkloadPushHandler",
]


class BasePushHandler(ABC):
    """The base of all push handlers; derive from one of those below."""

    interactor: PilotDataInteractor | None = None
    """To look into the database with before deciding: set by the scheduler that the handler is
    registered with, on the run's database and over a connection of its own."""
    scheduler: ClassVar[str | None] = None
    """The scheduler of a run with such handlers, as `module:Class`; None for pilot's own."""

    def __init__(self, config: PilotConfig | None = None) -> None:
        self.config = config

    @abstractmethod
    def acquire_injected_data(self, sql: str) -> Any:
        """What to put into the database for `sql`; None for nothing.

        Called before the query is sent. What it raises, or returns in another form than the class
        documents, gives the query the status `steering_error`.
        """


class QueryPushHandler(BasePushHandler):
    """A handler that is asked before every query."""

    @abstractmethod
    def put(self, data: Any, pushes: Pushes) -> None:
        """Add what was returned to `pushes`. Raises `SteeringError` for a wrong form."""


class HintPushHandler(QueryPushHandler):
    """Planner settings for one query: `{"enable_nestloop": "off", "work_mem": "64MB"}`."""

    def put(self, data: Mapping[str, object] | None, pushes: Pushes) -> None:
        """See `Pushes.add_hints`."""
        pushes.add_hints(data)


class CardPushHandler(QueryPushHandler):
    """Cardinalities for one query: `{sub-plan query as SQL: rows}`.

    Keys are those that `pull_subquery_card` gives, in any equivalent spelling.
    """

    def put(self, data: Mapping[str, float] | None, pushes: Pushes) -> None:
        """See `Pushes.add_cards`."""
        pushes.add_cards(data)


class CommentPushHandler(QueryPushHandler):
    """A comment in front of one query, as text: pg_hint_plan's hints, mostly."""

    def put(self, data: str | None, pushes: Pushes) -> None:
        """See `Pushes.add_comment`."""
        pushes.add_comment(data)


class ScanJoinMethodPushHandler(QueryPushHandler):
    """Scan and join methods for one query: `(ScanJoinMethodEnum.HASHJOIN, "p u")`, or a list of
    such pairs."""

    def put(self, data: Method | Sequence[Method] | None, pushes: Pushes) -> None:
        """See `Pushes.add_methods`."""
        pushes.add_methods(data)


class JoinOrderPushHandler(QueryPushHandler):
    """The order of a query's joins: `["p", "u", "c"]` joins p and u first, then c."""

    def put(self, data: Sequence[Any] | str | None, pushes: Pushes) -> None:
        """See `Pushes.add_order`."""
        pushes.add_order(data)


class WorkloadPushHandler(BasePushHandler):
    """A handler that is asked once a workload, with the first query's text."""


class KnobPushHandler(WorkloadPushHandler):
    """Server settings for the whole workload: `{"shared_buffers": "256MB"}`.

    The server is reloaded, or restarted where a setting needs it.
    """


class IndexPushHandler(WorkloadPushHandler):
    """Indexes for the whole workload: a list of `Index`.

    `drop_other` takes away all other indexes of the database that are there for speed alone: none
    behind a constraint, no unique one.
    """

    drop_other: bool = False

    def __init__(self, config: PilotConfig | None = None, drop_other: bool = False) -> None:
        super().__init__(config)
        self.drop_other = drop_other

    @abstractmethod
    def acquire_injected_data(self, sql: str) -> Sequence[Index] | None:
        """The indexes to make; None for none."""
