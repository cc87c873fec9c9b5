"""Pushes and pulls around single queries."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, provided
from pilotcli.errors import QueryTimeout
from pilotcli.records import PilotTransData
from pilotcli.steering.interactor import PilotDataInteractor as _Own

__all__ = ["PilotDataInteractor"]

log = logging.getLogger(__name__)


class PilotDataInteractor(_Own):
    """pilot's interactor; a query that meets its time-out gives None, as in PilotScope, and a
    warning in the log."""

    def __init__(self, config: PilotConfig, enable_simulate_index: bool = False) -> None:
        self._simulates = enable_simulate_index
        controller = PostgreSQLController(
            provided(config), enable_simulate_index=enable_simulate_index
        )
        super().__init__(
            config, enable_simulate_index=enable_simulate_index, db_controller=controller
        )
        self._owns_controller = True

    def execute(self, sql: str, is_reset: bool = True) -> PilotTransData | None:  # type: ignore[override]
        """See `pilotcli.PilotDataInteractor.execute`; None for a time-out."""
        try:
            return super().execute(sql, is_reset)
        except QueryTimeout as error:
            log.warning("no data about a query: %s", error.message)
            return None

    def execute_batch(  # type: ignore[override]
        self, sqls: Sequence[str], is_reset: bool = True
    ) -> list[PilotTransData | None]:
        """All queries, one after the other, with the same pushes and pulls."""
        try:
            return [self.execute(sql, False) for sql in sqls]
        finally:
            if is_reset:
                self.reset()

    def reset(self) -> None:
        """See `pilotcli.PilotDataInteractor.reset`; simulated indexes are gone with it."""
        super().reset()
        if self._simulates:
            self.db_controller.drop_all_indexes()

    def _reset(self) -> None:
        self.reset()
