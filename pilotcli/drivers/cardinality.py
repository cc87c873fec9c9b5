"""A driver that corrects the planner's cardinalities by what queries turned out to return.

Three pieces that belong together, and an example of a driver that steers:

- `CardinalityModel` holds what was learned and keeps its versions;
- `CorrectedCardinalities` is asked before each query, and pushes the corrected rows of its
  sub-plans;
- `CardinalityUpdate` learns from the plans that ran, which the config collects with actual rows.

What was seen is remembered: the same sub-plan query gets the rows that it had. For others the
planner's estimate is multiplied by learned factors, one for each relation with its predicates and
one for each pair of joined relations. The factors are what a ridge regression makes of the
logarithms of the errors seen so far, so that a predicate that misled the planner in one query is
corrected in all others that have it.

How good a version is, is measured before it learns: `q_error` is the geometric mean of the factors
by which its corrected rows and the true ones differ, over the sub-plans that ran since the version
before; `planner_q_error` is the same for the planner's own rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import (
    CapabilityError,
    CheckpointError,
    DriverError,
    QueryError,
    UsageError,
)
from pilotcli.events.base import PeriodicModelUpdateEvent
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.steering.handlers import CardPushHandler
from pilotcli.steering.interactor import PilotDataInteractor
from pilotcli.steering.subplans import analyse, observed_cardinalities

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.databases.protocols import BaseDBController
    from pilotcli.storage.store.data_manager import DataManager

__all__ = [
    "CardinalityModel",
    "CardinalityUpdate",
    "CorrectedCardinalities",
    "Corrections",
    "SubPlans",
    "subplans_of",
]

_FILE = "corrections.json"
_REMEMBERED = 100_000
_RIDGE = 0.3
_LEAST_FACTOR = math.log(1.2)
"""Factors nearer to 1 are noise, and are not pushed."""

Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class SubPlans:
    """The sub-plans of one query: their keys (SQL) and the planner's own rows for them."""

    keys: Mapping[Names, str]
    rows: Mapping[Names, float]

    def parts(self, names: Names) -> list[str]:
        """What a sub-plan's error is made of: its relations and its joined pairs, as keys."""
        single = [self.keys[one] for name in names if (one := frozenset((name,))) in self.keys]
        pairs = map(frozenset, combinations(sorted(names), 2))
        return single + [self.keys[pair] for pair in pairs if pair in self.keys]


@dataclass(slots=True)
class Corrections:
    """What was learned: true rows by sub-plan query, and the logarithm of each part's factor."""

    known: dict[str, float] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)

    def corrected(self, plans: SubPlans) -> dict[str, float]:
        """The rows to push for a query, by sub-plan query; nothing where nothing was learned."""
        pushed = {}
        for names, estimate in plans.rows.items():
            key = plans.keys[names]
            if key in self.known:
                pushed[key] = self.known[key]
                continue
            factor = self.log_factor(plans.parts(names))
            if factor:
                pushed[key] = max(1.0, estimate * math.exp(factor))
        return pushed

    def log_factor(self, parts: Iterable[str]) -> float:
        """The logarithm of what an estimate is multiplied by; 0 where nothing is worth a push."""
        factor = math.fsum(self.factors.get(part, 0.0) for part in parts)
        return max(-20.0, min(20.0, factor)) if abs(factor) > _LEAST_FACTOR else 0.0


class CardinalityModel(CheckpointedModel):
    """Corrects cardinalities; `model` is a `Corrections`, None while nothing was learned."""

    def dump(self, folder: Path) -> None:
        """Write what was learned into `folder`, as one JSON file."""
        told = {"known": self.model.known, "factors": self.model.factors}
        (folder / _FILE).write_text(json.dumps(told), encoding="utf-8")

    def restore(self, folder: Path) -> None:
        """Read it back; raises `CheckpointError`."""
        try:
            told = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            self.model = Corrections(dict(told["known"]), dict(told["factors"]))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise CheckpointError(f"{folder / _FILE} is no file of corrections: {exc}") from exc


def subplans_of(interactor: PilotDataInteractor, sql: str) -> SubPlans:
    """The sub-plans of `sql` and the planner's own rows for them; the query does not run.

    Raises `CapabilityError` for a query that cannot be analysed.
    """
    interactor.pull_subquery_card()
    cards = interactor.execute(sql).subquery_2_card or {}
    graph = analyse(sql, interactor.catalog)
    keys = {names: key for key in cards if (names := graph.names_of(key)) is not None}
    return SubPlans(keys, {names: cards[key] for names, key in keys.items()})


