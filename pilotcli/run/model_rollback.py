"""Finds model updates that make the workload slower while it runs, and rolls them back.

After each saved version, the time of every query is compared with the same query's last time before
the update. The test is Wilcoxon's, one-sided, after 8, 16, 32 and 64 queries, with the level shared
among these looks: a version that changes nothing is rolled back in at most 5 % of the cases.

In a paired run both times are first divided by the baseline's time in the same round, so that other
load on the machine does not count against a new version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pilotcli.analysis.signed_ranks import signed_rank_test
from pilotcli.common.errors import PilotError, UsageError
from pilotcli.common.quantities import plural
from pilotcli.common.records import ModelVersion, Query, QueryResult
from pilotcli.common.signals import Bus, ModelLoaded, Notice
from pilotcli.config.model import ModelSpec
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.replay.observers import RunObserver
from pilotcli.run.model_loading import current_version, loading

LOOKS = (8, 16, 32, 64)
"""Numbers of queries after which an update is judged; after the last one the update stays."""
LEVEL = 0.05 / len(LOOKS)
LEAST_SLOWDOWN = 1.1
"""A version that is slower by a smaller factor stays, even if the slowdown is certain."""
_LEAST_S = 1e-7


@dataclass(frozen=True, slots=True)
class _Time:
    """The time of a query in seconds, and that of the baseline's half of its pair, if any."""

    own_s: float
    baseline_s: float | None = None

    def slowdown(self, before: _Time) -> float:
        """The logarithm of the factor by which it is slower than `before`."""
        change = math.log(self.own_s / before.own_s)
        if self.baseline_s is None or before.baseline_s is None:
            return change
        return change - math.log(self.baseline_s / before.baseline_s)


@dataclass(slots=True)
class _Watched:
    """A model, its version in use, and the times before and after its last update."""

    model: CheckpointedModel
    version: int | None
    previous: int | None = None
    before: Mapping[int, _Time] = field(default_factory=dict)
    """By query: its last time before the update; empty when nothing is judged."""
    changes: list[float] = field(default_factory=list)
    """Logarithms of the times after the update divided by those before it."""


class RegressionWatch(RunObserver):
    """Watches the models whose `on_regression` is `rollback`.

    In a paired run `add_half` is called with each half of a pair. `rollbacks` describes the updates
    that were rolled back; `failures` has the exit code and the reason of each failed roll-back.
    Raises `UsageError` for a model that saves itself.
    """

    def __init__(
        self, specs: Sequence[ModelSpec], models: Mapping[str, PilotModel], bus: Bus
    ) -> None:
        self.rollbacks: list[str] = []
        self.failures: list[tuple[int, str]] = []
        self._bus = bus
        self._latest: dict[int, _Time] = {}
        self._updates = 0
        self._halves: dict[tuple[int, int], tuple[bool, float | None, int]] = {}
        """By query and round, the half of a pair that ended first: whether it is the driver's, its
        seconds, and how many updates there had been."""
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

    def __bool__(self) -> bool:
        """Whether there is anything to watch."""
        return bool(self._watched)

    def query_finished(self, query: Query, result: QueryResult) -> None:
        """Add one result; roll a model back if that is due."""
        if (own_s := _whole_s(result)) is not None:
            self._take_in(result.seq, _Time(own_s))

    def add_half(self, result: QueryResult, *, driver: bool) -> None:
        """Add one half of a pair; after the second half, roll the model back if that is due."""
        if not result.round:
            return
        half = (driver, _whole_s(result), self._updates)
        first = self._halves.pop((result.seq, result.round), None)
        if first is None:
            self._halves[result.seq, result.round] = half
            return
        (_, own_s, updates), (_, baseline_s, _) = (half, first) if driver else (first, half)
        if own_s is None or baseline_s is None:
            return
        time = _Time(own_s, baseline_s)
        if updates == self._updates:
            self._take_in(result.seq, time)
        else:
            # The model was updated between the two halves: the query ran before the update.
            self._latest[result.seq] = time

    def _take_in(self, seq: int, time: _Time) -> None:
        for watched in self._watched.values():
            known = watched.before.get(seq)
            if known is not None:
                watched.changes.append(time.slowdown(known))
        self._latest[seq] = time
        for watched in self._watched.values():
            if len(watched.changes) in LOOKS and watched.before:
                self._judge(watched)

    def model_saved(self, version: ModelVersion) -> None:
        """Judge the next results by those before this version."""
        watched = self._watched.get(version.model)
        if watched is None:
            return
        self._updates += 1
        watched.previous, watched.version = watched.version, version.version
        watched.before = dict(self._latest) if watched.previous is not None else {}
        watched.changes.clear()

    def _judge(self, watched: _Watched) -> None:
        slowdown = math.exp(fmean(watched.changes))
        slower = slowdown > LEAST_SLOWDOWN and any(watched.changes)
        if slower and _chance_of(watched.changes) < LEVEL:
            self._take_back(watched, slowdown)
        elif len(watched.changes) == LOOKS[-1]:
            watched.before = {}

    def _take_back(self, watched: _Watched, slowdown: float) -> None:
        name, bad, good = watched.model.model_name, watched.version, watched.previous
        assert good is not None
        # The times under the bad version do not count for the next update.
        self._latest.update(watched.before)
        judged = len(watched.changes)
        watched.before, watched.version, watched.previous = {}, good, None
        watched.changes.clear()
        try:
            watched.model.checkpoints.rollback(name, good)
            version = loading(watched.model, lambda: watched.model.load_model(good))
        except PilotError as exc:
            failure = f"{name} v{bad} cannot be taken back: {exc.message}"
            self.failures.append((exc.exit_code, failure))
            self._bus.emit(Notice("error", failure))
            return
        text = (
            f"{name} v{bad} made {plural(judged, 'query', 'queries')} {slowdown:.2f} times slower "
            f"than before: v{good} is back"
        )
        self.rollbacks.append(text)
        self._bus.emit(Notice("warning", text))
        self._bus.emit(ModelLoaded(name, version))


def _chance_of(changes: Sequence[float]) -> float:
    """The probability of changes that are as much above 0 as these, where nothing changed."""
    few = len(changes) <= 50
    distinct = len(set(map(abs, changes)) | {0.0}) == len(changes) + 1
    return signed_rank_test(changes, exact=(few and distinct) or len(changes) <= 13)[0]


def _whole_s(result: QueryResult) -> float | None:
    """The seconds that the user waited for a result; None if the result does not say."""
    if result.status not in ("ok", "timeout") or not result.round:
        return None
    return max(result.elapsed_s + result.inference_s + result.steering_s, _LEAST_S)
