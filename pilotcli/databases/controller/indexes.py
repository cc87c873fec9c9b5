"""What a controller does with indexes, real ones and what-if ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from psycopg2 import sql as compose

from pilotcli.common.errors import QueryError, SteeringError
from pilotcli.common.records import Index
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.controller.index_sql import (
    create_statement,
    find_index,
    is_alike,
    is_plain,
    read_definition,
    require_parts,
)
from pilotcli.databases.controller.names import literal_name
from pilotcli.databases.controller.tables import TableMethods
from pilotcli.databases.controller.what_if import LIKE, WhatIf, indexes_size_bytes, made_like
from pilotcli.databases.protocols import PlansWithIndexes, Target
from pilotcli.databases.session.session import PostgresSession

_DESCRIBED = """
SELECT i.oid::int8, i.relname::text,
  CASE WHEN pg_table_is_visible(t.oid) THEN t.relname ELSE n.nspname || '.' || t.relname END::text,
  ARRAY(SELECT CASE WHEN x.indkey[k - 1] = 0 THEN pg_get_indexdef(i.oid, k, true) ELSE
          (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = x.indkey[k - 1])
        END FROM generate_series(1, x.indnkeyatts) AS k ORDER BY k)::text[],
  ARRAY(SELECT (SELECT quote_ident(attname) FROM pg_attribute
                WHERE attrelid = t.oid AND attnum = x.indkey[k - 1])
        FROM generate_series(1, x.indnkeyatts) AS k ORDER BY k)::text[],
  substr(pg_get_indexdef(i.oid), 1 + length(concat(
    'CREATE ', CASE WHEN x.indisunique THEN 'UNIQUE ' END, 'INDEX ', quote_ident(i.relname), ' ON ',
    CASE WHEN i.relkind = 'I' THEN 'ONLY ' END,
    CASE WHEN n.oid = pg_my_temp_schema() AND strpos(pg_get_indexdef(i.oid), ' ON pg_temp.') > 0
      THEN 'pg_temp' ELSE quote_ident(n.nspname) END, '.', quote_ident(t.relname), ' USING ',
    quote_ident(m.amname), ' ('))),
  m.amname::text, x.indisunique,
  coalesce((SELECT sum(pg_table_size(relid)) FROM pg_partition_tree(i.oid)), pg_table_size(i.oid)),
  x.indisunique OR x.indisreplident
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS m ON m.oid = i.relam
JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace
"""
# Usable indexes that a user has made: not those of constraints, extensions or pilot itself. An
# index of a partition belongs to the index of the whole table.
_USABLE = """
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pilot')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND (x.indisvalid OR i.relkind = 'I')
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
                  AND objid IN (i.oid, t.oid) AND deptype = 'e')
  AND ({0} IS NULL OR t.oid = {0}::regclass)
