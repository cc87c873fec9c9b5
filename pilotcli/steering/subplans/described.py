"""Reads the planner module's description of a query: its blocks, and the query of each sub-plan.

`pilot_blocks.c` documents the form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pilotcli.steering.subplans.equivalences import Domain, derive, domain_of
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.flat_sql import flat_writer
from pilotcli.steering.subplans.join_tree import (
    Clause,
    Equality,
    Inner,
    Node,
    One,
    Outer,
    Special,
)
from pilotcli.steering.subplans.masks import bits, union
from pilotcli.steering.subplans.subplan_sql import Source, Writer


@dataclass(frozen=True, slots=True)
class SubPlan:
    """A set of relations of a query block.

    - `block`: the block's number. `1` is the outermost query. `3'2` is block 3 when the planner
      plans it a second time;
    - `names`: the aliases. If two relations have the alias `p`, the second one is `p#2`.
    """

    block: str
    names: frozenset[str]


class NamedCards:
    """The sub-plans of a query.

    - `cards`: the planner's rows, by the sub-plan's query, which counts them; sub-plans with the
      same query have one entry;
    - `left_out`: sub-plans that have no such query, each with the reason;
    - `keys`: the query of each sub-plan.
    """

    def __init__(
        self,
        cards: dict[str, float],
        left_out: Sequence[tuple[SubPlan, str]],
        read_keys: Callable[[], dict[SubPlan, str]],
    ) -> None:
        self.cards = cards
        self.left_out = left_out
        self._read_keys = read_keys

    @cached_property
    def keys(self) -> dict[SubPlan, str]:
        return self._read_keys()


class DescribedQuery:
    """A query as the planner module describes it; `text` is the description, as JSON.

    Raises `ValueError`, `KeyError` or `TypeError` for a text of another form.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.blocks = {block["number"]: DescribedBlock(block) for block in json.loads(text)}
        self._found: dict[str, list[SubPlan]] = {}
        self._count = 0

    def name(self, sets: Mapping[str, Iterable[tuple[int, float]]]) -> NamedCards:
        """Returns the sub-plans of `sets`: by block, bit masks and the planner's rows."""
        cards: dict[str, float] = {}
        left_out: list[tuple[SubPlan, str]] = []
        named: list[tuple[DescribedBlock, int, str]] = []
        for number, known in sets.items():
            block = self.blocks[number]
            for mask, rows in known:
                try:
                    key = block.key(mask)
                except NotAnalysable as error:
                    left_out.append((block.subplan(mask), error.message))
                    continue
                named.append((block, mask, key))
                cards.setdefault(key, rows)
        return NamedCards(
            cards, left_out, lambda: {block.subplan(mask): key for block, mask, key in named}
        )

    def find(self, key: str) -> Sequence[SubPlan]:
        """Returns the sub-plans that `name` has given the query `key`."""
        count = sum(block.count for block in self.blocks.values())
        if count != self._count:
            self._count = count
            self._found = {}
            for block in self.blocks.values():
                for subplan, known in block.named():
                    self._found.setdefault(known, []).append(subplan)
        return self._found.get(key, ())


