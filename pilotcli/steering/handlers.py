"""Push handlers: the classes that drivers derive from to steer each query.

A subclass implements `acquire_injected_data(sql)`. What it returns applies to this query alone;
None changes nothing. Names and returned forms are those that PilotScope documents.

Handlers for knobs and indexes are called once per workload, before its first query; their changes
are undone when the run ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pilotcli.common.errors import DriverError
from pilotcli.common.records import Index, LoggedValue
from pilotcli.steering.logged_values import logged_value
from pilotcli.steering.methods import Method
from pilotcli.steering.requests import Pushes

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.steering.interactor import PilotDataInteractor
    from pilotcli.workload.upcoming import WorkloadQueries


class BasePushHandler(ABC):
    """The base of all push handlers; derive from one of those below."""

    interactor: PilotDataInteractor = None  # type: ignore[assignment]
    """Reads from the run's database, over a connection of its own; set by the scheduler that the
    handler is registered with, None in the constructor."""
    workload: WorkloadQueries | None = None
    """The queries that the run replays, set before the first call; None in a script, and in the
    constructor."""
    scheduler: ClassVar[str | None] = None
    """The scheduler of a run with such handlers, as `module:Class`; None for pilot's own."""

    def __init__(self, config: PilotConfig | None = None) -> None:
        """A driver's own constructor takes `config` first, which pilot passes, then the `args:` of
        the config by name, and as `pilot_model` the model that `model:` names. It calls this one.
        """
        self.config = config

    @abstractmethod
    def acquire_injected_data(self, sql: str) -> Any:
        """Return what to push for `sql`, in the form that the class documents; None for nothing.

        Called before the query is sent. An exception, or a value of another form, gives the query
        the status `steering_error`.
        """


class QueryPushHandler(BasePushHandler):
    """A handler that is called before every query."""

    pilot_log: dict[str, LoggedValue] | None = None
    """Where `log` puts its values; set by pilot while it calls `acquire_injected_data`."""

    def log(self, /, **values: object) -> None:
        """Log values for the query: `self.log(arm="hash", predicted_s=0.12)`.

        Call it in `acquire_injected_data`. The values are in the query's result
        (`QueryResult.logged`), and so in the journal, the exports and the signals. A value is a
        number (one of numpy, too), a text, a bool or None; NaN and infinity become None, because
        JSON does not have them. A later value of the same name replaces an earlier one, whichever
        handler has logged it.

        Raises `DriverError` for any other value, and outside of `acquire_injected_data`.
        """
        checked = {name: logged_value(name, value) for name, value in values.items()}
        if self.pilot_log is None:
            raise DriverError(
                "log was called outside of a query",
                hint="Call self.log(...) in acquire_injected_data.",
            )
        self.pilot_log.update(checked)

    @abstractmethod
    def put(self, data: Any, pushes: Pushes) -> None:
        """Add the returned `data` to `pushes`. Raises `SteeringError` for a wrong form."""


class HintPushHandler(QueryPushHandler):
    """Planner settings for one query: `{"enable_nestloop": "off", "work_mem": "64MB"}`."""

    def put(self, data: Mapping[str, object] | None, pushes: Pushes) -> None:
        pushes.add_hints(data)


class CardPushHandler(QueryPushHandler):
    """Cardinalities for one query: `{sub-plan query as SQL: rows}`.

    Keys are the sub-plan queries of `pull_subquery_card`, in any equivalent spelling.
    """

    def put(self, data: Mapping[str, float] | None, pushes: Pushes) -> None:
        pushes.add_cards(data)


class CommentPushHandler(QueryPushHandler):
    """A comment in front of one query, as text: usually pg_hint_plan's hints."""

    def put(self, data: str | None, pushes: Pushes) -> None:
        pushes.add_comment(data)


class ScanJoinMethodPushHandler(QueryPushHandler):
    """Scan and join methods for one query: `(ScanJoinMethodEnum.HASHJOIN, "p u")`, or a list of
    such pairs."""

    def put(self, data: Method | Sequence[Method] | None, pushes: Pushes) -> None:
        pushes.add_methods(data)


class JoinOrderPushHandler(QueryPushHandler):
    """The order of a query's joins: `["p", "u", "c"]` joins p and u first, then c."""

    def put(self, data: Sequence[Any] | str | None, pushes: Pushes) -> None:
        pushes.add_order(data)


class WorkloadPushHandler(BasePushHandler):
    """A handler that is called once per workload, with the first query's text."""


class KnobPushHandler(WorkloadPushHandler):
    """Server settings for the whole workload: `{"shared_buffers": "256MB"}`.

    The server is reloaded, or restarted where a setting needs it.
    """


class IndexPushHandler(WorkloadPushHandler):
    """Indexes for the whole workload: a list of `Index`.

    `drop_other` drops the other indexes of the database that only serve speed: no unique index and
    none of a constraint.
    """

    drop_other: bool = False

    def __init__(self, config: PilotConfig | None = None, drop_other: bool = False) -> None:
        super().__init__(config)
        self.drop_other = drop_other

    @abstractmethod
    def acquire_injected_data(self, sql: str) -> Sequence[Index] | None:
        """Return the indexes to create; None for none."""
