"""A project folder whose config names classes, and what pilot says about them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import ConfigError
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.events.model import PilotModel
from pilotcli.plugins import BuiltEvent, Plugins, check_plugins


@dataclass
class Project:
    """`folder` holds `pilot.yaml` and the modules that it names."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def check(self, config: str, *sets: str) -> Plugins:
        """The classes of a config, checked."""
        self.write("pilot.yaml", config)
        return check_plugins(load_config(self.folder / "pilot.yaml", sets, environ={}))

    def refused(self, config: str, *sets: str) -> list[str]:
        """The problems of a config, without the folder's name, hints on lines below."""
        with pytest.raises(ConfigError) as caught:
            self.check(config, *sets)
        return [str(one).replace(f"{self.folder}/", "") for one in caught.value.problems]

    def build(self, config: str) -> tuple[dict[str, PilotModel], tuple[BuiltEvent, ...]]:
        """The models and events of a config."""
        plugins = self.check(config)
        models = plugins.build_models()
        return models, plugins.build_events(PostgreSQLConfig(home=self.folder / ".pilot"), models)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A new folder, which is not the current one; what is imported from it is forgotten."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield Project(folder)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


HEAD = """\
from pilotcli import (
    CheckpointedModel, PeriodicModelUpdateEvent, PilotModel, PretrainingModelEvent,
    QueryFinishEvent, WorkloadBeforeEvent,
)


class Count(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        pass


class Model(PilotModel):
    def save_model(self):
        pass

    def load_model(self):
        pass


"""


class UserFolder:
    """A user's folder with a config and a file of classes; it is also the current one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = PostgreSQLConfig(home=path / ".pilot")

    def write(self, name: str, text: str) -> Path:
        """Write a file, with the folders that it needs."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def classes(self, text: str, name: str = "mine.py") -> None:
        """Write a file of classes: `HEAD`, and from line 20 on `text`."""
        self.write(name, HEAD + text)

    def check(self, text: str, *overrides: str) -> Plugins:
        """Write the config and check its classes."""
        self.write("pilot.yaml", text)
        return check_plugins(load_config(None, overrides, environ={}))

    def refused(self, text: str, *overrides: str) -> list[str]:
        """The problems with the classes of a config, hints on lines below."""
        with pytest.raises(ConfigError) as caught:
            self.check(text, *overrides)
        return [str(problem) for problem in caught.value.problems]

    def build(self, text: str) -> dict[str, Any]:
        """The models and events of a config, built, by name."""
        plugins = self.check(text)
        models = plugins.build_models()
        events = plugins.build_events(self.config, models)
        return {**models, **{one.spec.name: one.event for one in events}}


@pytest.fixture
def user(project: Project, monkeypatch: pytest.MonkeyPatch) -> UserFolder:
    """The project's folder as the current one."""
    monkeypatch.chdir(project.folder)
    return UserFolder(project.folder)
