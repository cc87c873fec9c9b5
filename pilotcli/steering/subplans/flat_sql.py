"""Writes sub-plan queries of a block that has inner joins only, fast: most blocks are such.

The text is that of `subplan_sql.Writer`. A query of eleven relations has hundreds of sub-plans, so
what does not depend on the set is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pilotcli.steering.subplans.equivalences import UNKNOWN, Domain
from pilotcli.steering.subplans.join_tree import Inner, Node, One
from pilotcli.steering.subplans.subplan_sql import Source, closed, equals

Part = tuple[int, str]
"""Relations as a bit mask, and a text that is written if a set has all of them."""


class FlatWriter:
    """Writes the sub-plan queries of one block. Make it with `flat_writer`."""

    def __init__(self, domain: Domain, sources: Sequence[Source]) -> None:
        named = sorted((source.name, 1 << at, source.text) for at, source in enumerate(sources))
        self._items: list[Part] = [(bit, text) for _, bit, text in named]
        conditions = {(clause.needs, closed(clause.text)) for clause in domain.clauses}
        self._classes: list[list[Part]] = []
        for known in domain.equivalences:
            members = [(member.needs, member.text) for member in known.members if member.mask]
            conditions.update(
                (needs, closed(f"{text} = {value}"))
                for needs, text in members
                for value in known.constants
            )
            members.sort(key=lambda member: member[1])
            if known.constants:
                continue
            if len(members) == 2:
                (left_needs, left), (right_needs, right) = members
                conditions.add((left_needs | right_needs, closed(equals(left, right))))
            else:
                self._classes.append(members)
        self._conditions = sorted(conditions, key=lambda condition: condition[1])
        self._equalities: dict[tuple[str, str], str] = {}

    def write(self, relations: int) -> str:
        """Returns `FROM ... WHERE ...` for the relations of a bit mask."""
        outside = ~relations
        items = [text for bit, text in self._items if bit & relations]
        conditions = [text for needs, text in self._conditions if not needs & outside]
        equalities = [
            self._equality(*pair)
            for members in self._classes
            for pair in pairwise([text for needs, text in members if not needs & outside])
        ]
        if equalities:
            conditions = sorted({*conditions, *equalities})
        text = "FROM " + ", ".join(items)
        return f"{text} WHERE {' AND '.join(conditions)}" if conditions else text

    def _equality(self, left: str, right: str) -> str:
        known = self._equalities.get((left, right))
        if known is None:
            known = self._equalities[left, right] = closed(equals(left, right))
        return known


def flat_writer(domain: Domain, sources: Sequence[Source]) -> FlatWriter | None:
    """Returns the writer of a block; None if the block is not as simple as this."""
    simple = (
        _is_flat(domain.node)
        and not domain.derived
        and not any(source.depends or source.problem or source.with_names for source in sources)
        and not any(clause.problem or clause.with_names for clause in domain.clauses)
        and not any(len(set(known.constants)) > 1 for known in domain.equivalences)
        and not any(m.text[0] == UNKNOWN for known in domain.equivalences for m in known.members)
    )
    return FlatWriter(domain, sources) if simple else None


def _is_flat(node: Node) -> bool:
    if isinstance(node, Inner):
        return all(map(_is_flat, node.parts))
    return isinstance(node, One)
