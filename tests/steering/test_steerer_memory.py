"""What a steerer keeps from one query to the next, and what it must not keep."""

from __future__ import annotations

import contextlib
import copy

import pytest
from test_steerer import cards_of, hints, pulling, query

from pilotcli.common.errors import QueryTimeout
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.protocols import Rows
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.message import Message
from pilotcli.steering.message_writer import MessageWriter
from pilotcli.steering.requests import Pulls, Pushes
from pilotcli.steering.session_steering import SessionSteering


@pytest.fixture
def steerer(shop: PostgresSession, shop_config: PostgreSQLConfig) -> SessionSteering:
    return SessionSteering(shop, Abilities(shop, shop_config), Pulls(), skip_missing=False)


def test_nothing_is_asked_in_a_failed_transaction(steerer: SessionSteering) -> None:
    steerer.run(query("BEGIN"), None)
    steerer.run(query("SELECT 1 / 0"), hints(work_mem="7MB"))
    steered = steerer.run(query("ROLLBACK"), hints(work_mem="7MB"))
    assert steered.error is None
    assert not steerer.session.in_transaction
    assert steerer.run(query("SELECT 1"), hints(work_mem="7MB")).rows.rows == [(1,)]


def test_messages_are_kept_for_a_while_only(
    shop: PostgresSession, shop_config: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotcli.steering.message_writer._MESSAGES_KEPT", 3)
    writer = MessageWriter(Abilities(shop, shop_config), skip_missing=False)

    def written(number: int) -> Message:
        return writer.write(query(f"SELECT {number}"), hints(work_mem="7MB"))

    first, *_, last = [written(number) for number in range(5)]
    assert written(4) is last
    assert written(0) is not first


def test_names_mean_others_after_a_change_of_the_search_path(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    steerer = pulling(shop, shop_config, "never")
    shop.execute("CREATE SCHEMA night; CREATE TABLE night.shops AS SELECT 1 AS late, 2 AS id")
    joined = "SELECT * FROM orders o JOIN shops ON shops.id = o.id WHERE late = 1"
    try:
        steerer.run(query("SELECT * FROM shops JOIN orders o ON shops.id = o.id"), None)
        steerer.run(query("SET search_path = night, public"), None)
        assert "SELECT COUNT(*) FROM shops WHERE shops.late = 1" in cards_of(steerer, joined)
    finally:
        shop.execute("RESET search_path; DROP SCHEMA night CASCADE")


def test_a_query_at_its_time_out_has_a_plan(
    shop_target: PostgresTarget, shop_config: PostgreSQLConfig
) -> None:
    config = copy.copy(shop_config)
    config.planner = "never"  # type: ignore[assignment]
    with contextlib.closing(shop_target.session(timeout_s=0.2)) as session:
        pulls = Pulls(physical_plan=True)
        steerer = SessionSteering(session, Abilities(session, config), pulls, skip_missing=False)
        late = steerer.run(query("SELECT pg_sleep(30)"), None)
        assert isinstance(late.error, QueryTimeout)
        assert late.plan is not None and late.plan["Plan"]["Node Type"] == "Result"
        broken = steerer.run(query("SELECT 1 / 0 FROM orders"), None)
        assert broken.error is not None and broken.plan is None


def test_cardinalities_of_one_name_belong_to_their_blocks(
    shop: PostgresSession, shop_config: PostgreSQLConfig
) -> None:
    sql = (
        "SELECT * FROM orders o JOIN lines l ON l.order_id = o.id "
        "WHERE o.total < (SELECT avg(o.total) FROM orders o WHERE o.id < 10)"
    )
    with_module = pulling(shop, shop_config, "auto")
    if with_module.abilities.planner is None:
        pytest.skip("no planner module")
    found = cards_of(with_module, sql)
    # The text of a query does not show for sure how the block inside is planned.
    assert found.pop("SELECT COUNT(*) FROM orders o WHERE o.id < 10") == 9
    assert found == cards_of(pulling(shop, shop_config, "never"), sql)


def test_a_message_for_another_schema_is_composed_again(
    shop: PostgresSession, shop_target: PostgresTarget, shop_config: PostgreSQLConfig
) -> None:
    shop.execute("CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS SELECT 1 AS y, 2 AS late")
    steerer = pulling(shop, shop_config, "auto")
    if steerer.abilities.planner is None:
        pytest.skip("no planner module")
    one = query("SELECT * FROM a, b WHERE x = y AND late = 2")

    def pushed(key: str) -> Pushes:
        pushes = Pushes()
        pushes.cards[key] = 7.0
        return pushes

    try:
        key = "SELECT COUNT(*) FROM b WHERE b.late = 2"
        assert steerer.run(one, pushed(key)).error is None
        with contextlib.closing(shop_target.session()) as another:
            another.execute("ALTER TABLE b DROP COLUMN late; ALTER TABLE a ADD late int")
        # The same text and the same push: now it is no sub-plan any more.
        assert steerer.run(one, pushed(key)).error is not None
    finally:
        shop.execute("DROP TABLE a, b")


def test_a_query_is_analysed_once_without_the_module(
    shop: PostgresSession, shop_config: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    steerer = pulling(shop, shop_config, "never")
    joined = "SELECT * FROM orders o JOIN shops s ON s.id = o.shop WHERE o.id < 7"
    first = cards_of(steerer, joined)
    sent: list[str] = []
    execute = shop.execute

    def recorded(sql: str, copy: None = None) -> Rows:
        sent.append(sql)
        return execute(sql, copy)

    monkeypatch.setattr(shop, "execute", recorded)
    assert cards_of(steerer, joined) == first
    assert [sql.split()[0] for sql in sent] == ["EXPLAIN", "DO"]
    # A statement of the workload may have changed what the names mean.
    steerer.run(query("DO 'BEGIN END'"), None)
    sent.clear()
    assert cards_of(steerer, joined) == first
    assert len(sent) > 2
