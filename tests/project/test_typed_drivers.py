"""A driver that is written with annotations passes `mypy --strict` without casts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

DRIVER = '''
"""A driver that uses most of what pilot gives it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pilotcli import (
    CheckpointedModel,
    DataManager,
    HintPushHandler,
    Index,
    IndexPushHandler,
    PeriodicModelUpdateEvent,
    PilotConfig,
    PostgreSQLController,
    PretrainingModelEvent,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)


class Times(CheckpointedModel):
    model: dict[str, float] | None

    def dump(self, folder: Path) -> None:
        (folder / "times.json").write_text(json.dumps(self.model))

    def restore(self, folder: Path) -> None:
        self.model = json.loads((folder / "times.json").read_text())

    def seconds(self, sql: str) -> float | None:
        return None if self.model is None else self.model.get(sql)


class Chooses(HintPushHandler):
    def __init__(self, config: PilotConfig, pilot_model: Times) -> None:
        super().__init__(config)
        self.times = pilot_model

    def acquire_injected_data(self, sql: str) -> Mapping[str, str] | None:
        self.interactor.pull_estimated_cost()
        cost = self.interactor.execute(sql).estimated_cost
        rows = self.interactor.db_controller.get_table_row_count("posts")
        self.log(predicted_s=self.times.seconds(sql), cost=cost, rows=rows)
        return {"enable_nestloop": "off"} if cost is not None and cost > 1000 else None


class Advises(IndexPushHandler):
    def acquire_injected_data(self, sql: str) -> Sequence[Index]:
        if self.workload is None:
            return []
        weight = sum(query.facts.weight or 1 for query in self.workload if "posts" in query.sql)
        return [Index(["owner_id"], "posts")] if weight > 10 else []


class Tries(WorkloadBeforeEvent):
    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> None:
        index = Index(["owner_id"], "posts", "posts_by_owner")
        db_controller.create_index(index)
        size_bytes: int = db_controller.get_index_byte(index)
        db_controller.drop_index(index)
        db_controller.set_knobs({"work_mem": "64MB"})
        tables: list[str] = db_controller.get_all_table_names()
        print(size_bytes, tables, db_controller.get_buffercache())


class Learns(QueryFinishEvent):
    def __init__(self, config: PilotConfig, pilot_model: Times, interval_count: int = 10) -> None:
        super().__init__(config, interval_count)
        self.times = pilot_model

    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> None:
        new = data_manager.read_update("observed")
        seen = dict(zip(new["sql"], new["execution_time"], strict=True))
        self.times.model = {**(self.times.model or {}), **seen}
        version = self.times.save()
        if version is not None:
            print(version.version)


class Updates(PeriodicModelUpdateEvent):
    def custom_model_update(
        self, pilot_model: Times, db_controller: PostgreSQLController, data_manager: DataManager
    ) -> dict[str, float] | None:
        return pilot_model.model


class Trains(PretrainingModelEvent):
    def iterative_data_collection(
        self, db_controller: PostgreSQLController, train_data_manager: DataManager
    ) -> tuple[list[dict[str, float]], bool]:
        return [{"cost": db_controller.get_estimated_cost("SELECT 1")}], True

    def custom_model_training(
        self,
        bind_pilot_model: Times,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> dict[str, float]:
        return {"rows": float(data_manager.row_count(self.data_saving_table))}
'''


def checked(folder: Path, text: str) -> tuple[int, str]:
    """The exit code and the output of mypy for a driver.

    With the options and the cache of the project's own checks, so that each of the two finds what
    the other has made of pilot's modules and of the libraries.
    """
    (folder / "driver.py").write_text(text)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            str(folder / "driver.py"),
        ],
        cwd=ROOT,  # where pyproject.toml and .mypy_cache are
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_an_annotated_driver_needs_no_casts(tmp_path: Path) -> None:
    assert checked(tmp_path, DRIVER) == (0, "")
    wrong = DRIVER.replace("db_controller.create_index(index)", "db_controller.make_index(index)")
    wrong = wrong.replace("predicted_s=self.times.seconds(sql)", "predicted_s=self.seconds(sql)")
    code, output = checked(tmp_path, wrong)
    assert code == 1
    assert '"PostgreSQLController" has no attribute "make_index"' in output
    assert '"Chooses" has no attribute "seconds"' in output
