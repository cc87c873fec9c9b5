"""Reads FROM as PostgreSQL's parser does, and resolves the names in a query.

FROM becomes a tree of joins over the entries of a range table. Reading a sub-query in FROM needs
its columns, and these need the FROM of that sub-query: so both are in this module.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import exp, identifier, parse, quoted, table_name, to_sql
from pilotcli.steering.subplans.predicates import conjuncts
from pilotcli.steering.subplans.scope import (
    Cte,
    Entry,
    Names,
    Resolved,
    Scope,
    inner_query,
)


@dataclass(eq=False, slots=True)
class Qual:
    """A condition: its text and scope, or a function that makes it from parts of two scopes."""

    node: exp.Expression | None = None
    scope: Scope | None = None
    make: Resolved | None = None

    def resolved(self) -> exp.Expression:
        """Returns the condition with its names resolved."""
        if self.make is not None:
            return self.make()
        assert self.node is not None
        assert self.scope is not None
        return resolve(self.node, self.scope)


@dataclass(eq=False, slots=True)
class Leaf:
    """One relation."""

    entry: Entry


@dataclass(eq=False, slots=True)
class Group:
    """An inner join of any number of parts."""

    parts: list[Tree]
    quals: list[Qual] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Join:
    """Another join; `kind` is left, right, full, semi or anti."""

    kind: str
    left: Tree
    right: Tree
    quals: list[Qual] = field(default_factory=list)


Tree = Leaf | Group | Join


def with_scope(query: exp.Expression, scope: Scope) -> Scope:
    """Returns the scope with the names that the query's WITH defines."""
    clause = query.args.get("with_")
    if clause is None:
        return scope
    inner = Scope(scope.catalog, scope)
    recursive = bool(clause.args.get("recursive"))
    if clause.args.get("search"):
        raise NotAnalysable("a WITH query has SEARCH or CYCLE")
    used = _tables_in(query.parent or query)
    defined = [cte.alias for cte in (query.parent or query).find_all(exp.CTE)]
    for cte in clause.expressions:
        body = inner_query(cte.this)
        if not isinstance(body, (exp.Select, exp.SetOperation, exp.Values)):
            raise NotAnalysable(f"{cte.alias}, a part of WITH, changes data")
        names = _tables_in(body)
        used.subtract(names)  # in its own query and those before it the name is that of a table
        made = inner.ctes[cte.alias] = Cte(
            cte.alias,
            body,
            Scope(scope.catalog, scope, ctes=dict(inner.ctes)),
            recursive and cte.alias in names,
            cte.args.get("materialized"),
            tuple(part.name for part in cte.args["alias"].columns),
            0,
            defined.count(cte.alias) == 1,
        )
        if made.recursive:
            made.scope.ctes[cte.alias] = made
    later: Counter[str] = used
    for cte in reversed(clause.expressions):
        inner.ctes[cte.alias].references = later[cte.alias]
        later += _tables_in(cte.this)
    return inner


def _tables_in(query: exp.Expr) -> Counter[str]:
    """Returns how often names without a schema are used in FROM."""
    tables = query.find_all(exp.Table)
    return Counter(table.name for table in tables if not table.args.get("db"))


def local_scope(query: exp.Expression, scope: Scope) -> Scope:
    """Returns the scope of a sub-query that stays a sub-query."""
    names = frozenset(column.alias for column in query.expressions if isinstance(column, exp.Alias))
    inner = Scope(scope.catalog, scope, aliases=names)
    read_from(query, inner, [])
    for item in inner.items:
        for entry in item.entries.values():
            entry.local = True
    return inner


def read_from(query: exp.Expression, scope: Scope, range_table: list[Entry]) -> Group:
    """Returns the joins of FROM; adds its names to `scope` and its entries to `range_table`."""
    reader = _Reader(scope, range_table)
    group = Group([])
    clause = query.args.get("from_")
    using = query.args.get("using")
    first = [clause.this] if clause is not None else []
    if isinstance(query, (exp.Update, exp.Delete)):
        first = [query.this, *first, *(using or ())]
        _check_target(query.this, scope)
    for node in first:
        reader.add(node, group)
    for join in query.args.get("joins") or ():
        if any(join.args.get(key) for key in ("side", "kind", "method", "on", "using")):
            if not group.parts:
                raise NotAnalysable("a JOIN has nothing to its left")
            part = group.parts.pop()
            names = scope.items.pop()
            part, names = reader.join(part, names, join)
            group.parts.append(part)
            scope.items.append(names)
        else:
            reader.add(join.this, group)
    for lateral in query.args.get("laterals") or ():
        reader.add(lateral, group)
    return group


