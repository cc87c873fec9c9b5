"""Makes schedulers."""

from __future__ import annotations

from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, provided
from pilotcli.compat.pilotscope.PilotScheduler import PilotScheduler

__all__ = ["SchedulerFactory"]


class SchedulerFactory:
    """Makes schedulers."""

    @classmethod
    def create_scheduler(cls, config: PilotConfig) -> PilotScheduler:
        """A scheduler for the database that `config` names, which is made when it is missing."""
        return PilotScheduler(provided(config))
