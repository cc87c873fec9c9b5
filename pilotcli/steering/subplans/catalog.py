"""Reads the facts about the names in a query from the server's catalog, and keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pilotcli.common.errors import QueryError
from pilotcli.databases.protocols import Rows
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.sql import literal
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import exp, parse, quoted, to_sql
from pilotcli.steering.subplans.printing import ask, column_types

_TABLES = """
SELECT coalesce(json_agg(row_to_json(t)), '[]') FROM (
SELECT wanted.name, c.oid::regclass::text,
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END,
    EXISTS (SELECT 1 FROM unnest(c.reloptions) AS o
            WHERE o ~* '^security_barrier=(on|true|1|yes)$'),
    c.relowner <> CURRENT_USER::regrole AND
        (c.relrowsecurity OR NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')),
    c.relhassubclass, c.relkind = 'p',
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
    ARRAY(SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) ||
              CASE WHEN a.attcollation NOT IN (0, t.typcollation)
                  THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END
          FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
    ARRAY(SELECT (SELECT string_agg(a.attname::text, chr(1))
                  FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey))
          FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique
              AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
              AND i.indnatts = i.indnkeyatts)
FROM (VALUES {names}) AS wanted (name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(wanted.name)
) AS t (name, shown, view, barrier, closed, children, partitioned, columns, types, uniques)
"""

_FUNCTIONS = """
SELECT p.proname::text, bool_and(p.proisstrict), bool_or(p.provolatile = 'v'),
       bool_or(p.prokind = 'a'), bool_or(p.proretset), bool_and(p.proretset),
       bool_or(l.lanname = 'sql')
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.proname IN ({names}) GROUP BY p.proname
"""

# An operator's types may be those of any array, enum, range or row.
_OPERATORS = """
WITH wanted AS (
    SELECT given.at, given.name, ARRAY[{left}] AS lefts, ARRAY[{right}] AS rights
    FROM (VALUES {values}) AS given (at, name, l, r)
    JOIN pg_catalog.pg_type AS l ON l.oid = given.l JOIN pg_catalog.pg_type AS r ON r.oid = given.r)
SELECT DISTINCT ON (w.at) w.at, o.oprresult = 16,
    CASE WHEN c.oprname IS NULL OR pg_catalog.pg_operator_is_visible(c.oid) THEN c.oprname::text
        ELSE '' END, p.proisstrict, p.provolatile = 'v',
    CASE WHEN o.oprcanmerge THEN
        (SELECT string_agg(a.amopfamily::text, ' ' ORDER BY a.amopfamily)
         FROM pg_catalog.pg_amop AS a JOIN pg_catalog.pg_am AS m ON m.oid = a.amopmethod
         WHERE a.amopopr = o.oid AND m.amname = 'btree' AND a.amopstrategy = 3) END
FROM wanted AS w JOIN pg_catalog.pg_operator AS o ON o.oprname = w.name
    AND o.oprleft = ANY (w.lefts) AND o.oprright = ANY (w.rights)
    AND pg_catalog.pg_operator_is_visible(o.oid)
JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode
LEFT JOIN pg_catalog.pg_operator AS c ON c.oid = o.oprcom
ORDER BY w.at, array_position(w.lefts, o.oprleft)
"""
_POLYMORPHIC = """{side}.oid, CASE WHEN {side}.typtype = 'e' THEN 3500 WHEN {side}.typtype = 'r'
    THEN 3831 WHEN {side}.typtype = 'm' THEN 4537 WHEN {side}.typtype = 'c' THEN 2249
    WHEN {side}.typelem <> 0 AND {side}.typlen = -1 AND {side}.typcategory = 'A' THEN 2277
    ELSE 2283 END::oid"""
_OPERATORS = _OPERATORS.replace("{left}", _POLYMORPHIC.format(side="l")).replace(
    "{right}", _POLYMORPHIC.format(side="r")
)


@dataclass(frozen=True, slots=True)
class Table:
    """A relation of the catalog.

    - `name`: as SQL, with its schema if that is not on the search path;
    - `columns`: in order, each with its type as SQL;
    - `unique`: sets of columns with a unique index;
    - `view`: the query of a view, otherwise None;
    - `is_barrier`: a view with a security barrier;
    - `is_closed`: the role may not read it as a view's owner can;
    - `has_children`: other tables inherit from it.
    """

    name: str
    columns: dict[str, str | None]
    unique: tuple[frozenset[str], ...] = ()
    view: str | None = None
    is_barrier: bool = False
    is_closed: bool = False
    has_children: bool = False
    is_partitioned: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """The properties of all functions with a name; if they differ, the cautious ones."""

    strict: bool = False
    volatile: bool = True
    aggregate: bool = False
    returns_set: bool = False
    only_sets: bool = False
    is_sql: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator for values of two types.

    - `commutator`: with the sides exchanged; None if there is none;
    - `families`: the operator families in which it is equality, or None.
    """

    is_condition: bool
    commutator: str | None
    strict: bool
    volatile: bool
    families: str | None


@dataclass(slots=True)
class Catalog:
    """The catalog of one session's database. Used by the session's thread.

    Call `forget` after a change of the schema, or make a new catalog.
    """

    session: PostgresSession
    _tables: dict[str, Table] = field(default_factory=dict, repr=False)
    _functions: dict[str, Function] = field(default_factory=dict, repr=False)
    _outputs: dict[str, list[tuple[str, str]]] = field(default_factory=dict, repr=False)
    _operators: dict[tuple[str, int, int], Operator | None] = field(
        default_factory=dict, repr=False
    )
    _checked: set[str] = field(default_factory=set, repr=False)
    _version: int = 0

    @property
    def server_version(self) -> int:
        """The server's major version."""
        if not self._version:
            self._version = int(self._rows("SHOW server_version_num")[0][0]) // 10000
        return self._version

    def setting(self, name: str) -> str | None:
        """Returns the present value of a setting, or None if the server does not have it."""
        found: str | None = self._rows(f"SELECT current_setting({literal(name)}, true)")[0][0]
        return found

    def forget(self) -> None:
        """Read everything again when it is next needed."""
        for kept in (
            self._tables,
            self._functions,
            self._outputs,
            self._operators,
            self._checked,
        ):
            kept.clear()

    def read(self, tables: Iterable[str], functions: Iterable[str]) -> None:
        """Read the tables (as SQL) and functions not known yet, in one round trip each."""
        new_tables = sorted(set(tables) - self._tables.keys())
        if new_tables:
            names = ", ".join(f"({literal(name)})" for name in new_tables)
            # The names and the text of a view must not depend on the session's settings.
            with _reading():
                (found,) = ask(self.session, [_TABLES.replace("{names}", names)])
            if isinstance(found, NotAnalysable):
                raise found
            for row in found:
                name, shown, view, barrier, closed, children, partitioned, *lists = row.values()
                columns, types, unique = lists
                self._tables[name] = Table(
                    shown,
                    dict(zip(columns, types, strict=True)),
                    tuple(frozenset(names.split("\1")) for names in unique),
                    view,
                    barrier,
                    closed,
                    children,
                    partitioned,
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

    def view(self, table: Table) -> exp.Expression:
        """Returns the query of a view."""
        assert table.view is not None
        tree = parse(table.view)
        if table.name not in self._checked:
            self.check_reading(table.view, tree)
            self._checked.add(table.name)
        return tree

    def check_reading(self, sql: str, tree: exp.Expression) -> None:
        """Raise `NotAnalysable` unless sqlglot has read a statement as the server does: what it
        writes must be the same query, or at least have the same plan."""
        texts = [sql.strip().rstrip(";"), to_sql(tree)]
        views = [f"CREATE TEMPORARY VIEW pilot_view AS {text}" for text in texts]
        if isinstance(tree, exp.Query):
            own, read = ask(self.session, views)
            if own == read and not isinstance(own, NotAnalysable):
                return
        plans = [f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) {text}" for text in texts]
        for answer in (answers := ask(self.session, [f"PLAN {plan}" for plan in plans])):
            if isinstance(answer, NotAnalysable):
                raise answer
        if answers[0] != answers[1]:
            raise NotAnalysable("sqlglot reads the query in another way than the server")

    def function(self, name: str) -> Function:
        """Returns the properties of the functions called `name`, in lower case."""
        if name not in self._functions:
            self.read((), [name])
        return self._functions[name]

    def have_collations(self, types: Iterable[str]) -> bool:
        """Whether one of these types has a collation that is not the database's own."""
        names = ", ".join(literal(name) for name in sorted(types))
        return bool(
            names
            and self._rows(
                f"SELECT FROM unnest(ARRAY[{names}]) AS named (name) JOIN pg_catalog.pg_type AS t "
                "ON t.oid = pg_catalog.to_regtype(named.name) WHERE t.typcollation NOT IN (0, 100)"
            )
        )

    def outputs(
        self, item: str, name: str, around: str = "", before: str = ""
    ) -> list[tuple[str, str]]:
        """Returns the columns of `item`, an item of FROM called `name`, and their types as SQL.

        `around`: items before it, which it may use; `before`: the WITH clause. Nothing is run.
        """
        sql = f"{before}SELECT {name}.* FROM {around}{item} LIMIT 0"  # noqa: S608
        known = self._outputs.get(sql)
        if known is None:
            names = [column.name for column in self._execute(sql).description or ()]
            if len(set(names)) < len(names):
                raise NotAnalysable(f"{name} has two columns of one name")
            columns = [f"{name}.{quoted(column)}" for column in names]
            types = column_types(self.session, f"{around}{item}", columns, before)
            known = self._outputs[sql] = list(zip(names, types, strict=True))
        return known

    def operators(
        self, wanted: Iterable[tuple[str, int, int]]
    ) -> dict[tuple[str, int, int], Operator | None]:
        """Returns operators by name and the numbers of the types of their sides."""
        new = sorted(set(wanted) - self._operators.keys())
        if new:
            values = ", ".join(
                f"({at}, {literal(name)}, {left}::oid, {right}::oid)"
                for at, (name, left, right) in enumerate(new)
            )
            self._operators.update(dict.fromkeys(new))
            for at, *facts in self._rows(_OPERATORS.replace("{values}", values)):
                self._operators[new[at]] = Operator(*facts)
        return self._operators

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self._execute(sql).rows)

    def _execute(self, sql: str) -> Rows:
        with _reading():
            return self.session.execute(sql)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except QueryError as error:
        raise NotAnalysable(
            f"the catalog cannot be read for the query's relations: {error.message}",
            hint=error.hint,
        ) from error
