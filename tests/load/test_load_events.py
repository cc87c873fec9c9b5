"""Ten thousand events are planned and counted without looking at each of them for each query."""

from __future__ import annotations

import random

import pytest

from pilotcli.config import PilotConfig, load_config
from pilotcli.config.overrides import entry_names
from pilotcli.config.tree import Node
from pilotcli.event_plan import Registered, firing_plan, firings_in
from pilotcli.events import QueryFinishEvent
from pilotcli.records import EventKind


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


def test_events_of_one_class_are_numbered_without_counting_anew() -> None:
    names = entry_names([Node("a.b.C", text="a.b.C") for _ in range(20_000)])
    assert names[:3] == ["C", "C-2", "C-3"]
    assert len(set(names)) == 20_000


def test_a_config_of_ten_thousand_events_is_read(tmp_path: object) -> None:
    path = tmp_path / "pilot.yaml"  # type: ignore[operator]
    path.write_text("events:\n" + "- {class: a.b.C, args: {interval_count: 5}}\n" * 10_000)
    assert len(load_config(path).events) == 10_000
