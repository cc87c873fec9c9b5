"""What each update of a model changed, and updates that are taken back since they made it worse."""

from __future__ import annotations

import json

import pytest
from paired import run_pair
from project_folder import Project

from pilotcli.analysis.model_updates import update_effects
from pilotcli.common.errors import ConfigError, StorageError, UsageError
from pilotcli.common.records import ModelVersion, Query, QueryResult
from pilotcli.common.signals import Bus, Notice, RunFinished
from pilotcli.config.model import ModelSpec
from pilotcli.events.model import CheckpointedModel
from pilotcli.run import model_rollback
from pilotcli.run.model_rollback import RegressionWatch

pytestmark = pytest.mark.slow

# A merge join of a few milliseconds, or a nested loop of a hundred.
QUERIES = "".join(
    f"SELECT count(*), {n} FROM generate_series(1, 1500) a(n) JOIN generate_series(1, 1500) b(n)"
    " ON a.n = b.n;\n"
    for n in range(12)
)
DRIVER = """
import json

from pilotcli import CheckpointedModel, HintPushHandler, PeriodicModelUpdateEvent


class Choice(CheckpointedModel):
    def dump(self, folder):
        (folder / "choice.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "choice.json").read_text())


class Update(PeriodicModelUpdateEvent):
    updates = 0

    def custom_model_update(self, pilot_model, db_controller, data_manager):
        Update.updates += 1
        return {"off": Update.updates == BAD}


class Choose(HintPushHandler):
    def __init__(self, config, model):
        super().__init__(config)
        self.model = model

    def acquire_injected_data(self, sql):
        bad = self.model.model is not None and self.model.model["off"]
        return {"enable_mergejoin": "off", "enable_hashjoin": "off"} if bad else {}
"""
CONFIG = """
models:
  choice: {class: own.py:Choice, on_regression: ON}
events:
  - {class: own.py:Update, model: choice, args: {interval_count: 12, execute_on_init: false}}
handlers:
  - {class: own.py:Choose, model: choice}
"""


def driven(project: Project, on_regression: str, bad: int = 2, rounds: int = 4) -> RunFinished:
    project.write("w.sql", QUERIES)
    project.write("own.py", DRIVER.replace("BAD", str(bad)))
    project.config(CONFIG.replace("ON", on_regression))
    return project.run("w.sql", sets=(f"run.repeat={rounds}", "run.warmup=1"))


def test_what_each_update_changed_is_told(project: Project) -> None:
    finished = driven(project, "keep")
    assert finished.exit_code == 0 and finished.rollbacks == ()
    with project.journal() as journal:
        effects = update_effects(journal, 1)
    assert [one.after_query for one in effects] == [12, 24, 36, 48]
    assert [one.versions for one in effects] == [(f"choice v{n}",) for n in range(1, 5)]
    assert [one.queries for one in effects] == [12, 12, 12, 0]
    assert effects[1].verdict == "slower"
    assert effects[2].verdict == "faster"
    assert effects[3].verdict == "unclear"
    assert effects[1].speedup is not None and effects[1].speedup < 0.3
    shown = project.command("runs", "show", "1")
    assert "choice v2" in shown.stdout and "slower" in shown.stdout
    told = json.loads(project.command("runs", "show", "1", "--format", "json").stdout)
    assert [one["verdict"] for one in told["updates"]][1:3] == ["slower", "faster"]


def test_an_update_that_makes_it_slower_is_taken_back(project: Project) -> None:
    finished = driven(project, "rollback", rounds=3)
    assert finished.exit_code == 0
    (told,) = finished.rollbacks
    assert told.startswith("choice v2 made 8 queries ")
    assert told.endswith("slower than before: v1 is back")
    with project.journal() as journal:
        steered = [one.steering is not None for one in journal.results(1)]
        assert journal.run(1).summary["rollbacks"] == [told]
    # Eight queries of the third round, and none of the others, ran with the bad version.
    assert steered == [False] * 24 + [True] * 8 + [False] * 4
    shown = project.command("runs", "show", "1")
    assert told in shown.stdout


def test_a_version_that_cannot_be_brought_back_fails_the_run(project: Project) -> None:
    project.write("w.sql", QUERIES)
    lost = "(pilot_model.checkpoints.get('choice', 1).path / 'choice.json').unlink()"
    driver = DRIVER.replace(
        "        return {", f"        if Update.updates == BAD: {lost}\n        return {{", 1
    )
    project.write("own.py", driver.replace("BAD", "2"))
    project.config(CONFIG.replace("ON", "rollback"))
    finished = project.run("w.sql", sets=("run.repeat=3", "run.warmup=1"))
    assert finished.exit_code == 2 and finished.rollbacks == ()
    (reason,) = finished.reasons
    assert reason.startswith("choice v2 cannot be taken back: ")
    assert reason in [notice.text for notice in project.heard(Notice)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["query_finished", "model_saved"])
