"""Push handlers are made with PilotScope's arguments and have its attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from server_folder import server_folder

from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePushHandler as handlers
from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.Factory.SchedulerFactory import SchedulerFactory
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig
from pilotcli.compat.pilotscope.PilotEnum import PushHandlerTriggerLevelEnum, ScanJoinMethodEnum

METHOD = (ScanJoinMethodEnum.SEQ, "t")
ARGUMENTS = [
    ("CardPushHandler", "subquery_2_card", {"SELECT 1": 2.0}, "CARD_PUSH_ANCHOR"),
    ("CardPushHandler", "enable_parameterized_subquery", True, "CARD_PUSH_ANCHOR"),
    ("HintPushHandler", "key_2_value_for_hint", {"work_mem": "9MB"}, "HINT_PUSH_ANCHOR"),
    ("CommentPushHandler", "comment_str", "/*+ SeqScan(t) */", "COMMENT_PUSH_ANCHOR"),
    ("KnobPushHandler", "key_2_value_for_knob", {"work_mem": "9MB"}, "KNOB_PUSH_ANCHOR"),
    ("IndexPushHandler", "indexes", [Index(["a"], "t")], "INDEX_PUSH_ANCHOR"),
    ("IndexPushHandler", "drop_other", False, "INDEX_PUSH_ANCHOR"),
    ("ScanJoinMethodPushHandler", "methods", [METHOD], "SCAN_JOIN_METHOD_PUSH_ANCHOR"),
]


@pytest.fixture(scope="module")
def config() -> Iterator[PostgreSQLConfig]:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "handlers"
        yield config


@pytest.mark.parametrize(("kind", "argument", "value", "anchor"), ARGUMENTS)
def test_arguments_and_attributes(kind: str, argument: str, value: object, anchor: str) -> None:
    class Own(getattr(handlers, kind)):  # type: ignore[misc]
        def __init__(self, config: object) -> None:
            super().__init__(config, **{argument: value})

        def acquire_injected_data(self, sql: str) -> Any:
            return None

    made = Own(PostgreSQLConfig())
    assert getattr(made, argument) == value
    assert made.anchor_name == anchor
    once = kind in ("KnobPushHandler", "IndexPushHandler")
    level = PushHandlerTriggerLevelEnum.WORKLOAD if once else PushHandlerTriggerLevelEnum.QUERY
    assert made.trigger_level is level


def test_one_method_becomes_a_list_and_other_indexes_go_unless_told() -> None:
    class Methods(handlers.ScanJoinMethodPushHandler):
        def acquire_injected_data(self, sql: str) -> Any:
            return self.methods

    class Indexes(handlers.IndexPushHandler):
        def acquire_injected_data(self, sql: str) -> Any:
            return self.indexes

    assert Methods(None, METHOD).methods == [METHOD]
    assert Methods(None).methods == []
    assert Indexes(None).drop_other is True


@pytest.mark.slow
def test_a_card_handler_that_asks_for_parameterised_queries_pushes(
    config: PostgreSQLConfig,
) -> None:
    class Cards(handlers.CardPushHandler):
        def __init__(self, config: PostgreSQLConfig) -> None:
            super().__init__(config, enable_parameterized_subquery=True)
            self.inner = PilotDataInteractor(config)

        def acquire_injected_data(self, sql: str) -> Any:
            self.inner.pull_subquery_card()
            told = self.inner.execute(sql)
            assert told is not None and told.subquery_2_card is not None
            self.subquery_2_card = dict.fromkeys(told.subquery_2_card, 4321.0)
            return self.subquery_2_card

    scheduler = SchedulerFactory.create_scheduler(config)
    scheduler.db_controller.execute("CREATE TABLE t AS SELECT 1 AS a")
    scheduler.register_custom_handlers([Cards(config)])
    scheduler.register_required_data("pushed", pull_physical_plan=True)
    scheduler.init()
    scheduler.execute("SELECT count(*) FROM t WHERE a < 5")
    (plan,) = scheduler.data_manager.read_all("pushed")["physical_plan"]
    assert '"Plan Rows": 4321' in plan
    scheduler.close()


@pytest.mark.slow
def test_a_handler_keeps_an_interactor_of_its_own(pilot_config: Any) -> None:
    plain = handlers.HintPushHandler(None)
    own = handlers.HintPushHandler(None)
    own.interactor = "the driver's"  # type: ignore[assignment]
    seen = []
    for _ in range(2):
        with SchedulerFactory.create_scheduler(pilot_config) as scheduler:
            scheduler.steering.register([plain, own])
            seen.append(plain.interactor)
    assert own.interactor == "the driver's"
    assert None not in seen and seen[0] is not seen[1]
