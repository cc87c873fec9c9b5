"""What a scheduler counts and records where a query is not simply finished."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pilotcli import PilotScheduler, PostgreSQLConfig, QueryFinishEvent
from pilotcli.common.errors import QueryCancelled, StorageError
from pilotcli.common.records import STOPPED, Query

CANCELS_ITSELF = "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10)"


class Log:
    """A run's log, which may be full."""

    token = "run 1"

    def __init__(self) -> None:
        self.full = False
        self.results: list[tuple[int, str | None]] = []
        self.warmed: list[tuple[int, int]] = []
        self.fired: list[int] = []

    def add_result(self, query: Query, result: Any) -> None:
        if self.full:
            raise StorageError("the disk is full")
        self.results.append((query.seq, result.error))

    def add_warmed(self, round: int, seq: int) -> None:
        self.warmed.append((round, seq))

    def begin_firing(self, event: str, reason: str, after_query: int) -> None:
        pass

    def add_firing(self, signal: Any, counters: Any) -> None:
        self.fired.append(signal.after_query)


class Fires(QueryFinishEvent):
    def process(self, db_controller: Any, data_manager: Any) -> None:
        pass


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def scheduler(pilot_config: PostgreSQLConfig, log: Log) -> Iterator[PilotScheduler]:
    stop = threading.Event()
    with PilotScheduler(pilot_config, log=log, stop=stop) as made:  # type: ignore[arg-type]
        made.register_events(Fires(made.config, 1))
        made.init()
        yield made


def test_a_query_that_somebody_cancelled_counts(scheduler: PilotScheduler, log: Log) -> None:
    with pytest.raises(QueryCancelled):
        scheduler.execute(CANCELS_ITSELF)
    assert scheduler.finished == 1
    assert log.fired == [1]
    ((_, error),) = log.results
    assert error != STOPPED


def test_a_query_that_the_stop_cancelled_fires_nothing(scheduler: PilotScheduler, log: Log) -> None:
    scheduler.stop.set()
    with pytest.raises(QueryCancelled):
        scheduler.execute(CANCELS_ITSELF)
    assert log.results == [(1, STOPPED)]
    assert log.fired == []


def test_a_result_that_could_not_be_kept_is_not_counted(
    scheduler: PilotScheduler, log: Log
) -> None:
    scheduler.execute("SELECT 1")
    log.full = True
    with pytest.raises(StorageError):
        scheduler.execute("SELECT 2")
    log.full = False
    assert scheduler.finished == 1
    scheduler.execute("SELECT 3")
    assert log.fired == [1, 2]
    assert [seq for seq, _ in log.results] == [1, 2]


def test_warm_up_is_recorded_unless_it_was_stopped(scheduler: PilotScheduler, log: Log) -> None:
    session = scheduler.open_session(None)
    scheduler.warm(session, Query(7, "q7", "SELECT 1", command="SELECT"), 2, 0)
    scheduler.stop.set()
    scheduler.warm(session, Query(8, "q8", CANCELS_ITSELF, command="SELECT"), 2, 0)
    session.close()
    assert log.warmed == [(2, 7)]
    assert (log.results, log.fired, scheduler.finished) == ([], [], 0)
