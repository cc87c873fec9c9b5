"""The records that packages exchange: frozen, with units in their names."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

LoggedValue = float | int | str | bool | None
"""A value that a handler has logged for a query."""

QueryStatus = Literal["ok", "timeout", "cancelled", "error", "steering_error", "wrong_answer"]
"""How a query ended.

- `ok`: the server returned its result;
- `timeout`: the server ended it after the time-out that pilot had set;
- `cancelled`: Ctrl-C or another client cancelled it;
- `error`: the server refused it or failed while it ran;
- `steering_error`: it did not run, because a driver's request could not be carried out;
- `wrong_answer`: it ended well, with other rows than the workload or an earlier run expects.
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


class QueryFacts(NamedTuple):
    """What a workload's file says of a query besides its text.

    - `expect`: the answer that it must have: a number, a number of rows, or a digest of them;
    - `session`: the session that sent it; queries of one session share a connection;
    - `at_s`: when it was sent, in seconds after the beginning;
    - `weight`: how often it was called.
    """

    expect: str | None = None
    session: str | None = None
    at_s: float | None = None
    weight: float | None = None


NO_FACTS = QueryFacts()


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
    facts: QueryFacts = NO_FACTS


EPOCH_S = "s since 1970-01-01 UTC"
"""The unit of a moment in exports."""

STOPPED = "cancelled: the run was stopped"
"""The error of a query that the user's stop has cancelled; `--resume` runs the query again."""


