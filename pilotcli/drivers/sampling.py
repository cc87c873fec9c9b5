"""Random queries over any database, made from its tables, foreign keys and values.

The sampler reads some rows of each table. A query joins tables along foreign keys. Its predicates
on a table come from one sampled row, so that predicates on correlated columns are met together (as
in the generator of Kipf et al., "Learned Cardinalities", 2019).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

_COLUMNS = """
SELECT c.oid::text, format('%I.%I', n.nspname, c.relname), format('%I', a.attname), t.typcategory,
       format_type(a.atttypid, a.atttypmod), greatest(c.reltuples, 0)::float8
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND has_table_privilege(c.oid, 'SELECT')
  AND pg_table_is_visible(c.oid) AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname, a.attnum
"""

_FOREIGN_KEYS = """
SELECT k.conrelid::text, array_agg(format('%I', a.attname) ORDER BY n.place),
       k.confrelid::text, array_agg(format('%I', f.attname) ORDER BY n.place)
FROM pg_constraint k
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS n (own, other, place)
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.own
JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = n.other
WHERE k.contype = 'f'
GROUP BY k.oid, k.conname, k.conrelid, k.confrelid
ORDER BY k.conname, k.oid
"""

_RANGES = frozenset("ND")  # typcategory: numbers, dates and times
_VALUES = frozenset("SBE")  # strings, booleans, enums


class Reader(Protocol):
    """What can read the database: a controller, for example."""

    def execute(self, sql: str, fetch: bool = False) -> Any:
        """Run `sql`; with `fetch`, return its rows."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its quoted name, its `pg_type.typcategory`, and its type as SQL."""

    name: str
    category: str
    type: str


