"""The signals that the core emits, and the bus that carries them.

A signal is a frozen dataclass. Views, the journal and tests subscribe to the bus; the core never
knows who listens. Names and fields are the public, versioned format of `--format jsonl`
(`docs/signals.md`): a field may be added, none changes its meaning without a new version.
All times are seconds; points in time are seconds since the epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pilotcli.common.records import (
    EventKind,
    FiringOutcome,
    FiringReason,
    ModelVersion,
    Query,
    QueryResult,
    QueryStatus,
    RunStatus,
)

SIGNAL_VERSION = 1

Phase = Literal["pretraining", "warm-up", "learning", "replay", "comparison", "plans"]
"""A part of a run:

- `pretraining`: the pretraining events collect and train;
- `warm-up`: queries run without being measured;
- `learning`: a paired run's driver learns, alone;
- `replay`: a single run measures its queries;
- `comparison`: the arms of a paired run take turns;
- `plans`: each query runs once more for its plan, unmeasured.
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signal:
    """The base of all signals."""


@dataclass(frozen=True, slots=True)
class EventInfo:
    """A registered event before it fires. `fired` and `failed` count its firings in the earlier
    part of a resumed run."""

    name: str
    kind: EventKind
    fires: str
    model: str | None = None
    fired: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A configured model before a run."""

    name: str
    class_path: str
    version: ModelVersion | None = None


@dataclass(frozen=True, slots=True)
class RunStarted(Signal):
    """A run (or a pretraining) begins. `total` is the number of query executions to come, with
    repeats; None when the workload is not counted beforehand. In a `resumed` run, `before` has the
    number of queries that had ended, by status. `resume` is the command that continues the run if
    it is interrupted. `against` describes the baseline of a paired run.

    `executions` is the number of query executions in all phases and all arms, warm-up and plans
    included; None when it is not known beforehand. In a resumed run, `executed` of them had
    ended."""

    run_id: int
    workload: str
    total: int | None
    events: tuple[EventInfo, ...] = ()
    models: tuple[ModelInfo, ...] = ()
    workers: int = 1
    started_at: float = 0.0
    before: Mapping[QueryStatus, int] = field(default_factory=dict)
    resumed: bool = False
    resume: str | None = None
    against: str | None = None
    executions: int | None = None
    executed: int = 0


@dataclass(frozen=True, slots=True)
class PhaseStarted(Signal):
    """A phase of the run begins; the phase before it has ended. `executions` is the number of query
    executions to come in this phase, over all its `rounds` and all arms: 0 in a pretraining, None
    when it is not known beforehand."""

    phase: Phase
    executions: int | None
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class StepStarted(Signal):
    """A step that may take a while begins; `text` is for the user: `starting PostgreSQL 18`."""

    text: str


@dataclass(frozen=True, slots=True)
class DatabaseReady(Signal):
    """The target answers. `description` holds no secret."""

    description: str
    server_version: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class QueryStarted(Signal):
    """A query is about to be sent."""

    query: Query
    round: int = 1
    worker: int = 0


@dataclass(frozen=True, slots=True)
class QueryFinished(Signal):
    """A query ended in any way."""

    query: Query
    result: QueryResult


@dataclass(frozen=True, slots=True)
class ExecutionFinished(Signal):
    """An execution of a query ended that has no `QueryFinished` here: in a warm-up round, for a
    plan, or in another arm of a paired run. `arm` names that arm; None is the driver's. `elapsed_s`
    is None where the execution was not timed."""

    label: str
    seq: int
    phase: Phase
    arm: str | None = None
    elapsed_s: float | None = None


@dataclass(frozen=True, slots=True)
class EventStarted(Signal):
    """An event is about to be called. `after_query` is the number of finished queries. `resumed`:
    the event was running when the earlier part of the run ended, and fires again."""

    event: str
    kind: EventKind
    reason: FiringReason
    after_query: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class EventTriggered(Signal):
    """An event's firing ended. `fired` counts its firings so far, this one included. `resumed` as
    in `EventStarted`."""

    event: str
    kind: EventKind
    reason: FiringReason
    after_query: int
    outcome: FiringOutcome
    duration_s: float
    fired: int
    error: str | None = None
    traceback: str | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class RowsCollected(Signal):
    """One iteration of a pretraining's collection was saved to the store's table. `target_rows` is
    the number of rows that the event wants; None where it does not say."""

    event: str
    table: str
    rows: int
    total_rows: int
    iteration: int
    elapsed_s: float
    target_rows: int | None = None


@dataclass(frozen=True, slots=True)
class CollectionFinished(Signal):
    """A pretraining's collection said that it is complete."""

    event: str
    table: str
    total_rows: int
    iterations: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class TrainingStarted(Signal):
    """A pretraining begins to train its model."""

    event: str
    model: str


@dataclass(frozen=True, slots=True)
class TrainingFinished(Signal):
    """A pretraining's training returned."""

    event: str
    model: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class ModelLoaded(Signal):
    """A model was loaded before the run. `version` is None where the model saves itself."""

    model: str
    version: ModelVersion | None


@dataclass(frozen=True, slots=True)
class ModelSaved(Signal):
    """A model was saved. `version` is None where the model saves itself, by its own
    `save_model`, to a place that pilot does not know."""

    model: str
    event: str
    after_query: int
    version: ModelVersion | None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelKept(Signal):
    """An update or a training returned None: the model that was there stays."""

    model: str
    event: str
    after_query: int