class CorrectedCardinalities(CardPushHandler):
    """Pushes corrected cardinalities for each query whose sub-plans the model knows about."""

    def __init__(self, config: PilotConfig, pilot_model: PilotModel) -> None:
        super().__init__(config)
        self.pilot_model = pilot_model
        self._subplans = lru_cache(maxsize=4096)(self._looked_up)

    def acquire_injected_data(self, sql: str) -> Mapping[str, float] | None:
        """The corrected rows, by sub-plan query; None while nothing was learned."""
        learned = self.pilot_model.model
        if not isinstance(learned, Corrections):
            return None
        plans = self._subplans(sql)
        return None if plans is None else learned.corrected(plans)

    def _looked_up(self, sql: str) -> SubPlans | None:
        if self.interactor is None:
            raise DriverError("CorrectedCardinalities is registered with no scheduler")
        try:
            return subplans_of(self.interactor, sql)
        except (CapabilityError, QueryError, UsageError):
            return None  # no query with sub-plans: it runs as it stands


class CardinalityUpdate(PeriodicModelUpdateEvent):
    """Learns from the queries that ran since the last update.

    `table` is the table of the config's `collect:` section, with `actual_rows: true`.
    """

    def __init__(
        self,
        config: PilotConfig,
        interval_count: int,
        pilot_model: PilotModel | None = None,
        execute_on_init: bool = False,
        *,
        table: str,
    ) -> None:
        super().__init__(config, interval_count, pilot_model, execute_on_init)
        self.table = table
        self._seen: dict[str, tuple[float, Sequence[str]]] = {}
        """By sub-plan query: the logarithm of the planner's error, and its parts."""

    def custom_model_update(
        self,
        pilot_model: PilotModel | None,
        db_controller: BaseDBController,
        data_manager: DataManager,
    ) -> Corrections | None:
        """What was learned so far and from the new rows; None where there are none."""
        if pilot_model is None:
            raise DriverError(
                "CardinalityUpdate has no model to update",
                hint="Add `model: NAME` to the event, with a CardinalityModel of that name.",
            )
        before = pilot_model.model if isinstance(pilot_model.model, Corrections) else Corrections()
        known = dict(before.known)
        frame = data_manager.read_update(self.table, reader=type(self).__name__)
        interactor = PilotDataInteractor(self.config, db_controller=db_controller)
        planner_errors: list[float] = []
        errors: list[float] = []
        for row in frame.to_dict("records"):
            for key, rows, error, parts in _observed(interactor, row):
                planner_errors.append(abs(error))
                if key in before.known:
                    errors.append(abs(math.log(max(rows, 1.0) / max(before.known[key], 1.0))))
                else:
                    errors.append(abs(error - before.log_factor(parts)))
                known[key] = rows
                self._seen[key] = (error, parts)
        if not errors:
            return None
        pilot_model.trained_rows = len(self._seen)
        pilot_model.metrics = {
            "q_error": _factor(errors),
            "planner_q_error": _factor(planner_errors),
            "sub_plans": float(len(self._seen)),
        }
        kept = dict(list(known.items())[-_REMEMBERED:])
        return Corrections(kept, _fitted(self._seen.values()))


def _factor(errors: Sequence[float]) -> float:
    """The geometric mean of the factors whose absolute logarithms are `errors`."""
    return math.exp(math.fsum(errors) / len(errors))


def _observed(
    interactor: PilotDataInteractor, row: Mapping[Any, Any]
) -> Iterable[tuple[str, float, float, Sequence[str]]]:
    """What one executed plan tells: sub-plan query, true rows, the logarithm of the planner's
    error, its parts."""
    plan, sql = row.get("physical_plan"), row.get("sql")
    if row.get("status") != "ok" or not isinstance(plan, Mapping) or not isinstance(sql, str):
        return
    try:
        plans = subplans_of(interactor, sql)
        graph = analyse(sql, interactor.catalog)
    except (CapabilityError, QueryError, UsageError):
        return
    for names, rows in observed_cardinalities(dict(plan), graph).items():
        if names in plans.rows:
            error = math.log(max(rows, 1.0) / max(plans.rows[names], 1.0))
            yield plans.keys[names], rows, error, plans.parts(names)


def _fitted(seen: Iterable[tuple[float, Sequence[str]]]) -> dict[str, float]:
    """The factors (as logarithms) that explain the errors best: ridge regression."""
    import numpy as np

    rows = list(seen)
    names = sorted({part for _, parts in rows for part in parts})
    place = {name: at for at, name in enumerate(names)}
    # The normal equations, since parts are few beside the rows that they come from.
    gram = np.eye(len(names)) * _RIDGE
    target = np.zeros(len(names))
    for error, parts in rows:
        at = [place[part] for part in parts]
        gram[np.ix_(at, at)] += 1.0
        target[at] += error
    return dict(zip(names, np.linalg.solve(gram, target).tolist(), strict=True))