ORDER BY 3, 2
"""
_NO_JIT = "SET LOCAL jit = off; "
"""On a server with LLVM, as Debian's are, it takes a second to compile the query with the indexes,
and a millisecond to run it."""
_OF_TABLE = "WHERE t.oid = {}::regclass"


class _Existing(NamedTuple):
    oid: int
    described: Index
    size_bytes: int
    means_more: bool
    """Whether it keeps rows unique or identifies them, so that results may depend on it."""


class IndexMethods(TableMethods):
    """Indexes: making, dropping and measuring them.

    Changes are undone when the target is closed. With `enable_simulate_index` every method is about
    what-if indexes, which only the planner sees; the real indexes stay as they are, and one that is
    dropped is only hidden from the planner.
    """

    def __init__(
        self,
        config: PilotConfig,
        *,
        target: Target | None = None,
        enable_simulate_index: bool = False,
    ) -> None:
        super().__init__(config, target=target)
        self.enable_simulate_index = enable_simulate_index
        self._what_if: WhatIf | None = None
        if enable_simulate_index:
            self._what_if = WhatIf(lambda: self.target().changes, self._planner_indexes)

    def create_index(self, index: Index) -> None:
        """Make an index; without a name the server gives it one.

        Raises `SteeringError` for a table or a column that is not there and for a what-if index
        that the planner cannot be shown, `QueryError` when the server refuses, as for a name that
        is taken.
        """
        self._require_columns(index)
        if self._what_if is not None:
            self._what_if.add(self.session(), index)
            return
        session = self.session()
        statement = create_statement(index).as_string(session.connection)
        name = index.index_name or _shown(index)
        self.target().changes.make_index(session, name, statement)

    def drop_index(self, index: Index) -> None:
        """Drop the index with this name, or, without a name, on just these columns; with further
        fields, the one that has these, too.

        With `enable_simulate_index` a real index is hidden from the planner, until an index like
        it is made again or all are dropped. Raises `SteeringError` when there is none, or only one
        of a constraint, `CapabilityError` where a real index cannot be hidden.
        """
        if self._what_if is not None:
            if self._what_if.remove(index):
                return
            real = self._find(index)
            if real is None:
                raise SteeringError(f"there is no what-if index {_shown(index)}")
            self._what_if.hide(self.session(), real.oid, real.described)
            return
        found = self._find(index)
        if found is None:
            raise SteeringError(
                f"there is no index {_shown(index)} to drop",
                hint="Indexes of constraints (keys) are not dropped; get_existed_indexes("
                f"{index.table!r}) shows the others.",
            )
        self.target().changes.drop_indexes(self.session(), [found.oid])

    def drop_all_indexes(self) -> None:
        """Drop all indexes of the database that only serve speed, all or none.

        Indexes of constraints stay, and those that keep rows unique or identify them to replicas.
        """
        if self._what_if is not None:
            self._what_if.clear()
            return
        oids = [existing.oid for existing in self._existing(None) if not existing.means_more]
        self.target().changes.drop_indexes(self.session(), oids)

    def get_all_indexes(self) -> list[Index]:
        """All indexes of the database except those of constraints.

        Each with all that makes it what it is, except its tablespace: `create_index` makes the same
        one again. A column that is an expression is given as its text, and as SQL in `keys`.
        """
        if self._what_if is not None:
            return list(self._what_if.indexes)
        return [existing.described for existing in self._existing(None)]

    def get_existed_indexes(self, table_name: str) -> list[Index]:
        """The indexes of a table, as `get_all_indexes` gives them."""
        if self._what_if is not None:
            return [index for index in self._what_if.indexes if index.table == table_name]
        return [existing.described for existing in self._existing(table_name)]

    def get_index_number(self, table_name: str) -> int:
        """How many indexes a table has, without those of constraints."""
        return len(self.get_existed_indexes(table_name))

    def get_index_byte(self, index: Index) -> int:
        """The size of an index in bytes; of a what-if index what it would be.

        Raises `SteeringError` when there is no such index.
        """
        if self._what_if is not None:
            at = find_index(self._what_if.indexes, index)
            if at is not None:
                return self._what_if.size_bytes(self.session(), self._what_if.indexes[at])
        elif existing := self._find(index):
            return existing.size_bytes
        raise SteeringError(f"there is no index {_shown(index)}")

    def get_table_indexes_byte(self, table_name: str) -> int:
        """The size of all indexes of a table in bytes, including those of constraints."""
        if self._what_if is not None:
            return sum(map(self.get_index_byte, self.get_existed_indexes(table_name)))
        return indexes_size_bytes(self.session(), table_name)

    def get_all_indexes_byte(self) -> int:
        """The size in bytes of all indexes on the tables of `get_all_table_names`."""
        tables = self.get_all_table_names()
        if self._what_if is not None:
            tables = sorted({index.table for index in self._what_if.indexes})
        return sum(map(self.get_table_indexes_byte, tables))

    @contextlib.contextmanager
    def simulating(self) -> Iterator[PostgresSession]:
        """The calling thread's session; an `EXPLAIN` in it sees the what-if indexes meanwhile."""
        session = self.session()
        if self._what_if is None:
            yield session
            return
        with self._what_if.at_work(session):
            yield session

    def _planner_indexes(self, session: PostgresSession) -> PlansWithIndexes | None:
        """What shows what-if indexes without HypoPG; nothing on this floor."""
        return None

    def _prepare(self, session: PostgresSession) -> None:
        if self._what_if is not None:
            self._what_if.prepare(session)

    def _find(self, index: Index) -> _Existing | None:
        existing = self._existing(index.table)
        known = [one.described for one in existing]
        at = find_index(known, index)
        if at is None and existing and index.index_name is None and not is_plain(index):
            spelled = self._spelled(index)
            alike = (at for at, one in enumerate(known) if spelled and is_alike(one, spelled))
            at = next(alike, None)
        return None if at is None else existing[at]

    def _spelled(self, index: Index) -> Index | None:
        """Returns an index as the server writes it, None where the server refuses it."""
        try:
            require_parts(index)
            with made_like(self.session(), index):
                (row,) = self._run(_DESCRIBED + _OF_TABLE, literal_name(LIKE))
        except (QueryError, SteeringError):
            return None
        return replace(_existing_index(row, index.table).described, index_name=None)

    def _existing(self, table_name: str | None) -> list[_Existing]:
        table: compose.Composable = compose.SQL("NULL")
        if table_name is not None:
            self._require_table(table_name)
            table = literal_name(table_name)
        in_block = self.session().in_transaction  # a driver's, where it would go on
        query = ("" if in_block else _NO_JIT) + _DESCRIBED + _USABLE
        return [_existing_index(row, table_name) for row in self._run(query, table)]

    def _require_table(self, table_name: str) -> None:
        if not self.exist_table(table_name):
            known = self.get_all_table_names()
            raise SteeringError(
                f"there is no table {table_name!r}",
                hint=did_you_mean(table_name, known, listed="There are") if known else None,
            )

    def _require_columns(self, index: Any) -> None:
        if not isinstance(index, Index):
            raise SteeringError(f"an index is an Index(columns, table), not {index!r}")
        if isinstance(index.columns, str) or not index.columns:
            raise SteeringError(f"the columns of an index are a list, not {index.columns!r}")
        if index.index_name is not None and "\0" in str(index.index_name):
            raise SteeringError(f"an index cannot have the name {index.index_name!r}")
        require_parts(index)
        self._require_table(index.table)
        known = self.get_table_columns(index.table)
        for column in (*(index.columns if not index.keys else ()), *index.include):
            if column not in known:
                raise SteeringError(
                    f"the table {index.table!r} has no column {column!r} to be indexed",
                    hint=did_you_mean(str(column), known, listed="It has"),
                )


def _existing_index(row: tuple[Any, ...], table_name: str | None) -> _Existing:
    oid, name, shown, columns, quoted, definition, method, unique, size_bytes, means_more = row
    described = read_definition(columns, quoted, table_name or shown, name, definition)
    described = replace(described, method=method, unique=unique)
    return _Existing(oid, described, int(size_bytes), means_more)


def _shown(index: Index) -> str:
    if index.index_name is not None:
        return f"{index.index_name!r} on {index.table!r}"
    return f"on {index.table} ({', '.join(index.columns)})"
