"""What a scheduler's observers hear, in which order, and what becomes of an exception in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from pilotcli.common.errors import StorageError
from pilotcli.common.records import ModelVersion, PretrainingProgress, Query, QueryResult
from pilotcli.common.signals import Bus, EventTriggered, Notice, QueryFinished, Signal
from pilotcli.config import PostgreSQLConfig
from pilotcli.config.model import SteeringSection
from pilotcli.events.base import QueryFinishEvent
from pilotcli.replay.observers import RunObserver
from pilotcli.replay.scheduler import NOTES_SHOWN, PilotScheduler
from pilotcli.steering.handlers import ScanJoinMethodPushHandler
from pilotcli.steering.methods import ScanJoinMethodEnum


class Log:
    """A log that notes what it keeps in `heard`, and refuses the results that are named."""

    token = "token"

    def __init__(self, heard: list[str], refused: set[str]) -> None:
        self.heard = heard
        self.refused = refused

    def add_result(self, query: Query, result: QueryResult) -> None:
        if query.sql in self.refused:
            raise StorageError("the journal is full")
        self.heard.append(f"log {query.sql}")

    def add_warmed(self, round: int, seq: int) -> None: ...

    def begin_firing(self, event: str, reason: str, after_query: int) -> None: ...

    def add_firing(self, signal: EventTriggered, counters: Mapping[str, int]) -> None: ...

    def add_model(self, version: ModelVersion) -> None: ...

    def add_progress(self, event: str, table: str, progress: PretrainingProgress) -> None: ...

    def is_own(self, token: str) -> bool:
        return True

    def mark_of(self, event: str) -> str:
        return event


class Noting(RunObserver):
    """Notes what it hears in `heard`; raises `error` at the first result."""

    def __init__(self, name: str, heard: list[str], error: Exception | None = None) -> None:
        self.name = name
        self.heard = heard
        self.error = error

    def query_finished(self, query: Query, result: QueryResult) -> None:
        self.heard.append(f"{self.name} {query.sql}")
        if self.error is not None:
            raise self.error

    def plan_pulled(self, query: Query, round: int, plan: str) -> None:
        self.heard.append(f"{self.name} plan of {query.sql}")


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def refused() -> set[str]:
    """The queries whose results the log refuses."""
    return set()


@pytest.fixture
def scheduler(
    pilot_config: PostgreSQLConfig, heard: list[str], refused: set[str]
) -> Iterator[PilotScheduler]:
    class Event(QueryFinishEvent):
        def process(self, db_controller: object, data_manager: object) -> None:
            heard.append("event")

    def listen(signal: Signal) -> None:
        if isinstance(signal, QueryFinished):
            heard.append(f"bus {signal.query.sql}")

    with PilotScheduler(pilot_config, bus=Bus(listen), log=Log(heard, refused)) as scheduler:
        scheduler.register_events(Event(pilot_config, 1))
        yield scheduler


def test_the_log_comes_first_then_observers_in_order_then_the_bus_and_events(
    scheduler: PilotScheduler, heard: list[str]
) -> None:
    scheduler.register_required_data("plans", pull_physical_plan=True)
    for name in ("one", "other"):
        scheduler.add_observer(Noting(name, heard))
    scheduler.execute("SELECT 1")
    assert heard == [
        "one plan of SELECT 1",
        "other plan of SELECT 1",
        "log SELECT 1",
        "one SELECT 1",
        "other SELECT 1",
        "bus SELECT 1",
        "event",
    ]


def test_a_result_that_the_log_refuses_has_not_happened(
    scheduler: PilotScheduler, heard: list[str], refused: set[str]
) -> None:
    scheduler.add_observer(Noting("one", heard))
    refused.add("SELECT 1")
    with pytest.raises(StorageError, match="full"):
        scheduler.execute("SELECT 1")
    assert (scheduler.finished, heard) == (0, [])
    scheduler.execute("SELECT 2")
    assert (scheduler.finished, heard[:2]) == (1, ["log SELECT 2", "one SELECT 2"])


def test_what_an_observer_raises_is_passed_on_every_time(
    scheduler: PilotScheduler, heard: list[str]
) -> None:
    scheduler.add_observer(Noting("fails", heard, StorageError("no room")))
    scheduler.add_observer(Noting("other", heard))
    for number in (1, 2):
        with pytest.raises(StorageError, match="no room"):
            scheduler.execute(f"SELECT {number}")
    # The log has both queries, so both are counted.
    assert scheduler.finished == 2
    assert heard == ["log SELECT 1", "fails SELECT 1", "log SELECT 2", "fails SELECT 2"]


class Scans(ScanJoinMethodPushHandler):
    """Asks for a scan of a relation that the query does not have, named in the query."""

    def acquire_injected_data(self, sql: str) -> object:
        return ScanJoinMethodEnum.SEQ, sql.split()[-1]


def test_what_was_not_done_is_told_once_and_not_endlessly(pilot_config: PostgreSQLConfig) -> None:
    notices: list[str] = []

    def listen(signal: Signal) -> None:
        if isinstance(signal, Notice):
            notices.append(signal.text)

    options = SteeringSection(on_missing="skip")
    with PilotScheduler(pilot_config, bus=Bus(listen), steering=options) as scheduler:
        scheduler.register_custom_handlers(Scans(pilot_config))
        for number in range(NOTES_SHOWN + 3):
            for _ in range(2):
                scheduler.execute(f"SELECT {number} AS r{number}")
    assert len(notices) == NOTES_SHOWN
    assert len(set(notices)) == NOTES_SHOWN
    assert notices[0].startswith("q1: not applied, the query has no relation r0")
    assert notices[1].startswith("q3: not applied, the query has no relation r1")