class JsonText(str):
    """JSON that is stored unchanged, in a column of the type json."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SteeringReport:
    """The outcome of the pushes for one query.

    `applied` and `ignored` describe the pushes (`enable_nestloop = off`, the SQL of a sub-plan
    query), `ignored` each with the reason. `native` says why the query ran unsteered. `cards` are
    the rows that were pushed for each sub-plan query in `applied`.
    """

    applied: Sequence[str] = ()
    ignored: Sequence[tuple[str, str]] = ()
    native: str | None = None
    cards: Sequence[tuple[str, float]] = ()


class Stored(NamedTuple):
    """How the journal stores a field of `QueryResult`, and how exports describe it.

    - `type`: the SQL type of its column, without a default;
    - `unit`: of its values, as in docs/export.md;
    - `since`: the format of the journal (`SCHEMA_VERSION`) that first has it;
    - `packed`: place and `struct` code in the packed record of the run's tail. Fields without
      `packed` are in the JSON record, in their order: add a new field at the end, without `packed`;
    - `usually`: the value that most results have, for a field without a default in Python;
    - `json`: whether its text is JSON;
    - `table`: `queries` for what all results of a query share.
    """

    type: str
    unit: str = ""
    since: int = 1
    packed: tuple[int, str] | None = None
    usually: object = None
    json: bool = False
    table: str = "results"


class QueryResult(NamedTuple):
    """The outcome of one execution of a query, however it ended.

    A named tuple, since it costs a third of a dataclass and there is one for each query. This is
    the only declaration of its fields: the journal's columns, the run's tail and the exports follow
    from it. To add a field, write one line at the end, with a default, with the next number of the
    journal's format as `since`, and without `packed`. Describe its meaning and its unit below, and
    in docs/export.md and docs/signals.md, which tests compare with this.

    - `elapsed_s`: seconds on the client from sending the statement to having all of its rows;
      also set for time-outs and errors (the time until then). Excludes `inference_s` and
      `collection_s`.
    - `row_count`: rows returned, or changed for statements that return none; None when unknown.
    - `inference_s`: seconds that push handlers needed to answer for this query.
    - `collection_s`: seconds spent to pull data about the query besides running it (`EXPLAIN`, and
      the naming of sub-plans).
    - `round`: 1 for the first replay of the workload, 2 for the second, ...; 0 is warm-up.
    - `started_at`: seconds since the epoch.
    - `steering`: which pushes were applied or ignored; None where nothing was pushed.
    - `attempts`: how often it was sent: again, when the connection was lost while it ran.
    - `planning_s`, `execution_s`: seconds as the server measured them, within `elapsed_s`; None
      if they were not pulled, or the server does not measure them.
    - `steering_s`: seconds that pilot needed to turn the handlers' answers into the message, to set
      settings in messages of their own, and to find out what was applied.
    - `answer`: a digest of the rows, in no order, where they are compared; else None.
    - `wait_s`: seconds between when it was due (at a rate, or at the time of a log) and when it was
      sent; part of `elapsed_s`, and `started_at` is when it was due.
    - `logged`: name to value, as the handlers have logged them for it (`QueryPushHandler.log`);
      None where no handler has logged anything.
    """

    seq: Annotated[int, Stored("INTEGER NOT NULL", packed=(0, "q"))]
    label: Annotated[str, Stored("TEXT NOT NULL", table="queries")]
    status: Annotated[QueryStatus, Stored("TEXT NOT NULL", usually="ok")]
    started_at: Annotated[float, Stored("REAL NOT NULL", EPOCH_S, packed=(3, "d"))]
    elapsed_s: Annotated[float, Stored("REAL NOT NULL", "s", packed=(4, "d"))]
    row_count: Annotated[int | None, Stored("INTEGER", "rows", packed=(5, "q"))] = None
    error: Annotated[str | None, Stored("TEXT")] = None
    sqlstate: Annotated[str | None, Stored("TEXT")] = None
    inference_s: Annotated[float, Stored("REAL NOT NULL", "s")] = 0.0
    collection_s: Annotated[float, Stored("REAL NOT NULL", "s")] = 0.0
    round: Annotated[int, Stored("INTEGER NOT NULL", packed=(1, "i"))] = 1
    worker: Annotated[int, Stored("INTEGER NOT NULL", packed=(2, "i"))] = 0
    file: Annotated[str | None, Stored("TEXT", table="queries")] = None
    line: Annotated[int | None, Stored("INTEGER", table="queries")] = None
    steering: Annotated[SteeringReport | None, Stored("TEXT", json=True, since=2)] = None
    attempts: Annotated[int, Stored("INTEGER NOT NULL", since=3)] = 1
    planning_s: Annotated[float | None, Stored("REAL", "s", since=5)] = None
    execution_s: Annotated[float | None, Stored("REAL", "s", since=5)] = None
    steering_s: Annotated[float, Stored("REAL NOT NULL", "s", since=5)] = 0.0
    answer: Annotated[str | None, Stored("TEXT", since=5)] = None
    wait_s: Annotated[float, Stored("REAL NOT NULL", "s", since=6)] = 0.0
    logged: Annotated[Mapping[str, LoggedValue] | None, Stored("TEXT", json=True, since=7)] = None

    @property
    def ok(self) -> bool:
        """Whether the query ended well."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Index:
    """An index on `columns` of `table`, in this order, under the name `index_name`.

    - `keys`: where more than the columns' names is needed, what stands in `CREATE INDEX` for each
      of `columns`, as SQL: `score DESC`, `lower(name)`, `name COLLATE "C" text_pattern_ops`;
    - `include`: columns that are stored and not searched (`INCLUDE`);
    - `where`: the condition on the rows of a partial index, as SQL;
    - `unique`, `nulls_not_distinct`: whether values are kept unique, and nulls with them;
    - `method`: `btree`, or another access method of the server, as SQL;
    - `options`: what stands in `WITH (...)`, as SQL: `fillfactor=70`.
    """

    columns: Sequence[str]
    table: str
    index_name: str | None = None
    keys: Sequence[str] = field(default=(), kw_only=True)
    include: Sequence[str] = field(default=(), kw_only=True)
    where: str | None = field(default=None, kw_only=True)
    unique: bool = field(default=False, kw_only=True)
    nulls_not_distinct: bool = field(default=False, kw_only=True)
    method: str = field(default="btree", kw_only=True)
    options: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One checkpoint: a saved version of a model, and where it came from.

    `version` counts from 1 for each model. `path` is its folder. `created_at` is in seconds since
    the epoch. `event`, `query_seq` and `run_id` say which firing saved it; `query_seq` is the
    number of queries finished at that time. `trained_rows` is what the driver reported.
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


@dataclass(frozen=True, slots=True)
class PretrainingProgress:
    """The state from which `pilot pretrain` continues: rows saved, calls of
    `iterative_data_collection` that ended, and which of the two steps are complete."""

    rows: int = 0
    iterations: int = 0
    collected: bool = False
    trained: bool = False


@dataclass(slots=True)
class PilotTransData:
    """The data pulled about one query; a field that was not pulled is None.

    - `records`: the rows;
    - `execution_time`: seconds, as the server measured them if it reports them, else as the client
      did; `planning_time`: the same, None if the server does not report it;
    - `physical_plan`: the plan tree of `EXPLAIN (FORMAT JSON)`, a dict with the key `Plan`;
    - `estimated_cost`: the planner's total cost, in its own units;
    - `subquery_2_card`: sub-plan query to estimated rows; `left_out`: the relations of sub-plans
      that have no query, each with the reason;
    - `buffercache`: relation to cached blocks;
    - `report`: the outcome of the pushes; `notes`: what could not be pulled, and why.
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
    left_out: Sequence[tuple[frozenset[str], str]] = ()
    notes: Sequence[str] = ()
