"""What data sets share."""

from __future__ import annotations

from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum

__all__ = ["database_enum_to_sqlglot_str"]

_DIALECTS = {DatabaseEnum.POSTGRESQL: "postgres", DatabaseEnum.SPARK: "spark"}


def database_enum_to_sqlglot_str(db_type: DatabaseEnum) -> str:
    """The name of a database's dialect in sqlglot. Raises `KeyError` for another value."""
    return _DIALECTS[db_type]
