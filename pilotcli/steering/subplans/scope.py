"""The meaning of the names in a query: relations, columns, common table expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pilotcli.steering.subplans.catalog import Catalog, Table
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import column, exp, identifier

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})

Resolved = Callable[[], "exp.Expression"]


@dataclass(eq=False, slots=True)
class Entry:
    """One entry of a query's range table.

    A base relation has `columns` with their types as SQL (None: not known yet), and a `number` and
    a `name` once its block is complete. For a pulled-up sub-query `outputs` gives the expressions
    of its columns. `query` is the text of a sub-query, `scope` the names that this text can use.
    `call` gives the call of a function, `suffix` what follows it; `rows` are those of
    VALUES.
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
    call: Resolved | None = None
    suffix: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    problem: str = ""
    local: bool = False
    number: int = -1
    name: str = ""

    def output(self, name: str) -> exp.Expression:
        """Returns the expression of the column `name`."""
        if self.outputs is not None:
            made = self.outputs.get(name)
            if made is None:
                raise NotAnalysable(f"{self.alias} has no column {name}")
            found = made()
            if found.find(exp.Query) is not None:
                raise NotAnalysable(f"the column {name} of {self.alias} is a sub-query")
            return found
        if name not in self.columns and name not in SYSTEM_COLUMNS and self.table is not None:
            raise NotAnalysable(f"{self.alias} has no column {name}")
        if self.local:
            return column(self.alias, name, None)
        return column(self.name, name, self.number)

    def row(self) -> exp.Expression:
        """Returns the expression of the whole row."""
        if self.outputs is not None:
            raise NotAnalysable(
                f"the whole row of {self.alias}, a sub-query, is used, which is not supported"
            )
        relation = identifier(self.alias if self.local else self.name)
        node = exp.Column(this=exp.Star(), table=relation)
        node.meta["bit"] = None if self.local else self.number
        return node

    def column_names(self) -> list[str]:
        """Returns its columns in order."""
        return list(self.columns if self.outputs is None else self.outputs)


@dataclass(eq=False, slots=True)
class Cte:
    """A common table expression: its query, and the scope of the names in it."""

    name: str
    query: exp.Expression
    scope: Scope
    recursive: bool
    materialized: bool | None
    columns: tuple[str, ...]
    references: int = 0
    is_clear: bool = True


@dataclass(eq=False, slots=True)
class Names:
    """The relations of a part of FROM by alias, and the columns that USING has merged in it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    merged: dict[str, Resolved] = field(default_factory=dict)

    def find(self, name: str) -> list[Resolved]:
        """Returns the possible meanings of an unqualified column."""
        if name in self.merged:
            return [self.merged[name]]
        return [
            lambda entry=entry: entry.output(name)  # type: ignore[misc]
            for entry in self.entries.values()
            if name in (entry.columns if entry.outputs is None else entry.outputs)
        ]

    def star(self) -> Iterator[tuple[str, Resolved]]:
        """Yields all columns, in the order of `*`."""
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
    in_view: bool = False

    @property
    def is_in_view(self) -> bool:
        """Whether the text is that of a view, which reads tables as its owner."""
        return self.in_view or (self.parent is not None and self.parent.is_in_view)

    def within(self, items: list[Names]) -> Scope:
        """Returns the scope of an ON clause: the same with fewer items."""
        return Scope(self.catalog, self.parent, items, self.ctes)

    def cte(self, name: str) -> Cte | None:
        """Returns the common table expression `name`, or None."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.parent
        return None

    def entry(self, alias: str) -> Entry | None:
        """Returns the relation of this scope with the alias, or None."""
        for names in self.items:
            if alias in names.entries:
                return names.entries[alias]
        return None

    def _count(self, alias: str) -> int:
        """Returns how many relations here and around have the alias."""
        own = sum(alias in names.entries for names in self.items)
        return own + (self.parent._count(alias) if self.parent is not None else 0)

    def all_ctes(self) -> dict[str, Cte]:
        """Returns the common table expressions that can be used here."""
        found: dict[str, Cte] = {}
        scope: Scope | None = self
        while scope is not None:
            found = {**scope.ctes, **found}
            scope = scope.parent
        return found

    def column(self, node: exp.Column) -> tuple[Resolved, Scope]:
        """Returns the expression of a column, and the scope in which it was found."""
        name, relation = node.name, node.table
        if node.args.get("db") and self._count(relation) > 1:
            raise NotAnalysable(f"{relation}, named with a schema, may be one of several relations")
        scope: Scope | None = self
        while scope is not None:
            if relation:
                entry = scope.entry(relation)
                if entry is not None:
                    if isinstance(node.this, exp.Star):
                        return entry.row, scope
                    return lambda entry=entry: entry.output(name), scope
            else:
                found = [output for names in scope.items for output in names.find(name)]
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


def without_parens(node: exp.Expression) -> exp.Expression:
    """Returns the expression inside parentheses."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def inner_query(node: exp.Expression) -> exp.Expression:
    """Returns the query inside parentheses."""
    while isinstance(node, (exp.Subquery, exp.Paren)) and not node.args.get("joins"):
        node = node.this
    return node


def own_nodes(node: exp.Expression) -> Iterator[Any]:
    """Yields the nodes of an expression without those of its sub-queries."""
    return node.walk(prune=lambda part: isinstance(part, (exp.Select, exp.SetOperation)))


def is_relation(node: object) -> bool:
    """Whether a node is an item of FROM."""
    kinds = (exp.Table, exp.Subquery, exp.Lateral, exp.Unnest, exp.Values)
    return isinstance(node, kinds)


def function_name(node: Any) -> str | None:
    """Returns the name of a function call, in lower case; None for other nodes."""
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    return None
