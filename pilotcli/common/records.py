"""The records that cross the floors of pilot: frozen, with units in their names."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

__all__ = [
    "CopyData",
    "EventKind",
    "FiringOutcome",
    "FiringReason",
    "Index",
    "JsonText",
    "ModelVersion",
    "PilotTransData",
    "Query",
    "QueryResult",
    "QueryStatus",
    "RunStatus",
    "SteeringReport",
    "no_queries",
]

QueryStatus = Literal["ok", "timeout", "cancelled", "error", "steering_error"]
"""How a query ended.

- `ok`: the server returned its result;
- `timeout`: the server ended it after the time-out that pilot had set;
- `cancelled`: it was cancelled, by Ctrl-C or by somebody else;
- `error`: the server refused it or failed while it ran;
- `steering_error`: it did not run, because what a driver asked for could not be done.
"""


def no_queries() -> dict[QueryStatus, int]:
    """A count of queries for each status, all 0."""
    return dict.fromkeys(get_args(QueryStatus), 0)


FiringOutcome = Literal["ok", "failed", "kept"]
"""How an event's firing ended: `ok`, `failed` (it raised), or `kept`, when an update returned
`None` and the model that was there stays."""

FiringReason = Literal["pretraining", "init", "workload_before", "interval"]
"""Why an event fired."""

RunStatus = Literal["running", "finished", "failed", "interrupted"]
"""The state of a run in the journal. A run that was killed stays `running`."""


class EventKind(str, enum.Enum):
    """Which of the event classes an event derives from."""

    QUERY_FINISH = "query_finish"
    WORKLOAD_BEFORE = "workload_before"
    PERIODIC_UPDATE = "periodic_update"
    PRETRAINING = "pretraining"


@dataclass(frozen=True, slots=True)
class CopyData:
    """The inline data of a `COPY ... FROM STDIN`: a slice of a file, read when it is sent."""

    path: Path
    offset: int
    size_bytes: int
    temporary: bool = False
    """Whether the file is a spool of pilot's own, removed when the workload is closed."""


class Query(NamedTuple):
    """One statement of a workload. A named tuple, as `QueryResult` is.

    `seq` counts from 1 through the whole workload. `sql` is the statement as it is sent, without
    the closing semicolon. `command` is its first keyword in capitals (`SELECT`, `BEGIN`, ...),
    or an empty string. `file` and `line` (1-based) say where it begins.
    """

    seq: int
    label: str
    sql: str
    file: str | None = None
    line: int | None = None
    command: str = ""
    copy: CopyData | None = None


STOPPED = "cancelled: the run was stopped"
"""The error of a query that the user's stop has cancelled: it runs again when the run goes on."""


class JsonText(str):
    """JSON that is stored as it stands, in a column of the type json."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SteeringReport:
    """What became of the pushes for one query.

    `applied` and `ignored` name them in words (`enable_nestloop = off`, the SQL of a sub-plan
    query); `ignored` has the reason beside each. `native` says why the query ran unsteered.
    """

    applied: Sequence[str] = ()
    ignored: Sequence[tuple[str, str]] = ()
    native: str | None = None


class QueryResult(NamedTuple):
    """What became of one query: one for each execution, whatever its end.

    A named tuple, and not a dataclass, because one is made for each query: it costs a third.

    - `elapsed_s`: seconds on the client from sending the statement to having all of its rows;
      also set for time-outs and errors (the time until then). Excludes `inference_s` and
      `collection_s`.
    - `row_count`: rows returned, or changed for statements that return none; None when unknown.
    - `inference_s`: seconds that push handlers needed to answer for this query.
    - `collection_s`: seconds spent to pull data about the query besides running it (`EXPLAIN`).
    - `round`: 1 for the first replay of the workload, 2 for the second, ...; 0 is warm-up.
    - `started_at`: seconds since the epoch.
    - `steering`: what became of the pushes; None where nothing was pushed.
    - `attempts`: how often it was sent: again, when the connection was lost while it ran.
    - `planning_s`, `execution_s`: the server's own times, None where it was not asked or does not
      tell; both are within `elapsed_s`.
    - `steering_s`: seconds that pilot needed to turn the handlers' answers into the message.
    - `answer`: a digest of the rows, in no order, where they are to be compared; else None.
    """

    seq: int
    label: str
    status: QueryStatus
    started_at: float
    elapsed_s: float
    row_count: int | None = None
    error: str | None = None
    sqlstate: str | None = None
    inference_s: float = 0.0
    collection_s: float = 0.0
    round: int = 1
    worker: int = 0
    file: str | None = None
    line: int | None = None
    steering: SteeringReport | None = None
    attempts: int = 1
    planning_s: float | None = None
    execution_s: float | None = None
    steering_s: float = 0.0
    answer: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the query ended well."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Index:
    """An index on `columns` of `table`, in this order, under the name `index_name`."""

    columns: Sequence[str]
    table: str
    index_name: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One checkpoint: a saved version of a model, and where it came from.

    `version` counts from 1 for each model. `path` is its folder. `created_at` is in seconds since
    the epoch. `event`, `query_seq` and `run_id` say which firing saved it; `query_seq` is the
    number of queries finished by then. `trained_rows` is what the driver reported.
    `sha256` is over the model's files (names and contents).
    """

    model: str
    version: int
    path: Path
    created_at: float
    size_bytes: int
    sha256: str
    event: str | None = None
    query_seq: int | None = None
    run_id: int | None = None
    trained_rows: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class PilotTransData:
    """What was pulled about one query; a field that was not asked for is None.

    - `records`: the rows;
    - `execution_time`: seconds, as the server measured them where it can tell, else as seen from
      here; `planning_time` likewise, None where the server does not tell;
    - `physical_plan`: the plan tree of `EXPLAIN (FORMAT JSON)`, a dict with the key `Plan`;
    - `estimated_cost`: the planner's total cost, in its own units;
    - `subquery_2_card`: sub-plan query to estimated rows;
    - `buffercache`: relation to cached blocks;
    - `report`: what became of the pushes; `notes`: what could not be pulled, and why.
    """

    sql: str | None = None
    records: Any = None
    execution_time: float | None = None
    physical_plan: dict[str, Any] | None = None
    estimated_cost: float | None = None
    subquery_2_card: dict[str, float] | None = None
    buffercache: dict[str, int] | None = None
    planning_time: float | None = None
    report: SteeringReport | None = None
    notes: Sequence[str] = ()