class DescribedBlock:
    """A query block as the planner module describes it.

    - `number`: the block's number in the statement, as the module's setting takes it;
    - `names`: the names of its relations; bit 0 of a set is the first one.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.number: str = described["number"]
        self._problem: str = described.get("problem", "")
        relations = described.get("relations", ())
        self.names: tuple[str, ...] = tuple(relation["name"] for relation in relations)
        self._keys: dict[int, str | NotAnalysable] = {}
        self._subplans: dict[int, SubPlan] = {}
        if self._problem:
            return
        self._sources = [_source(relation) for relation in relations]
        self._with = {part["name"]: part for part in described["with"]}
        specials = [_special(special) for special in described["specials"]]
        node = _Reader(specials).node(described["tree"])
        joins_nullable = described["joins_nullable"]
        self._domain: Domain = domain_of(node, joins_nullable=joins_nullable)
        derive(self._domain, joins_nullable=joins_nullable)
        self._flat = flat_writer(self._domain, self._sources)

    @property
    def count(self) -> int:
        """The number of sub-plans whose query was written or refused."""
        return len(self._keys)

    def named(self) -> Iterator[tuple[SubPlan, str]]:
        """Yields each sub-plan whose query was written, with that query."""
        for mask, key in self._keys.items():
            if isinstance(key, str):
                yield self.subplan(mask), key

    @property
    def whole(self) -> int:
        """All relations of the block, as a set."""
        return (1 << len(self.names)) - 1

    def subplan(self, mask: int) -> SubPlan:
        """Returns a set of relations by name."""
        known = self._subplans.get(mask)
        if known is None:
            known = SubPlan(self.number, frozenset(self.names[number] for number in bits(mask)))
            self._subplans[mask] = known
        return known

    def key(self, mask: int) -> str:
        """Returns the query that counts the rows of a sub-plan.

        Raises `NotAnalysable`, with the reason, for a set of relations that has no such query.
        """
        known = self._keys.get(mask)
        if known is None:
            try:
                known = self._write(mask)
            except NotAnalysable as error:
                known = error
            self._keys[mask] = known
        if isinstance(known, NotAnalysable):
            raise known
        return known

    def _write(self, mask: int) -> str:
        if self._problem:
            raise NotAnalysable(self._problem)
        if self._flat is not None:
            return f"SELECT COUNT(*) {self._flat.write(mask)}"
        missing = union(self._sources[number].depends for number in bits(mask)) & ~mask
        if missing:
            outside = ", ".join(sorted(self.subplan(missing).names))
            raise NotAnalysable(f"it uses columns of {outside}")
        writer = Writer(self._domain, self._sources, canonical=True)
        text = writer.write(mask)
        return f"{self._with_text(writer.with_names)}SELECT COUNT(*) {text}"

    def _with_text(self, names: set[str]) -> str:
        if not names:
            return ""
        todo, used = list(names), set(names)
        while todo:
            new = set(self._with[todo.pop()]["with"]) - used
            used |= new
            todo.extend(new)
        parts = [part for name, part in self._with.items() if name in used]
        for part in parts:
            if "problem" in part:
                raise NotAnalysable(f"WITH {part['name']}: {part['problem']}")
        recursive = "RECURSIVE " if any(part["recursive"] for part in parts) else ""
        return f"WITH {recursive}{', '.join(part['text'] for part in parts)} "


def _source(relation: Mapping[str, Any]) -> Source:
    return Source(
        relation["name"],
        relation.get("text", ""),
        relation["uses"],
        relation.get("problem", ""),
        tuple(relation.get("with", ())),
    )


def _special(described: Mapping[str, Any]) -> Special:
    return Special(
        described["kind"],
        described["min_left"],
        described["min_right"],
        described["left"],
        described["right"],
        lhs_strict=False,
    )


class _Reader:
    """Reads the tree of joins."""

    def __init__(self, specials: Sequence[Special]) -> None:
        self._specials = specials
        self._count = 0

    def node(self, described: Any) -> Node:
        if isinstance(described, int):
            return One(1 << described)
        if described["kind"] == "inner":
            parts = [self.node(part) for part in described["parts"]]
            return Inner(parts, self._clauses(described))
        left, right = self.node(described["left"]), self.node(described["right"])
        clauses = self._clauses(described)
        kind = described["kind"]
        if kind in ("left", "anti"):
            inner = [clause for clause in clauses if clause.mask and not clause.mask & ~right.mask]
            if inner:
                clauses = [clause for clause in clauses if clause not in inner]
                right = Inner([right], inner)
        outer = Outer(kind, left, right, clauses, is_anti="nulls" in described)
        outer.special = next(
            special
            for special in self._specials
            if special.syn_left == left.mask and special.syn_right == right.mask
        )
        return outer

    def _clauses(self, described: Mapping[str, Any]) -> list[Clause]:
        return [self._clause(part) for part in described["clauses"]]

    def _clause(self, described: Mapping[str, Any]) -> Clause:
        self._count += 1
        text, equality = described.get("text", ""), None
        if "equal" in described:
            left, left_mask, right, right_mask, family, changed = described["equal"]
            if left == right:
                text = f"{left} IS NOT NULL"
            else:
                equality = Equality((left, left_mask), (right, right_mask), family, changed)
        return Clause(
            text,
            described["rels"],
            self._count,
            equality=equality,
            restrictions=tuple(
                (part.get("text", ""), part["rels"], part.get("problem", ""))
                for part in described.get("derived", ())
            ),
            problem=described.get("problem", ""),
            with_names=tuple(described.get("with", ())),
        )
