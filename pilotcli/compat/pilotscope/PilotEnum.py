"""Enumerations."""

from __future__ import annotations

import enum

from pilotcli.steering.methods import ScanJoinMethodEnum

__all__ = [
    "DataFetchMethodEnum",
    "DatabaseEnum",
    "ExperimentTimeEnum",
    "FetchMethod",
    "PilotEnum",
    "PushHandlerTriggerLevelEnum",
    "ScanJoinMethodEnum",
    "SparkSQLDataSourceEnum",
    "TrainSwitchMode",
]


class PilotEnum(enum.Enum):
    """The base of PilotScope's enumerations."""


class DatabaseEnum(str, PilotEnum):
    """The kinds of databases; each equals its name as text."""

    POSTGRESQL = "POSTGRESQL"
    SPARK = "SPARK"


class PushHandlerTriggerLevelEnum(PilotEnum):
    """When a push handler is asked: once a workload or for each query."""

    WORKLOAD = "WORKLOAD"
    QUERY = "QUERY"


class DataFetchMethodEnum(PilotEnum):
    """How PilotScope's patched server sends data; pilot needs none of it."""

    HTTP = "HTTP"


class FetchMethod(PilotEnum):
    """Where data about a query comes from; pilot decides by what the server can do."""

    INNER = "INNER"
    OUTER = "OUTER"


class TrainSwitchMode(PilotEnum):
    """Whether pretraining is waited for; pilot always waits."""

    WAIT = "WAIT"
    DB = "DB"


class ExperimentTimeEnum:
    """Names for `TimeStatistic`: plain texts, so that they can label a chart."""

    PIPE_END_TO_END = "pipe_end_to_end"
    SQL_END_TO_END = "sql_end_to_end"
    FIND_INDEX = "find_index"
    FIND_KNOB = "find_knob"


class SparkSQLDataSourceEnum(PilotEnum):
    """Where Spark reads tables from."""

    POSTGRESQL = "postgresql"
