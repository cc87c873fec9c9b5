"""What the names in a query stand for: relations, columns, common table expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from pilotcli.steering.subplans.catalog import Catalog, Table
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import column, identifier, parse, to_sql

__all__ = [
    "Cte",
    "Entry",
    "Names",
    "Scope",
    "conjuncts",
    "function_name",
    "inner_query",
    "own_nodes",
    "resolve",
    "resolve_parts",
]

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
QUERIES = (exp.Select, exp.SetOperation)

Resolved = Callable[[], exp.Expression]


@dataclass(eq=False, slots=True)
class Entry:
    """One entry of a query's range table.

    A base relation has a `number` and a `name` once its block is complete, and `columns`. Of one
    that was pulled up, `outputs` says what stands for its columns. `query` is the sub-query behind
    it, `scope` where its text stands.
    """

    alias: str
    columns: dict[str, str | None] = field(default_factory=dict)
    renamed: tuple[str, ...] = ()
    source: Callable[[str], str] | None = None
    table: Table | None = None
    query: exp.Expression | None = None
    scope: Scope | None = None
    lateral: bool = False
    depends: Resolved | None = None
    cte: Cte | None = None
    outputs: dict[str, Resolved] | None = None
    local: bool = False
    number: int = -1
    name: str = ""

    def output(self, name: str) -> exp.Expression:
        """What stands for the column `name`."""
        if self.outputs is not None:
            made = self.outputs.get(name)
            if made is None:
                raise NotAnalysable(f"{self.alias} has no column {name}")
            return made()
        if name not in self.columns and name not in SYSTEM_COLUMNS and self.table is not None:
            raise NotAnalysable(f"{self.alias} has no column {name}")
        if self.local:
            return column(self.alias, name, None)
        made_column = column(self.name, name, self.number)
        made_column.meta["family"] = self.columns.get(name)
        return made_column

    def row(self) -> exp.Expression:
        """What stands for the whole row."""
        if self.outputs is not None:
            raise NotAnalysable(
                f"the whole row of {self.alias}, a sub-query, is used: its parts are not told apart"
            )
        node = exp.Column(this=identifier(self.alias if self.local else self.name))
        node.meta["bit"] = None if self.local else self.number
        return node

    def column_names(self) -> list[str]:
        """Its columns in order."""
        return list(self.columns if self.outputs is None else self.outputs)


@dataclass(eq=False, slots=True)
class Cte:
    """A common table expression: its query, and where its names are looked up."""

    name: str
    query: exp.Expression
    scope: Scope
    recursive: bool
    materialized: bool | None
    columns: tuple[str, ...]
    references: int = 0


@dataclass(eq=False, slots=True)
class Names:
    """The relations of a part of FROM by alias, and the columns that USING has merged in it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    merged: dict[str, Resolved] = field(default_factory=dict)

    def find(self, name: str) -> list[Resolved]:
        """What an unqualified column may be."""
        if name in self.merged:
            return [self.merged[name]]
        return [
            lambda entry=entry: entry.output(name)  # type: ignore[misc]
            for entry in self.entries.values()
            if name in (entry.columns if entry.outputs is None else entry.outputs)
        ]

    def star(self) -> Iterator[tuple[str, Resolved]]:
        """All columns, as `*` lists them."""
        yield from self.merged.items()
        for entry in self.entries.values():
            for name in entry.column_names():
                if name not in self.merged:
                    yield name, lambda entry=entry, name=name: entry.output(name)  # type: ignore[misc]


