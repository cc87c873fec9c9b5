"""The config of a run as data: what a YAML file says, after defaults and checks.

Each class is one section; each field's docstring is its documentation in `docs/config.md` and in
the JSON Schema (`pilot config schema`). Paths are absolute by the time they stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

__all__ = [
    "CollectSection",
    "CompatSection",
    "DatabaseSection",
    "EventSpec",
    "HandlerSpec",
    "Mark",
    "ModelSpec",
    "RunConfig",
    "RunSection",
    "SteeringSection",
    "StoreSection",
]


T = TypeVar("T")


def _key(default: T, kind: str, **limits: Any) -> T:
    """A key of a section: its default, its kind (`pilotcli.config.kinds`) and its limits."""
    metadata = {"kind": kind, **limits}
    shown = not (limits.get("secret", False) or kind == "settings")
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata, repr=shown)  # type: ignore[return-value]
    return field(default=default, metadata=metadata, repr=shown)


def _empty() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands in a config file: line and column count from 1.

    For a part that `--set` has put there, `file` is that override, and line and column are 0.
    """

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """`database:` the target. Without `dsn` and without PGHOST, PGSERVICE or the like in the
    environment it is the embedded PostgreSQL under `home`."""

    dsn: str | None = _key(None, "string", secret=True)
    """A libpq connection string or URL of the target; a password is better kept in ~/.pgpass."""
    embedded: bool | None = _key(None, "boolean")
    """true: the embedded server, whatever the environment says; false: never; unset: embedded
    when neither `dsn` nor a libpq variable (PGHOST, PGHOSTADDR, PGSERVICE, PGDATABASE) is set."""
    name: str | None = _key(None, "string")
    """The database to use on the embedded server (default `pilot`). It is created when it is
    missing only if `setup` is given; a name that does not exist is an error otherwise."""
    postgres_bin: Path | None = _key(None, "path")
    """A folder with another PostgreSQL's `initdb` and `postgres`, for the embedded server."""
    settings: Mapping[str, str] = _key(_empty(), "settings")
    """Server settings of the embedded server, applied when it starts (`shared_buffers: 1GB`)."""
    session: Mapping[str, str] = _key(_empty(), "settings")
    """Settings of each session that replays queries (`work_mem: 64MB`)."""
    setup: tuple[Path, ...] = _key((), "paths")
    """SQL files that fill the embedded database, run once, all in one transaction."""
    connect_timeout: float = _key(10.0, "duration")
    """Seconds to wait for a connection."""


@dataclass(frozen=True, slots=True)
class StoreSection:
    """`store:` where collected data is kept. By default a database beside the target."""

    dsn: str | None = _key(None, "string", secret=True)
    """A libpq connection string or URL of another server for the store."""
    database: str = _key("pilot_data", "string")
    """The store's database on the target's server; created when missing. Unused with `dsn`."""


@dataclass(frozen=True, slots=True)
class RunSection:
    """`run:` how the workload is replayed; each has an option of `pilot run` of the same name."""

    timeout: float | None = _key(None, "duration")
    """Seconds (or `500ms`, `30s`, `5min`) after which the server ends a query."""
    reconnect: float = _key(60.0, "duration")
    """Seconds to wait for a server that has gone away, before the run ends with exit code 4."""
    repeat: int = _key(1, "integer", least=1)
    """How many times the workload is replayed."""
    warmup: int = _key(0, "integer", least=0)
    """How many times the workload is replayed before, without events, collection or results."""
    shuffle: bool = _key(False, "boolean")
    """Replay in random order, another one each round; BEGIN ... COMMIT blocks stay whole."""
    seed: int = _key(0, "integer")
    """Seed of the random order."""
    limit: int | None = _key(None, "integer", least=1)
    """Replay only the first queries of the workload."""
    workers: int = _key(1, "integer", least=1, most=1000)
    """Connections that replay at the same time."""
    max_failures: int = _key(0, "integer", least=0)
    """How many queries may fail, time-outs and what others have cancelled included, before the run
    counts as failed (exit code 1)."""
    fail_fast: bool = _key(False, "boolean")
    """Stop at the first query beyond `max_failures`, and at the first event that fails."""
    pretraining: Literal["auto", "always", "never"] = _key(
        "auto", "choice", choices=("auto", "always", "never")
    )
    """auto: a pretraining that was completed in this `home` with the same class and arguments,
    and whose model could be loaded, is not repeated; always; never."""
    learn: int = _key(0, "integer", least=0)
    """Of a paired run (`--against`): how many times the driver replays the workload alone before
    anything is compared, while its events fire. What a driver learns meanwhile would count as noise
    in the rounds behind."""
    plans: bool = _key(False, "boolean")
    """Keep each query's plan in the journal: the first, and each that is another one than before,
    with the server's own times. Where neither the planner module nor auto_explain is there, each
    query costs an EXPLAIN more, outside of its time."""
    answers: bool = _key(False, "boolean")
    """Keep a digest of each result's rows in the journal, so that runs can be compared by their
    answers; made outside of a query's time. A paired run (`--against`) always does both."""


