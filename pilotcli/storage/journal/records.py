"""What the journal hands out: frozen records, times in seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pilotcli.common.records import EventKind, FiringOutcome, FiringReason, QueryStatus, RunStatus

RunKind = Literal["run", "pretrain"]
Arm = Literal["driver", "baseline"]
"""Which of two paired runs: the driver's, or the one that it is compared with."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run in the journal.

    `alive` is False when `status` says `running` and the process of the run is gone: the run was
    killed. `summary` is what the runner counted, empty until the run ends. `arm` says
    which arm of a paired run this is; `paired_with` is the driver's run for a baseline, and the
    first baseline's for the driver.
    `name`, `tags` and `note` are the user's. `provenance` is what the run depended on, empty for
    runs of older pilots. `experiment` is the number of the first driver's run of an experiment of
    several folds, and `fold` counts its folds from 1; both are None outside of one.
    """

    run_id: int
    kind: RunKind
    workload: str
    config_path: str | None
    config_text: str
    database: str
    options: Mapping[str, Any]
    started_at: float
    finished_at: float | None
    status: RunStatus
    exit_code: int | None
    summary: Mapping[str, Any]
    alive: bool
    paired_with: int | None = None
    arm: Arm | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    experiment: int | None = None
    fold: int | None = None

    @property
    def learning_rounds(self) -> int:
        """The first rounds, in which the drivers of a paired run learn and are not compared."""
        return int(self.options.get("learn") or 0) if self.arm is not None else 0

    def took_turns_with(self, other: RunRecord) -> bool:
        """Whether both are arms of one paired run; they are of one journal."""
        if self.arm is None or other.arm is None or self.run_id == other.run_id:
            return False
        drivers = [run.run_id if run.arm == "driver" else run.paired_with for run in (self, other)]
        return drivers[0] == drivers[1]

    @property
    def outcome(self) -> str:
        """Its status, or `killed`."""
        return "killed" if self.status == "running" and not self.alive else self.status

    @property
    def elapsed_s(self) -> float | None:
        """Seconds from start to end; None while there is no end."""
        return None if self.finished_at is None else self.finished_at - self.started_at


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted: those that fit to everything that is not None.

    - `name`: the run's name; `tags`: tags that it has, all of them;
    - `status`: its outcome, as in `RunRecord.outcome`;
    - `since`: the earliest start, in seconds since the epoch;
    - `workload`, `config`: a part of the workload's description, and of the config's path;
    - `baselines`: whether the baselines of paired runs are wanted, too.
    """

    name: str | None = None
    tags: tuple[str, ...] = ()
    status: str | None = None
    since: float | None = None
    workload: str | None = None
    config: str | None = None
    baselines: bool = True


ANY_RUN = RunFilter()


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """One query of a run. `sql` may be cut; `sql_chars` is its whole length in characters."""

    seq: int
    label: str
    file: str | None
    line: int | None
    command: str
    sql: str
    sql_chars: int

    @property
    def truncated(self) -> bool:
        """Whether `sql` is only the beginning of the statement."""
        return self.sql_chars > len(self.sql)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """The plan of one query: the output of `EXPLAIN (FORMAT JSON)`, an object with the key `Plan`.

    `round` is the first round that used the plan; 0 means a plan with actual rows, taken outside of
    the rounds.
    """

    seq: int
    round: int
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FiringRecord:
    """One firing of an event. `fired_at` is when it ended, `duration_s` how long it took."""

    event: str
    kind: EventKind
    reason: FiringReason
    after_query: int
    outcome: FiringOutcome
    duration_s: float
    fired: int
    fired_at: float
    error: str | None
    traceback: str | None


class BegunFiring(NamedTuple):
    """A firing that had begun and not ended when its run was."""

    event: str
    reason: str
    after_query: int


@dataclass(frozen=True, slots=True)
class PastRun:
    """The state of a run in the journal, beyond `RunRecord`, its results and its firings.

    - `results`: the number of results;
    - `done`: for each round, one byte for each query number: 1 if the query has ended;
    - `warmed`: the same for the warm-up rounds, counted from 0;
    - `texts`: one byte for each query number: 1 if the journal has its text;
    - `begun`: the firing that was interrupted;
    - `loaded`: the checkpoint of each model with which the run began, None for none;
    - `firings`: the number of firings that ended;
    - `killed`: whether the run's process was killed, so that a query may have been running.
    """

    run_id: int
    results: int
    done: Mapping[int, bytearray]
    warmed: Mapping[int, bytearray]
    texts: bytearray
    begun: BegunFiring | None
    loaded: Mapping[str, int | None]
    firings: int
    killed: bool = False


@dataclass(frozen=True, slots=True)
class EventTotals:
    """Counts and times of the firings of one event in a run.

    `failures` are the first failed ones; `last_after` is the query after which the event fired
    last; `duration_s` is the sum over all firings, in seconds.
    """

    event: str
    kind: EventKind
    fired: int
    failed: int
    last_after: int
    duration_s: float
    failures: Sequence[FiringRecord]


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Counts and latencies of a run's query executions, in seconds.

    `counts` has every status that occurred. The percentiles are over the executions that ended
    `ok` or at their time-out, by nearest rank, and None when there is none; `query_s` is the sum
    over all executions. When `exact` is False, the percentiles are within 0.4 % of the true ones.
    The maximum is always exact.
    """

    total: int
    counts: Mapping[QueryStatus, int]
    query_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class TimelinePart:
    """Consecutive executions of a run: how many there are, how many of them failed or timed out,
    and their latencies in seconds."""

    results: int
    failed: int
    mean_s: float
    max_s: float