_ONE_PLAN = 14


def _check_target(node: exp.Expression, scope: Scope) -> None:
    """Raise for a changed table that PostgreSQL 13 plans once for each partition or child."""
    if scope.catalog.server_version >= _ONE_PLAN:
        return
    table = scope.catalog.table(table_name(node))
    if table is not None and table.has_children and not node.args.get("only"):
        raise NotAnalysable(f"the planner plans each part of {table.name} by itself")


class _Reader:
    def __init__(self, scope: Scope, range_table: list[Entry]) -> None:
        self.scope = scope
        self.range_table = range_table

    def add(self, node: exp.Expression, group: Group) -> None:
        part, names = self.item(node)
        group.parts.append(part)
        self.scope.items.append(names)

    def item(self, node: exp.Expression) -> tuple[Tree, Names]:
        """Returns one item of FROM with the joins that belong to it."""
        if isinstance(node, (exp.Subquery, exp.Paren)) and isinstance(
            node.this, (exp.Table, exp.Subquery, exp.Lateral)
        ):
            tree, names = self.item(node.this)
            if node.alias:
                names = Names({node.alias: _join_alias(node, names)})
        else:
            entry = self.entry(node)
            self.range_table.append(entry)
            tree, names = Leaf(entry), Names({entry.alias: entry})
        for join in node.args.get("joins") or ():
            tree, names = self.join(tree, names, join)
        return tree, names

    def join(self, left: Tree, names: Names, join: exp.Expression) -> tuple[Tree, Names]:
        """Returns the join of `left` with the relation of `join`."""
        self.scope.items.append(names)  # a lateral item sees it
        right, right_names = self.item(join.this)
        self.scope.items.pop()
        both = Names(
            {**names.entries, **right_names.entries}, {**names.merged, **right_names.merged}
        )
        if len(both.entries) < len(names.entries) + len(right_names.entries):
            raise NotAnalysable("two relations of a join have the same alias")
        side = str(join.args.get("side") or "").lower()
        quals = [Qual(part, self.scope.within([both])) for part in conjuncts(join.args.get("on"))]
        using = [column.name for column in join.args.get("using") or ()]
        if join.args.get("method") == "NATURAL":
            right_columns = {name for name, _ in right_names.star()}
            using = [name for name, _ in names.star() if name in right_columns]
        quals.extend(_merge(name, names, right_names, both, side) for name in using)
        if not side:
            return Group([left, right], quals), both
        return Join(side, left, right, quals), both

    def entry(self, node: exp.Expression) -> Entry:
        """Returns the range table's entry for a relation."""
        alias_node = node.args.get("alias")
        columns = tuple(column.name for column in alias_node.columns) if alias_node else ()
        alias = node.alias
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return self.table(node, alias or node.name, columns)
        if isinstance(node, exp.Values):
            return self.sub_query(node, alias or "*VALUES*", columns, self.outside)
        if isinstance(node, (exp.Subquery, exp.Lateral)):
            body = inner_query(node.this)
            if isinstance(body, (exp.Select, exp.SetOperation, exp.Values)):
                lateral = isinstance(node, exp.Lateral)
                scope = self.scope if lateral else self.outside
                return self.sub_query(body, alias or "unnamed_subquery", columns, scope, lateral)
        return self.function(node, alias, columns)

    @property
    def outside(self) -> Scope:
        """The scope of a sub-query in FROM: the query around this one, not its neighbours."""
        return Scope(self.scope.catalog, self.scope.parent, ctes=self.scope.ctes)

    def table(self, node: exp.Expression, alias: str, columns: tuple[str, ...]) -> Entry:
        db = node.args.get("db")
        cte = None if db else self.scope.cte(node.name)
        if cte is not None:
            if not cte.is_clear:
                raise NotAnalysable(f"there are two WITH queries called {cte.name}")
            made = self.sub_query(cte.query, alias, columns or cte.columns, cte.scope)
            made.cte = cte
            return made
        name = table_name(node)
        table = self.scope.catalog.table(name)
        if table is None:
            raise NotAnalysable(f"there is no relation {name}")
        if table.view is not None:
            body = inner_query(self.scope.catalog.view(table))
            outside = Scope(self.scope.catalog, in_view=True)
            made = self.sub_query(body, alias, columns, outside)
            if table.is_barrier:
                made.problem = "it is a view with a security barrier"
            elif isinstance(body, exp.SetOperation):
                made.problem = "it is a view of a set operation"
            return made
        if self.scope.is_in_view and table.is_closed:
            raise NotAnalysable(f"the role may read {table.name} only through a view")
        only = "ONLY " if node.args.get("only") and table.has_children else ""
        if columns:
            raise NotAnalysable(f"{alias}, a table, has new names for its columns")
        if node.args.get("only") and table.is_partitioned:
            raise NotAnalysable(f"{alias} is a partitioned table without its partitions")
        sample = node.args.get("sample")
        suffix = f" {to_sql(sample)}" if sample else ""

        def source(shown: str) -> str:
            short = f".{table.name}".endswith(f".{shown}")  # PostgreSQL prints no needless alias
            return f"{only}{table.name}{'' if short else ' ' + shown}{suffix}"

        made = Entry(alias, dict(table.columns), source=source, table=table)
        if sample:
            made.problem = "it is a sample of a table"
        return made

    def sub_query(
        self,
        body: exp.Expression,
        alias: str,
        columns: tuple[str, ...],
        scope: Scope,
        lateral: bool = False,
    ) -> Entry:
        names = [name for name, _ in outputs(body, scope)]
        known = _renamed(dict.fromkeys(names), columns)
        entry = Entry(alias, known, columns, query=body, scope=scope, lateral=lateral)
        prefix = "LATERAL " if lateral else ""

        def source(shown: str) -> str:
            return f"{prefix}({to_sql(resolve(body, scope))}) {shown}"

        entry.source = source
        entry.depends = lambda: resolve(body, scope)
        return entry

    def function(self, node: exp.Expression, alias: str, columns: tuple[str, ...]) -> Entry:
        call = node.this if isinstance(node, (exp.Lateral, exp.Table)) else node.copy()
        is_unnest = isinstance(call, exp.Unnest)
        name = alias or ("unnest" if is_unnest else str(getattr(call, "name", "")).lower())
        suffix = ""
        if is_unnest:
            if call.args.get("offset"):
                suffix = " WITH ORDINALITY"
                if isinstance(call.args["offset"], exp.Identifier):
                    columns = (*columns, call.args["offset"].name)
            for key in ("alias", "offset", "joins"):
                call.set(key, None)
        elif not isinstance(call, exp.Anonymous) or node.args.get("rows_from"):
            raise NotAnalysable("FROM has a function of a special form")
        elif node.args.get("ordinality"):
            suffix = " WITH ORDINALITY"
        alias_node = node.args.get("alias")
        if alias_node and any(isinstance(part, exp.ColumnDef) for part in alias_node.columns):
            raise NotAnalysable("FROM has a function with a list of columns and types")
        if not is_unnest:
            facts = self.scope.catalog.function(call.name.lower())
            if facts.is_sql or not facts.only_sets:
                raise NotAnalysable(f"the planner may replace the function {call.name} in FROM")
        scope = self.scope
        has_columns = call.find(exp.Column) is not None

        def source(shown: str) -> str:
            prefix = "LATERAL " if lateral else ""
            return f"{prefix}{to_sql(resolve(call, scope))}{suffix} {shown}"

        lateral = has_columns or isinstance(node, exp.Lateral)
        if has_columns:
            known: dict[str, str | None] = dict.fromkeys(columns or (name,))
        else:
            shown = quoted(name) + _column_list(columns)
            known = dict(self.scope.catalog.outputs(source(shown), quoted(name)))
        made = Entry(
            name,
            known,
            columns,
            source=source,
            lateral=lateral,
            depends=lambda: resolve(call, scope),
            call=lambda: resolve(call, scope),
            suffix=suffix,
        )
        if call.find(exp.Query):
            made.problem = "it is a function of a sub-query's result"
        return made