@dataclass(frozen=True, slots=True)
class CollectSection:
    """`collect:` what is stored about each query, in a table of the store."""

    table: str | None = _key(None, "string")
    """The table; one row a query, with the columns of what is asked for below. Only `max_rows` can
    stand without it."""
    max_rows: int | None = _key(None, "integer", least=0)
    """Rows of a result beyond so many are counted and not kept, so that a result of any size can
    be replayed; each query costs some 50 microseconds more. Unset: all are kept until the next
    query, and one whose result makes pilot grow by more than 4 GiB (half of the machine's memory,
    if that is less) is cancelled and recorded as an error."""
    execution_time: bool = _key(True, "boolean")
    """`execution_time`: seconds, as measured by pilot (send to last row)."""
    physical_plan: bool = _key(False, "boolean")
    """`physical_plan`: the plan as JSON text; from the query's own execution where the planner
    module or auto_explain is there, else by one EXPLAIN after the query."""
    actual_rows: bool = _key(False, "boolean")
    """Actual rows and loops in `physical_plan`. The server counts them, which costs time; where
    it cannot tell, the plan is without them."""
    estimated_cost: bool = _key(False, "boolean")
    """`estimated_cost`: the planner's total cost."""
    records: bool = _key(False, "boolean")
    """`records`: the rows as JSON text."""
    server_times: bool = _key(False, "boolean")
    """`planning_time` and `server_execution_time`: seconds, as the server measured them; null
    where it does not tell."""
    subquery_cards: bool = _key(False, "boolean")
    """`subquery_2_card`: the planner's rows for every sub-plan query, as JSON text."""
    buffercache: bool = _key(False, "boolean")
    """`buffercache`: the number of cached blocks of each relation, as JSON text; one more question
    to the server a query."""


@dataclass(frozen=True, slots=True)
class CompatSection:
    """`compat:` drivers that were written for PilotScope."""

    pilotscope: Literal["installed", "ours"] = _key(
        "installed", "choice", choices=("installed", "ours")
    )
    """What `import pilotscope` means in a driver: installed: PilotScope itself where it is
    installed, else pilot's own modules of these names; ours: these in any case."""


@dataclass(frozen=True, slots=True)
class SteeringSection:
    """`steering:` what happens where handlers ask for more than can be done."""

    on_missing: Literal["error", "skip"] = _key("error", "choice", choices=("error", "skip"))
    """What the server cannot do: error: the query does not run, and is recorded as a
    `steering_error`; skip: it runs without, which is recorded."""
    on_error: Literal["error", "native"] = _key("error", "choice", choices=("error", "native"))
    """A handler that fails, or asks for what the server refuses: error: the query does not run,
    and is recorded as a `steering_error`; native: it runs unsteered, which is recorded."""
    planner: Literal["auto", "never"] = _key("auto", "choice", choices=("auto", "never"))
    """The planner module: auto: built and loaded where it is needed and can be; never."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of `models:`; its key is the model's name."""

    name: str
    class_path: str
    """`class:` the model, as `package.module.Class` or `path/to/file.py:Class`."""
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Arguments of its constructor; `model_name` is the key unless given."""
    load: bool | Literal["auto"] | int = "auto"
    """auto: load the newest checkpoint if there is one; true: it must exist (a model with its own
    `load_model` is loaded by it); false: begin anew; a number: that version."""
    keep: int | None = None
    """How many checkpoints to keep; the newest stay. Unset: all."""
    trust: bool = False
    """true: also load checkpoints that this home has not saved; to load one runs code that its
    files may hold."""
    on_regression: Literal["keep", "rollback"] = "keep"
    """rollback: when the queries behind an update are measurably slower than the same ones were
    before it, the version before it is brought back. For models that pilot checkpoints; only
    queries that run more than once can tell (`run.repeat`)."""
    mark: Mark | None = None
    class_mark: Mark | None = None
    arg_marks: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One entry of `events:`, in the order in which events fire."""

    name: str
    """Unique; by default the class's name, numbered from the second on (`Collect`, `Collect-2`)."""
    class_path: str
    """`class:` the event, as `package.module.Class` or `path/to/file.py:Class`."""
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Arguments of its constructor, besides `config` and the model."""
    model: str | None = None
    """The model of the `models:` section that is passed as `pilot_model` or `bind_pilot_model`."""
    enabled: bool = True
    """false: the event is listed and never built."""
    mark: Mark | None = None
    class_mark: Mark | None = None
    model_mark: Mark | None = None
    arg_marks: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """One entry of `handlers:`: a push handler, asked before each query."""

    name: str
    class_path: str
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    model: str | None = None
    mark: Mark | None = None
    class_mark: Mark | None = None
    model_mark: Mark | None = None
    arg_marks: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A whole config."""

    path: Path | None = None
    """The file it was read from; None when there is none."""
    base: Path = field(default_factory=Path)
    """The folder that relative paths are relative to; importable for class paths."""
    home: Path = field(default_factory=lambda: Path(".pilot"))
    """Where pilot keeps server, journal and checkpoints (default: `.pilot` of the current
    folder)."""
    database: DatabaseSection = field(default_factory=DatabaseSection)
    store: StoreSection = field(default_factory=StoreSection)
    run: RunSection = field(default_factory=RunSection)
    workload: tuple[str, ...] = ()
    """The workload that `pilot run` replays when none is named."""
    collect: CollectSection | None = None
    models: tuple[ModelSpec, ...] = ()
    """The models, each by its name."""
    events: tuple[EventSpec, ...] = ()
    """The events, a list in the order in which they fire."""
    count: Literal["finished", "successful"] = "finished"
    """`events.count`: which queries events count: all that ended, or those that ended `ok`."""
    event_timeout: float | None = None
    """`events.timeout`: how long one call of an event may take. One that takes longer is ended, and
    its firing has failed; where nothing ends it, it is left behind, and does not fire again while
    it runs. Of a pretraining, this holds for each step of the collection and for the training."""
    steering: SteeringSection = field(default_factory=SteeringSection)
    compat: CompatSection = field(default_factory=CompatSection)
    handlers: tuple[HandlerSpec, ...] = ()
    """Push handlers, a list in the order in which they are asked."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Passwords in connection strings, arguments with a secret's name, and values that came from
    environment variables with one; never shown."""
