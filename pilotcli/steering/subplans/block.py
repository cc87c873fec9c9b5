"""One query block: its relations, and the queries of its sub-plans."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.conditions import Printer, parsed, shown_as, used_by
from pilotcli.steering.subplans.equivalences import Domain, derive, domain_of
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.from_clause import (
    resolve_parts,
    select_outputs,
)
from pilotcli.steering.subplans.join_search import connected_sets
from pilotcli.steering.subplans.join_tree import Node, Special, outer_joins
from pilotcli.steering.subplans.joins import build, has_semi_join, without_idle_joins
from pilotcli.steering.subplans.masks import bits, union
from pilotcli.steering.subplans.parsing import exp, quoted, to_sql
from pilotcli.steering.subplans.predicates import mask_of
from pilotcli.steering.subplans.printing import ask, is_empty, with_types
from pilotcli.steering.subplans.pull_up import Pulled
from pilotcli.steering.subplans.scope import Cte, Entry
from pilotcli.steering.subplans.subplan_sql import Source, Writer


@dataclass(eq=False, slots=True)
class Block:
    """A query block; `depth` is 0 for the outermost."""

    names: tuple[str, ...]
    domain: Domain
    specials: list[Special]
    sources: list[Source]
    ctes: list[Cte | None]
    depth: int
    removed: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    with_texts: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    left_out: dict[int, str] = field(default_factory=dict)
    _keys: dict[int, str] = field(default_factory=dict)

    def has(self, names: Collection[str]) -> bool:
        """Whether all these are relations of the block."""
        return all(name in self.numbers for name in names)

    def mask(self, names: Collection[str]) -> int:
        """Returns the relations as a bit mask."""
        return union(1 << self.numbers[name] for name in names)

    def name_sets(self, limit: int) -> list[frozenset[str]]:
        """Returns the sub-plans as sets of names, smallest first."""
        return [
            frozenset(name for at, name in enumerate(self.names) if mask >> at & 1)
            for mask in self.sets(limit)
        ]

    @property
    def live(self) -> int:
        """The relations that are not removed."""
        return (1 << len(self.names)) - 1 & ~self.removed

    def sets(self, limit: int) -> list[int]:
        """Returns the sub-plans as bit masks, smallest first."""
        if self.problem:
            return []
        lateral = [
            1 << at | 1 << used
            for at, source in enumerate(self.sources)
            for used in range(len(self.sources))
            if source.depends >> used & 1
        ]
        edges = edges_of(self.domain) + lateral
        found = []
        for mask in connected_sets(self.live, edges, self.specials, limit):
            missing = self._missing(mask)
            if missing:
                outside = ", ".join(sorted(self.names[at] for at in bits(missing)))
                self.left_out[mask] = f"it uses columns of {outside}"
            else:
                found.append(mask)
        return found

    def key(self, names: Collection[str]) -> str | None:
        """Returns the sub-plan's query in canonical spelling; None if it cannot stand alone."""
        mask = self.mask(names)
        known = self._keys.get(mask)
        if known is None and not self.problem and mask and self._stands_alone(mask):
            writer = Writer(self.domain, self.sources, canonical=True)
            try:
                known = f"{self._with(mask)}SELECT COUNT(*) {writer.write(mask)}"
            except NotAnalysable as error:
                self.left_out[mask] = error.message
                return None
            self._keys[mask] = known
        return known

    def query(self, names: Collection[str]) -> str:
        """Returns the sub-plan's query in the order of the block, to get the same estimate."""
        mask = self.mask(names)
        writer = Writer(self.domain, self.sources, canonical=False)
        shown_mask = mask & _nullable(self.domain.node)
        shown = ", ".join(
            quoted(self.sources[at].name) for at in range(len(self.names)) if shown_mask >> at & 1
        )
        return f"{self._with(mask)}SELECT {shown or 1} {writer.write(mask)}"

    def _stands_alone(self, mask: int) -> bool:
        return not mask & self.removed and not self._missing(mask)

    def _missing(self, mask: int) -> int:
        """Returns the relations outside of a set that lateral ones in it use."""
        return union(self.sources[at].depends for at in bits(mask)) & ~mask

    def _with(self, mask: int) -> str:
        used = {
            id(cte): cte for at, cte in enumerate(self.ctes) if cte is not None and mask >> at & 1
        }
        if not used:
            return ""
        parts = [self.with_texts[cte.name] for cte in used.values()]
        recursive = "RECURSIVE " if any(cte.recursive for cte in used.values()) else ""
        return f"WITH {recursive}{', '.join(parts)} "


