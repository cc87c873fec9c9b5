"""What fires when: the exact sequence of every call, also when something fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pilotcli import (
    PeriodicModelUpdateEvent,
    PilotModel,
    PilotScheduler,
    PostgreSQLConfig,
    PretrainingModelEvent,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)
from pilotcli.common.errors import DriverError, QueryError, UsageError
from pilotcli.common.signals import (
    Bus,
    EventTriggered,
    ModelKept,
    ModelSaved,
    QueryFinished,
    RowsCollected,
    Signal,
)

Calls = list[Any]


class Model(PilotModel):
    """A model that notes when it is saved, as PilotScope's users write theirs."""

    def __init__(self, name: str, calls: Calls, fail: bool = False) -> None:
        super().__init__(name)
        self.calls = calls
        self.fail = fail

    def save_model(self) -> None:
        self.calls.append(f"{self.model_name}.save({self.model})")
        if self.fail:
            raise OSError("no room")

    def load_model(self) -> None:
        raise AssertionError("nothing is loaded here")


class Finish(QueryFinishEvent):
    def __init__(self, config: Any, calls: Calls, interval_count: int = 1, fail: bool = False):
        super().__init__(config, interval_count)
        self.calls, self.fail = calls, fail

    def process(self, db_controller: Any, data_manager: Any) -> None:
        self.calls.append("finish")
        if self.fail:
            raise ValueError("finish is broken")


class Before(WorkloadBeforeEvent):
    def __init__(self, config: Any, calls: Calls, enable: bool = True, fail: bool = False):
        super().__init__(config, enable)
        self.calls, self.fail = calls, fail

    def process(self, db_controller: Any, data_manager: Any) -> None:
        self.calls.append("before")
        if self.fail:
            raise ValueError("before is broken")


class Update(PeriodicModelUpdateEvent):
    def __init__(
        self,
        config: Any,
        calls: Calls,
        model: Model | None,
        interval_count: int = 3,
        execute_on_init: bool = True,
        returns: Callable[[int], Any] = lambda n: f"update{n}",
        fail: bool = False,
    ):
        super().__init__(config, interval_count, model, execute_on_init)
        self.calls, self.returns, self.fail, self.n = calls, returns, fail, 0

    def custom_model_update(self, pilot_model: Any, db_controller: Any, data_manager: Any) -> Any:
        self.calls.append(f"update (had {pilot_model.model if pilot_model else None})")
        if self.fail:
            raise ValueError("update is broken")
        self.n += 1
        return self.returns(self.n)


class Pretrain(PretrainingModelEvent):
    def __init__(
        self, config: Any, calls: Calls, model: Model, table: str, fail: str = "", **kwargs: Any
    ):
        super().__init__(config, model, table, **kwargs)
        self.calls, self.fail, self.table = calls, fail, table

    def iterative_data_collection(self, db_controller: Any, train_data_manager: Any) -> Any:
        self.calls.append(
            f"collect {self.table} ({self.collection_iteration} done, {self.collected_rows} rows)"
        )
        if self.fail == "collect":
            raise ValueError("collect is broken")
        rows = [{"n": self.collected_rows + 1}, {"n": self.collected_rows + 2}]
        return rows, self.collection_iteration == 1

    def custom_model_training(
        self, bind_pilot_model: Any, db_controller: Any, data_manager: Any
    ) -> Any:
        rows = data_manager.read_all(self.table)
        self.calls.append(f"train {self.table} on {len(rows)}")
        if self.fail == "train":
            raise ValueError("train is broken")
        assert bind_pilot_model is self.bind_pilot_model
        return "trained"


@pytest.fixture
def calls() -> Calls:
    return []


@pytest.fixture
def scheduler(pilot_config: PostgreSQLConfig, calls: Calls) -> Iterator[PilotScheduler]:
    def hear(signal: Signal) -> None:
        if isinstance(signal, QueryFinished):
            calls.append(f"query {signal.query.seq} {signal.result.status}")
        elif isinstance(signal, EventTriggered):
            calls.append((signal.event, signal.reason, signal.after_query, signal.outcome))

    with PilotScheduler(pilot_config, bus=Bus(hear)) as scheduler:
        yield scheduler


