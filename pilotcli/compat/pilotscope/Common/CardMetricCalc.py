"""How good estimates of cardinalities are.

The P-error is that of Han et al., Cardinality Estimation in DBMS: A Comprehensive Benchmark
Evaluation (VLDB 2021): the cost of the plan that the estimates lead to, by true cardinalities, over
that of the plan which true cardinalities lead to.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotcli.common.errors import DriverError
from pilotcli.compat.pilotscope.Common.Util import get_pg_hints
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig

__all__ = ["p_error_calc", "q_error_calc"]


def p_error_calc(
    config: PilotConfig,
    sql: str,
    estimated_cards: Mapping[str, float],
    true_cards: Mapping[str, float] | None = None,
) -> float:
    """The P-error of `estimated_cards`, from 1 on. Without `true_cards` the sub-plan queries run.

    Raises `CapabilityError` without pg_hint_plan, which is needed to repeat a plan.
    """
    interactor = PilotDataInteractor(config)
    try:
        if true_cards is None:
            true_cards = {key: _count(interactor, key) for key in estimated_cards}
        best = _cost(interactor, sql, true_cards, true_cards)
        return _cost(interactor, sql, estimated_cards, true_cards) / best
    finally:
        interactor.close()


def q_error_calc(estimated_card: float, true_card: float) -> float:
    """The factor by which an estimate is off, from 1 on; both must be above 0."""
    if estimated_card <= 0 or true_card <= 0:
        raise DriverError("the q-error needs cardinalities above 0")
    return max(true_card / estimated_card, estimated_card / true_card)


def _count(interactor: PilotDataInteractor, key: str) -> float:
    interactor.pull_record()
    data = interactor.execute(key)
    if data is None:
        raise DriverError(f"a sub-plan query met its time-out: {key}")
    return float(data.records.iat[0, 0])


def _cost(
    interactor: PilotDataInteractor,
    sql: str,
    cards: Mapping[str, float],
    true_cards: Mapping[str, float],
) -> float:
    """The cost, by true cardinalities, of the plan that `cards` lead to."""
    interactor.push_card(cards)
    interactor.pull_physical_plan()
    planned = interactor.execute(sql)
    assert planned is not None and planned.physical_plan is not None
    interactor.push_pg_hint_comment(get_pg_hints(planned.physical_plan))
    interactor.push_card(true_cards)
    interactor.pull_estimated_cost()
    again = interactor.execute(sql)
    assert again is not None and again.estimated_cost is not None
    return again.estimated_cost
