"""Corrects the planner's cardinalities by the rows that queries really returned.

Three classes, and an example of a driver that steers:

- `CardinalityModel` holds the corrections and keeps their versions;
- `CorrectedCardinalities` pushes the corrected rows of a query's sub-plans before it runs;
- `CardinalityUpdate` learns from executed plans, which the config collects with actual rows.

A sub-plan query that ran before gets its true rows. For others the planner's estimate is multiplied
by learned factors: one for each relation with its predicates, and one for each pair of joined
relations. A ridge regression on the logarithms of the errors gives the factors, so that a predicate
that misled the planner in one query is corrected in all others with that predicate.

The metrics are measured before a version learns: `q_error` is the geometric mean of the factors
between its corrected rows and the true rows, over the sub-plans that ran since the last version;
`planner_q_error` is the same for the planner's own rows.
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
from pilotcli.steering.subplans import NamedCards, SubPlan

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.steering.controller import PostgreSQLController
    from pilotcli.storage.store.data_manager import DataManager

_FILE = "corrections.json"
_FORMAT = 2
"""Of the file. Files of pilot 0.1 have no number; their keys are spelled in another way."""
_REMEMBERED = 100_000
_RIDGE = 0.3
_LEAST_FACTOR = math.log(1.2)
"""Factors closer to 1 are noise, and are not pushed."""


def parts_of(subplan: SubPlan, plans: NamedCards) -> list[str]:
    """Returns the keys of the sub-plan's relations and joined pairs, which cause its error."""
    names = subplan.names
    sets = [*((name,) for name in names), *combinations(sorted(names), 2)]
    parts = (SubPlan(subplan.block, frozenset(part)) for part in sets)
    return [plans.keys[part] for part in parts if part in plans.keys]


@dataclass(slots=True)
class Corrections:
    """The learned corrections.

    - `known`: true rows, by sub-plan query;
    - `factors`: the logarithm of a part's factor, by the part's key (see `parts_of`).
    """

    known: dict[str, float] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)

    def corrected(self, plans: NamedCards) -> dict[str, float]:
        """Returns the rows to push, by sub-plan query, for those that have a correction."""
        pushed = {}
        for subplan, key in plans.keys.items():
            if key in self.known:
                pushed[key] = self.known[key]
                continue
            factor = self.log_factor(parts_of(subplan, plans))
            if factor:
                pushed[key] = max(1.0, plans.cards[key] * math.exp(factor))
        return pushed

    def log_factor(self, parts: Iterable[str]) -> float:
        """Returns the logarithm of an estimate's factor; 0 if it is not worth a push."""
        factor = math.fsum(self.factors.get(part, 0.0) for part in parts)
        return max(-20.0, min(20.0, factor)) if abs(factor) > _LEAST_FACTOR else 0.0


class CardinalityModel(CheckpointedModel):
    """Keeps corrections of cardinalities; `model` is a `Corrections`, None before the first."""

    def dump(self, folder: Path) -> None:
        """Write the corrections into `folder`, as one JSON file."""
        stored = {"format": _FORMAT, "known": self.model.known, "factors": self.model.factors}
        (folder / _FILE).write_text(json.dumps(stored), encoding="utf-8")

    def restore(self, folder: Path) -> None:
        """Read the corrections from `folder`. Raises `CheckpointError`."""
        try:
            stored = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            known, factors = dict(stored["known"]), dict(stored["factors"])
            number = stored.get("format", 1)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            message = f"{folder / _FILE} is not a file of corrections: {exc}"
            raise CheckpointError(message) from exc
        if number != _FORMAT:
            raise CheckpointError(
                f"{folder / _FILE} was saved by another version of pilot (format {number}, not "
                f"{_FORMAT}): its sub-plan keys have another spelling and would match no query",
                hint=f"Learn again: run once with --set models.{self.model_name}.load=false. Later "
                "runs load the versions that this run saves.",
            )
        self.model = Corrections(known, factors)


class CorrectedCardinalities(CardPushHandler):
    """Pushes corrected cardinalities for each query with sub-plans that the model corrects."""

    def __init__(self, config: PilotConfig, pilot_model: PilotModel) -> None:
        super().__init__(config)
        self.pilot_model = pilot_model
        self._subplans = lru_cache(maxsize=4096)(self._read_subplans)

    def acquire_injected_data(self, sql: str) -> Mapping[str, float] | None:
        """Return the corrected rows, by sub-plan query; None before the first update."""
        corrections = self.pilot_model.model
        if not isinstance(corrections, Corrections):
            return None
        plans = self._subplans(sql)
        return None if plans is None else corrections.corrected(plans)

    def _read_subplans(self, sql: str) -> NamedCards | None:
        if self.interactor is None:
            raise DriverError("CorrectedCardinalities is not registered with a scheduler")
        try:
            return self.interactor.subplans(sql)
        except (CapabilityError, QueryError, UsageError):
            return None  # not a query with sub-plans: it runs unchanged


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
        """By sub-plan query: the logarithm of the planner's error, and the sub-plan's parts."""

    def custom_model_update(
        self,
        pilot_model: PilotModel | None,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> Corrections | None:
        """Return the corrections, including those from new rows; None without new rows.

        Raises `DriverError` if the config names no model for the event.
        """
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
            for key, rows, error, parts in _observe(interactor, row):
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
            "q_error": _mean_factor(errors),
            "planner_q_error": _mean_factor(planner_errors),
            "sub_plans": float(len(self._seen)),
        }
        kept = dict(list(known.items())[-_REMEMBERED:])
        return Corrections(kept, _fit(self._seen.values()))


def _mean_factor(errors: Sequence[float]) -> float:
    """Returns the geometric mean of the factors whose absolute logarithms are `errors`."""
    return math.exp(math.fsum(errors) / len(errors))


def _observe(
    interactor: PilotDataInteractor, row: Mapping[Any, Any]
) -> Iterable[tuple[str, float, float, Sequence[str]]]:
    """Yields for each sub-plan of an executed plan: its query, its true rows, the logarithm of the
    planner's error, and its parts."""
    plan, sql = row.get("physical_plan"), row.get("sql")
    if row.get("status") != "ok" or not isinstance(plan, Mapping) or not isinstance(sql, str):
        return
    try:
        plans = interactor.subplans(sql)
        observed = interactor.observed_rows(sql, plan)
    except (CapabilityError, QueryError, UsageError):
        return
    for subplan, rows in observed.items():
        key = plans.keys.get(subplan)
        if key is not None:
            error = math.log(max(rows, 1.0) / max(plans.cards[key], 1.0))
            yield key, rows, error, parts_of(subplan, plans)


def _fit(seen: Iterable[tuple[float, Sequence[str]]]) -> dict[str, float]:
    """Returns the factors (as logarithms) that fit the errors best, by ridge regression."""
    import numpy as np

    rows = list(seen)
    names = sorted({part for _, parts in rows for part in parts})
    place = {name: at for at, name in enumerate(names)}
    # The normal equations, since there are far fewer parts than rows.
    gram = np.eye(len(names)) * _RIDGE
    target = np.zeros(len(names))
    for error, parts in rows:
        at = [place[part] for part in parts]
        gram[np.ix_(at, at)] += 1.0
        target[at] += error
    return dict(zip(names, np.linalg.solve(gram, target).tolist(), strict=True))