def test_every_kind_in_its_order(scheduler: PilotScheduler, calls: Calls) -> None:
    model, other = Model("m", calls), Model("o", calls)
    config = scheduler.config
    scheduler.register_events(
        [
            Finish(config, calls, interval_count=2),
            Update(config, calls, model),
            Before(config, calls),
            Pretrain(config, calls, model, "one"),
            Pretrain(config, calls, other, "two", enable_collection=False, enable_training=False),
            Pretrain(config, calls, other, "three", enable_training=False),
            Before(config, calls, enable=False),
        ]
    )
    scheduler.init()
    for _ in range(3):
        assert scheduler.execute("SELECT 1") == [(1,)]
    assert calls == [
        "collect one (0 done, 0 rows)",
        "collect one (1 done, 2 rows)",
        "train one on 4",
        "m.save(trained)",
        ("Pretrain", "pretraining", 0, "ok"),
        ("Pretrain-2", "pretraining", 0, "ok"),
        "collect three (0 done, 0 rows)",
        "collect three (1 done, 2 rows)",
        ("Pretrain-3", "pretraining", 0, "ok"),
        "update (had trained)",
        "m.save(update1)",
        ("Update", "init", 0, "ok"),
        "before",
        ("Before", "workload_before", 0, "ok"),
        "query 1 ok",
        "query 2 ok",
        "finish",
        ("Finish", "interval", 2, "ok"),
        "query 3 ok",
        "update (had update1)",
        "m.save(update2)",
        ("Update", "interval", 3, "ok"),
    ]
    assert model.model == "update2"


def test_within_a_query_the_order_of_registration_holds(
    scheduler: PilotScheduler, calls: Calls
) -> None:
    model = Model("m", calls)
    config = scheduler.config
    scheduler.register_events(
        [
            Update(config, calls, model, interval_count=1, execute_on_init=False),
            Finish(config, calls),
        ]
    )
    scheduler.init()
    scheduler.execute("SELECT 1")
    assert calls == [
        "query 1 ok",
        "update (had None)",
        "m.save(update1)",
        ("Update", "interval", 1, "ok"),
        "finish",
        ("Finish", "interval", 1, "ok"),
    ]


