"""The parts of a steered query's time add up to the whole, and name what they were spent on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering

NAMES = "abcdefghi"
MANY = Query(
    seq=1,
    label="many",
    # Every relation is joined with every other: 511 sub-plans.
    sql="SELECT count(*) FROM "
    + ", ".join(f"generate_series(1, 100) {name}(n)" for name in NAMES)
    + " WHERE "
    + " AND ".join(f"a.n = {name}.n" for name in NAMES[1:]),
    command="SELECT",
)

TRIES = 5


@pytest.fixture
def session(shop_target: PostgresTarget) -> Iterator[PostgresSession]:
    """A session that has not seen the query."""
    with closing(shop_target.session(timeout_s=60)) as session:
        yield session


def steering(
    session: PostgresSession, config: PostgreSQLConfig, pulls: Pulls, planner: str = "auto"
) -> SessionSteering:
    abilities = Abilities(session, config)
    if abilities.planner is None:
        pytest.skip(f"no planner module: {abilities.planner_or_why}")
    return SessionSteering(session, abilities, pulls, skip_missing=False)


def check(steerer: SessionSteering, pushes: Pushes | None = None) -> Steered:
    """Runs the query, and compares the sum of the parts with the time around all of it.

    A busy machine may stop this process between two readings of the clock, but not each time.
    """
    found = ""
    for _ in range(TRIES):
        began = time.perf_counter()
        steered = steerer.run(MANY, pushes)
        whole = time.perf_counter() - began
        assert steered.error is None, steered.error
        assert min(steered.elapsed_s, steered.steering_s, steered.collection_s) >= 0
        own = steered.steering_s + steered.collection_s
        assert steered.elapsed_s + own <= whole
        # The query's own time may be most of the whole: what is not in it must be named, too.
        if steered.elapsed_s + own >= 0.9 * whole and own >= 0.8 * (whole - steered.elapsed_s):
            return steered
        found = f"{own} s of {whole} s are named, and {steered.elapsed_s} s are the query's"
        steerer.abilities.namer.forget()
    raise AssertionError(found)


def test_pulling_is_collection(session: PostgresSession, shop_config: PostgreSQLConfig) -> None:
    steerer = steering(session, shop_config, Pulls(subquery_cards=True, actual_rows=True))
    first = check(steerer)
    assert first.cards is not None and len(first.cards) == 511
    assert first.collection_s > 0
    assert check(steerer).steering_s == 0


@pytest.mark.parametrize("in_block", [False, True])
def test_pushing_is_steering(
    shop_target: PostgresTarget,
    session: PostgresSession,
    shop_config: PostgreSQLConfig,
    in_block: bool,
) -> None:
    with closing(shop_target.session(timeout_s=60)) as other:
        cards = steering(other, shop_config, Pulls(subquery_cards=True)).run(MANY, None).cards
    assert cards is not None
    steerer = steering(session, shop_config, Pulls())
    if in_block:
        session.execute("BEGIN")
    steered = check(steerer, Pushes(cards=cards))
    assert steered.collection_s == 0
    assert steered.report is not None and len(steered.report.cards) == 511
    # The session plans and names the query once to find its sub-plans, before it sends it.
    began = time.perf_counter()
    steerer.abilities.namer.forget()
    steerer.abilities.namer.read(MANY.sql)
    naming_s = time.perf_counter() - began
    assert steered.steering_s > naming_s / 4


def test_the_servers_naming_is_not_in_the_querys_time(
    session: PostgresSession, shop_config: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    steerer = steering(session, shop_config, Pulls(subquery_cards=True))
    seen: list[float] = []
    name = steerer.abilities.namer.name

    def look(sql: str, report: object) -> object:
        seen.append(report.naming_ms / 1000)  # type: ignore[attr-defined]
        return name(sql, report)  # type: ignore[arg-type]

    monkeypatch.setattr(steerer.abilities.namer, "name", look)
    steered = check(steerer)
    assert 0 < seen[0] < steered.collection_s
