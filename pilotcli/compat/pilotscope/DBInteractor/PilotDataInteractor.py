"""Pushes and pulls around single queries."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NoReturn

from pilotcli.common.errors import CapabilityError, PilotError, QueryTimeout
from pilotcli.compat.errors import raise_theirs, raises_theirs
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BasePushHandler import CostPushHandler
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, provided
from pilotcli.compat.pilotscope.PilotTransData import PilotTransData
from pilotcli.compat.subplan_keys import cards_of
from pilotcli.steering.interactor import PilotDataInteractor as _Own

__all__ = ["PilotDataInteractor"]

log = logging.getLogger(__name__)


@raises_theirs
class PilotDataInteractor(_Own):
    """pilot's interactor; a query that meets its time-out gives None, as in PilotScope, and a
    warning in the log."""

    cards_of = staticmethod(cards_of)

    def __init__(self, config: PilotConfig, enable_simulate_index: bool = False) -> None:
        self._simulates = enable_simulate_index
        controller = PostgreSQLController(
            provided(config), enable_simulate_index=enable_simulate_index
        )
        super().__init__(
            config, enable_simulate_index=enable_simulate_index, db_controller=controller
        )
        self._owns_controller = True

    def push_pg_hint_comment(self, comment_str: str) -> None:
        """A comment of pg_hint_plan's hints: `/*+ HashJoin(p u) */`."""
        super().push_pg_hint_comment(comment_str)

    def push_subplan_cost(self, subplan_2_cost: Mapping[str, float]) -> NoReturn:
        """Refused, as in PilotScope. Raises `CapabilityError`."""
        raise CapabilityError(CostPushHandler.message, hint=CostPushHandler.hint)

    def reset(self) -> None:
        """See `pilotcli.PilotDataInteractor.reset`; simulated indexes are gone with it."""
        super().reset()
        if self._simulates:
            self.db_controller.drop_all_indexes()

    def _reset(self) -> None:
        self.reset()

    def _run(self, sql: str) -> PilotTransData | None:  # type: ignore[override]
        try:
            data = PilotTransData.of(super()._run(sql))
        except QueryTimeout as error:
            log.warning("no data about a query: %s", error.message)
            return None
        except PilotError as error:
            raise_theirs(error, sql)
        for note in data.notes:
            if note.startswith("not run"):
                log.warning("%s: %s", sql, note)
        return data