def _column_list(columns: tuple[str, ...]) -> str:
    return f"({', '.join(quoted(column) for column in columns)})" if columns else ""


def _renamed(known: dict[str, str | None], columns: tuple[str, ...]) -> dict[str, str | None]:
    """Returns the columns of a relation, the first ones with new names."""
    renamed: dict[str, str | None] = {}
    for at, (name, family) in enumerate(known.items()):
        renamed.setdefault(columns[at] if at < len(columns) else name, family)
    return renamed


def _join_alias(node: exp.Expression, names: Names) -> Entry:
    """Returns a join in parentheses with an alias, which hides the relations in it."""
    columns = tuple(column.name for column in node.args["alias"].columns)
    made = Entry(node.alias, outputs={})
    assert made.outputs is not None
    for at, (name, output) in enumerate(names.star()):
        made.outputs.setdefault(columns[at] if at < len(columns) else name, output)
    return made


def _merge(name: str, left: Names, right: Names, both: Names, side: str) -> Qual:
    """Returns the condition of a column of USING, and adds the merged column to `both`."""
    sides = []
    for names in (left, right):
        found = names.find(name)
        if len(found) != 1:
            raise NotAnalysable(f"the column {name} of USING is not in both sides")
        sides.append(found[0])
    first, second = sides
    if side == "full":
        both.merged[name] = lambda: exp.Coalesce(this=first(), expressions=[second()])
    else:
        both.merged[name] = second if side == "right" else first
    return Qual(make=lambda: exp.EQ(this=first(), expression=second()))


