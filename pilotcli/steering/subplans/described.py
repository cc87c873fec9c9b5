"""Reads the planner module's description of a query: its blocks, and the query of each sub-plan.

`pilot_blocks.c` documents the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotcli.steering.subplans.equivalences import Domain, derive, domain_of
from pilotcli.steering.subplans.errors import NotAnalysable
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

__all__ = ["DescribedBlock"]


class DescribedBlock:
    """A query block as the planner module describes it.

    - `number`: the block's number in the statement, as the module's setting takes it;
    - `names`: the names of its relations; bit 0 of a set is the first one.
    """

    def __init__(self, described: Mapping[str, Any], server_version: int) -> None:
        self.number: str = described["number"]
        self._problem: str = described.get("problem", "")
        relations = described.get("relations", ())
        self.names: tuple[str, ...] = tuple(relation["name"] for relation in relations)
        self._keys: dict[int, str | NotAnalysable] = {}
        if self._problem:
            return
        self._sources = [_source(relation) for relation in relations]
        self._with = {part["name"]: part for part in described["with"]}
        specials = [_special(special) for special in described["specials"]]
        node = _Reader(specials).node(described["tree"])
        self._domain: Domain = domain_of(node, joins_nullable=server_version >= 16)
        derive(self._domain)

    def names_of(self, mask: int) -> tuple[str, ...]:
        """Returns the names of the relations in a set."""
        return tuple(self.names[number] for number in bits(mask))

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
        missing = union(self._sources[number].depends for number in bits(mask)) & ~mask
        if missing:
            raise NotAnalysable(f"it uses columns of {', '.join(self.names_of(missing))}")
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
            left, left_mask, right, right_mask, family = described["equal"]
            if left == right:
                text = f"{left} IS NOT NULL"
            else:
                equality = Equality((left, left_mask), (right, right_mask), family)
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
