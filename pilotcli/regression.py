"""Updates of models that make the workload slower, noticed while it runs, and taken back.

Behind each saved version, every query's time is compared with the last one that the same query took
before it. The test is Wilcoxon's, one-sided, after 8, 16, 32 and 64 of them, with the level shared
among these looks: a version that changes nothing is taken back in at most 5 % of the cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pilotcli.config.model import ModelSpec
from pilotcli.errors import PilotError, UsageError
from pilotcli.model import CheckpointedModel, PilotModel
from pilotcli.model_loading import current_version, loading
from pilotcli.records import QueryResult
from pilotcli.signals import Bus, ModelLoaded, ModelSaved, Notice, Signal

__all__ = ["RegressionWatch"]

LOOKS = (8, 16, 32, 64)
"""Numbers of queries after which an update is judged; behind the last one it stays."""
LEVEL = 0.05 / len(LOOKS)
LEAST_SLOWDOWN = 1.1
"""A version that is less than so much slower stays, however certain it is."""


@dataclass(slots=True)
class _Watched:
    """A model, its version in use, and what is known of the update that made it."""

    model: CheckpointedModel
    version: int | None
    previous: int | None = None
    before: Mapping[int, float] = field(default_factory=dict)
    """By query: its last time before the update, in seconds; empty when nothing is judged."""
    changes: list[float] = field(default_factory=list)
    """Logarithms of the times behind the update by those before it."""


class RegressionWatch:
    """Watches the models whose `on_regression` is `rollback`.

    `add` is called with each result, by one thread at a time; the bus tells of saved versions.
    `told` has what was taken back, in words. Raises `UsageError` for a model that keeps itself.
    """

    def __init__(
        self, specs: Sequence[ModelSpec], models: Mapping[str, PilotModel], bus: Bus
    ) -> None:
        self.told: list[str] = []
        self._bus = bus
        self._latest: dict[int, float] = {}
        self._watched: dict[str, _Watched] = {}
        for spec in specs:
            if spec.on_regression != "rollback":
                continue
            model = models[spec.name]
            if not isinstance(model, CheckpointedModel):
                raise UsageError(
                    f"the model {spec.name!r} keeps itself, so that pilot has no version of it to "
                    "bring back",
                    hint="Derive it from CheckpointedModel, or take `on_regression` out.",
                )
            current = current_version(model)
            number = None if current is None else current.version
            self._watched[model.model_name] = _Watched(model, number)
        if self._watched:
            bus.subscribe(self._saved, ModelSaved)

    def __bool__(self) -> bool:
        """Whether there is anything to watch."""
        return bool(self._watched)

    def add(self, result: QueryResult) -> None:
        """Take in one result; bring a version back where that is due."""
        if result.status not in ("ok", "timeout") or not result.round:
            return
        whole_s = max(result.elapsed_s + result.inference_s + result.steering_s, 1e-7)
        for one in self._watched.values():
            known = one.before.get(result.seq)
            if known is not None:
                one.changes.append(math.log(whole_s / known))
        self._latest[result.seq] = whole_s
        for one in self._watched.values():
            if len(one.changes) in LOOKS and one.before:
                self._judge(one)

    def _saved(self, signal: Signal) -> None:
        assert isinstance(signal, ModelSaved)
        one = self._watched.get(signal.model)
        if one is None or signal.version is None:
            return
        one.previous, one.version = one.version, signal.version.version
        one.before = dict(self._latest) if one.previous is not None else {}
        one.changes.clear()

    def _judge(self, one: _Watched) -> None:
        from scipy import stats

        slowdown = math.exp(fmean(one.changes))
        slower = slowdown > LEAST_SLOWDOWN and any(one.changes)
        if slower and stats.wilcoxon(one.changes, alternative="greater").pvalue < LEVEL:
            self._take_back(one, slowdown)
        elif len(one.changes) == LOOKS[-1]:
            one.before = {}

    def _take_back(self, one: _Watched, slowdown: float) -> None:
        name, bad, good = one.model.model_name, one.version, one.previous
        assert good is not None
        # What the queries took meanwhile is no measure for the next update.
        self._latest.update(one.before)
        judged = len(one.changes)
        one.before, one.version, one.previous = {}, good, None
        one.changes.clear()
        try:
            one.model.checkpoints.rollback(name, good)
            version = loading(one.model, lambda: one.model.load_model(good))
        except PilotError as exc:
            self._bus.emit(Notice("error", f"{name} v{bad} cannot be taken back: {exc.message}"))
            return
        text = (
            f"{name} v{bad} made {judged} queries {slowdown:.2f} times slower than before: "
            f"v{good} is back"
        )
        self.told.append(text)
        self._bus.emit(Notice("warning", text))
        self._bus.emit(ModelLoaded(name, version))
