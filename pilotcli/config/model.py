"""The config of a run as data: what a YAML file says, after defaults and checks.

Each class is one section; each field's docstring is its documentation in `docs/config.md` and in
the JSON Schema (`pilot config schema`). Paths are absolute here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")


def _key(default: T, kind: str, **limits: Any) -> T:
    """A key of a section: its default, its kind (`pilotcli.config.kinds`) and its limits."""
    metadata = {"kind": kind, **limits}
    shown = not (limits.get("secret", False) or kind == "settings")
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata, repr=shown)  # type: ignore[return-value]
    return field(default=default, metadata=metadata, repr=shown)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a config file: line and column count from 1.

    For a part that `--set` has put there, `file` is that override, and line and column are 0.
    """

    file: str
    line: int
    column: int


DEFAULT_STORE = "pilot_data"
"""The database of the store when the config names none."""


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """`database:` the database under test (the target). Without `dsn`, and without PGHOST,
    PGHOSTADDR, PGSERVICE or PGDATABASE in the environment, it is the embedded PostgreSQL under
    `home`."""

    dsn: str | None = _key(None, "string", secret=True)
    """A libpq connection string or URL of the target. Better keep its password in ~/.pgpass."""
    embedded: bool | None = _key(None, "boolean")
    """`true`: use the embedded server, whatever `dsn` and the environment say. `false`: never use
    it. Unset: use it if neither `dsn` nor PGHOST, PGHOSTADDR, PGSERVICE or PGDATABASE is set."""
    name: str | None = _key(None, "string")
    """The database to use, also with a `dsn` that names none. Default on the embedded server:
    `pilot`. A missing database is an error, except on the embedded server: pilot creates `pilot`
    there, and any database with a `setup`."""
    postgres_bin: Path | None = _key(None, "path")
    """A folder with `initdb` and `postgres` of another PostgreSQL, for the embedded server."""
    settings: Mapping[str, str] = _key({}, "settings")
    """Settings of the embedded server, applied when it starts (`shared_buffers: 1GB`)."""
    session: Mapping[str, str] = _key({}, "settings")
    """Settings of each session that replays queries (`work_mem: 64MB`). They hold from the first
    statement on, and `RESET ALL` of a workload returns to them."""
    setup: tuple[Path, ...] = _key((), "paths")
    """SQL files that fill the embedded database. They run once, all in one transaction."""
    connect_timeout: float = _key(10.0, "duration")
    """Seconds to wait for a connection."""


@dataclass(frozen=True, slots=True)
class StoreSection:
    """`store:` the database for collected data. By default it is on the target's server."""

    dsn: str | None = _key(None, "string", secret=True)
    """A libpq connection string or URL of another server for the store."""
    database: str = _key(DEFAULT_STORE, "string")
    """The store's database on the target's server, created if missing. With `dsn`, it is the
    database of a connection string that names none."""


