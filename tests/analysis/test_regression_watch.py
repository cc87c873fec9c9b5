"""What counts as a query's time before an update and behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotcli import CheckpointedModel
from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import Bus, ModelLoaded
from pilotcli.config.model import ModelSpec
from pilotcli.run.model_rollback import RegressionWatch

QUERIES = range(8)


class Number(CheckpointedModel):
    def dump(self, folder: Path) -> None:
        (folder / "n").write_text(str(self.model))

    def restore(self, folder: Path) -> None:
        self.model = int((folder / "n").read_text())


class Watched:
    """A model with `on_regression: rollback`, and who watches it."""

    def __init__(self) -> None:
        self.loaded: list[int | None] = []
        self.bus = Bus(self.hear)
        self.model = Number("number")
        spec = ModelSpec("number", "x:Number", on_regression="rollback")
        self.watch = RegressionWatch([spec], {"number": self.model}, self.bus)

    def hear(self, signal: object) -> None:
        if isinstance(signal, ModelLoaded):
            self.loaded.append(signal.version.version if signal.version is not None else None)

    def save(self, number: int) -> None:
        self.model.model = number
        self.watch.model_saved(self.model.save_model())

    def run(self, elapsed_s: float, round: int = 1) -> None:
        for seq in QUERIES:
            one = elapsed_s * (1 + seq / 1000)
            self.watch.query_finished(
                Query(seq, "q", "SELECT 1"), QueryResult(seq, "q", "ok", 0.0, one, round=round)
            )


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.chdir(tmp_path)
    return Watched()


def test_a_version_that_makes_queries_slower_is_taken_back(watched: Watched) -> None:
    watched.save(1)
    watched.run(0.01)
    watched.save(2)
    watched.run(0.05)
    assert watched.loaded == [1]
    assert watched.model.model == 1
    (told,) = watched.watch.rollbacks
    assert told == "number v2 made 8 queries 5.00 times slower than before: v1 is back"


def test_times_under_a_version_that_was_taken_back_measure_no_other(watched: Watched) -> None:
    watched.save(1)
    watched.run(0.01)
    watched.save(2)
    watched.run(0.05)
    assert watched.loaded == [1]
    watched.save(3)  # as bad as the second one, which is no excuse
    watched.run(0.05)
    assert watched.loaded == [1, 1]


def test_warm_up_is_no_time_before_an_update(watched: Watched) -> None:
    watched.save(1)
    watched.run(0.01, round=0)
    watched.save(2)
    watched.run(0.05)
    assert watched.loaded == []


def test_a_query_that_ran_before_an_update_is_not_held_against_it(watched: Watched) -> None:
    watched.save(1)
    for round, elapsed_s in ((1, 0.01), (2, 0.05)):
        for seq in QUERIES:
            own = QueryResult(seq, "q", "ok", 0.0, elapsed_s * (1 + seq / 1000), round=round)
            watched.watch.add_half(own, driver=True)
        if round == 2:
            watched.save(2)
        for seq in QUERIES:
            other = QueryResult(seq, "q", "ok", 0.0, 0.01, round=round)
            watched.watch.add_half(other, driver=False)
    assert watched.loaded == []