def _raised(call: Callable[[], object]) -> Exception | None:
    """What the call has raised."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever an event raises
        return error
    return None


@pytest.mark.parametrize("broken", ["finish", "before", "update", "save", "collect", "train"])
def test_a_failure_is_raised_and_stops_no_other_event(
    scheduler: PilotScheduler, calls: Calls, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = scheduler.config
    model = Model("m", calls, fail=broken == "save")
    pretrained = Model("p", calls)
    scheduler.register_events(
        [
            Pretrain(config, calls, pretrained, "t", fail=broken),
            Before(config, calls, fail=broken == "before"),
            Update(config, calls, model, interval_count=2, fail=broken == "update"),
            Finish(config, calls, fail=broken == "finish"),
        ]
    )
    raised = [
        _raised(scheduler.init),
        # An event that fails before the first query is raised before it: the query waits.
        *([_raised(lambda: scheduler.execute("SELECT 1"))] if broken == "before" else ()),
        _raised(lambda: scheduler.execute("SELECT 1")),
        _raised(lambda: scheduler.execute("SELECT 2")),
    ]
    assert [number for number, error in enumerate(raised) if error is not None] == {
        "finish": [1, 2],
        "before": [1],
        "update": [0, 2],
        "save": [0, 2],
        "collect": [0],
        "train": [0],
    }[broken]
    assert len([record for record in caplog.records if "failed: " in record.message]) == len(
        scheduler.event_runner.failures
    )

    def outcome(*parts: str) -> str:
        return "failed" if broken in parts else "ok"

    collected = ["collect t (0 done, 0 rows)"]
    if broken != "collect":
        collected += ["collect t (1 done, 2 rows)", "train t on 4"]
        if broken != "train":
            collected += ["p.save(trained)"]
    update = ["update (had None)"] + ([] if broken == "update" else ["m.save(update1)"])
    had = "update1" if broken not in ("update", "save") else "None"
    again = [f"update (had {had})"] + ([] if broken == "update" else ["m.save(update2)"])
    assert calls == [
        *collected,
        ("Pretrain", "pretraining", 0, outcome("collect", "train")),
        *update,
        ("Update", "init", 0, outcome("update", "save")),
        "before",
        ("Before", "workload_before", 0, outcome("before")),
        "query 1 ok",
        "finish",
        ("Finish", "interval", 1, outcome("finish")),
        "query 2 ok",
        *again,
        ("Update", "interval", 2, outcome("update", "save")),
        "finish",
        ("Finish", "interval", 2, outcome("finish")),
    ]
    for failure in scheduler.event_runner.failures:
        assert failure.error is not None
        assert failure.traceback is not None
        if broken != "save":
            assert re.search(rf"_sequence\.py:\d+: ValueError: {broken} is broken$", failure.error)
        assert __file__ in failure.traceback
        assert "event_runner.py" not in failure.traceback


def test_none_keeps_the_model(scheduler: PilotScheduler, calls: Calls) -> None:
    kept: list[ModelKept] = []
    scheduler.bus.subscribe(lambda s: kept.append(s) if isinstance(s, ModelKept) else None)
    model = Model("m", calls)
    model.model = "as it was"
    scheduler.register_events(
        Update(scheduler.config, calls, model, interval_count=1, returns=lambda n: None)
    )
    scheduler.init()
    assert model.model == "as it was"
    assert calls == ["update (had as it was)", ("Update", "init", 0, "kept")]
    assert [(one.model, one.event) for one in kept] == [("m", "Update")]


def test_what_process_returns_is_ignored(scheduler: PilotScheduler, calls: Calls) -> None:
    class Returns(WorkloadBeforeEvent):
        def process(self, db_controller: Any, data_manager: Any) -> Any:
            return ["analyzed"]

    scheduler.register_events(Returns(scheduler.config))
    scheduler.execute("SELECT 1")
    assert calls == [("Returns", "workload_before", 0, "ok"), "query 1 ok"]


def test_an_update_without_a_model(scheduler: PilotScheduler, calls: Calls) -> None:
    scheduler.register_events(Update(scheduler.config, calls, None, execute_on_init=True))
    scheduler.init()
    assert calls == ["update (had None)", ("Update", "init", 0, "ok")]


def test_failed_queries_count(scheduler: PilotScheduler, calls: Calls) -> None:
    scheduler.register_events(Finish(scheduler.config, calls, interval_count=2))
    scheduler.init()
    scheduler.execute("SELECT 1")
    with pytest.raises(QueryError, match="missing_table"):
        scheduler.execute("SELECT * FROM missing_table")
    assert calls == [
        "query 1 ok",
        "query 2 error",
        "finish",
        ("Finish", "interval", 2, "ok"),
    ]
    assert scheduler.last_result is not None
    assert scheduler.last_result.sqlstate == "42P01"


def test_only_successful_queries_count_when_asked(
    pilot_config: PostgreSQLConfig, calls: Calls
) -> None:
    with PilotScheduler(pilot_config, count="successful") as scheduler:
        scheduler.register_events(Finish(pilot_config, calls, interval_count=2))
        scheduler.init()
        for sql in ("SELECT 1", "SELECT 1/0", "SELECT 2"):
            try:
                scheduler.execute(sql)
            except QueryError:
                calls.append("failed query")
    assert calls == ["failed query", "finish"]


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (SystemExit(7), "it called sys.exit(7)"),
        (asyncio.CancelledError("too slow"), "CancelledError: too slow"),
        (GeneratorExit(), "GeneratorExit"),
    ],
)
def test_an_event_that_raises_no_exception_of_the_usual_kind_has_failed(
    scheduler: PilotScheduler, calls: Calls, raised: BaseException, error: str
) -> None:
    class Exits(QueryFinishEvent):
        def process(self, db_controller: Any, data_manager: Any) -> None:
            raise raised

    scheduler.register_events(Exits(scheduler.config))
    scheduler.init()
    with pytest.raises(type(raised)):
        scheduler.execute("SELECT 1")
    (failure,) = scheduler.event_runner.failures
    place, _, said = str(failure.error).partition(": ")
    assert (place.rpartition(":")[0].endswith("test_event_sequence.py"), said) == (True, error)


@pytest.mark.parametrize("returned", [None, [], ([1, 2], True), 3, ({"a": 1}, True)])
def test_a_collection_that_returns_something_else(
    scheduler: PilotScheduler, calls: Calls, returned: Any
) -> None:
    class Odd(Pretrain):
        def iterative_data_collection(self, db_controller: Any, train_data_manager: Any) -> Any:
            return returned

    scheduler.register_events(Odd(scheduler.config, calls, Model("m", calls), "t"))
    with pytest.raises(DriverError, match=r"not \(rows, terminate\)"):
        scheduler.init()
    (failure,) = scheduler.event_runner.failures
    assert failure.error is not None
    assert "not (rows, terminate)" in failure.error


def test_saved_rows_and_models_are_told(scheduler: PilotScheduler, calls: Calls) -> None:
    heard: list[Signal] = []
    scheduler.bus.subscribe(heard.append)
    model = Model("m", calls)
    model.metrics = {"mae": 0.5}
    scheduler.register_events(Pretrain(scheduler.config, calls, model, "t"))
    scheduler.init()
    collected = [s for s in heard if isinstance(s, RowsCollected)]
    assert [(s.rows, s.total_rows, s.iteration) for s in collected] == [(2, 2, 1), (2, 4, 2)]
    (saved,) = [s for s in heard if isinstance(s, ModelSaved)]
    assert (saved.model, saved.event, saved.metrics) == ("m", "Pretrain", {"mae": 0.5})


def test_an_event_says_how_many_rows_it_will_collect(
    scheduler: PilotScheduler, calls: Calls
) -> None:
    class Knows(Pretrain):
        def iterative_data_collection(self, db_controller: Any, train_data_manager: Any) -> Any:
            self.target_rows = 4
            return super().iterative_data_collection(db_controller, train_data_manager)

    heard: list[Signal] = []
    scheduler.bus.subscribe(heard.append, RowsCollected)
    scheduler.register_events(Knows(scheduler.config, calls, Model("m", calls), "t"))
    scheduler.register_events(Pretrain(scheduler.config, calls, Model("n", calls), "u"))
    scheduler.init()
    targets = [(s.event, s.target_rows) for s in heard if isinstance(s, RowsCollected)]
    assert targets == [("Knows", 4)] * 2 + [("Pretrain", None)] * 2


def test_a_target_that_is_no_number_fails_the_pretraining(
    scheduler: PilotScheduler, calls: Calls
) -> None:
    event = Pretrain(scheduler.config, calls, Model("m", calls), "t")
    event.target_rows = "many"  # type: ignore[assignment]
    scheduler.register_events(event)
    with pytest.raises(DriverError, match="target_rows is 'many', not a number of rows"):
        scheduler.init()


@pytest.mark.parametrize("interval", [0, -1, 1.5, "3", None, True])
def test_an_interval_below_one_is_refused(interval: Any) -> None:
    with pytest.raises(UsageError, match="interval_count must be a whole number from 1 on"):
        Finish(None, [], interval_count=interval)


def test_a_query_that_fails_is_raised_before_an_event_that_fails(
    scheduler: PilotScheduler, calls: Calls
) -> None:
    scheduler.register_events(Finish(scheduler.config, calls, fail=True))
    with pytest.raises(QueryError, match="missing_table"):
        scheduler.execute("SELECT * FROM missing_table")
    with pytest.raises(ValueError, match="finish is broken"):
        scheduler.execute("SELECT 1")
    assert scheduler.finished == 2


def test_what_is_no_event_is_refused(scheduler: PilotScheduler) -> None:
    with pytest.raises(UsageError, match="str is not an event"):
        scheduler.register_events(["Finish"])  # type: ignore[list-item]


def test_an_event_leaves_no_trace_in_the_replaying_session(
    scheduler: PilotScheduler, calls: Calls
) -> None:
    class Careless(QueryFinishEvent):
        def process(self, db_controller: Any, data_manager: Any) -> None:
            db_controller.execute("SET work_mem = '64kB'")
            db_controller.execute("BEGIN")

    scheduler.register_events(Careless(scheduler.config))
    scheduler.init()
    before = scheduler.execute("SHOW work_mem")
    assert scheduler.execute("SHOW work_mem") == before
    seen = scheduler.db_controller.execute("SHOW work_mem", fetch=True)
    assert seen == list(before)