@dataclass(frozen=True, slots=True)
class RunSection:
    """`run:` how to replay the workload. `pilot run` has an option of the same name for each
    key."""

    timeout: float | None = _key(None, "duration")
    """The time after which the server ends a query."""
    reconnect: float = _key(60.0, "duration")
    """How long to wait for a lost server before the run ends with exit code 4."""
    repeat: int = _key(1, "integer", least=1)
    """How many times to replay the workload."""
    warmup: int = _key(0, "integer", least=0)
    """How many times to replay the workload first, without events, collection or results."""
    shuffle: bool = _key(False, "boolean")
    """Replay in random order, a new one each round. BEGIN ... COMMIT blocks stay whole."""
    seed: int = _key(0, "integer")
    """Seed of the random order."""
    limit: int | None = _key(None, "integer", least=1)
    """Replay only the first queries of the workload."""
    select: tuple[str, ...] = _key((), "texts")
    """Replay only these queries, by label (`q17`, `hot-*`), number (`3`, `7-12`, `40-`), file
    (`joins.sql`) or line (`joins.sql:40`). They keep the numbers and labels of the whole workload.
    A `BEGIN ... COMMIT` block stays whole. What sets up the session of a selected query before it
    stays, too: SET, PREPARE, and what is written to temporary tables."""
    exclude: tuple[str, ...] = _key((), "texts")
    """Leave these queries out, named in the same way, and the blocks that they are in."""
    workers: int = _key(1, "integer", least=1, most=1000)
    """How many connections replay at the same time."""
    rate: float | None = _key(None, "rate")
    """The rate at which queries are due, whether earlier ones have ended or not (an open loop):
    `200/s`, `3000/min`. The wait of a query that no worker was free for is part of its latency.
    pilot says at the end if the rate could not be held."""
    arrivals: Literal["constant", "poisson"] = _key(
        "constant", "choice", choices=("constant", "poisson")
    )
    """With `rate`: `constant` has equal times between queries, `poisson` random ones (by `seed`),
    as of many independent users."""
    duration: float | None = _key(None, "duration")
    """How long to replay: the workload is repeated until then. What runs then ends by itself."""
    think: float | None = _key(None, "duration")
    """How long each worker waits between two queries, or between transaction blocks."""
    ramp: float | None = _key(None, "duration")
    """With `rate`: the time in which the rate rises from 0. Otherwise the time in which the workers
    begin, one after the other."""
    pace: float | None = _key(None, "pace")
    """For workloads with times (`at_s`): `original` sends each query at its time after the first
    one, `x2` twice as fast, `x0.5` half as fast. `fast`: as soon as possible."""
    every: float | None = _key(None, "duration")
    """The length of the intervals for which the view shows a line with rate and percentiles."""
    prepare: tuple[str, ...] = _key((), "texts")
    """SQL statements, one text each, or commands of the shell, which begin with `$ `. pilot carries
    them out before the workload, over a connection of their own. If one fails, the run ends with
    exit code 2."""
    cleanup: tuple[str, ...] = _key((), "texts")
    """The same after the workload, however it ended."""
    before_each: tuple[str, ...] = _key((), "texts")
    """The same before each query, in its session, and outside of its time. Inside of a transaction
    block it is left out."""
    cold: bool = _key(False, "boolean")
    """Restart the server before each query, outside of its time, so that none of its buffers hold
    anything. What the operating system has cached of the server's files stays. pilot must be able
    to restart the server, as it can with the embedded one. Takes one worker."""
    max_failures: int = _key(0, "integer", least=0)
    """How many queries may fail before the run counts as failed (exit code 1). Time-outs count, and
    so do queries that somebody else cancelled."""
    fail_fast: bool = _key(False, "boolean")
    """Stop when more than `max_failures` queries have failed, or when an event fails."""
    pretraining: Literal["auto", "always", "never"] = _key(
        "auto", "choice", choices=("auto", "always", "never")
    )
    """`auto`: skip a pretraining that this `home` has completed with the same class and arguments,
    if its model could be loaded. `always`: run it again. `never`: skip it."""
    learn: int | None = _key(None, "integer", least=0)
    """In a paired run (`--against`): how many rounds each driver replays alone first, with its
    events, before pilot compares. Otherwise what a driver learns would look like noise. The default
    is 1 with `learn_on`, `split` or `folds`, and 0 without."""
    learn_on: tuple[Path, ...] = _key((), "paths")
    """In a paired run: the workload from which the drivers learn. They are then judged on
    `workload`, whose queries they have not seen."""
    split: float | None = _key(None, "split")
    """In a paired run: learn from the first part of the workload's queries, chosen at random by
    `seed`, and judge on the second: `80/20`. The parts add up to 100."""
    split_by: Literal["query", "template"] = _key("query", "choice", choices=("query", "template"))
    """What `split` and `folds` divide. `query`: any query may come into any part. `template`:
    queries that differ only in their values, or whose labels differ only at the end (`17a`, `17b`),
    stay together."""
    folds: int | Literal["templates"] | None = _key(None, "folds")
    """In a paired run: cross-validation. The workload is divided into so many parts; each is judged
    once, by drivers that have learned from the others. `templates`: one part for each template."""
    freeze: bool | None = _key(None, "boolean")
    """In a paired run: update no model in the compared rounds. Handlers use what was learned
    before. The default is true with `learn_on`, `split` or `folds`."""
    fresh: bool | None = _key(None, "boolean")
    """In a paired run: begin with empty models, and without the rows that earlier runs collected,
    so that nothing of the judged queries is known. The rows go into a schema of the store that
    belongs to the run. A model's current version stays the current one. The default is true with
    `learn_on`, `split` or `folds`."""
    plans: bool = _key(False, "boolean")
    """Keep the plans of queries in the journal, with the server's own times: the first plan of
    each query, and each plan that differs from the one before. Without the planner module and
    auto_explain, each query costs an extra EXPLAIN, which is not part of its time."""
    answers: bool = _key(False, "boolean")
    """Keep a digest of each result's rows in the journal, to compare the answers of runs. It is
    not part of a query's time. A paired run (`--against`) always keeps plans and digests."""
    expect_from: int | None = _key(None, "integer", least=1)
    """The number of an earlier run of this `home`. A query whose answer is another one than in the
    first round of that run gets the status `wrong_answer`, and the run fails."""

    @property
    def learns_apart(self) -> bool:
        """Whether a driver learns from other queries than those that it is judged on."""
        return bool(self.learn_on or self.split is not None or self.folds is not None)

    @property
    def learning_rounds(self) -> int:
        """Rounds in which drivers learn before they are compared."""
        return int(self.learns_apart) if self.learn is None else self.learn

    @property
    def frozen(self) -> bool:
        """Whether models are not updated in the compared rounds."""
        return self.learns_apart if self.freeze is None else self.freeze

    @property
    def begins_fresh(self) -> bool:
        """Whether a paired run begins with empty models and no rows of earlier runs."""
        return self.learns_apart if self.fresh is None else self.fresh