def outputs(query: exp.Expression, scope: Scope) -> list[tuple[str, Resolved]]:
    """Returns the columns of a query's result: name, and expression within the query."""
    query = inner_query(query)
    if isinstance(query, exp.SetOperation):
        return outputs(query.this, with_scope(query, scope))
    if isinstance(query, exp.Values):
        first = query.expressions[0].expressions
        return [
            (f"column{at + 1}", lambda value=value: resolve(value, scope))  # type: ignore[misc]
            for at, value in enumerate(first)
        ]
    return select_outputs(query, local_scope(query, with_scope(query, scope)))


def select_outputs(query: exp.Expression, inner: Scope) -> list[tuple[str, Resolved]]:
    """Returns the same for a SELECT whose FROM has been read into `inner`."""
    found: list[tuple[str, Resolved]] = []
    for column in query.expressions:
        if isinstance(column, exp.Star):
            for names in inner.items:
                found.extend(names.star())
        elif isinstance(column, exp.Column) and isinstance(column.this, exp.Star):
            entry = inner.entry(column.table)
            if entry is None:
                raise NotAnalysable(f"{column.table}.* does not name a relation in FROM")
            found.extend(Names({entry.alias: entry}).star())
        else:
            body = column.this if isinstance(column, exp.Alias) else column
            found.append((_output_name(column), lambda body=body: resolve(body, inner)))  # type: ignore[misc]
    return found


def _output_name(node: exp.Expression) -> str:
    """Returns the name that PostgreSQL gives a column of a result (manual, SELECT)."""
    if isinstance(node, (exp.Alias, exp.Column)):
        return str(node.alias_or_name)
    if isinstance(node, (exp.Window, exp.Filter, exp.WithinGroup, exp.Paren)):
        return _output_name(node.this)
    if isinstance(node, exp.Cast):
        inner = _output_name(node.this)
        return inner if inner != "?column?" else to_sql(node.to).lower()
    if isinstance(node, exp.Dot):
        return str(node.expression.name)
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    if isinstance(node, exp.Func):
        return str(node.sql_name()).lower()
    return "?column?"


# ---- Names ----


def resolve(node: exp.Expression, scope: Scope) -> exp.Expression:
    """Returns a copy of an expression in which each column names a relation of the block."""

    def visit(part: exp.Expression) -> exp.Expression:
        if isinstance(part, exp.Column):
            made, where = scope.column(part)
            return _uncaptured(made(), scope, where)
        if isinstance(part, (exp.Select, exp.SetOperation)):
            return nested(part, scope)
        if isinstance(part, exp.Table):
            return table_reference(part, scope)
        return part

    return node.copy().transform(visit, copy=False)


