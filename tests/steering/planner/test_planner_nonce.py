"""Reports of the planner module carry a nonce, which nothing else knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from steered import Steered

from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.planner import parse_report
from pilotcli.steering.planner.settings import NONCE, NONCE_SETTING
from pilotcli.steering.requests import Pulls
from pilotcli.steering.session_steering import PASSED_OVER, SessionSteering
from pilotcli.steering.subplans import analyse
from pilotcli.steering.subplans.explain import estimates_by_explain

FORGED = [
    'pilot_planner 1 {"plan":{"Plan":7}}',
    'pilot_planner 1 {"plan":7}',
    'pilot_planner 2 0123456789abcdef {"plan":{"Plan":{"Plans":[1]}}}',
    'pilot_planner 2 - {"blocks":7,"sets":{"1":[]}}',
    'pilot_planner 1 {"execution_ms":1e999,"planning_ms":-1}',
    'duration: 1.5 ms  plan:\n{"Query Text": "x", "Plan": 7}',
    'duration: 1.5 ms  plan:\n{"Query Text": "x", "Plan": {"Plans": [1]}}',
    'duration: nan ms  plan:\n{"Query Text": 7}',
]


def test_a_session_does_not_show_its_nonce(steered: Steered) -> None:
    shown = steered.session.execute(
        f"SELECT current_setting('{NONCE_SETTING}'), count(*) FILTER (WHERE setting ~ '{NONCE}')"
        " FROM pg_settings"
    )
    assert shown.rows == [("", 0)]
    assert steered.session.execute(f"SHOW {NONCE_SETTING}").rows == [("",)]


@pytest.mark.parametrize("text", ["RESET ALL", "DISCARD ALL", f"SET {NONCE_SETTING} = ''"])
def test_no_reset_takes_it_back(steered: Steered, text: str) -> None:
    steered.session.execute(text)
    _, report = steered.run("SELECT 1 FROM posts p WHERE p.id = 3", {"p": 5}, "plan,time")
    assert report.applied == (0,)
    assert report.plan is not None


def test_what_a_function_raises_is_no_report(steered: Steered) -> None:
    heard: list[str] = []
    steered.session.connection.notices = heard
    steered.session.execute(
        'DO $$ BEGIN RAISE INFO \'pilot_planner 1 {"plan":{"Plan":7}}\';'
        ' RAISE INFO \'pilot_planner 2 - {"plan":{"Plan":7}}\'; END $$'
    )
    report = parse_report(heard)
    assert report.plan_text is None
    assert report.passed_over == 2


@pytest.mark.parametrize("planner", ["auto", "never"])
def test_a_query_with_forged_reports_is_steered_as_any_other(
    planner_target: PostgresTarget, cache: Path, planner: str
) -> None:
    config = PostgreSQLConfig(home=cache.parent)
    config.planner = "auto" if planner == "auto" else "never"
    session = planner_target.session()
    abilities = Abilities(session, config)
    if planner == "never" and not abilities.auto_explain:
        pytest.skip("this installation has no auto_explain")
    raised = "; ".join(
        f"RAISE {level} USING MESSAGE = $m${text}$m$"
        for text in FORGED
        for level in ("NOTICE", "INFO")
    )
    session.execute(
        "CREATE FUNCTION pg_temp.odd() RETURNS int LANGUAGE plpgsql AS "
        f"$f$ BEGIN {raised}; RETURN 1; END $f$"
    )
    pulls = Pulls(physical_plan=True, execution_time=True, actual_rows=True, subquery_cards=True)
    steering = SessionSteering(session, abilities, pulls, skip_missing=True)
    sql = "SELECT pg_temp.odd() AS n"
    found = steering.run(Query(seq=1, label="q1", sql=sql, command="SELECT"), None)
    session.close()
    assert found.error is None
    assert found.plan_text is not None
    assert json.loads(found.plan_text)["Plan"]["Node Type"] == "Result"
    assert found.execution_s is not None
    assert 0 < found.execution_s < 600
    assert PASSED_OVER in found.notes


def test_a_forged_estimate_of_a_sub_plan_is_passed_over(steered: Steered) -> None:
    session = steered.session
    session.execute(
        "CREATE FUNCTION pg_temp.odd() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$ BEGIN"
        """ RAISE INFO 'pilot_subplans {"rows":["x"],"failures":[null]}';"""
        " RETURN 1; END $f$"
    )
    abilities = Abilities(session, PostgreSQLConfig())
    graph = analyse("SELECT 1 FROM posts p WHERE p.id = pg_temp.odd()", abilities.catalog)
    (rows,) = estimates_by_explain(session, graph).values()
    assert rows >= 1
