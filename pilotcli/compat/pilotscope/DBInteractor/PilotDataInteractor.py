"""Pushes and pulls around single queries."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pilotcli.common.errors import CapabilityError, PilotError, QueryTimeout
from pilotcli.compat.errors import raise_theirs, raises_theirs
from pilotcli.compat.ignored import warn_ignored
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BasePushHandler import CostPushHandler
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.Exception.Exception import PilotScopeMutualExclusionException
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, provided
from pilotcli.compat.pilotscope.PilotTransData import PilotTransData
from pilotcli.compat.subplan_keys import cards_of, rows_given
from pilotcli.steering.interactor import PilotDataInteractor as _Own
from pilotcli.steering.methods import JoinOrder, ScanJoinMethodEnum
from pilotcli.steering.requests import Steered

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

    def push_pg_hint_comment(self, pg_hint_comment: str) -> None:
        """A comment of pg_hint_plan's hints: `/*+ HashJoin(p u) */`."""
        super().push_pg_hint_comment(pg_hint_comment)

    def push_scan_join_method(self, operation_type: Any, *args: str) -> None:
        """A method of a scan or of a join, or the order of the joins, with its names:
        `ScanJoinMethodEnum.HASHJOIN, "p", "u"`."""
        if operation_type is ScanJoinMethodEnum.JOINORDER:
            self.push_join_order(*args)
        else:
            super().push_scan_method(operation_type, *args)

    def push_scan_method(self, scan_type: Any, *args: str) -> None:
        """See `push_scan_join_method`."""
        self.push_scan_join_method(scan_type, *args)

    def push_join_method(self, join_type: Any, *args: str) -> None:
        """See `push_scan_join_method`."""
        self.push_scan_join_method(join_type, *args)

    def push_join_order(self, join_order_str: JoinOrder | str) -> None:
        """See `pilotcli.PilotDataInteractor.push_join_order`."""
        super().push_join_order(join_order_str)

    def execute_batch(  # type: ignore[override]
        self, sqls: Sequence[str], is_reset: bool = True
    ) -> list[PilotTransData | None]:
        """See `pilotcli.PilotDataInteractor.execute_batch`. Raises
        `PilotScopeMutualExclusionException` for cardinalities that are pushed and pulled."""
        self._refuse_exclusive(is_reset)
        return super().execute_batch(sqls, is_reset)  # type: ignore[return-value]

    def execute_parallel(  # type: ignore[override]
        self, sqls: Sequence[str], parallel_num: int = 10, is_reset: bool = True
    ) -> list[PilotTransData | None]:
        """See `pilotcli.PilotDataInteractor.execute_parallel`; raises as `execute_batch`."""
        self._refuse_exclusive(is_reset)
        return super().execute_parallel(sqls, parallel_num, is_reset)  # type: ignore[return-value]

    def _refuse_exclusive(self, is_reset: bool) -> None:
        if self._pulls.subquery_cards and self._pushes_cards:
            if is_reset:
                self.reset()
            anchors = [AnchorEnum.CARD_PUSH_ANCHOR, AnchorEnum.SUBQUERY_CARD_PULL_ANCHOR]
            raise PilotScopeMutualExclusionException(anchors)

    def push_card(
        self,
        subquery_2_value: Mapping[str, float | str],
        enable_parameterized_subquery: bool = False,
    ) -> None:
        """See `pilotcli.PilotDataInteractor.push_card`; rows may be texts of numbers, too."""
        super().push_card(rows_given(subquery_2_value), enable_parameterized_subquery)
        self._pushes_cards = True

    def _data(self, sql: str, steered: Steered) -> Any:
        warn_ignored(steered.report)
        return super()._data(sql, steered)

    def _forget(self) -> None:
        super()._forget()
        self._pushes_cards = False

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
