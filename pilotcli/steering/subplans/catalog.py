"""Reads the facts about the names in a query from the server's catalog, and keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from pilotcli.common.errors import QueryError
from pilotcli.databases.protocols import Rows, Session
from pilotcli.steering.sql import literal
from pilotcli.steering.subplans.errors import NotAnalysable

# How a type compares for equality: the operator family of its default B-tree operator class (types
# of one family can be compared with each other: the integers, text and varchar), and its collation.
# None for a type without one: no equality follows from others.
_FAMILY = """
    (WITH RECURSIVE base (oid) AS (
        SELECT {type}::oid UNION ALL
        SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE 25::oid END
        FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.oid
        WHERE t.typtype = 'd' OR t.oid = 1043)
    SELECT c.opcfamily::text || ':' || {collation}::oid::text
           || CASE WHEN c.opcintype = t.oid THEN '' ELSE ':' || t.oid::text END
    FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.oid
    JOIN pg_catalog.pg_opclass AS c ON c.opcdefault AND c.opcintype = CASE
        WHEN t.typtype = 'e' THEN 3500::oid WHEN t.typtype = 'r' THEN 3831::oid
        WHEN t.typtype = 'm' THEN 4537::oid WHEN t.typtype = 'c' THEN 2249::oid
        WHEN t.typelem <> 0 AND t.typlen = -1 AND t.typcategory = 'A' THEN 2277::oid
        ELSE t.oid END
    JOIN pg_catalog.pg_am AS m ON m.oid = c.opcmethod AND m.amname = 'btree' LIMIT 1)
"""

_TABLES = """
SELECT wanted.name, c.oid::regclass::text, c.relkind::text,
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END,
    EXISTS (SELECT 1 FROM unnest(c.reloptions) AS o
            WHERE o ~* '^security_barrier=(on|true|1|yes)$'),
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
    ARRAY(SELECT {family} FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
    ARRAY(SELECT (SELECT string_agg(a.attname::text, chr(1))
                  FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey))
          FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique
              AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
              AND i.indnatts = i.indnkeyatts)
FROM (VALUES {names}) AS wanted (name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(wanted.name)
""".replace("{family}", _FAMILY.format(type="a.atttypid", collation="a.attcollation"))

_FUNCTIONS = """
SELECT p.proname::text, bool_and(p.proisstrict), bool_or(p.provolatile = 'v'),
       bool_or(p.prokind = 'a'), bool_or(p.prokind = 'w'), bool_or(p.proretset)
FROM pg_catalog.pg_proc AS p WHERE p.proname IN ({names}) GROUP BY p.proname
"""

_TYPES = """
SELECT {family} FROM (
    SELECT given.at, t.oid, t.typcollation AS collation
    FROM (VALUES {values}) AS given (at, oid)
    JOIN pg_catalog.pg_type AS t ON t.oid = given.oid
) AS wanted ORDER BY wanted.at
""".replace("{family}", _FAMILY.format(type="wanted.oid", collation="wanted.collation"))


@dataclass(frozen=True, slots=True)
class Table:
    """A relation of the catalog.

    - `name`: as SQL, with its schema if that is not on the search path;
    - `columns`: in order, each with its operator family and collation, or None;
    - `unique`: sets of columns with a unique index;
    - `view`: the query of a view that PostgreSQL may inline, otherwise None.
    """

    name: str
    columns: dict[str, str | None]
    unique: tuple[frozenset[str], ...] = ()
    view: str | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """The properties of all functions with a name; if they differ, the cautious ones."""

    strict: bool = False
    volatile: bool = True
    aggregate: bool = False
    window: bool = False
    returns_set: bool = False


@dataclass(slots=True)
class Catalog:
    """The catalog of one session's database. Used by the session's thread.

    Call `forget` after a change of the schema, or make a new catalog.
    """

    session: Session
    _tables: dict[str, Table] = field(default_factory=dict, repr=False)
    _functions: dict[str, Function] = field(default_factory=dict, repr=False)
    _outputs: dict[str, dict[str, str | None]] = field(default_factory=dict, repr=False)
    _types: dict[str, str | None] = field(default_factory=dict, repr=False)
    _version: int = 0

    @property
    def server_version(self) -> int:
        """The server's major version."""
        if not self._version:
            self._version = int(self._rows("SHOW server_version_num")[0][0]) // 10000
        return self._version

    def forget(self) -> None:
        """Read everything again when it is next needed."""
        for kept in (self._tables, self._functions, self._outputs, self._types):
            kept.clear()

    def read(self, tables: Iterable[str], functions: Iterable[str]) -> None:
        """Read the tables (as SQL) and functions not known yet, in one round trip each."""
        new_tables = sorted(set(tables) - self._tables.keys())
        if new_tables:
            names = ", ".join(f"({literal(name)})" for name in new_tables)
            for name, shown, kind, view, barrier, columns, families, unique in self._rows(
                _TABLES.replace("{names}", names)
            ):
                self._tables[name] = Table(
                    shown,
                    dict(zip(columns, families, strict=True)),
                    tuple(frozenset(names.split("\1")) for names in unique),
                    view if kind == "v" and not barrier else None,
                )
        new_functions = sorted(set(functions) - self._functions.keys())
        if new_functions:
            names = ", ".join(literal(name) for name in new_functions)
            for name in new_functions:
                self._functions[name] = Function()
            for name, *facts in self._rows(_FUNCTIONS.format(names=names)):
                self._functions[name] = Function(*facts)

    def table(self, name: str) -> Table | None:
        """Returns the relation called `name` (as SQL), or None."""
        if name not in self._tables:
            self.read([name], ())
        return self._tables.get(name)

    def function(self, name: str) -> Function:
        """Returns the properties of the functions called `name`, in lower case."""
        if name not in self._functions:
            self.read((), [name])
        return self._functions[name]

    def outputs(self, source: str) -> dict[str, str | None]:
        """Returns the columns of `source`, the text of an item of FROM, without running it."""
        known = self._outputs.get(source)
        if known is None:
            found = self._execute(f"SELECT * FROM {source} LIMIT 0").description or ()  # noqa: S608
            known = {}
            families = self._families([column.type_code for column in found])
            for column, family in zip(found, families, strict=True):
                known.setdefault(column.name, family)
            self._outputs[source] = known
        return known

    def type_family(self, type_name: str) -> str | None:
        """Returns the operator family and collation of a type (as SQL), or None."""
        if type_name not in self._types:
            row = self._rows(f"SELECT to_regtype({literal(type_name)})::oid::int8")[0]
            self._types[type_name] = self._families([row[0]])[0] if row[0] is not None else None
        return self._types[type_name]

    def _families(self, types: Collection[int]) -> list[str | None]:
        if not types:
            return []
        values = ", ".join(f"({at}, {oid}::oid)" for at, oid in enumerate(types))
        return [row[0] for row in self._rows(_TYPES.replace("{values}", values))]

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self._execute(sql).rows)

    def _execute(self, sql: str) -> Rows:
        try:
            return self.session.execute(sql)
        except QueryError as error:
            raise NotAnalysable(
                f"the catalog cannot be read for the query's relations: {error.message}",
                hint=error.hint,
            ) from error