def _cte_text(cte: Cte) -> str:
    columns = f"({', '.join(quoted(column) for column in cte.columns)})" if cte.columns else ""
    return f"{quoted(cte.name)}{columns} AS ({to_sql(cte.query)})"


def _nullable(node: Node) -> int:
    """Returns the relations on the inner sides of left joins, which the planner leaves out if the
    result does not use them."""
    outers = list(outer_joins(node))
    hidden = union(outer.right.mask for outer in outers if outer.kind in ("semi", "anti"))
    return union(outer.right.mask for outer in outers if outer.kind == "left") & ~hidden


def edges_of(domain: Domain) -> list[int]:
    """Returns the sets of relations that conditions connect."""
    masks: list[int] = []
    for part in domain.all():
        masks.extend(clause.needs for clause in part.clauses)
        masks.extend(known.mask for known in part.equivalences)
        for outer in part.inside:
            masks.extend(clause.needs for clause in outer.clauses)
    return [mask for mask in masks if mask & (mask - 1)]


def block_of(pulled: Pulled, catalog: Catalog, depth: int = 0, *, verbatim: bool = False) -> Block:
    """Returns the block of a query with its sub-queries pulled up."""
    entries = pulled.entries
    if len(entries) > 62:
        raise NotAnalysable(f"{len(entries)} relations are more than the 62 that are supported")
    _number(entries, verbatim=verbatim)
    group = pulled.query.args.get("group")
    if group and group.find(exp.GroupingSets, exp.Cube, exp.Rollup) and has_semi_join(pulled.tree):
        raise NotAnalysable("a query with grouping sets has a semi join")
    _read_types(entries, catalog)
    printer = Printer(entries, catalog)
    node, specials = build(pulled.tree, entries, printer, catalog)
    removed = 0
    if not verbatim:
        node, removed = without_idle_joins(node, entries, lambda: _used_outside(pulled))
        kept = {outer.special for outer in outer_joins(node)}
        specials = [special for special in specials if special in kept]
    joins_nullable = catalog.server_version >= 16
    domain = domain_of(node, joins_nullable=joins_nullable)
    derive(domain, joins_nullable=joins_nullable)
    if any(len(set(known.constants)) > 1 for part in domain.all() for known in part.equivalences):
        raise NotAnalysable("the planner knows that a condition is never true")
    has_free = any(not clause.mask for part in domain.all() for clause in part.clauses)
    if has_free and catalog.server_version < _FREE_CONDITIONS and len(entries) > 1:
        raise NotAnalysable("a condition uses no relation")
    _refuse_self_joins(domain, entries, catalog)
    _keep_constant_semi_joins(node, domain)
    with_texts = {}
    for entry in entries:
        if entry.cte is not None and entry.cte.name not in with_texts:
            with_texts[entry.cte.name] = printer.with_text(entry.cte)
    sources = _sources(pulled, printer)
    if not verbatim:
        _check_rows(domain, sources, catalog)
    names = tuple(entry.name for entry in entries)
    return Block(
        names,
        domain,
        specials,
        sources,
        [entry.cte for entry in entries],
        depth,
        removed,
        {name: at for at, name in enumerate(names)},
        with_texts,
    )


def _check_rows(domain: Domain, sources: Sequence[Source], catalog: Catalog) -> None:
    """Raise if the planner knows that a relation has no rows: it plans no joins with it."""
    if len(sources) < 2:
        return
    writer = Writer(domain, sources, canonical=False)
    commands = []
    for at, source in enumerate(sources):
        if not source.problem and not source.depends and not source.with_names:
            try:
                commands.append(f"PLAN EXPLAIN (FORMAT JSON) SELECT 1 {writer.write(1 << at)}")
            except NotAnalysable:
                continue
    for plan in ask(catalog.session, commands):
        if not isinstance(plan, NotAnalysable) and is_empty(plan):
            raise NotAnalysable("the planner knows that a relation has no rows")


_FREE_CONDITIONS = 17
"""Before, the planner does not call its hooks for joins under a condition without relations."""


