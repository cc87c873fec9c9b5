"""From a query's text to its graph, once for each text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotcli.steering.subplans.catalog import GRAPHS_KEPT, Catalog
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.graph import QueryGraph

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["analyse", "query_of", "read_key", "read_names", "relation_names"]


def analyse(sql: str, catalog: Catalog) -> QueryGraph:
    """The sub-plans of `sql`, one statement. A text that was analysed before is only looked up.

    Raises `NotAnalysable`, whose message says why.
    """
    known = catalog.graphs.get(sql)
    if known is None:
        known = _analysed(sql, catalog)
        if isinstance(known, NotAnalysable) and _is_stale_for(sql, catalog):
            catalog.forget()
            known = _analysed(sql, catalog)
        if len(catalog.graphs) >= GRAPHS_KEPT:
            del catalog.graphs[next(iter(catalog.graphs))]
        catalog.graphs[sql] = known
    if isinstance(known, NotAnalysable):
        raise known
    return known


def _is_stale_for(sql: str, catalog: Catalog) -> bool:
    """Whether another session has changed the schema so that `sql` can be analysed now."""
    return not isinstance(_analysed(sql, Catalog(catalog.session)), NotAnalysable)


def _analysed(sql: str, catalog: Catalog) -> QueryGraph | NotAnalysable:
    from pilotcli.steering.subplans.block import make_blocks
    from pilotcli.steering.subplans.parsing import parse
    from pilotcli.steering.subplans.scope import Scope

    try:
        tree = parse(sql)
        read_names(tree, catalog)
        return QueryGraph(sql, catalog, make_blocks(query_of(tree), Scope(catalog)))
    except NotAnalysable as error:
        return error
    except RecursionError:
        return NotAnalysable("the query is nested too deeply")


def read_key(key: str, catalog: Catalog) -> tuple[tuple[str, ...], str | None]:
    """The relations of a sub-plan's query and its canonical spelling. Raises `NotAnalysable`."""
    try:
        return _read_key(key, catalog)
    except RecursionError:
        raise NotAnalysable("the sub-plan's query is nested too deeply") from None


def _read_key(key: str, catalog: Catalog) -> tuple[tuple[str, ...], str | None]:
    from pilotcli.steering.subplans.block import make_blocks
    from pilotcli.steering.subplans.parsing import parse
    from pilotcli.steering.subplans.scope import Scope

    tree = parse(key)
    read_names(tree, catalog)
    blocks = make_blocks(tree, Scope(catalog), verbatim=True)
    if not blocks:
        raise NotAnalysable("a sub-plan's query has relations")
    return blocks[0].names, blocks[0].key(blocks[0].names)


def relation_names(sql: str) -> frozenset[str] | None:
    """The aliases, or else names, of all relations anywhere in a statement; None where its text
    cannot be read."""
    from sqlglot import exp

    from pilotcli.steering.subplans.parsing import parse

    try:
        tree = parse(sql)
    except (NotAnalysable, RecursionError):
        return None
    kinds = (exp.Table, exp.Subquery, exp.CTE, exp.Lateral, exp.Unnest, exp.Values)
    return frozenset(node.alias_or_name for node in tree.find_all(*kinds))


def query_of(tree: exp.Expression) -> exp.Expression:
    """The query in a statement: that of an INSERT, otherwise the statement itself."""
    from sqlglot import exp

    if isinstance(tree, exp.Insert):
        query: exp.Expression | None = tree.args.get("expression")
        if query is None or isinstance(query, exp.Values):
            raise NotAnalysable("the INSERT has no query")
        if tree.args.get("with_") is not None:
            query = query.copy()
            query.set("with_", tree.args["with_"].copy())
        return query
    return tree


def read_names(tree: exp.Expression, catalog: Catalog) -> None:
    """Read what the catalog knows about the tree's names at once."""
    from sqlglot import exp

    from pilotcli.steering.subplans.parsing import to_sql
    from pilotcli.steering.subplans.pull_up import NOT_FUNCTIONS
    from pilotcli.steering.subplans.scope import function_name

    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables, functions = set(), set()
    for node in tree.walk():
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            if node.args.get("db") or node.name not in ctes:
                tables.add(to_sql(exp.Table(this=node.this, db=node.args.get("db"))))
        else:
            name = function_name(node)
            if name is not None and name not in NOT_FUNCTIONS:
                functions.add(name)
    catalog.read(tables, functions)