@dataclass(frozen=True, slots=True)
class DriverOutput(Signal):
    """A line that a driver wrote, without its line end."""

    text: str
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class Notice(Signal):
    """A message to the user that belongs to no query: a retry, a skipped ability, a hint."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class PairFinished(Signal):
    """A query of a paired run has ended in both arms. `answers` says whether their rows are the
    same; times include the driver's inference and steering. `against` names the baseline."""

    label: str
    seq: int
    round: int
    driver_s: float
    baseline_s: float
    driver_status: QueryStatus
    baseline_status: QueryStatus
    answers: Literal["same", "different", "undetermined", "unknown"]
    against: str = "native"


@dataclass(frozen=True, slots=True)
class SlowedQuery:
    """A query that the driver has slowed so far. `driver_s` and `baseline_s` are means of its
    executions, `speedup` (below 1) the geometric mean over its pairs. `clear` says whether the
    difference is beyond the noise."""

    label: str
    seq: int
    driver_s: float
    baseline_s: float
    speedup: float
    clear: bool


@dataclass(frozen=True, slots=True)
class ComparedSoFar(Signal):
    """The result of a paired run so far, against the baseline that `against` names.

    `speedup` is the geometric mean over queries of the baseline's time by the driver's, with its
    interval where there are enough. `total_speedup` is the same of the whole workload: the sum of
    the queries' mean times with the baseline, by that with the driver. The counts are of queries;
    `unclear` are those without a verdict yet. `worst` is the query that the driver slowed most,
    with `worst_speedup`. `slowed` holds up to ten queries that it slowed: those beyond the noise
    first, and of these the ones that lose most time. A time-out counts twice its limit.
    """

    queries: int
    speedup: float | None
    low: float | None
    high: float | None
    faster: int
    slower: int
    same: int
    unclear: int
    different: int
    worst: str | None = None
    worst_speedup: float | None = None
    total_speedup: float | None = None
    against: str = "native"
    slowed: tuple[SlowedQuery, ...] = ()


@dataclass(frozen=True, slots=True)
class IntervalFinished(Signal):
    """An interval of a run ended (`run.every`). `from_s` and `to_s` are seconds since the first
    query. Counts are of queries that ended in it; `per_s` is their rate. `latency_s` holds the
    50th, 95th and 99th percentile and the maximum of those that ended `ok` or at their time-out,
    and is empty without any."""

    from_s: float
    to_s: float
    queries: int
    failed: int
    per_s: float
    latency_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFinished(Signal):
    """The run ended. Counts are over all rounds, warm-up excluded.

    `slowest` holds the slowest queries' results, slowest first. `elapsed_s` is the wall time from
    the first query after warm-up to the last event, or of a whole pretraining; `query_s` the sum
    of the queries' own times. `steered` counts queries for which something was pushed, `ignored`
    the pushes among them that were not applied, `native` queries that ran unsteered because their
    steering failed. `resume` is the command that continues an interrupted run; None when
    nothing is left to do. `latency_s` holds the 50th, 95th and 99th percentile and the maximum of
    the run's query times, as the journal has them; empty where it could not be read. `rollbacks`
    describes the model updates that made the workload slower and were rolled back. `wrong` counts
    queries with another answer than the expected one. `learned` counts, by status, the queries from
    which the driver of a paired run learned before it was compared; then `slowest` and `latency_s`
    are about the compared ones only.
    """

    run_id: int
    status: RunStatus
    exit_code: int
    queries: int
    ok: int
    errors: int
    timeouts: int
    cancelled: int
    event_firings: int
    event_failures: int
    elapsed_s: float
    query_s: float
    slowest: tuple[QueryResult, ...] = ()
    reasons: tuple[str, ...] = ()
    steered: int = 0
    ignored: int = 0
    native: int = 0
    resume: str | None = None
    rollbacks: tuple[str, ...] = ()
    latency_s: tuple[float | None, ...] = ()
    wrong: int = 0
    learned: Mapping[QueryStatus, int] = field(default_factory=dict)


Listener = Callable[[Signal], None]


class Bus:
    """Carries signals to listeners, in the order of subscription.

    A listener that raises is logged and dropped, and never stops a run. `subscribe` can limit a
    listener to some signal classes; a listener can also have a set `deaf_to` of classes that it
    ignores. `hears` says whether a signal has a listener, and need be made. Several threads may
    call `emit`; the core serialises its own calls.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners: tuple[tuple[Listener, tuple[type[Signal], ...]], ...] = tuple(
            (listener, ()) for listener in listeners
        )
        self._hearing: dict[type[Signal], tuple[Listener, ...]] = {}

    def subscribe(self, listener: Listener, *kinds: type[Signal]) -> None:
        """Send all further signals to `listener` too, or only those of the classes `kinds`."""
        self._listeners = (*self._listeners, (listener, kinds))
        self._hearing = {}

    def hears(self, kind: type[Signal]) -> bool:
        """Whether any listener receives signals of this class."""
        return bool(self._of(kind))

    def emit(self, signal: Signal) -> None:
        """Call every listener that receives the class of `signal`."""
        for listener in self._of(type(signal)):
            try:
                listener(signal)
            except Exception:
                log.exception("a listener failed on %s and is dropped", type(signal).__name__)
                self._listeners = tuple(
                    entry for entry in self._listeners if entry[0] is not listener
                )
                self._hearing = {}

    def _of(self, kind: type[Signal]) -> tuple[Listener, ...]:
        hearing = self._hearing.get(kind)
        if hearing is None:
            hearing = self._hearing[kind] = tuple(
                listener
                for listener, kinds in self._listeners
                if (not kinds or kind in kinds) and kind not in getattr(listener, "deaf_to", ())
            )
        return hearing
