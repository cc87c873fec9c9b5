"""What is recorded of firings and pretrainings, and what a continued run makes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from test_event_sequence import Before, Calls, Finish, Model, Pretrain, Update

from pilotcli import DataManager, PilotScheduler, PostgreSQLConfig, QueryFinishEvent
from pilotcli.common.errors import Interrupted
from pilotcli.common.records import ModelVersion, PretrainingProgress
from pilotcli.common.signals import EventTriggered


class Log:
    """A run's log that keeps what it is given about events."""

    def __init__(self, token: str, calls: Calls, own: tuple[str, ...] = ()) -> None:
        self.token = token
        self.calls = calls
        self.own = (token, *own)
        self.progress: list[PretrainingProgress] = []
        self.counters: list[tuple[str, str, Mapping[str, int]]] = []

    def is_own(self, token: str) -> bool:
        return token in self.own

    def mark_of(self, event: str) -> str:
        return f"progress of {event}"

    def add_progress(self, event: str, table: str, progress: PretrainingProgress) -> None:
        self.progress.append(progress)
        self.calls.append((event, table, progress.rows, progress.iterations))

    def begin_firing(self, event: str, reason: str, after_query: int) -> None:
        pass

    def add_firing(self, signal: EventTriggered, counters: Mapping[str, int]) -> None:
        self.counters.append((signal.event, signal.reason, dict(counters)))

    def add_model(self, version: ModelVersion) -> None:
        pass

    def add_result(self, query: Any, result: Any) -> None:
        pass

    def add_warmed(self, round: int, seq: int) -> None:
        pass


@pytest.fixture
def calls() -> Calls:
    return []


@contextmanager
def scheduler(config: PostgreSQLConfig, log: Log, **options: Any) -> Iterator[PilotScheduler]:
    with PilotScheduler(config, log=log, **options) as made:
        yield made


def pretrained(
    config: PostgreSQLConfig, log: Log, progress: PretrainingProgress | None = None
) -> list[str]:
    """Pretrain from `progress` on; what was called of the event."""
    with scheduler(config, log) as run:
        event = Pretrain(run.config, log.calls, Model("m", []), "t")
        run.register_events(event)
        run.init(None if progress is None else {"Pretrain": progress})
        assert not run.event_runner.failures
    return [call for call in log.calls if isinstance(call, str)]


def test_progress_is_recorded_before_the_first_row_and_after_each_batch(
    pilot_config: PostgreSQLConfig, calls: Calls
) -> None:
    log = Log("run 1", calls)
    pretrained(pilot_config, log)
    assert calls == [
        ("Pretrain", "t", 0, 0),
        "collect t (0 done, 0 rows)",
        ("Pretrain", "t", 2, 1),
        "collect t (1 done, 2 rows)",
        ("Pretrain", "t", 4, 2),
        "train t on 4",
        ("Pretrain", "t", 4, 2),
    ]
    assert log.progress[-2:] == [
        PretrainingProgress(4, 2, collected=True),
        PretrainingProgress(4, 2, collected=True, trained=True),
    ]


FIRST_BATCH = PretrainingProgress(2, 1)


def test_a_batch_that_was_saved_just_before_a_kill_is_not_collected_again(
    pilot_config: PostgreSQLConfig,
) -> None:
    pretrained(pilot_config, Log("run 1", []))
    # The record of the last batch is missing: pilot was killed between saving and recording it.
    again = Log("run 2", [], own=("run 1",))
    assert pretrained(pilot_config, again, FIRST_BATCH) == ["train t on 4"]


def test_a_batch_of_another_home_is_no_progress(pilot_config: PostgreSQLConfig) -> None:
    pretrained(pilot_config, Log("a run of another home", []))
    assert pretrained(pilot_config, Log("run 2", []), FIRST_BATCH) == [
        "collect t (1 done, 2 rows)",
        "train t on 6",
    ]


def test_only_the_very_next_batch_is_progress(pilot_config: PostgreSQLConfig) -> None:
    pretrained(pilot_config, Log("run 1", []))
    # An older pretraining has got farther; this one begins.
    again = Log("run 2", [], own=("run 1",))
    assert pretrained(pilot_config, again, PretrainingProgress()) == [
        "collect t (0 done, 0 rows)",
        "collect t (1 done, 2 rows)",
        "train t on 8",
    ]


def test_only_a_firing_by_its_interval_sets_an_events_count(
    pilot_config: PostgreSQLConfig, calls: Calls
) -> None:
    log = Log("run 1", calls)
    with scheduler(pilot_config, log) as run:
        config = run.config
        run.register_events(
            [
                Pretrain(config, calls, Model("m", []), "t"),
                Before(config, calls),
                Update(config, calls, Model("o", []), interval_count=2),
            ]
        )
        run.init()
        run.execute("SELECT 1")
        run.execute("SELECT 2")
    assert log.counters == [
        ("Pretrain", "pretraining", {}),
        ("Update", "init", {}),
        ("Before", "workload_before", {}),
        ("Update", "interval", {"Update": 2}),
    ]


class Stops(QueryFinishEvent):
    """Fails because of a stop, as what it does in the database is cancelled."""

    def __init__(self, config: Any, stop: threading.Event) -> None:
        super().__init__(config)
        self.stop = stop

    def process(self, db_controller: Any, data_manager: Any) -> None:
        self.stop.set()
        raise ValueError("canceling statement due to user request")


def test_an_event_that_the_stop_makes_fail_has_not_failed(
    pilot_config: PostgreSQLConfig, calls: Calls
) -> None:
    stop, log = threading.Event(), Log("run 1", calls)
    with scheduler(pilot_config, log, stop=stop) as run:
        run.register_events([Stops(run.config, stop), Finish(run.config, calls)])
        run.init()
        with pytest.raises(Interrupted, match="stopped while Stops was running"):
            run.execute("SELECT 1")
        assert not run.event_runner.failures
    assert log.counters == []
    assert calls == []


class Looks(QueryFinishEvent):
    """Counts the rows that are in the store, with a connection of its own."""

    def __init__(self, config: Any, counts: list[int]) -> None:
        super().__init__(config)
        self.counts = counts

    def process(self, db_controller: Any, data_manager: Any) -> None:
        with DataManager(self.config) as other:
            self.counts.append(other.row_count("seen"))


def test_what_was_collected_is_in_the_store_when_an_event_begins(
    pilot_config: PostgreSQLConfig, calls: Calls
) -> None:
    counts: list[int] = []
    with scheduler(pilot_config, Log("run 1", calls)) as run:
        run.register_required_data("seen", pull_execution_time=True)
        run.register_events(Looks(run.config, counts))
        run.init()
        for number in range(3):
            run.execute(f"SELECT {number}")
    assert counts == [1, 2, 3]
