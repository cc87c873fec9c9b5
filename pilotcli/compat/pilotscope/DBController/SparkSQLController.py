"""Spark: the names are here; pilot cannot work with it yet."""

from __future__ import annotations

from typing import Any, NoReturn

from pilotcli.common.errors import CapabilityError
from pilotcli.compat.pilotscope.PilotConfig import SparkConfig
from pilotcli.compat.pilotscope.PilotEnum import PilotEnum, SparkSQLDataSourceEnum

__all__ = [
    "FAILURE",
    "SUCCESS",
    "SparkColumn",
    "SparkConfig",
    "SparkEngine",
    "SparkIO",
    "SparkIOWriteModeEnum",
    "SparkSQLController",
    "SparkSQLDataSourceEnum",
    "SparkSQLTypeEnum",
    "SparkTable",
    "sparkSessionFromConfig",
]

SUCCESS = 1
FAILURE = 0


class SparkIOWriteModeEnum(PilotEnum):
    """What writing a table does with one that is there."""

    OVERWRITE = "overwrite"
    APPEND = "append"
    ERROR_IF_EXISTS = "errorifexists"
    IGNORE = "ignore"


class SparkSQLTypeEnum(PilotEnum):
    """The types of columns, by the names of Spark's own classes."""

    String = "StringType"
    Integer = "IntegerType"
    Float = "FloatType"


class SparkSQLController:
    """Refused: raises `CapabilityError` when it is made, as all classes below."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        _refuse()


SparkEngine = SparkSQLController
SparkIO = SparkSQLController
SparkTable = SparkSQLController
SparkColumn = SparkSQLController


def sparkSessionFromConfig(spark_config: SparkConfig) -> NoReturn:
    """Refused: raises `CapabilityError`."""
    _refuse()


def _refuse() -> NoReturn:
    raise CapabilityError("pilot does not work with Spark yet", hint="Use PostgreSQLConfig.")