@dataclass(frozen=True, slots=True)
class SampledTable:
    """A table: its quoted name, its columns, and sampled rows as text (None is NULL)."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, slots=True)
class JoinEdge:
    """Columns with the same key; `left` and `right` are places in the catalog's tables."""

    left: int
    left_columns: tuple[str, ...]
    right: int
    right_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Tables, the edges between them, and the columns that are part of a key."""

    tables: tuple[SampledTable, ...] = ()
    edges: tuple[JoinEdge, ...] = ()
    keys: frozenset[tuple[int, str]] = field(default_factory=frozenset)


def read_catalog(db_controller: Reader, *, rows: int = 200, seed: int = 0) -> Catalog:
    """Returns the readable tables of the `search_path`, their foreign keys, and about `rows` rows
    of each table.

    Two columns that refer to the same key can be joined with each other too. Raises what
    `db_controller.execute` raises.
    """
    shapes: dict[str, tuple[str, float, list[Column]]] = {}
    for oid, name, column, category, kind, tuples in db_controller.execute(_COLUMNS, fetch=True):
        shapes.setdefault(oid, (name, tuples, []))[2].append(Column(column, category, kind))
    place = {oid: number for number, oid in enumerate(shapes)}
    tables = tuple(
        SampledTable(
            name, tuple(columns), _sample(db_controller, name, columns, tuples, rows, seed)
        )
        for name, tuples, columns in shapes.values()
    )
    links = [
        (place[table], tuple(columns), place[target], tuple(keys))
        for table, columns, target, keys in db_controller.execute(_FOREIGN_KEYS, fetch=True)
        if table in place and target in place
    ]
    edges = [JoinEdge(*link) for link in links]
    edges += [
        JoinEdge(a[0], a[1], b[0], b[1])
        for number, a in enumerate(links)
        for b in links[number + 1 :]
        if a[2:] == b[2:] and a[0] != b[0]
    ]
    sides = [side for link in links for side in (link[:2], link[2:])]
    keys = {(table, column) for table, columns in sides for column in columns}
    return Catalog(tables, tuple(edges), frozenset(keys))


def _sample(
    db_controller: Reader,
    table: str,
    columns: Sequence[Column],
    tuples: float,
    rows: int,
    seed: int,
) -> tuple[tuple[str | None, ...], ...]:
    share = min(100.0, 100.0 * 1.5 * rows / max(tuples, 1.0))
    texts = ", ".join(f"{column.name}::text" for column in columns)
    found = db_controller.execute(
        f"SELECT {texts} FROM {table} TABLESAMPLE BERNOULLI ({share:.6f})"  # noqa: S608 - quoted by the server
        f" REPEATABLE ({seed}) LIMIT {rows}",
        fetch=True,
    )
    return tuple(tuple(row) for row in found)


@dataclass(frozen=True, slots=True)
class SampledJoin:
    """A join of tables (places in the catalog's tables) that are called `t0`, `t1`, ...

    `joins` are the conditions that connect each table but the first with those before it.
    """

    tables: tuple[int, ...]
    joins: tuple[str, ...]
    predicates: tuple[str, ...]


class QuerySampler:
    """Makes random `SELECT count(*)` queries; the same seed makes the same queries."""

    def __init__(self, catalog: Catalog, *, max_joins: int = 4, seed: int = 0) -> None:
        self._catalog = catalog
        self._usable = [n for n, table in enumerate(catalog.tables) if table.rows]
        self._max_joins = max_joins
        self._random = random.Random(seed)

    def sample(self) -> str | None:
        """Returns the next query; None if no table has rows."""
        join = self.sample_join()
        if join is None:
            return None
        names = [self._catalog.tables[place].name for place in join.tables]
        tables = ", ".join(f"{name} AS t{number}" for number, name in enumerate(names))
        conditions = (*join.joins, *join.predicates)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT count(*) FROM {tables}{where}"  # noqa: S608 - quoted by the server

    def sample_join(self, least: int = 0) -> SampledJoin | None:
        """Returns the next join, with predicates; None if no table has rows.

        It has from `least` to `max_joins` joins, and fewer where the tables have no more edges.
        """
        if not self._usable:
            return None
        used = [self._random.choice(self._usable)]
        joins: list[str] = []
        for _ in range(self._random.randint(least, self._max_joins)):
            joined = self._join(used)
            if joined is None:
                break
            table, condition = joined
            used.append(table)
            joins.append(condition)
        predicates: list[str] = []
        for number, table in enumerate(used):
            predicates += self._predicates(number, table)
        return SampledJoin(tuple(used), tuple(joins), tuple(predicates))

    def _join(self, used: Sequence[int]) -> tuple[int, str] | None:
        """Returns a table to join with those in `used`, and the condition; None without one."""
        ways = []
        for edge in self._catalog.edges:
            left, right = (edge.left, edge.left_columns), (edge.right, edge.right_columns)
            for (old, key), (new, new_key) in ((left, right), (right, left)):
                if new in self._usable:
                    ways += [(n, key, new, new_key) for n, t in enumerate(used) if t == old]
        if not ways:
            return None
        number, key, table, new_key = self._random.choice(ways)
        return table, " AND ".join(
            f"t{number}.{column} = t{len(used)}.{new_column}"
            for column, new_column in zip(key, new_key, strict=True)
        )

    def _predicates(self, number: int, place: int) -> list[str]:
        """Returns up to four predicates that one sampled row meets; none in a third of cases."""
        table = self._catalog.tables[place]
        chance = self._random
        wanted = chance.choice((0, 0, 1, 2, 3, 4))
        row = chance.choice(table.rows)
        predicates: list[str] = []
        order = list(range(len(table.columns)))
        chance.shuffle(order)
        for at in order:
            column, value = table.columns[at], row[at]
            if len(predicates) == wanted:
                break
            if value is None or (place, column.name) in self._catalog.keys:
                continue
            literal = "'" + value.replace("'", "''") + "'"
            if column.category in _RANGES:
                sign = chance.choice((">=", ">=", "<="))
                predicates.append(f"t{number}.{column.name} {sign} {literal}")
            elif column.category in _VALUES and self._repeats(table, at, value):
                predicates.append(f"t{number}.{column.name} = {literal}")
        return predicates

    @staticmethod
    def _repeats(table: SampledTable, at: int, value: str) -> bool:
        return sum(row[at] == value for row in table.rows) > 1
