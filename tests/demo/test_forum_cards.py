"""The demo of steering learns what the planner gets wrong, and changes no result."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from forum_demo import ROOT, forum_config

from pilotcli import PilotDataInteractor, PostgreSQLConfig
from pilotcli.common.errors import CheckpointError
from pilotcli.common.signals import Bus, ModelSaved, QueryFinished, Signal
from pilotcli.config import load_config
from pilotcli.drivers.cardinality import (
    CardinalityModel,
    CorrectedCardinalities,
    Corrections,
)
from pilotcli.run.commands import RunRequest, run
from pilotcli.steering.subplans import NamedCards, SubPlan
from pilotcli.storage.store.data_manager import DataManager

KEYS = {SubPlan("1", frozenset(names)): names.upper() for names in ("a", "b", "ab")}
PLANS = NamedCards({"A": 10.0, "B": 100.0, "AB": 5.0}, (), lambda: KEYS)


def test_what_was_seen_is_pushed_as_it_was() -> None:
    assert Corrections({"A": 7.0}, {}).corrected(PLANS) == {"A": 7.0}


def test_factors_of_the_parts_correct_what_was_not_seen() -> None:
    learned = Corrections({"A": 7.0}, {"B": math.log(3), "AB": math.log(2)})
    pushed = learned.corrected(PLANS)
    assert pushed == pytest.approx({"A": 7.0, "B": 300.0, "AB": 30.0})


def test_noise_is_not_pushed_and_rows_are_never_below_one() -> None:
    learned = Corrections({}, {"A": math.log(1.05), "B": math.log(1e-9)})
    assert learned.corrected(PLANS) == {"B": 1.0, "AB": 1.0}


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = CardinalityModel("m")
    model.model = Corrections({"A": 7.0}, {"B": -0.5})
    model.dump(tmp_path)
    again = CardinalityModel("m")
    again.restore(tmp_path)
    assert again.model == model.model
    (tmp_path / "corrections.json").write_text("[]")
    with pytest.raises(CheckpointError):
        again.restore(tmp_path)


@pytest.mark.parametrize("number", ["", '"format": 1, ', '"format": 3, '])
def test_a_model_of_another_version_is_refused(tmp_path: Path, number: str) -> None:
    key = "SELECT COUNT(*) FROM users AS u WHERE u.country = 'fr'"
    stored = f'{{{number}"known": {{"{key}": 7.0}}, "factors": {{}}}}'
    (tmp_path / "corrections.json").write_text(stored)
    model = CardinalityModel("cards")
    with pytest.raises(CheckpointError, match="another spelling") as refused:
        model.restore(tmp_path)
    assert "--set models.cards.load=false" in str(refused.value.hint)
    assert model.model is None


@pytest.mark.parametrize("sql", ["VACUUM users", "SELECT 1; SELECT 2", "SELECT * FROM nowhere"])
def test_what_has_no_sub_plans_is_left_alone(forum: PostgreSQLConfig, sql: str) -> None:
    model = CardinalityModel("m")
    model.model = Corrections({}, {})
    handler = CorrectedCardinalities(forum, model)
    with PilotDataInteractor(forum) as handler.interactor:
        assert handler.acquire_injected_data(sql) is None


@pytest.mark.slow
def test_the_plans_get_better_from_round_to_round(forum: Any, server_home: Path) -> None:
    store = "store_of_cards"
    config = load_config(
        ROOT / "configs" / "forum-cards.yaml",
        [
            *(f"home={server_home}", f"store.database={store}", "run.limit=25", "run.repeat=3"),
            *("models.corrections.load=false", "collect.records=true"),
        ],
    )
    heard: list[Signal] = []
    finished = run(RunRequest(config), Bus(heard.append))
    assert (finished.exit_code, finished.ok, finished.native) == (0, 75, 0)
    assert finished.steered >= 45
    errors = [one.metrics["q_error"] for one in heard if isinstance(one, ModelSaved)]
    assert errors[0] > 10
    assert errors[-1] < 2

    work: dict[int, float] = defaultdict(float)
    answers: dict[str, list[Any]] = defaultdict(list)
    reading = forum_config(server_home, "forum")
    reading.user_data_db_name = store
    with DataManager(reading) as manager:
        rows = manager.read_all("forum_observed").to_dict("records")
    results = [one.result for one in heard if isinstance(one, QueryFinished)]
    for row, result in zip(rows, results, strict=True):
        assert row["label"] == result.label
        work[result.round] += _begun(row["physical_plan"]["Plan"])
        answers[result.label].append(len(row["records"]))
    assert work[3] < 0.3 * work[1]
    assert all(len(set(counts)) == 1 for counts in answers.values())


def _begun(plan: dict[str, Any]) -> float:
    """How often the nodes of a plan were begun: in nested loops, once for each outer row."""
    return float(plan["Actual Loops"]) + sum(map(_begun, plan.get("Plans", ())))
