"""The scheduler."""

from __future__ import annotations

import atexit
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import DriverError, PilotError, QueryTimeout
from pilotcli.common.redaction import redacted
from pilotcli.compat.errors import as_theirs, original_of, raises_theirs
from pilotcli.compat.ignored import warn_ignored
from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig
from pilotcli.compat.pilotscope.PilotEnum import PushHandlerTriggerLevelEnum
from pilotcli.compat.pilotscope.records import Records
from pilotcli.compat.refused import Refused
from pilotcli.compat.subplan_keys import cards_of
from pilotcli.events.base import Event
from pilotcli.replay.collected_row import collected_row
from pilotcli.replay.scheduler import PilotScheduler as _Own

if TYPE_CHECKING:
    from pilotcli.common.records import FiringReason, Query, QueryResult
    from pilotcli.config.model import CollectSection
    from pilotcli.databases.protocols import Rows, Session
    from pilotcli.events.schedule import Registered
    from pilotcli.steering.requests import Steered

__all__ = ["PilotScheduler"]

log = logging.getLogger(__name__)


@raises_theirs
class PilotScheduler(_Own):
    """pilot's scheduler; `execute` gives a DataFrame, and None for a query that meets its time-out.

    What is pending is written when the program ends.
    """

    data_manager_class = DataManager
    config_class = PostgreSQLConfig
    data_interactor = Refused(
        "the scheduler has none",
        "Say what is pulled with register_required_data, and push with handlers.",
    )

    def __init__(self, config: Any, **options: Any) -> None:
        super().__init__(config, **options)
        self.steering.cards_of = cards_of
        self.user_tasks: list[Any] = []
        """The push handlers that are registered."""
        self._asked: set[str] = set()
        """What `register_required_data` has asked for."""
        atexit.register(self.close)

    @property
    def events(self) -> list[Event]:
        """The events that are registered, in their order."""
        return [registered.event for registered in self.event_runner.events]

    @property
    def table_name_for_store_data(self) -> str | None:
        """The table for what is collected; None where nothing is."""
        return self._table or None

    def controller(self) -> PostgreSQLController:
        """A controller with PilotScope's further methods."""
        return PostgreSQLController(self.config, target=self.target)

    def execute(self, sql: str) -> Records | None:  # type: ignore[override]
        """Run a query with all that is registered; its rows as a DataFrame, made when it is
        first used. Raises what the query, a handler or an event has raised."""
        try:
            rows, error = self._run_one(sql)
        except DriverError as failure:  # a handler for the whole workload
            raise original_of(failure) or failure from None
        if isinstance(error, QueryTimeout):
            log.warning("a query has no result: %s", error.message)
        elif error is not None:
            raised = original_of(error) or error
            raise as_theirs(raised, sql) if isinstance(raised, PilotError) else raised
        self._raise_event_error()
        return Records(rows) if error is None else None

    def _event_failed(
        self, registered: Registered, reason: FiringReason, error: BaseException
    ) -> None:
        """As pilot's, but what a pretraining raises is only shown: in PilotScope it runs in a
        thread of its own."""
        if reason == "pretraining" and self._log is None and isinstance(error, Exception):
            print(redacted("".join(traceback.format_exception(error))), file=sys.stderr)  # noqa: T201
        else:
            super()._event_failed(registered, reason, error)

    def register_custom_handlers(self, handlers: Any) -> None:
        """Add push handlers, one or several, of different classes.

        Raises `RuntimeError` for two of one class.
        """
        listed = list(handlers) if isinstance(handlers, (list, tuple)) else [handlers]
        if len({type(handler) for handler in listed}) != len(listed):
            raise RuntimeError("two handlers of one class cannot be registered")
        super().register_custom_handlers(listed)
        self.user_tasks += listed

    def register_required_data(
        self,
        table_name_for_store_data: str,
        pull_execution_time: bool = False,
        pull_physical_plan: bool = False,
        pull_subquery_2_cards: bool = False,
        pull_buffer_cache: bool = False,
        pull_estimated_cost: bool = False,
        pull_records: bool = False,
    ) -> None:
        """See `pilotcli.PilotScheduler.register_required_data`; what was asked for before is still
        pulled. The column of sub-plans is `subquery_to_card`, as PilotScope's code has it."""
        wanted = {
            "pull_execution_time": pull_execution_time,
            "pull_physical_plan": pull_physical_plan,
            "pull_subquery_2_cards": pull_subquery_2_cards,
            "pull_buffer_cache": pull_buffer_cache,
            "pull_estimated_cost": pull_estimated_cost,
            "pull_records": pull_records,
        }
        self._asked |= {name for name, is_wanted in wanted.items() if is_wanted}
        super().register_required_data(
            table_name_for_store_data, **{name: name in self._asked for name in wanted}
        )

    def run_in(
        self,
        session: Session,
        query: Query,
        round: int = 1,
        worker: int = 0,
        refused: PilotError | None = None,
    ) -> tuple[QueryResult, Rows, PilotError | None, Steered | None]:
        """See `pilotcli.PilotScheduler.run_in`."""
        result, rows, error, steered = super().run_in(session, query, round, worker, refused)
        if self._log is None:  # a script: a run shows it itself
            warn_ignored(result.steering)
        return result, rows, error, steered

    def _row(
        self,
        collect: CollectSection,
        query: Query,
        result: QueryResult,
        rows: Rows,
        steered: Steered | None,
    ) -> dict[str, Any]:
        """The row to store about a query, with the columns that PilotScope's drivers know."""
        row = collected_row(collect, query, result, rows, steered)
        if "pull_subquery_2_cards" in self._asked:
            row["subquery_to_card"] = row.pop("subquery_2_card", None)
        return row

    def push_for_workload(self, first_sql: str, *, again: bool = False) -> None:
        """Carry out what handlers want for the whole workload. Raises `DriverError`."""
        super().push_for_workload(first_sql, again=again)
        for handler in self.user_tasks:
            if getattr(handler, "trigger_level", None) is PushHandlerTriggerLevelEnum.WORKLOAD:
                handler.have_been_triggered = True

    def close(self) -> None:
        """Write what is pending, and let go of every connection; safe to call twice."""
        atexit.unregister(self.close)
        super().close()
