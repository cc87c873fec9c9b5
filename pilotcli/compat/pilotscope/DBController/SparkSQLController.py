"""Spark: the names are here; pilot cannot work with it yet."""

from __future__ import annotations

from pilotcli.compat.pilotscope.PilotConfig import SparkConfig
from pilotcli.compat.pilotscope.PilotEnum import PilotEnum, SparkSQLDataSourceEnum
from pilotcli.compat.refused import RefusedClass

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


class SparkSQLController(RefusedClass):
    """Refused: raises `CapabilityError` when it is made, as all classes below."""

    message = "pilot does not work with Spark yet"
    hint = "Use PostgreSQLConfig."


SparkEngine = SparkSQLController
SparkIO = SparkSQLController
SparkTable = SparkSQLController
SparkColumn = SparkSQLController


def sparkSessionFromConfig(spark_config: SparkConfig) -> SparkSQLController:
    """Refused: raises `CapabilityError`."""
    return SparkSQLController()
