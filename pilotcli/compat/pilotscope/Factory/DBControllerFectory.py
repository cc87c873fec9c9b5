"""Makes controllers. The module's name is spelt as PilotScope spells it."""

from __future__ import annotations

from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.PilotConfig import PilotConfig, provided

__all__ = ["DBControllerFactory"]


class DBControllerFactory:
    """Makes controllers."""

    @classmethod
    def get_db_controller(
        cls, config: PilotConfig, echo: bool = False, enable_simulate_index: bool = False
    ) -> PostgreSQLController:
        """A controller of the database that `config` names, which is made when it is missing.

        Raises `CapabilityError` for Spark.
        """
        return PostgreSQLController(provided(config), echo, enable_simulate_index)
