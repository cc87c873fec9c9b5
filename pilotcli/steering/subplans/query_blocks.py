"""The blocks of a query, and why those that are not read have no sub-plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotcli.steering.subplans.block import Block, block_of
from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.conditions import parsed
from pilotcli.steering.subplans.equivalences import Domain
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.from_clause import with_scope
from pilotcli.steering.subplans.join_tree import One
from pilotcli.steering.subplans.parsing import exp
from pilotcli.steering.subplans.pull_up import Pulled, is_grouped, pull
from pilotcli.steering.subplans.scope import Entry, Scope, inner_query, is_relation, own_nodes


def make_blocks(whole: exp.Expression, scope: Scope, *, verbatim: bool = False) -> list[Block]:
    """Returns the blocks of a query, the outermost first.

    `verbatim` uses aliases as names without changes, as in a sub-plan's query.
    """
    blocks: list[Block] = []
    todo = [(whole, scope, 0, "")]
    while todo:
        outer, around, depth, problem = todo.pop(0)
        for select, inner in _selects(outer, around):
            pulled = pull(select, inner)
            try:
                if problem:
                    raise NotAnalysable(problem)
                block = block_of(pulled, scope.catalog, depth, verbatim=verbatim)
            except NotAnalysable as error:
                names = [entry.name or entry.alias for entry in pulled.entries]
                blocks.append(_without_sub_plans(names, depth, error.message))
                blocks.extend(_not_read(pulled, depth + 1))
                for _, query, _ in _read_alone(pulled):
                    blocks.extend(_unread(query, depth + 1, error.message))
                continue
            if len(block.names) == 1 and _is_appended(outer):
                block.problem = "it is an arm of a UNION ALL"
            blocks.append(block)
            blocks.extend(_not_read(pulled, depth + 1))
            todo.extend(
                (query, around, depth + 1, _problem_within(entry, block, scope.catalog))
                for entry, query, around in _read_alone(pulled)
                if not block.removed >> entry.number & 1
            )
    return [block for block in blocks if block.names]


def _read_alone(pulled: Pulled) -> Iterator[tuple[Entry, exp.Expression, Scope]]:
    """Yields the sub-queries whose blocks are read as those of a query of its own."""
    for entry in pulled.entries:
        is_recursive = entry.cte is not None and entry.cte.recursive
        if entry.query is None or entry.scope is None:
            continue
        if not entry.lateral and not is_recursive:
            yield entry, entry.query, entry.scope


def _not_read(pulled: Pulled, depth: int) -> Iterator[Block]:
    """Yields sub-queries whose blocks are not read."""
    for entry in pulled.entries:
        if entry.query is not None and entry.lateral:
            yield from _unread(entry.query, depth, "it is a lateral sub-query")
        elif entry.cte is not None and entry.cte.recursive:
            yield from _unread(entry.cte.query, depth, "it is a recursive WITH query")
    own = {id(query) for query in pulled.queries}
    known = own | {id(entry.query) for entry in pulled.entries if entry.query is not None}
    for query in pulled.queries:
        names = {table.name for table in query.find_all(exp.Table)}
        todo = list(query.iter_expressions())
        while todo:
            node = todo.pop(0)
            if id(node) in known or (isinstance(node, exp.CTE) and node.alias not in names):
                continue
            if isinstance(node, exp.Select):
                yield from _unread(node, depth, "it is a sub-query in an expression")
            else:
                todo.extend(node.iter_expressions())


def _unread(query: exp.Expression, depth: int, problem: str) -> Iterator[Block]:
    """Yields the blocks of a sub-query, which all have the same problem."""
    for select in query.find_all(exp.Select):
        clauses = (select.args.get("from_"), select.args.get("joins"), select.args.get("laterals"))
        names = [
            node.alias_or_name
            for clause in clauses
            for part in (clause if isinstance(clause, list) else [clause])
            if part is not None
            for node in own_nodes(part)
            if is_relation(node) and node.alias_or_name
        ]
        yield _without_sub_plans(names, depth, problem)


def _without_sub_plans(names: Sequence[str], depth: int, problem: str) -> Block:
    numbers = {name: at for at, name in enumerate(names)}
    none = Domain(One(0))
    return Block(tuple(names), none, [], [], [], depth, numbers=numbers, problem=problem)


def _is_appended(query: exp.Expression) -> bool:
    """Whether a sub-query is a UNION ALL, whose single relations the planner reads directly."""
    return isinstance(query, exp.Union) and not query.args.get("distinct")


def _problem_within(entry: Entry, block: Block, catalog: Catalog) -> str:
    if block.problem or not _changes_within(entry, block.domain, catalog):
        return block.problem
    return f"conditions on {entry.alias} may be tested inside it"


def _changes_within(entry: Entry, domain: Domain, catalog: Catalog) -> bool:
    """Whether conditions from outside may be tested inside a sub-query, before its grouping. Its
    sub-plans then differ from its text."""
    query = entry.query
    assert query is not None
    if entry.cte is not None or query.args.get("limit") or query.args.get("offset"):
        return False
    bit = 1 << entry.number
    used: set[str] = set()
    for part in domain.all():
        nodes = [parsed(clause) for clause in part.clauses if clause.mask == bit]
        used.update(column.name for node in nodes for column in node.find_all(exp.Column))
        texts = [derived.text for derived in part.derived if derived.mask == bit]
        for known in part.equivalences:
            own = [member.text for member in known.members if member.mask == bit]
            if known.constants or len(own) > 1:
                texts.extend(own)
        if texts:
            return True
    if not used:
        return False
    if not isinstance(query, exp.Select):
        return True
    shown = dict(zip(entry.columns, query.expressions, strict=False))
    return not all(name in shown and is_grouped(shown[name], catalog) for name in used)


def _selects(query: exp.Expression, scope: Scope) -> list[tuple[exp.Expression, Scope]]:
    query = inner_query(query)
    if isinstance(query, exp.SetOperation):
        inner = with_scope(query, scope)
        return [*_selects(query.this, inner), *_selects(query.expression, inner)]
    if isinstance(query, (exp.Select, exp.Update, exp.Delete)):
        return [(query, scope)]
    return []