def test_a_failure_of_the_watch_ends_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("no room for it")

    monkeypatch.setattr(RegressionWatch, method, fail)
    finished = driven(project, "rollback")
    assert (finished.exit_code, finished.reasons) == (2, ("no room for it",))
    with project.journal() as journal:
        results = len(list(journal.results(1)))
    assert results == finished.queries == (1 if method == "query_finished" else 12)


class Kept(CheckpointedModel):
    def dump(self, folder: object) -> None:
        raise NotImplementedError

    def restore(self, folder: object) -> None:
        raise NotImplementedError

    def save_model(self) -> ModelVersion:
        raise NotImplementedError


QUERY = Query(1, "q", "SELECT 1")


def watched() -> RegressionWatch:
    spec = ModelSpec("kept", "x:Kept", on_regression="rollback")
    return RegressionWatch([spec], {"kept": Kept("kept")}, Bus())


def test_equal_versions_are_taken_back_in_at_most_the_stated_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import random

    chance = random.Random(3)
    taken: list[str] = []
    monkeypatch.setattr(
        RegressionWatch, "_take_back", lambda self, one, _: taken.append("x") or one.changes.clear()
    )
    trials = 400
    for _ in range(trials):
        watch = watched()
        for number in (1, 2):
            version = ModelVersion("kept", number, None, 0.0, 1, "")  # type: ignore[arg-type]
            watch.model_saved(version)
            for seq in range(64):
                time_s = 0.01 * chance.lognormvariate(0, 0.3)
                watch.query_finished(QUERY, QueryResult(seq, "q", "ok", 0.0, time_s))
    assert len(taken) <= 0.05 * trials


@pytest.mark.parametrize("own_factor", [1.0, 3.0])
@pytest.mark.parametrize("driver_first", [True, False])
def test_a_machine_that_is_busy_for_both_is_not_held_against_an_update(
    monkeypatch: pytest.MonkeyPatch, own_factor: float, driver_first: bool
) -> None:
    taken: list[float] = []
    monkeypatch.setattr(
        RegressionWatch, "_take_back", lambda self, one, by: taken.append(by) or one.changes.clear()
    )
    watch = watched()
    for number in (1, 2):
        version = ModelVersion("kept", number, None, 0.0, 1, "")  # type: ignore[arg-type]
        watch.model_saved(version)
        busy_s = 0.01 if number == 1 else 0.05
        for seq in range(8):
            factor = own_factor if number == 2 else 1.0
            halves = [
                (QueryResult(seq, "q", "ok", 0.0, busy_s * factor, round=number), True),
                (QueryResult(seq, "q", "ok", 0.0, busy_s, round=number), False),
            ]
            for result, driver in halves if driver_first else halves[::-1]:
                watch.add_half(result, driver=driver)
    assert taken == ([] if own_factor == 1.0 else [pytest.approx(3.0)])


def test_an_update_between_the_halves_of_a_pair_is_not_judged_by_it() -> None:
    watch = watched()
    made = [ModelVersion("kept", one, None, 0.0, 1, "") for one in (1, 2)]  # type: ignore[arg-type]
    watch.model_saved(made[0])
    for seq in range(8):
        watch.query_finished(QUERY, QueryResult(seq, "q", "ok", 0.0, 0.01))
    for seq in range(8):
        watch.add_half(QueryResult(seq, "q", "ok", 0.0, 0.5, round=2), driver=True)
    watch.model_saved(made[1])
    for seq in range(8):
        watch.add_half(QueryResult(seq, "q", "ok", 0.0, 0.01, round=2), driver=False)
    assert watch.rollbacks == []


def test_in_a_paired_run_what_slows_both_arms_down_takes_nothing_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both arms become ten times slower; other load on this machine is no reason either.
    monkeypatch.setattr(model_rollback, "LEAST_SLOWDOWN", 3)
    slower = 'db_controller.execute("UPDATE pace SET s = least(s * 10, 0.02)")'
    driver = DRIVER.replace("BAD", "0").replace("return {", f"{slower}\n        return {{", 1)
    project.write("own.py", driver)
    project.config(CONFIG.replace("ON", "rollback"))
    project.write(
        "w.sql",
        "CREATE TABLE IF NOT EXISTS pace AS SELECT 0.0002::float8 AS s;\n"
        + "".join(f"SELECT pg_sleep(s), {n} FROM pace;\n" for n in range(12)),
    )
    finished, _ = run_pair(project, "w.sql", sets=("run.repeat=3",))
    assert finished.exit_code == 0, finished.reasons
    assert finished.rollbacks == ()


def test_only_models_with_versions_can_be_brought_back(project: Project) -> None:
    project.write(
        "own.py",
        """
        from pilotcli import PilotModel

        class Own(PilotModel):
            def save_model(self): pass
            def load_model(self): pass
        """,
    )
    project.write("w.sql", "SELECT 1;\n")
    project.config("models:\n  own: {class: own.py:Own, on_regression: rollback}\n")
    with pytest.raises(UsageError, match="keeps itself"):
        project.run("w.sql")
    project.config("models:\n  own: {class: own.py:Own, on_regression: sometimes}\n")
    with pytest.raises(ConfigError, match="on_regression"):
        project.run("w.sql")
