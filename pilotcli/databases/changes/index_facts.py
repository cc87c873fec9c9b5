"""All that is known about an index, so that it can be made again exactly as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql as compose

from pilotcli.common.errors import SteeringError
from pilotcli.databases.session.session import PostgresSession


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index, with its partitions' below it.

    `definition` is `pg_get_indexdef`'s, with every name qualified. `tablespace` is empty for the
    database's own. `statistics` are targets by column number. `clustered` and `replica_identity`
    say whether the table is clustered on it and identifies its rows by it.
    """

    oid: int
    schema: str
    name: str
    table_schema: str
    table: str
    definition: str
    tablespace: str = ""
    comment: str | None = None
    clustered: bool = False
    replica_identity: bool = False
    has_expressions: bool = False
    statistics: Mapping[str, int] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    partitions: tuple[IndexFacts, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> IndexFacts:
        """The facts in the dict that `asdict` has made of them."""
        parts = tuple(cls.from_json(partition) for partition in data["partitions"])
        return cls(**{**data, "extensions": tuple(data["extensions"]), "partitions": parts})

    @property
    def qualified(self) -> compose.Identifier:
        """The index's name for a statement."""
        return compose.Identifier(self.schema, self.name)


_FACTS = """
SELECT i.oid::int8 AS oid, i_ns.nspname AS schema, i.relname AS name,
  t_ns.nspname AS table_schema, t.relname AS "table", pg_get_indexdef(i.oid) AS definition,
  coalesce(ts.spcname, '') AS tablespace, obj_description(i.oid, 'pg_class') AS comment,
  x.indisclustered AS clustered, x.indisreplident AS replica_identity,
  x.indexprs IS NOT NULL AS has_expressions,
  (SELECT coalesce(json_object_agg(attnum, attstattarget), '{{}}') FROM pg_attribute
   WHERE attrelid = i.oid AND attstattarget >= 0) AS statistics,
  (SELECT coalesce(array_agg(e.extname::text ORDER BY 1), '{{}}') FROM pg_depend AS d
   JOIN pg_extension AS e ON e.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass
   AND d.objid = i.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x')
   AS extensions,
  coalesce((SELECT min(conname) FROM pg_constraint WHERE conindid = i.oid), '') AS constraint_name,
  (SELECT coalesce(array_agg(inhrelid::int8 ORDER BY inhrelid), '{{}}') FROM pg_inherits
   WHERE inhparent = i.oid) AS partitions
FROM pg_class AS i JOIN pg_index AS x ON x.indexrelid = i.oid
JOIN pg_namespace AS i_ns ON i_ns.oid = i.relnamespace
JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_namespace AS t_ns ON t_ns.oid = t.relnamespace
LEFT JOIN pg_tablespace AS ts ON ts.oid = i.reltablespace
WHERE i.oid = {}
"""


def read_facts(session: PostgresSession, oid: int) -> IndexFacts:
    """The facts about the index with this number.

    The session's `search_path` must be `pg_catalog` alone, so that the definition leaves no name
    unqualified. Raises `SteeringError` when there is no such index, or it belongs to a constraint.
    """
    found = session.execute(_FACTS.format(int(oid)))
    if not found.rows:
        raise SteeringError("the index is gone: somebody has dropped it")
    facts = dict(zip(found.columns, found.rows[0], strict=True))
    if constraint := facts.pop("constraint_name"):
        raise SteeringError(
            f"the index {facts['name']} belongs to the constraint {constraint}, which is not "
            "dropped"
        )
    facts["extensions"] = tuple(facts["extensions"])
    facts["partitions"] = tuple(read_facts(session, part) for part in facts["partitions"])
    return IndexFacts(**facts)


def statements_to_make(facts: IndexFacts) -> Iterator[compose.Composable]:
    """The statements that make the index again, for one transaction."""
    yield compose.SQL("SET LOCAL default_tablespace = {}").format(compose.Literal(facts.tablespace))
    yield compose.SQL(facts.definition)
    for partition in facts.partitions:
        yield from statements_to_make(partition)
        yield compose.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
            facts.qualified, partition.qualified
        )
    index, table = facts.qualified, compose.Identifier(facts.table_schema, facts.table)
    if facts.comment is not None:
        yield compose.SQL("COMMENT ON INDEX {} IS {}").format(index, compose.Literal(facts.comment))
    for number, target in facts.statistics.items():
        yield compose.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
            index, compose.Literal(int(number)), compose.Literal(target)
        )
    for extension in facts.extensions:
        yield compose.SQL("ALTER INDEX {} DEPENDS ON EXTENSION {}").format(
            index, compose.Identifier(extension)
        )
    if facts.clustered:
        yield compose.SQL("ALTER TABLE {} CLUSTER ON {}").format(
            table, compose.Identifier(facts.name)
        )
    if facts.replica_identity:
        yield compose.SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(
            table, compose.Identifier(facts.name)
        )