def _refuse_self_joins(domain: Domain, entries: Sequence[Entry], catalog: Catalog) -> None:
    """Note a problem of a table that is joined with itself on a unique column: PostgreSQL 18 and
    later remove such a join."""
    found = []
    for known in (known for part in domain.all() for known in part.equivalences):
        seen: dict[tuple[str, str], Entry] = {}
        for member in known.members:
            if member.mask.bit_count() != 1:
                continue
            entry = entries[member.mask.bit_length() - 1]
            column = member.text.rpartition(".")[2].strip('"')
            if entry.table is None or not any(column in keys for keys in entry.table.unique):
                continue
            other = seen.setdefault((entry.table.name, column), entry)
            if other is not entry:
                found.append((entry.table.name, entry, other))
    if found and catalog.setting("enable_self_join_elimination") == "on":
        for name, *joined in found:
            for entry in joined:
                entry.problem = f"the planner may remove a join of {name} with itself"


def _read_types(entries: Sequence[Entry], catalog: Catalog) -> None:
    """Ask the server for the types of the columns of sub-queries and functions."""
    around = ""
    for entry in entries:
        if None in entry.columns.values() or entry.query is not None:
            assert entry.source is not None
            before, item = "", ""
            if entry.cte is not None and entry.cte.recursive:
                before = f"WITH RECURSIVE {_cte_text(entry.cte)} "
                item = f"{quoted(entry.cte.name)} {shown_as(entry)}"
            found = catalog.outputs(
                item or entry.source(shown_as(entry)), quoted(entry.name), around, before
            )
            entry.columns = dict(found)
        around += with_types(entry.columns, entry.name).text + " CROSS JOIN "


def _used_outside(pulled: Pulled) -> int:
    """Returns the relations that the clauses other than FROM and WHERE use; -1 for all."""
    query, mask = pulled.query.copy(), 0
    if not isinstance(query, exp.Select):
        return -1
    for key in ("from_", "joins", "laterals", "where", "with_"):
        query.set(key, None)
    try:
        for node in list(query.find_all(exp.Column)):
            entry = None if node.table else pulled.scope.entry(node.name)
            if entry is not None and entry.outputs is not None:  # the row of a sub-query
                mask |= union(mask_of(output()) for output in entry.outputs.values())
                node.replace(exp.Null())
        for _, output in select_outputs(query, pulled.scope):
            mask |= mask_of(output())
        query.set("expressions", [column for column in query.expressions if not column.is_star])
        resolve_parts(query, pulled.scope)
    except NotAnalysable:
        return -1
    return mask | mask_of(query)


def _keep_constant_semi_joins(node: Node, domain: Domain) -> None:
    """Clear `can_unique` of semi joins on a constant: the planner makes the inner side of others
    unique, to join it with another relation first."""
    constant = {
        member.text for known in domain.equivalences if known.constants for member in known.members
    }
    for outer in outer_joins(node):
        special = outer.special
        if special is not None and special.can_unique:
            sides = [
                to_sql(side)
                for clause in outer.clauses
                for side in (parsed(clause).this, parsed(clause).expression)
            ]
            special.can_unique = constant.isdisjoint(sides)


_LONGEST_NAME = 63


def _number(entries: list[Entry], *, verbatim: bool) -> None:
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries):
        alias = entry.alias if verbatim else entry.alias.replace("#", "##")
        seen[alias] = seen.get(alias, 0) + 1
        entry.number = number
        entry.name = alias if seen[alias] == 1 else f"{alias}#{seen[alias]}"
        if len(entry.name.encode()) > _LONGEST_NAME:
            entry.problem = "its alias is too long for a number that tells it from another one"


def _sources(pulled: Pulled, printer: Printer) -> list[Source]:
    entries, hidden = pulled.entries, pulled.scope.all_ctes()
    try:
        items, problem = printer.items(), ""
    except NotAnalysable as error:
        items, problem = [""] * len(entries), error.message
    sources = []
    for entry, item in zip(entries, items, strict=True):
        if entry.cte is not None:
            item = f"{quoted(entry.cte.name)} {quoted(entry.name)}"
        if entry.table is not None and entry.table.name in hidden:
            entry.problem = f"the WITH query {entry.table.name} hides a table"
        sources.append(Source(entry.name, item, used_by(entry), entry.problem or problem))
    return sources