@dataclass(frozen=True, slots=True)
class CollectSection:
    """`collect:` what to store about each query, in a table of the store."""

    table: str | None = _key(None, "string")
    """The table. It gets one row per query: `label`, `sql`, `status`, the columns that you choose
    below, and columns that say where the row comes from. Only `max_rows` can be set without it."""
    max_rows: int | None = _key(None, "integer", least=0)
    """How many rows of a result to keep. pilot only counts the others, so a result can have any
    size. Each query costs about 50 microseconds more. Unset: pilot keeps all rows until the next
    query. It cancels a query whose result needs more than 4 GiB (or half of the machine's memory,
    if that is less), and records an error."""
    execution_time: bool = _key(True, "boolean")
    """`execution_time`: seconds from sending the query to its last row, as pilot measured them."""
    physical_plan: bool = _key(False, "boolean")
    """`physical_plan`: the plan as JSON. With the planner module or auto_explain it comes from the
    query's own execution, otherwise from one EXPLAIN after the query."""
    actual_rows: bool = _key(False, "boolean")
    """Add actual rows and loops to `physical_plan`. Counting them costs the server time. If it
    cannot report them, the plan comes without them."""
    estimated_cost: bool = _key(False, "boolean")
    """`estimated_cost`: the planner's total cost."""
    records: bool = _key(False, "boolean")
    """`records`: the rows as JSON. Moments, intervals, numerics and bytes are texts, as the
    server sent them."""
    server_times: bool = _key(False, "boolean")
    """`planning_time` and `server_execution_time`: seconds that the server measured; null if it
    does not report them."""
    subquery_cards: bool = _key(False, "boolean")
    """`subquery_2_card`: the planner's row estimate for each sub-plan query, as JSON."""
    buffercache: bool = _key(False, "boolean")
    """`buffercache`: the number of cached blocks of each relation, as JSON. Each query costs one
    more request to the server."""
    compared: bool = _key(False, "boolean")
    """In a paired run (`--against`): collect in the compared rounds, too, what makes the server
    slower: actual rows, sub-plan cardinalities, the buffer cache. All arms then collect it, so that
    the comparison stays fair. Otherwise these columns are null there."""


@dataclass(frozen=True, slots=True)
class CompatSection:
    """`compat:` for drivers that were written for PilotScope."""

    pilotscope: Literal["installed", "ours"] = _key(
        "installed", "choice", choices=("installed", "ours")
    )
    """What `import pilotscope` gives a driver. `installed`: PilotScope if it is installed,
    otherwise pilot's own modules of the same names. `ours`: always pilot's own modules."""


