"""Ten thousand events are planned and counted without looking at each of them for each query."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from pilotcli.common.records import EventKind
from pilotcli.common.signals import Bus, EventTriggered
from pilotcli.config import PilotConfig, load_config
from pilotcli.config.overrides import entry_names
from pilotcli.config.tree import Node
from pilotcli.events.base import QueryFinishEvent
from pilotcli.events.runner import EventRunner, PastFirings
from pilotcli.events.schedule import Registered, firing_plan, firings_in


class _Tick(QueryFinishEvent):
    def process(self, db_controller: object, data_manager: object) -> None:
        raise AssertionError("a plan fires nothing")


def _events(intervals: list[int]) -> list[Registered]:
    config = PilotConfig()
    return [
        Registered(f"e{at}", _Tick(config, interval), EventKind.QUERY_FINISH)
        for at, interval in enumerate(intervals)
    ]


@pytest.mark.parametrize("queries", [0, 1, 5, 60])
def test_the_plan_is_what_asking_every_event_after_every_query_gives(queries: int) -> None:
    events = _events([random.Random(1).choice([1, 2, 3, 7, 100]) for _ in range(30)])
    asked = [
        ("interval", after_query, one.name)
        for after_query in range(1, queries + 1)
        for one in events
        if after_query % one.event.interval_count == 0  # type: ignore[attr-defined]
    ]
    assert list(firing_plan(events, queries)) == asked
    assert firings_in(events, queries) == len(asked)


def test_what_is_not_due_costs_nothing() -> None:
    events = _events([500_000_000] * 10_000)  # 10 ** 13 questions, if each were asked
    assert sum(1 for _ in firing_plan(events, 1_000_000_000)) == 20_000
    assert firings_in(events, 1_000_000_000) == 20_000


class _Counted(QueryFinishEvent):
    """Counts how often its interval is looked at."""

    looks = 0
    _interval = 1

    @property
    def interval_count(self) -> int:
        type(self).looks += 1
        return self._interval

    @interval_count.setter
    def interval_count(self, interval: int) -> None:
        self._interval = interval

    def process(self, db_controller: object, data_manager: object) -> None:
        pass


class _Unused:
    """In the place of controller and store, which these events do not use."""

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **named: None


class _Log:
    token = "run"

    def __init__(self) -> None:
        self.fired: list[tuple[int, str]] = []
        self.counters: list[Mapping[str, int]] = []

    def begin_firing(self, event: str, reason: str, after_query: int) -> None:
        pass

    def add_firing(self, signal: EventTriggered, counters: Mapping[str, int]) -> None:
        self.fired.append((signal.after_query, signal.event))
        self.counters.append(counters)


def _runner(intervals: list[int]) -> tuple[EventRunner, _Log]:
    log, unused = _Log(), _Unused()
    runner = EventRunner(Bus(), unused, unused, log=log)  # type: ignore[arg-type]
    for place, interval in enumerate(intervals):
        runner.register(_Counted(PilotConfig(), interval), f"e{place}")
    return runner, log


def test_a_query_after_which_nothing_is_due_asks_no_event() -> None:
    runner, log = _runner([1000] * 2000)
    _Counted.looks = 0
    for query in range(1, 1000):
        runner.query_finished(True, query)
    assert (_Counted.looks, log.fired) == (0, [])
    runner.query_finished(True, 1000)
    assert log.fired == [(1000, f"e{place}") for place in range(2000)]
    assert _Counted.looks <= 2 * 2000
    assert log.counters == [{f"e{place}": 1000} for place in range(2000)]


@pytest.mark.parametrize("resumed_after", [0, 1, 17, 60])
def test_events_fire_as_if_each_were_asked_after_every_query(resumed_after: int) -> None:
    intervals = [random.Random(2).choice([1, 2, 3, 7, 100]) for _ in range(30)]
    asked = [
        (query, f"e{place}")
        for query in range(1, 121)
        for place, interval in enumerate(intervals)
        if query % interval == 0
    ]
    runner, log = _runner(intervals)
    for query in range(1, resumed_after + 1):
        runner.query_finished(True, query)
    if resumed_after:
        again, later = _runner(intervals)
        # Killed within the last query's firings: those behind the third had not ended.
        last = [one for one in log.fired if one[0] == resumed_after]
        del log.fired[len(log.fired) - len(last) + 3 :]
        counts = {
            f"e{place}": interval
            if (resumed_after, f"e{place}") in last[3:]
            else resumed_after % interval
            for place, interval in enumerate(intervals)
        }
        later.fired = log.fired
        again.restore(PastFirings({}, frozenset(), (), counts.__getitem__))
        again.fire_due(resumed_after)
        runner = again
    for query in range(resumed_after + 1, 121):
        runner.query_finished(True, query)
    assert log.fired == asked


def test_an_event_may_change_its_interval_when_it_fires() -> None:
    class Doubling(QueryFinishEvent):
        def process(self, db_controller: Any, data_manager: Any) -> None:
            self.interval_count *= 2

    log, unused = _Log(), _Unused()
    runner = EventRunner(Bus(), unused, unused, log=log)  # type: ignore[arg-type]
    runner.register(Doubling(PilotConfig(), 1), "d")
    for query in range(1, 40):
        runner.query_finished(True, query)
    assert [query for query, _ in log.fired] == [1, 3, 7, 15, 31]


def test_events_of_one_class_are_numbered_without_counting_anew() -> None:
    names = entry_names([Node("a.b.C", text="a.b.C") for _ in range(20_000)])
    assert names[:3] == ["C", "C-2", "C-3"]
    assert len(set(names)) == 20_000


def test_a_config_of_ten_thousand_events_is_read(tmp_path: object) -> None:
    path = tmp_path / "pilot.yaml"  # type: ignore[operator]
    path.write_text("events:\n" + "- {class: a.b.C, args: {interval_count: 5}}\n" * 10_000)
    assert len(load_config(path).events) == 10_000
