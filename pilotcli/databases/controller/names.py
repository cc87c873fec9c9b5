"""Names of tables as drivers write them, quoted for SQL."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql as compose


def identifier(table_name: str) -> compose.Identifier:
    """The quoted name; `schema.table` is one of another schema."""
    return compose.Identifier(*table_name.split(".", 1))


def literal_name(table_name: str) -> compose.Literal[Any]:
    """The quoted name as a string, for `regclass`, which reads it as SQL does."""
    parts = table_name.split(".", 1)
    return compose.Literal(".".join('"' + part.replace('"', '""') + '"' for part in parts))
