"""The controller that drivers get: the planner module shows its what-if indexes."""

from __future__ import annotations

from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.controller import PostgreSQLController as _Controller
from pilotcli.databases.protocols import PlansWithIndexes, Target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.planner.what_if import PlannerIndexes, sees_indexes


class PostgreSQLController(_Controller):
    __doc__ = _Controller.__doc__

    def _planner_indexes(self, session: PostgresSession) -> PlansWithIndexes | None:
        planner = Abilities(session, self.config).planner
        if planner is None or not sees_indexes(session):
            return None
        return PlannerIndexes(planner, session)


def get_db_controller(
    config: PilotConfig, enable_simulate_index: bool = False, *, target: Target | None = None
) -> PostgreSQLController:
    """A new controller for the database that `config` names; with `enable_simulate_index` its
    indexes are what-if ones. With `target` it works on that, and leaves it open."""
    return PostgreSQLController(config, target=target, enable_simulate_index=enable_simulate_index)


class DBControllerFactory:
    """Makes controllers; PilotScope's documented class."""

    get_db_controller = staticmethod(get_db_controller)