def _uncaptured(made: exp.Expression, scope: Scope, where: Scope) -> exp.Expression:
    """Returns `made`, found in the scope `where`; raises if it means something else in `scope`."""
    inner: Scope | None = scope
    while inner is not None and inner is not where:
        if not isinstance(made, exp.Column) or isinstance(made.this, exp.Star):
            raise NotAnalysable("a sub-query uses an expression of a query around it")
        for used in made.find_all(exp.Column):
            if used.table and inner.entry(used.table) is not None:
                raise NotAnalysable(
                    f"a sub-query has a relation {used.table} of its own and uses another one of "
                    "that name from outside"
                )
        inner = inner.parent
    return made


def nested(query: exp.Expression, scope: Scope) -> exp.Expression:
    """Returns a copy of a sub-query that stays a sub-query, its names resolved."""
    made = query.copy()
    if isinstance(made, exp.SetOperation):
        scope = _with(made, scope)
        for side in ("this", "expression"):
            made.set(side, resolve(made.args[side], scope))
        return made
    scope = _with(made, scope)
    resolve_parts(made, local_scope(made, scope))
    return made


def resolve_parts(query: exp.Expression, inner: Scope) -> None:
    """Resolve the names in all clauses of a SELECT in place; `inner`: the scope of its FROM.

    In ORDER BY and DISTINCT ON a plain name means a column of the result first (manual, SELECT).
    """
    shown = {part.alias_or_name for part in query.expressions}
    for key, value in list(query.args.items()):
        if key in ("with_", "locks"):
            continue
        values = value if isinstance(value, list) else [value]
        new = []
        for part in values:
            if key in ("order", "distinct") and isinstance(part, exp.Expression):
                _resolve_order(part, inner, shown)
            elif isinstance(part, exp.Expression):
                part = resolve(part, inner)
            new.append(part)
        query.set(key, new if isinstance(value, list) else new[0])


def _resolve_order(clause: exp.Expression, inner: Scope, shown: set[str]) -> None:
    on = clause.args.get("on")
    for key in clause.expressions or (on.expressions if on is not None else ()):
        body = key.this if isinstance(key, exp.Ordered) else key
        if not (isinstance(body, exp.Column) and not body.table and body.name in shown):
            body.replace(resolve(body, inner))


def _with(query: exp.Expression, scope: Scope) -> Scope:
    """Returns the scope with the query's own WITH, whose queries are resolved in place."""
    clause = query.args.get("with_")
    if clause is None:
        return scope
    inner = with_scope(query, scope)
    for cte in clause.expressions:
        if not clause.args.get("recursive"):
            cte.set("this", resolve(cte.this, inner))
    for made in inner.ctes.values():
        made.references = -1  # the query stays a sub-query, and its text uses the name
    return inner


def table_reference(node: exp.Expression, scope: Scope) -> exp.Expression:
    """Returns a relation in the FROM of a sub-query that stays a sub-query."""
    if not isinstance(node.this, exp.Identifier):
        return node
    alias = node.alias or node.name
    cte = scope.cte(node.name) if not node.args.get("db") else None
    if cte is not None:
        if cte.references < 0:
            return node
        if cte.recursive or cte.references > 1 or cte.materialized or not cte.is_clear:
            raise NotAnalysable(f"a sub-query reads the WITH query {cte.name}")
        return _sub_query(resolve(cte.query, cte.scope), alias, cte.columns)
    table = scope.catalog.table(table_name(node))
    if table is None:
        raise NotAnalysable(f"there is no relation {node.sql()}")
    if table.view is not None:
        body = inner_query(scope.catalog.view(table))
        if table.is_barrier or isinstance(body, exp.SetOperation):
            raise NotAnalysable(f"a sub-query reads the view {table.name}")
        view = resolve(body, Scope(scope.catalog, in_view=True))
        return _sub_query(view, alias, ())
    if scope.is_in_view and table.is_closed:
        raise NotAnalysable(f"the role may read {table.name} only through a view")
    known = parse(f"SELECT FROM {table.name}").args["from_"].this
    for key in ("this", "db"):
        node.set(key, known.args.get(key))
    if alias != known.name and not node.alias:
        node.set("alias", exp.TableAlias(this=identifier(alias)))
    # The joins of a table in parentheses are part of it, and are visited with it.
    return node


def _sub_query(query: exp.Expression, alias: str, columns: tuple[str, ...]) -> exp.Expression:
    """Returns an item of FROM."""
    made = exp.Subquery(this=query)
    names = [identifier(column) for column in columns]
    made.set("alias", exp.TableAlias(this=identifier(alias), columns=names))
    return made