@dataclass(eq=False, slots=True)
class Scope:
    """Where names are looked up: the items of one FROM, then those of the query around it."""

    catalog: Catalog
    parent: Scope | None = None
    items: list[Names] = field(default_factory=list)
    ctes: dict[str, Cte] = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()

    def within(self, items: list[Names]) -> Scope:
        """The same scope with fewer items: what an ON clause sees."""
        return Scope(self.catalog, self.parent, items, self.ctes)

    def cte(self, name: str) -> Cte | None:
        """The common table expression called `name`, None if there is none."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.parent
        return None

    def entry(self, alias: str) -> Entry | None:
        """The relation of this scope called `alias`."""
        for names in self.items:
            if alias in names.entries:
                return names.entries[alias]
        return None

    def is_correlated(self, query: exp.Expression) -> bool:
        """Whether `query`, whose text stands here, uses relations of a query around it."""
        scope: Scope | None = self
        while scope is not None:
            if scope.items:
                try:
                    bare = Scope(self.catalog)
                    bare.ctes = self.all_ctes()
                    resolve(query, bare)
                except NotAnalysable:
                    return True
                return False
            scope = scope.parent
        return False

    def all_ctes(self) -> dict[str, Cte]:
        """The common table expressions that can be named here."""
        found: dict[str, Cte] = {}
        scope: Scope | None = self
        while scope is not None:
            found = {**scope.ctes, **found}
            scope = scope.parent
        return found

    def column(self, node: exp.Column) -> tuple[Resolved, Scope]:
        """What a column stands for, and the scope in which it was found."""
        name, relation = node.name, node.table
        scope: Scope | None = self
        while scope is not None:
            if relation:
                entry = scope.entry(relation)
                if entry is not None:
                    if isinstance(node.this, exp.Star):
                        return entry.row, scope
                    return lambda entry=entry: entry.output(name), scope
            else:
                found = [one for names in scope.items for one in names.find(name)]
                if len(found) > 1:
                    raise NotAnalysable(f"the column {name} may be one of several relations")
                if found:
                    return found[0], scope
                entry = scope.entry(name)
                if entry is not None:
                    return entry.row, scope
                if name in scope.aliases:
                    return lambda: exp.Column(this=identifier(name)), scope
            scope = scope.parent
        shown = f"{relation}.{name}" if relation else name
        raise NotAnalysable(f"there is no column {shown} among the query's relations")


def resolve(node: exp.Expression, scope: Scope) -> exp.Expression:
    """A copy of an expression in which every name is that of a relation of the block."""

    def visit(part: exp.Expression) -> exp.Expression:
        if isinstance(part, exp.Column):
            made, where = scope.column(part)
            return _uncaptured(made(), scope, where)
        if isinstance(part, QUERIES):
            return nested(part, scope)
        if isinstance(part, exp.Table):
            return table_reference(part, scope)
        return part

    return node.copy().transform(visit, copy=False)


def _uncaptured(made: exp.Expression, scope: Scope, where: Scope) -> exp.Expression:
    """`made`, found in the scope `where`, if it means the same within `scope`."""
    inner: Scope | None = scope
    while inner is not None and inner is not where:
        for used in made.find_all(exp.Column):
            if used.table and inner.entry(used.table) is not None:
                raise NotAnalysable(
                    f"a sub-query has a relation {used.table} of its own and uses another one of "
                    "that name from outside"
                )
        inner = inner.parent
    return made


def nested(query: exp.Expression, scope: Scope) -> exp.Expression:
    """A copy of a sub-query that stays what it is, its names resolved."""
    made = query.copy()
    if isinstance(made, exp.SetOperation):
        scope = _with(made, scope)
        for side in ("this", "expression"):
            made.set(side, resolve(made.args[side], scope))
        return made
    from pilotcli.steering.subplans.from_clause import local_scope

    scope = _with(made, scope)
    resolve_parts(made, local_scope(made, scope))
    return made


def resolve_parts(query: exp.Expression, inner: Scope) -> None:
    """Resolve the names in all clauses of a SELECT, in place; `inner` is what its FROM offers.

    ORDER BY and DISTINCT ON know a plain name as one of the result's first (manual, SELECT).
    """
    shown = {one.alias_or_name for one in query.expressions}
    for key, value in list(query.args.items()):
        if key in ("with_", "locks"):
            continue
        values = value if isinstance(value, list) else [value]
        new = []
        for one in values:
            if key in ("order", "distinct") and isinstance(one, exp.Expression):
                _resolve_order(one, inner, shown)
            elif isinstance(one, exp.Expression):
                one = resolve(one, inner)
            new.append(one)
        query.set(key, new if isinstance(value, list) else new[0])


def _resolve_order(clause: exp.Expression, inner: Scope, shown: set[str]) -> None:
    on = clause.args.get("on")
    for one in clause.expressions or (on.expressions if on is not None else ()):
        body = one.this if isinstance(one, exp.Ordered) else one
        if not (isinstance(body, exp.Column) and not body.table and body.name in shown):
            body.replace(resolve(body, inner))


def _with(query: exp.Expression, scope: Scope) -> Scope:
    """The scope with the query's own WITH, whose queries are resolved in place."""
    clause = query.args.get("with_")
    if clause is None:
        return scope
    from pilotcli.steering.subplans.from_clause import with_scope

    inner = with_scope(query, scope)
    for cte in clause.expressions:
        if not clause.args.get("recursive"):
            cte.set("this", resolve(cte.this, inner))
    for made in inner.ctes.values():
        made.references = -1  # of a query that stays what it is, so that its text names it
    return inner


