"""An event of any kind saves its model, and the version is recorded with its origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_blocks import blocks
from project_folder import Project

from pilotcli import CheckpointedModel, DriverError, PilotModel
from pilotcli.common.signals import EventTriggered, ModelSaved
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

EVENTS = """
import json

from pilotcli import (
    CheckpointedModel,
    PeriodicModelUpdateEvent,
    PilotModel,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)


class Counts(CheckpointedModel):
    def dump(self, folder):
        (folder / "count.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "count.json").read_text())


class Itself(PilotModel):
    def save_model(self):
        pass

    def load_model(self):
        pass


class Before(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager):
        self.pilot_model.model = [0]
        self.pilot_model.save()


class Learns(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        self.pilot_model.model = [*self.pilot_model.model, 1]
        self.pilot_model.metrics = {"counted": len(self.pilot_model.model)}
        version = self.pilot_model.save()
        print(f"saved {version.version}")


class OwnName(QueryFinishEvent):
    def __init__(self, config, pilot_model):
        super().__init__(config, 3)
        self.counts = pilot_model

    def process(self, db_controller, data_manager):
        self.counts.save_model()


class SavesAndFails(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        self.pilot_model.save()
        raise ValueError("after the save")


class Twice(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        pilot_model.model = [7]
        pilot_model.save()
        return [8]


class OnlySaves(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        pilot_model.model = [9]
        pilot_model.save()
        return None


class SavesItself(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        self.pilot_model.save()
"""


@pytest.fixture
def saving(project: Project) -> Project:
    project.write("saving_events.py", EVENTS)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5")
    return project


def config(project: Project, *events: str) -> None:
    project.config(
        "models: {counts: saving_events.py:Counts, itself: saving_events.py:Itself}\nevents:\n"
        + "".join(f"  - {{{event}}}\n" for event in events)
    )


def test_each_version_is_recorded_with_its_origin(saving: Project) -> None:
    config(
        saving,
        "class: saving_events.py:Before, model: counts",
        "class: saving_events.py:Learns, model: counts, args: {interval_count: 2}",
        "class: saving_events.py:OwnName, model: counts",
    )
    finished = saving.run("w.sql")
    assert (finished.exit_code, finished.event_failures) == (0, 0)
    with saving.journal() as journal:
        models = journal.models(finished.run_id)
    assert [(one.version, one.event, one.query_seq, one.run_id) for one in models] == [
        (1, "Before", 0, finished.run_id),
        (2, "Learns", 2, finished.run_id),
        (3, "OwnName", 3, finished.run_id),
        (4, "Learns", 4, finished.run_id),
    ]
    assert models[1].metrics == {"counted": 2}
    heard = saving.heard(ModelSaved)
    assert [(one.event, one.version) for one in heard] == [(one.event, one) for one in models]  # type: ignore[attr-defined]
    shown = saving.command("models", "show", "counts").stdout
    assert "Learns" in shown
    listed = saving.command("events", "list").stdout
    assert listed.count("counts") == 3


def test_the_event_of_the_docs_saves(saving: Project) -> None:
    (block,) = (
        block.text
        for block in blocks("python")
        if (block.page, block.heading) == ("events.md", "Saving from any event")
    )
    saving.write("means.py", block)
    saving.write("w.sql", "SELECT 1;" * 200)
    config(saving, "class: means.py:MeanTimes, model: counts, args: {interval_count: 50}")
    finished = saving.run("w.sql", sets=("collect.table=observed",))
    assert finished.exit_code == 0
    with saving.journal() as journal:
        assert [one.query_seq for one in journal.models(finished.run_id)] == [100, 200]


def test_the_next_run_loads_what_an_event_saved(saving: Project) -> None:
    config(saving, "class: saving_events.py:Before, model: counts")
    saving.run("w.sql")
    config(saving, "class: saving_events.py:Learns, model: counts, args: {interval_count: 5}")
    saving.run("w.sql")
    store = CheckpointStore(saving.folder / ".pilot" / "models")
    current = store.current("counts")
    assert current is not None
    assert (current.path / "count.json").read_text() == "[0, 1]"


def test_what_an_event_saved_before_it_failed_is_recorded(saving: Project) -> None:
    config(
        saving, "class: saving_events.py:SavesAndFails, model: counts, args: {interval_count: 5}"
    )
    finished = saving.run("w.sql")
    assert (finished.exit_code, finished.event_failures) == (3, 1)
    with saving.journal() as journal:
        assert [one.event for one in journal.models(finished.run_id)] == ["SavesAndFails"]


def test_an_update_that_saves_itself_and_returns_a_model_saves_twice(saving: Project) -> None:
    config(
        saving,
        "class: saving_events.py:Twice, model: counts, args: {interval_count: 5, "
        "execute_on_init: false}",
        "class: saving_events.py:OnlySaves, model: counts, args: {interval_count: 5, "
        "execute_on_init: false}",
    )
    finished = saving.run("w.sql")
    with saving.journal() as journal:
        models = journal.models(finished.run_id)
    assert [(one.event, (one.path / "count.json").read_text()) for one in models] == [
        ("Twice", "[7]"), ("Twice", "[8]"), ("OnlySaves", "[9]")
    ]  # fmt: skip
    outcomes = [(one.event, one.outcome) for one in saving.heard(EventTriggered)]  # type: ignore[attr-defined]
    assert outcomes == [("Twice", "ok"), ("OnlySaves", "ok")]


def test_a_model_that_saves_itself_is_said_to_be_saved(saving: Project) -> None:
    config(saving, "class: saving_events.py:SavesItself, model: itself, args: {interval_count: 5}")
    saving.run("w.sql")
    (saved,) = saving.heard(ModelSaved)
    assert (saved.model, saved.event, saved.version) == ("itself", "SavesItself", None)  # type: ignore[attr-defined]


def test_a_resumed_run_loads_the_last_version_that_an_event_saved(saving: Project) -> None:
    saving.write(
        "stops.py",
        """
        from saving_events import Learns

        class Stops(Learns):
            def process(self, db_controller, data_manager):
                super().process(db_controller, data_manager)
                if self.pilot_model.model == [0, 1, 1] and not self.resumed:
                    raise SystemExit
        """,
    )
    config(
        saving,
        "class: saving_events.py:Before, model: counts",
        "class: stops.py:Stops, model: counts",
    )
    stopped = saving.run("w.sql", sets=("run.fail_fast=true",))
    assert stopped.exit_code == 3
    done = saving.command("run", "--resume", "--force")
    assert "exit 3" in done.stdout + done.stderr
    store = CheckpointStore(saving.folder / ".pilot" / "models")
    current = store.current("counts")
    assert current is not None
    assert (current.path / "count.json").read_text() == "[0, 1, 1, 1, 1, 1]"


class Unpicklable(CheckpointedModel):
    def dump(self, folder: Path) -> None:
        import pickle

        (folder / "model").write_bytes(pickle.dumps(self.model))

    def restore(self, folder: Path) -> None:
        pass


def test_outside_of_an_event_a_version_has_no_origin(tmp_path: Path) -> None:
    model: PilotModel = Unpicklable("m")
    model.checkpoints = CheckpointStore(tmp_path)  # type: ignore[attr-defined]
    model.model = [1]
    version = model.save()
    assert version is not None
    assert (version.version, version.event, version.run_id) == (1, None, None)
    model.model = {"part": lambda: 1}
    with pytest.raises(DriverError, match="pickle does not take"):
        model.save()


def test_a_model_may_have_a_method_of_the_name(saving: Project) -> None:
    saving.write(
        "own.py",
        """
        from saving_events import Counts, Twice

        class Own(Counts):
            def save(self, path):
                raise AssertionError("not pilot's to call")

        class Updates(Twice):
            def custom_model_update(self, pilot_model, db_controller, data_manager):
                return [1]
        """,
    )
    saving.config(
        """
        models: {own: own.py:Own}
        events: [{class: own.py:Updates, model: own, args: {interval_count: 5}}]
        """
    )
    assert saving.run("w.sql").exit_code == 0
    with saving.journal() as journal:
        assert [one.event for one in journal.models(1)] == ["Updates", "Updates"]
