"""Connects to the database of a config, and makes the config that drivers receive."""

from __future__ import annotations

import os
import time

from pilotcli.common.errors import DatabaseError
from pilotcli.common.signals import Bus, DatabaseReady, Notice, RunStarted, Signal, StepStarted
from pilotcli.config import PilotConfig, PostgreSQLConfig, RunConfig, choose_embedded
from pilotcli.databases.opening import DEFAULT_DATABASE, NOT_UNDONE, open_target
from pilotcli.databases.protocols import Target, UndoesChanges
from pilotcli.databases.unused_settings import refuse_unused
from pilotcli.replay.scheduler import PilotScheduler


class _Steps:
    """Reports slow steps and, once the run has begun, the changes that are undone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._begun = False
        bus.subscribe(self._run_started, RunStarted)

    def __call__(self, text: str) -> None:
        if text.startswith(("not undone", NOT_UNDONE)):
            self._bus.emit(Notice("warning", text))
        elif self._begun:
            self._bus.emit(Notice("info", text))
        else:
            self._bus.emit(StepStarted(text))

    def _run_started(self, _: Signal) -> None:
        self._begun = True


def connect(config: PilotConfig, bus: Bus) -> Target:
    """Returns the open database, and emits what is done to open it. Raises as `open_target`."""
    started = time.perf_counter()
    target = open_target(config, on_step=_Steps(bus))
    elapsed_s = time.perf_counter() - started
    bus.emit(DatabaseReady(target.description, target.server_version, elapsed_s))
    return target


def not_undone(target: UndoesChanges) -> DatabaseError:
    """The error for changes that a closed target has not undone."""
    text = f"not undone: {'; '.join(target.not_undone)}"
    return DatabaseError(text, hint="`pilot db undo` tries again.")


def config_for_drivers(
    config: RunConfig, scheduler_class: type[PilotScheduler], bus: Bus
) -> PostgreSQLConfig:
    """Returns the config that drivers receive.

    Raises `ConfigError` for settings without an effect.
    """
    embedded = choose_embedded(config.database, os.environ)
    refuse_unused(config, os.environ, embedded=embedded)
    if embedded and config.path is None and config.database.name is None:
        text = f"no config: the database is the embedded server's {DEFAULT_DATABASE!r}, as it is"
        bus.emit(Notice("info", f"{text} (-c FILE names a config)"))
    return scheduler_class.config_class.from_run_config(config, embedded=embedded)
