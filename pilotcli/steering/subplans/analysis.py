"""From a query's text to its graph, once for each text."""

from __future__ import annotations

from functools import partial

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.graph import QueryGraph
from pilotcli.steering.subplans.parsing import exp, parse, table_name
from pilotcli.steering.subplans.predicates import NOT_FUNCTIONS
from pilotcli.steering.subplans.query_blocks import make_blocks
from pilotcli.steering.subplans.scope import Scope, function_name, is_relation

GRAPHS_KEPT = 4096


class GraphCatalog(Catalog):
    """A catalog that also keeps the graph of each query that was analysed with it."""

    def __init__(self, session: PostgresSession) -> None:
        super().__init__(session)
        self.graphs: dict[str, QueryGraph | NotAnalysable] = {}

    def forget(self) -> None:
        """Read everything again when it is next needed, and forget the graphs."""
        super().forget()
        self.graphs.clear()


def analyse(sql: str, catalog: GraphCatalog) -> QueryGraph:
    """Returns the sub-plans of `sql`, one statement; a known text is only looked up.

    Raises `NotAnalysable`, whose message says why.
    """
    graph = catalog.graphs.get(sql)
    if graph is None:
        graph = _analyse(sql, catalog)
        if isinstance(graph, NotAnalysable) and _is_stale_for(sql, catalog):
            catalog.forget()
            graph = _analyse(sql, catalog)
        if len(catalog.graphs) >= GRAPHS_KEPT:
            del catalog.graphs[next(iter(catalog.graphs))]
        catalog.graphs[sql] = graph
    if isinstance(graph, NotAnalysable):
        raise graph
    return graph


def _is_stale_for(sql: str, catalog: Catalog) -> bool:
    """Whether another session has changed the schema so that `sql` can be analysed now."""
    return not isinstance(_analyse(sql, Catalog(catalog.session)), NotAnalysable)


def _analyse(sql: str, catalog: Catalog) -> QueryGraph | NotAnalysable:
    try:
        tree = parse(sql)
        read_names(tree, catalog)
        blocks = make_blocks(query_of(tree), Scope(catalog))
        if blocks and all(block.problem for block in blocks):
            return NotAnalysable(blocks[0].problem)
        catalog.check_reading(sql, tree)
        return QueryGraph(sql, blocks, partial(read_key, catalog=catalog))
    except NotAnalysable as error:
        return error
    except RecursionError:
        return NotAnalysable("the query is nested too deeply")


def read_key(key: str, catalog: Catalog) -> tuple[tuple[str, ...], str | None]:
    """Returns the relations of a sub-plan's query and its canonical spelling.

    Raises `NotAnalysable`.
    """
    try:
        tree = parse(key)
        read_names(tree, catalog)
        blocks = make_blocks(tree, Scope(catalog), verbatim=True)
        if not blocks:
            raise NotAnalysable("a sub-plan's query has relations")
        catalog.check_reading(key, tree)
        return blocks[0].names, blocks[0].key(blocks[0].names)
    except RecursionError:
        raise NotAnalysable("the sub-plan's query is nested too deeply") from None


def relation_names(sql: str) -> frozenset[str] | None:
    """Returns the aliases, or else names, of all relations anywhere in a statement; None if its
    text cannot be read."""
    try:
        tree = parse(sql)
    except (NotAnalysable, RecursionError):
        return None
    found = (node for node in tree.walk() if is_relation(node) or isinstance(node, exp.CTE))
    return frozenset(node.alias_or_name for node in found)


def query_names(sql: str, catalog: Catalog) -> frozenset[str]:
    """Returns the names of the sub-queries in FROM, of the WITH queries and of the views in a
    statement; none if its text, or the catalog, cannot be read."""
    try:
        tree = parse(sql)
        read_names(tree, catalog)
        ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
        found = {*ctes, *(query.alias for query in tree.find_all(exp.Subquery))}
        laterals = tree.find_all(exp.Lateral)
        found |= {item.alias for item in laterals if isinstance(item.this, exp.Subquery)}
        for node in tree.find_all(exp.Table):
            if not isinstance(node.this, exp.Identifier):
                continue  # a function
            is_cte = node.name in ctes and not node.db
            table = None if is_cte else catalog.table(table_name(node))
            if is_cte or (table is not None and table.view is not None):
                found.add(node.alias_or_name)
    except (NotAnalysable, RecursionError):
        return frozenset()
    return frozenset(found)


def query_of(tree: exp.Expression) -> exp.Expression:
    """Returns the query in a statement: that of an INSERT, otherwise the statement itself."""
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
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables, functions = set(), set()
    for node in tree.walk():
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            if node.args.get("db") or node.name not in ctes:
                tables.add(table_name(node))
        else:
            name = function_name(node)
            if name is not None and name not in NOT_FUNCTIONS:
                functions.add(name)
    catalog.read(tables, functions)