def table_reference(node: exp.Expression, scope: Scope) -> exp.Expression:
    """A relation in the FROM of a sub-query that stays what it is."""
    if not isinstance(node.this, exp.Identifier):
        return node
    alias = node.alias or node.name
    cte = scope.cte(node.name) if not node.args.get("db") else None
    if cte is not None:
        if cte.references < 0:
            return node
        if cte.recursive:
            raise NotAnalysable(f"the recursive query {cte.name} is used within a sub-query")
        made: exp.Expression = exp.Subquery(this=resolve(cte.query, cte.scope))
        names = cte.columns
        made.set(
            "alias",
            exp.TableAlias(this=identifier(alias), columns=[identifier(one) for one in names]),
        )
        return made
    table = scope.catalog.table(to_sql(exp.Table(this=node.this, db=node.args.get("db"))))
    if table is None:
        raise NotAnalysable(f"there is no relation {node.sql()}")
    known = parse(f"SELECT FROM {table.name}").args["from_"].this
    for key in ("this", "db"):
        node.set(key, known.args.get(key))
    if alias != known.name and not node.alias:
        node.set("alias", exp.TableAlias(this=identifier(alias)))
    # The joins of a table in parentheses are part of it, and are visited with it.
    return node


def inner_query(node: exp.Expression) -> exp.Expression:
    """The query within parentheses."""
    while isinstance(node, (exp.Subquery, exp.Paren)) and not node.args.get("joins"):
        node = node.this
    return node


def conjuncts(node: exp.Expression | None) -> list[exp.Expression]:
    """The parts of a condition that must all hold, as PostgreSQL sees them."""
    if node is None:
        return []
    if isinstance(node, exp.Paren):
        return conjuncts(node.this)
    if isinstance(node, exp.And):
        parts = []
        stack = [node]
        while stack:
            top: exp.Expression = stack.pop()
            while isinstance(top, exp.Paren):
                top = top.this
            if isinstance(top, exp.And):
                stack.extend((top.expression, top.this))
            else:
                parts.extend(conjuncts(top))
        return parts
    if isinstance(node, exp.Not):
        inner = node.this
        while isinstance(inner, exp.Paren):
            inner = inner.this
        if isinstance(inner, exp.Not):
            return conjuncts(inner.this)
        if isinstance(inner, exp.Or):
            return conjuncts(exp.Not(this=inner.this.copy())) + conjuncts(
                exp.Not(this=inner.expression.copy())
            )
        return [exp.Not(this=inner.copy())] if inner is not node.this else [node]
    if isinstance(node, exp.Between) and not node.args.get("symmetric"):
        low, high = node.args["low"], node.args["high"]
        return [
            exp.GTE(this=node.this.copy(), expression=low.copy()),
            exp.LTE(this=node.this.copy(), expression=high.copy()),
        ]
    return [node]


def own_nodes(node: exp.Expression) -> Iterator[Any]:
    """The nodes of an expression without those of sub-queries in it."""
    return node.walk(prune=lambda part: isinstance(part, QUERIES))


def function_name(node: Any) -> str | None:
    """The name of a function that is called by name, in lower case."""
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    return None
