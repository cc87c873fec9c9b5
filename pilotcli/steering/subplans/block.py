"""One query block: its relations, and the queries of its sub-plans."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlglot import exp

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.equalities import Domain, domain_of
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.joins import Node, Outer, Special, build
from pilotcli.steering.subplans.keys import Source, Writer
from pilotcli.steering.subplans.names import Cte, Entry, Scope, nested
from pilotcli.steering.subplans.parsing import quoted, to_sql
from pilotcli.steering.subplans.predicates import mask_of
from pilotcli.steering.subplans.pulling import Pulled, pull
from pilotcli.steering.subplans.subsets import connected_sets

__all__ = ["Block", "block_of", "edges_of", "make_blocks"]


@dataclass(eq=False, slots=True)
class Block:
    """A query block; `depth` is 0 for the outermost."""

    names: tuple[str, ...]
    domain: Domain
    specials: list[Special]
    sources: list[Source]
    ctes: list[Cte | None]
    depth: int
    numbers: dict[str, int] = field(default_factory=dict)
    _keys: dict[int, str] = field(default_factory=dict)

    def has(self, names: Collection[str]) -> bool:
        """Whether all these are relations of the block."""
        return all(name in self.numbers for name in names)

    def mask(self, names: Collection[str]) -> int:
        """The relations as a bit mask."""
        mask = 0
        for name in names:
            mask |= 1 << self.numbers[name]
        return mask

    def name_sets(self, limit: int) -> list[frozenset[str]]:
        """The sub-plans by name, smallest first."""
        return [
            frozenset(name for at, name in enumerate(self.names) if mask >> at & 1)
            for mask in self.sets(limit)
        ]

    def sets(self, limit: int) -> list[int]:
        """The sub-plans as bit masks, smallest first."""
        found = connected_sets(len(self.names), edges_of(self.domain), self.specials, limit)
        return [mask for mask in found if self._stands_alone(mask)]

    def key(self, names: Collection[str]) -> str | None:
        """The sub-plan's query in canonical spelling, None for what cannot stand alone."""
        mask = self.mask(names)
        known = self._keys.get(mask)
        if known is None and mask and self._stands_alone(mask):
            writer = Writer(self.domain, self.sources, canonical=True)
            known = f"{self._with(mask)}SELECT COUNT(*) {writer.write(mask)}"
            self._keys[mask] = known
        return known

    def query(self, names: Collection[str]) -> str:
        """The sub-plan's query in the order of the block, to be planned as the block is."""
        mask = self.mask(names)
        writer = Writer(self.domain, self.sources, canonical=False)
        shown = ", ".join(
            self.sources[at].name
            for at in range(len(self.names))
            if mask >> at & 1 and _nullable(self.domain.node) >> at & 1
        )
        return f"{self._with(mask)}SELECT {shown or 1} {writer.write(mask)}"

    def _stands_alone(self, mask: int) -> bool:
        return all(
            not source.depends & ~mask for at, source in enumerate(self.sources) if mask >> at & 1
        )

    def _with(self, mask: int) -> str:
        used = {
            id(cte): cte for at, cte in enumerate(self.ctes) if cte is not None and mask >> at & 1
        }
        if not used:
            return ""
        parts = sorted(_cte_text(cte) for cte in used.values())
        recursive = "RECURSIVE " if any(cte.recursive for cte in used.values()) else ""
        return f"WITH {recursive}{', '.join(parts)} "


def _cte_text(cte: Cte) -> str:
    columns = f"({', '.join(quoted(one) for one in cte.columns)})" if cte.columns else ""
    body = cte.query if cte.recursive else nested(cte.query, cte.scope)
    word = "" if cte.recursive else "MATERIALIZED "
    return f"{quoted(cte.name)}{columns} AS {word}({to_sql(body)})"


def _nullable(node: Node) -> int:
    """The relations on the inner side of an outer join: the planner leaves out those of which
    nothing is asked for."""
    mask = 0
    if isinstance(node, Outer):
        mask = _nullable(node.left) | _nullable(node.right)
        if node.kind == "left":
            mask |= node.right.mask
    elif hasattr(node, "parts"):
        for part in node.parts:
            mask |= _nullable(part)
    return mask


def edges_of(domain: Domain) -> list[int]:
    """The sets of relations that conditions connect."""
    masks: list[int] = []
    for one in domain.all():
        masks.extend(clause.needs for clause in one.clauses)
        masks.extend(known.mask for known in one.equivalences)
        for outer in one.inside:
            masks.extend(clause.needs for clause in outer.clauses)
    return [mask for mask in masks if mask & (mask - 1)]


def make_blocks(query: exp.Expression, scope: Scope, *, verbatim: bool = False) -> list[Block]:
    """The blocks of a query, the outermost first.

    `verbatim` takes aliases as names as they are, as in a sub-plan's query.
    """
    blocks: list[Block] = []
    todo = [(query, scope, 0)]
    while todo:
        one, around, depth = todo.pop(0)
        for select, inner in _selects(one, around):
            pulled = pull(select, inner)
            blocks.append(block_of(pulled, scope.catalog, depth, verbatim=verbatim))
            todo.extend(
                (entry.query, entry.scope, depth + 1)
                for entry in pulled.entries
                if entry.query is not None and entry.scope is not None and not entry.lateral
            )
    return [block for block in blocks if block.names]


def _selects(query: exp.Expression, scope: Scope) -> list[tuple[exp.Expression, Scope]]:
    from pilotcli.steering.subplans.from_clause import with_scope
    from pilotcli.steering.subplans.names import inner_query

    query = inner_query(query)
    if isinstance(query, exp.SetOperation):
        inner = with_scope(query, scope)
        return [*_selects(query.this, inner), *_selects(query.expression, inner)]
    if isinstance(query, (exp.Select, exp.Update, exp.Delete)):
        return [(query, scope)]
    return []


def block_of(pulled: Pulled, catalog: Catalog, depth: int = 0, *, verbatim: bool = False) -> Block:
    """The block of a query whose sub-queries are pulled up."""
    entries = pulled.entries
    if len(entries) > 62:
        raise NotAnalysable(f"{len(entries)} relations are more than are told apart")
    _number(entries, verbatim=verbatim)
    node, specials = build(pulled.tree, catalog)
    domain = domain_of(node, catalog)
    sources = [_source(entry) for entry in entries]
    names = tuple(entry.name for entry in entries)
    return Block(
        names,
        domain,
        specials,
        sources,
        [entry.cte for entry in entries],
        depth,
        {name: at for at, name in enumerate(names)},
    )


def _number(entries: list[Entry], *, verbatim: bool) -> None:
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries):
        alias = entry.alias if verbatim else entry.alias.replace("#", "##")
        seen[alias] = seen.get(alias, 0) + 1
        entry.number = number
        entry.name = alias if seen[alias] == 1 else f"{alias}#{seen[alias]}"


def _source(entry: Entry) -> Source:
    shown = quoted(entry.name)
    if entry.renamed:
        shown += f"({', '.join(quoted(one) for one in entry.renamed)})"
    if entry.cte is not None:
        text = f"{quoted(entry.cte.name)} AS {shown}" if entry.cte.name != shown else shown
        return Source(quoted(entry.name), text)
    assert entry.source is not None
    depends = 0
    if entry.lateral and entry.depends is not None:
        depends = mask_of(entry.depends()) & ~(1 << entry.number)
    return Source(quoted(entry.name), entry.source(shown), depends)