@dataclass(frozen=True, slots=True)
class SteeringSection:
    """`steering:` what to do if a handler fails, or asks for something that is not possible."""

    on_missing: Literal["error", "skip"] = _key("error", "choice", choices=("error", "skip"))
    """If the server lacks the ability that a handler needs. `error`: the query does not run, and
    its status is `steering_error`. `skip`: it runs without that push, and the journal says so."""
    on_error: Literal["error", "native"] = _key("error", "choice", choices=("error", "native"))
    """If a handler fails, or the server refuses what it asks for. `error`: the query does not run,
    and its status is `steering_error`. `native`: it runs unsteered, and the journal says so."""
    planner: Literal["auto", "never"] = _key("auto", "choice", choices=("auto", "never"))
    """The planner module. `auto`: build and load it where it is needed and possible. `never`: do
    not use it."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of `models:`; its key is the model's name."""

    name: str
    class_path: str
    """`class:` the model, as `package.module.Class` or `path/to/file.py:Class`."""
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Arguments of its constructor. `model_name` is the model's key by default."""
    load: bool | Literal["auto"] | int = "auto"
    """`auto`: load the current checkpoint, if there is one. `true`: it must exist; a model that
    saves itself is loaded by its own `load_model`. `false`: start without one. A number: load that
    version."""
    keep: int | None = None
    """How many of the newest checkpoints to keep. Unset: all."""
    trust: bool = False
    """`true`: also load checkpoints that this home did not save. Loading one can run code in its
    files."""
    on_regression: Literal["keep", "rollback"] = "keep"
    """`rollback`: if queries become measurably slower after an update, the version before the
    update comes back. pilot must save the model's checkpoints, and the queries must run more than
    once (`run.repeat`). `keep`: the new version stays."""
    mark: Mark | None = None
    class_mark: Mark | None = None
    arg_marks: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One entry of `events:`, in the order in which events fire."""

    name: str
    """A unique name. Default: the class's name, with a number from the second on (`Collect-2`)."""
    class_path: str
    """`class:` the event, as `package.module.Class` or `path/to/file.py:Class`."""
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Arguments of its constructor, except `config` and the model."""
    model: str | None = None
    """A model of the `models:` section, passed as `pilot_model` or `bind_pilot_model`."""
    enabled: bool = True
    """`false`: the event is listed, but it is not built and never fires."""
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
    """The folder for server, journal and checkpoints. Default: `.pilot` in the current folder."""
    database: DatabaseSection = field(default_factory=DatabaseSection)
    store: StoreSection = field(default_factory=StoreSection)
    run: RunSection = field(default_factory=RunSection)
    workload: tuple[str, ...] = ()
    """The workload that `pilot run` replays if its command line names none."""
    collect: CollectSection | None = None
    models: tuple[ModelSpec, ...] = ()
    """The models, by their names."""
    events: tuple[EventSpec, ...] = ()
    """The list of events. Events that are due at the same time fire in this order."""
    count: Literal["finished", "successful"] = "finished"
    """`events.count`: which queries events count. `finished`: all that ended. `successful`: only
    those that ended `ok`."""
    event_timeout: float | None = None
    """`events.timeout`: how long one call of an event may take. pilot ends a longer call, and its
    firing has failed. If the call cannot be ended, pilot goes on without it, and the event does not
    fire while that call runs. In a pretraining the limit holds for each step of the collection, and
    for the training."""
    steering: SteeringSection = field(default_factory=SteeringSection)
    compat: CompatSection = field(default_factory=CompatSection)
    handlers: tuple[HandlerSpec, ...] = ()
    """The list of push handlers. pilot asks them in this order."""
    handler_timeout: float | None = None
    """`handlers.timeout`: how long one call of a handler may take. pilot ends a longer call, and
    the handler has failed (`steering.on_error`). If the call cannot be ended, pilot goes on without
    it, and does not call the handler while that call runs."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Passwords in connection strings, arguments with a secret's name, and values that came from
    environment variables with one; never shown."""
