"""Turns sub-queries into joins, as PostgreSQL does before it searches for join orders.

The rules are those of the planner's preparatory steps (prepjointree.c, subselect.c): IN and EXISTS
become semi joins, NOT EXISTS an anti join, common table expressions and simple sub-queries in FROM
become part of the query around them. The new entries of the range table have the planner's order,
which numbers relations with the same alias.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.from_clause import (
    Group,
    Join,
    Leaf,
    Qual,
    Tree,
    local_scope,
    outputs,
    read_from,
    resolve,
    select_outputs,
    with_scope,
)
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.predicates import NOT_FUNCTIONS, conjuncts, is_volatile
from pilotcli.steering.subplans.scope import (
    Cte,
    Entry,
    Resolved,
    Scope,
    function_name,
    inner_query,
    own_nodes,
    without_parens,
)


@dataclass(eq=False, slots=True)
class Pulled:
    """A query block with its sub-queries pulled up: its joins, range table and scope; `queries` are
    its own and those of the sub-queries that have become a part of it."""

    tree: Group
    entries: list[Entry]
    scope: Scope
    query: exp.Expression
    queries: list[exp.Expression] = field(default_factory=list)


def pull(query: exp.Expression, scope: Scope) -> Pulled:
    """Read the block of `query`, which is a SELECT, UPDATE or DELETE."""
    aliases = frozenset(
        column.alias for column in query.expressions if isinstance(column, exp.Alias)
    )
    inner = Scope(scope.catalog, with_scope(query, scope), aliases=aliases)
    block = Pulled(Group([]), [], inner, query, [query])
    tree = read_from(query, inner, block.entries)
    where = query.args.get("where")
    tree.quals = [Qual(node, inner) for node in conjuncts(where.this if where else None)]
    tree.quals.extend(Qual(node, inner) for node in _moved_from_having(query, scope.catalog))
    tree = _as_group(_sub_links(tree, block))
    block.tree = _as_group(_sub_queries(tree, block, nullable=False))
    block.entries = [entry for entry in block.entries if entry.outputs is None]
    return block


def _moved_from_having(query: exp.Expression, catalog: Catalog) -> list[exp.Expression]:
    """Returns the conditions of HAVING that the planner tests before it groups the rows."""
    having, group = query.args.get("having"), query.args.get("group")
    moved = [
        node
        for node in conjuncts(having.this if having else None)
        if not is_grouped(node, catalog) and not is_volatile(node, catalog)
    ]
    if moved and group and group.find(exp.GroupingSets, exp.Cube, exp.Rollup):
        raise NotAnalysable("HAVING has conditions on columns of grouping sets")
    if any(node.find(exp.Query) for node in moved):
        raise NotAnalysable("HAVING has a condition with a sub-query")
    return moved


def _as_group(tree: Tree) -> Group:
    return tree if isinstance(tree, Group) else Group([tree])


# ---- IN and EXISTS ----


def _sub_links(tree: Tree, block: Pulled) -> Tree:
    """Returns the tree with IN and EXISTS in its conditions made into semi and anti joins."""
    if isinstance(tree, Leaf):
        return tree
    if isinstance(tree, Group):
        tree.parts = [_sub_links(part, block) for part in tree.parts]
        return _pull_links(tree, tree, block)
    tree.left = _sub_links(tree.left, block)
    tree.right = _sub_links(tree.right, block)
    if tree.kind == "left":
        tree.right = _pull_links(tree.right, tree, block)
    elif tree.kind == "right":
        tree.left = _pull_links(tree.left, tree, block)
    return tree


def _pull_links(target: Tree, owner: Group | Join, block: Pulled) -> Tree:
    """Returns `target` joined with the sub-queries in the conditions of `owner`."""
    quals, owner.quals = owner.quals, []
    available = set(_entries(target))
    for qual in quals:
        joined = _link(qual, target, available, block)
        if joined is None:
            owner.quals.append(qual)
        else:
            target = joined
    return target


def _entries(tree: Tree) -> list[Entry]:
    if isinstance(tree, Leaf):
        return [tree.entry]
    parts = tree.parts if isinstance(tree, Group) else [tree.left, tree.right]
    return [entry for part in parts for entry in _entries(part)]


def _link(qual: Qual, target: Tree, available: set[Entry], block: Pulled) -> Join | None:
    node, scope = qual.node, qual.scope
    if node is None or scope is None:
        return None
    anti = isinstance(node, exp.Not)
    inner = without_parens(node.this if anti else node)
    if isinstance(inner, exp.Exists):
        return _exists(inner, scope, target, available, block, anti=anti)
    if anti:
        is_any = isinstance(inner, exp.EQ) and isinstance(inner.expression, exp.Any)
        if is_any or (isinstance(inner, exp.In) and inner.args.get("query") is not None):
            _check_anti(scope)
        return None
    if isinstance(inner, exp.In) and inner.args.get("query") is not None:
        comparison: type[exp.Expression] = exp.EQ
        query = inner.args["query"]
    elif isinstance(inner, exp.NEQ) and isinstance(inner.expression, exp.All):
        _check_anti(scope)
        return None
    elif isinstance(inner, exp.Binary) and isinstance(inner.expression, exp.Any):
        query, comparison = inner.expression.this, type(inner)
    else:
        return None
    if not isinstance(inner_query(query), (exp.Select, exp.SetOperation, exp.Values)):
        return None
    return _any(inner.this, query, comparison, scope, target, available, block)


_ANTI_ANY = 19


def _check_anti(scope: Scope) -> None:
    """Raise for NOT IN, or `<> ALL`, that the planner may make an anti join: it looks for nulls."""
    if scope.catalog.server_version >= _ANTI_ANY:
        raise NotAnalysable("the planner may make NOT IN an anti join")


def _exists(
    node: exp.Expression,
    scope: Scope,
    target: Tree,
    available: set[Entry],
    block: Pulled,
    *,
    anti: bool,
) -> Join | None:
    query = inner_query(node.this)
    plain = isinstance(query, exp.Select) and not any(
        query.args.get(key) for key in ("with_", "having", "offset", "locks", "fetch")
    )
    if plain and query.find(exp.GroupingSets, exp.Cube, exp.Rollup):
        raise NotAnalysable("EXISTS has a sub-query with grouping sets")
    if not plain or _has_special_functions(query, scope.catalog):
        return None
    limit = query.args.get("limit")
    if limit is not None and not _is_positive(limit):
        return None
    where = query.args.get("where")
    if where is None or not query.args.get("from_"):
        return None
    inner = Scope(scope.catalog, scope)
    added: list[Entry] = []
    tree = read_from(query, inner, added)
    used = outer_entries(where.this, inner, scope)
    rest = [entry for entry in added if entry.query is not None or entry.lateral]
    correlated = any(
        outer_entries(entry.query, entry.scope, scope) if entry.query is not None else True
        for entry in rest
        if entry.scope is not None
    )
    ons = [join.args["on"] for join in query.args.get("joins") or () if join.args.get("on")]
    correlated = correlated or any(outer_entries(on, inner, scope) for on in ons)
    if not used or not used <= available or correlated:
        return None
    if is_volatile(where.this, scope.catalog):
        return None
    block.entries.extend(added)
    block.queries.append(query)
    tree.quals = [Qual(part, inner) for part in conjuncts(where.this)]
    # All of WHERE is the condition of the join; what is about the inner side only goes there.
    right = _sub_links(tree, block)
    kind = "anti" if anti else "semi"
    joined = Join(kind, target, right)
    if isinstance(right, Group):
        joined.quals, right.quals = right.quals, []
    return joined


def _is_positive(limit: exp.Expression) -> bool:
    count = limit.expression
    return isinstance(count, exp.Literal) and not count.is_string and count.name != "0"


_LATERAL_ANY = 17


def _any(
    left: exp.Expression,
    query: exp.Expression,
    comparison: type[exp.Expression],
    scope: Scope,
    target: Tree,
    available: set[Entry],
    block: Pulled,
) -> Join | None:
    query = inner_query(query)
    if isinstance(query, exp.Values):
        raise NotAnalysable("IN has a list of VALUES")
    used = outer_entries(left, scope, None)
    if not used or not used <= available or is_volatile(left, scope.catalog):
        return None
    outer = outer_entries(query, Scope(scope.catalog, scope), scope)
    # From 17 on a sub-query that names the relations around it is a lateral one.
    if outer and (scope.catalog.server_version < _LATERAL_ANY or not outer <= available):
        return None
    if outer and not _is_simple(query, scope.catalog):
        raise NotAnalysable(
            "a sub-query after IN that is grouped or limited uses relations from outside it"
        )
    left = without_parens(left)
    lefts = left.expressions if isinstance(left, exp.Tuple) else [left]
    found = outputs(query, scope)
    if len(found) != len(lefts):
        raise NotAnalysable("IN compares with a sub-query of another number of columns")
    entry = Entry("unnamed_subquery", query=query, scope=scope)
    names = [name for name, _ in found]
    if len(set(names)) < len(names) or (len(names) > 1 and comparison is not exp.EQ):
        raise NotAnalysable("IN compares with a sub-query of several columns")
    entry.columns = dict.fromkeys(names)
    prefix = "LATERAL " if outer else ""
    entry.lateral = bool(outer)
    entry.source = lambda shown: f"{prefix}({to_sql(resolve(query, scope))}) {shown}"
    entry.depends = lambda: resolve(query, scope)
    block.entries.append(entry)

    def compare(at: int) -> Qual:
        return Qual(
            make=lambda: comparison(
                this=resolve(lefts[at], scope), expression=entry.output(names[at])
            )
        )

    return Join("semi", target, Leaf(entry), [compare(at) for at in range(len(lefts))])


def outer_entries(node: exp.Expression, scope: Scope, until: Scope | None) -> set[Entry]:
    """Returns the relations of `until`, or `scope`, and the scopes around that `node` uses."""
    found: set[Entry] = set()
    outer: list[Scope] = []
    kinds = (exp.Select, exp.SetOperation)
    around = scope if until is None else until
    while around is not None:
        outer.append(around)
        around = around.parent  # type: ignore[assignment]

    def visit(part: exp.Expression, inside: Scope) -> None:
        for child in part.walk(prune=lambda n: n is not part and isinstance(n, kinds)):
            if isinstance(child, exp.Column):
                if isinstance(child.this, exp.Star):
                    continue
                _, where = inside.column(child)
                if where in outer:
                    found.update(_candidates(child, where))
            elif child is not part and isinstance(child, exp.Select):
                visit(child, local_scope(child, with_scope(child, inside)))
            elif child is not part and isinstance(child, exp.SetOperation):
                visit(child, with_scope(child, inside))

    if isinstance(node, exp.Select):
        visit(node, local_scope(node, with_scope(node, scope)))
    else:
        visit(node, scope)
    return found


def _candidates(node: exp.Column, scope: Scope) -> list[Entry]:
    """Returns the base entries of a column of `scope`."""
    if node.table:
        entry = scope.entry(node.table)
        assert entry is not None
        return [entry]
    return [
        entry
        for names in scope.items
        for entry in names.entries.values()
        if node.name in entry.column_names() or node.name == entry.alias
    ][:1]


# ---- Sub-queries in FROM ----


def _sub_queries(tree: Tree, block: Pulled, *, nullable: bool) -> Tree:
    """Returns the tree with its simple sub-queries pulled up."""
    if isinstance(tree, Leaf):
        return _pull_entry(tree, block, nullable=nullable)
    if isinstance(tree, Group):
        tree.parts = [_sub_queries(part, block, nullable=nullable) for part in tree.parts]
        return tree
    tree.left = _sub_queries(tree.left, block, nullable=nullable or tree.kind in ("right", "full"))
    tree.right = _sub_queries(
        tree.right, block, nullable=nullable or tree.kind in ("left", "full", "anti")
    )
    return tree


def _pull_entry(leaf: Leaf, block: Pulled, *, nullable: bool) -> Tree:
    entry = leaf.entry
    query, scope = entry.query, entry.scope
    if query is None or scope is None or not _is_inlined(entry.cte, scope.catalog):
        return leaf
    if entry.cte is not None and entry.cte.columns:
        raise NotAnalysable(f"the WITH query {entry.cte.name} has new names for its columns")
    entry.cte = None
    if entry.problem:
        return leaf
    if isinstance(query, exp.Values):
        return _pull_values(leaf, block, nullable=nullable)
    if not _is_simple(query, scope.catalog):
        return leaf
    if entry.lateral and any(join.side for join in query.find_all(exp.Join)):
        raise NotAnalysable(f"{entry.alias}, a lateral sub-query, has outer joins")
    inner = pull(query, scope)
    if nullable and not query.args.get("from_"):
        return leaf
    made = select_outputs(query, inner.scope)
    shown = list(entry.columns)
    entry.outputs = {
        name: (_guarded(output, entry) if nullable else output)
        for name, (_, output) in zip(shown, made, strict=False)
    }
    block.entries.extend(inner.entries)
    block.queries.extend(inner.queries)
    return inner.tree


def _guarded(output: Resolved, entry: Entry) -> Resolved:
    """Returns the output of a sub-query on the inner side of an outer join. Only a column is null
    in a row without a partner; another expression would have to be made null."""

    def checked() -> exp.Expression:
        made = output()
        if not isinstance(made, exp.Column):
            raise NotAnalysable(
                f"a condition uses an expression that {entry.alias}, a sub-query on the inner side "
                "of an outer join, computes"
            )
        return made

    return checked


def _pull_values(leaf: Leaf, block: Pulled, *, nullable: bool) -> Tree:
    entry = leaf.entry
    query, scope = entry.query, entry.scope
    assert query is not None
    assert scope is not None
    rows = query.expressions
    shown = list(entry.columns)
    if len(rows) == 1 and not nullable:
        values = rows[0].expressions
        entry.outputs = {
            name: (lambda at=at: resolve(values[at], scope))  # type: ignore[misc]
            for at, name in enumerate(shown)
        }
        return Group([])
    base = Entry("*VALUES*")
    own = [f"column{at + 1}" for at in range(len(rows[0].expressions))]
    resolved = [[resolve(value, scope) for value in row.expressions] for row in rows]
    if any(value.find(exp.Query) for row in resolved for value in row):
        raise NotAnalysable("VALUES has a sub-query")
    if any(value.find(exp.Column) for row in resolved for value in row):
        raise NotAnalysable("VALUES has columns of other relations")
    base.rows = tuple(tuple(to_sql(value) for value in row) for row in resolved)
    text = ", ".join(f"({', '.join(row)})" for row in base.rows)
    base.columns = dict(scope.catalog.outputs(f"(VALUES {text}) v", "v"))
    base.source = lambda name: f"(VALUES {text}) {name}"
    entry.outputs = {
        name: (lambda at=at: base.output(own[at]))  # type: ignore[misc]
        for at, name in enumerate(shown)
    }
    block.entries.append(base)
    return Leaf(base)


def _is_inlined(cte: Cte | None, catalog: Catalog) -> bool:
    if cte is None:
        return True
    volatile = is_volatile(cte.query, catalog) or cte.query.find(exp.Lock) is not None
    if cte.recursive or cte.materialized is True or volatile:
        return False
    return cte.materialized is False or cte.references == 1


def _is_simple(query: exp.Expression, catalog: Catalog) -> bool:
    """Whether PostgreSQL pulls up a sub-query."""
    if not isinstance(query, exp.Select):
        return False
    blocked = ("with_", "group", "having", "distinct", "limit", "offset", "order", "locks", "fetch")
    if any(query.args.get(key) for key in (*blocked, "windows")):
        return False
    return not _has_special_functions(query, catalog) and not any(
        is_volatile(column, catalog) for column in query.expressions
    )


def _has_special_functions(query: exp.Expression, catalog: Catalog) -> bool:
    """Whether the query's result uses aggregates, window or set-returning functions."""
    return any(is_grouped(column, catalog) for column in query.expressions)


def is_grouped(node: exp.Expression, catalog: Catalog) -> bool:
    """Whether an expression uses aggregates, window or set-returning functions of its own query."""
    for part in own_nodes(node):
        if isinstance(part, (exp.Window, exp.AggFunc, exp.Filter, exp.WithinGroup)):
            return True
        name = function_name(part)
        if name is not None and name not in NOT_FUNCTIONS:
            facts = catalog.function(name)
            if facts.aggregate or facts.returns_set:
                return True
    return False
