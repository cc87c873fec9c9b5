"""Spark: the names are here; pilot cannot work with it yet."""

from __future__ import annotations

from typing import Any

from pilotcli.compat.pilotscope.PilotConfig import SparkConfig
from pilotcli.compat.pilotscope.PilotEnum import SparkSQLDataSourceEnum
from pilotcli.errors import CapabilityError

__all__ = ["SparkConfig", "SparkSQLController", "SparkSQLDataSourceEnum"]


class SparkSQLController:
    """Refused: raises `CapabilityError` when it is made."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError("pilot does not work with Spark yet", hint="Use PostgreSQLConfig.")
