"""A folder with a config and the files of a driver, and what pilot makes of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pilotcli.config import PilotConfig, load_config
from pilotcli.errors import ConfigError
from pilotcli.plugins import Plugins, check_plugins

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
"""What the tests' files of classes begin with; the first line behind it is 20."""


class Project:
    """A user's folder, which is also the current one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = PilotConfig(home=path / ".pilot")

    def write(self, name: str, text: str) -> Path:
        """Write a file, with the folders that it needs."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def classes(self, text: str, name: str = "mine.py") -> None:
        """Write a file of classes behind `HEAD`."""
        assert HEAD.count("\n") == 19
        self.write(name, HEAD + text)

    def check(self, text: str, *overrides: str) -> Plugins:
        """Write the config and check its classes."""
        self.write("pilot.yaml", text)
        return check_plugins(load_config(None, overrides, cwd=self.path, environ={}))

    def refused(self, text: str, *overrides: str) -> list[str]:
        """The problems with the classes of a config, hints on lines below."""
        with pytest.raises(ConfigError) as caught:
            self.check(text, *overrides)
        return [str(problem) for problem in caught.value.problems]

    def build(self, text: str) -> Mapping[str, Any]:
        """The models and events of a config, built, by name."""
        plugins = self.check(text)
        models = plugins.build_models()
        events = plugins.build_events(self.config, models)
        return {**models, **{one.spec.name: one.event for one in events}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = dict(sys.modules)
    yield Project(tmp_path)
    for name in set(sys.modules) - set(before):
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]
