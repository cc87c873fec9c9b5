"""What a single call of a driver's code needs, without a run: its classes, models and database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pilotcli.common.signals import Bus
from pilotcli.config import PostgreSQLConfig, RunConfig
from pilotcli.databases.protocols import Target, UndoesChanges
from pilotcli.events.model import PilotModel
from pilotcli.plugins import Plugins, check_plugins
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.run.connecting import config_for_drivers, connect, not_undone
from pilotcli.run.driver_output import driver_output
from pilotcli.run.model_loading import load_models
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore


@dataclass(frozen=True, slots=True)
class OneCall:
    """The classes of a config, its models as they were loaded, and its open database."""

    plugins: Plugins
    scheduler_class: type[PilotScheduler]
    pilot_config: PostgreSQLConfig
    target: Target
    models: Mapping[str, PilotModel]

    def end(self) -> None:
        """Close the database, which undoes what was changed. Raises `DatabaseError` for what could
        not be undone."""
        self.target.close()
        if isinstance(self.target, UndoesChanges) and self.target.not_undone:
            raise not_undone(self.target)


@contextlib.contextmanager
def open_call(config: RunConfig, bus: Bus, *, store_schema: str | None = None) -> Iterator[OneCall]:
    """Opens what a call with `config` needs; the store's tables are those of `store_schema`.

    Raises as a run does that cannot begin.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(driver_output(bus))
        plugins = check_plugins(config)
        scheduler_class: type[PilotScheduler] = plugins.scheduler() or PilotScheduler
        pilot_config = config_for_drivers(config, scheduler_class, bus)
        pilot_config.store_schema = store_schema
        target = stack.enter_context(contextlib.closing(connect(pilot_config, bus)))
        models = plugins.build_models()
        load_models(models, config.models, CheckpointStore(config.home / "models"), bus)
        yield OneCall(plugins, scheduler_class, pilot_config, target, models)
