"""A project folder in which `pilot` runs, from Python or as a command."""

from __future__ import annotations

import contextlib
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilot_starter import PILOT, run_pilot

from pilotcli.common.signals import Bus, RunFinished, Signal
from pilotcli.config import load_config
from pilotcli.run.commands import RunRequest, pretrain, run
from pilotcli.storage.journal import Journal

COLLECTS = """
from pilotcli import PretrainingModelEvent

class Collects(PretrainingModelEvent):
    def __init__(self, config):
        super().__init__(config, None, "t", enable_collection=False, enable_training=False)

    def iterative_data_collection(self, db_controller, data_manager):
        return [], True

    def custom_model_training(self, pilot_model, db_controller, data_manager):
        return None
"""
"""A driver with the least that `pilot pretrain` takes."""


@dataclass
class Project:
    """A folder with a config, event files and workloads, and what its last run signalled."""

    folder: Path
    dsn: str
    store: str
    signals: list[Signal] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def config(self, text: str = "") -> Path:
        """Write pilot.yaml: the shared server, a home of its own, and `text`."""
        head = f"home: .pilot\ndatabase: {{dsn: '{self.dsn}'}}\nstore: {{database: {self.store}}}\n"
        path = self.folder / "pilot.yaml"
        path.write_text(head + textwrap.dedent(text))
        return path

    def request(self, *workload: str, sets: tuple[str, ...] = (), **options: object) -> RunRequest:
        """What `pilot run WORKLOAD... --set ...` would ask for."""
        path = self.folder / "pilot.yaml"
        if not path.exists():
            self.config()
        paths = tuple(str(self.folder / one) for one in workload)
        return RunRequest(load_config(path, sets), paths, **options)  # type: ignore[arg-type]

    def run(self, *workload: str, sets: tuple[str, ...] = (), **options: object) -> RunFinished:
        """Run, and keep the signals."""
        self.signals.clear()
        return run(self.request(*workload, sets=sets, **options), Bus(self.signals.append))

    def pretrain(self, **options: object) -> RunFinished:
        """Pretrain, and keep the signals."""
        self.signals.clear()
        request = RunRequest(load_config(self.folder / "pilot.yaml"))
        return pretrain(request, Bus(self.signals.append), **options)  # type: ignore[arg-type]

    def heard(self, kind: type[Signal]) -> list[Signal]:
        """The signals of one kind."""
        return [signal for signal in self.signals if type(signal) is kind]

    def journal(self) -> Journal:
        """The project's journal."""
        return Journal.open(self.folder / ".pilot")

    def command(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `pilot words...` in the folder, without a terminal."""
        if "input" not in options:
            return run_pilot(*words, cwd=self.folder, **options)
        return subprocess.run(
            [PILOT, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **options,
        )


@contextlib.contextmanager
def started(project: Project, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`pilot run w.sql words...`, which has ended when this is left."""
    with subprocess.Popen(
        [PILOT, "run", "w.sql", *words],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
