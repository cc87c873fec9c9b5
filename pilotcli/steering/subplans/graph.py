"""The sub-plans of a query: their names and their queries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from pilotcli.steering.subplans.block import Block
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.masks import bits

LIMIT = 10_000
"""The most sub-plans that are listed for a query block."""


class QueryGraph:
    """The sub-plans of one query. Made by `analyse`.

    A sub-plan is a set of relations of one query block. A relation's name is its alias. A sub-query
    that becomes part of the query around it may bring a second relation with the same alias: in
    the planner's range table it is `alias#2`. If several blocks have relations with the same names,
    the names mean the outermost block; two blocks at the same depth with the same names for
    different sub-plans have none of these.
    """

    def __init__(
        self,
        sql: str,
        blocks: Iterable[Block],
        read_key: Callable[[str], tuple[tuple[str, ...], str | None]],
    ) -> None:
        """`read_key` returns the relations and the canonical spelling of a sub-plan's query."""
        self.sql = sql
        self.blocks = tuple(blocks)
        self._read_key = read_key
        self._ambiguous: dict[frozenset[str], None] = {}
        self._keys: dict[frozenset[str], str | None] = {}
        self._planned: dict[frozenset[str], str] = {}
        self._names: dict[str, frozenset[str] | None] = {}
        self._subsets: dict[int, tuple[frozenset[str], ...]] = {}

    @property
    def relations(self) -> tuple[str, ...]:
        """The names of all relations, outer blocks first; each name once."""
        return tuple(dict.fromkeys(name for block in self.blocks for name in block.names))

    @property
    def planned(self) -> frozenset[str]:
        """The names of the relations that the planner does not remove."""
        return frozenset(block.names[at] for block in self.blocks for at in bits(block.live))

    def subsets(self, limit: int = LIMIT) -> tuple[frozenset[str], ...]:
        """Returns the sub-plans that the planner considers, single relations first.

        Raises `NotAnalysable` if a block has more than `limit`.
        """
        found = self._subsets.get(limit)
        if found is None:
            listed: dict[frozenset[str], None] = {}
            for block in self.blocks:
                for names in block.name_sets(limit):
                    key = self.key(names)
                    if self.block_of(names) is not block:
                        if block.key(names) not in (key, None):
                            self._ambiguous[names] = None
                    elif key is not None:
                        listed[names] = None
            found = tuple(sorted(listed, key=len))
            self._subsets[limit] = found
        return found

    @property
    def left_out(self) -> list[tuple[frozenset[str], str]]:
        """The sub-plans without a query, each with the reason, once `subsets` has been called."""
        several = "several query blocks have relations of these names"
        found = dict.fromkeys((names, several) for names in self._ambiguous)
        for block in self.blocks:
            if block.problem:
                found[frozenset(block.names), block.problem] = None
            for mask, reason in block.left_out.items():
                found[frozenset(block.names[at] for at in bits(mask)), reason] = None
        return list(found)

    def block_of(self, names: Collection[str]) -> Block | None:
        """Returns the outermost block that has all of these relations, or None."""
        for block in self.blocks:
            if block.has(names):
                return block
        return None

    def key(self, names: frozenset[str]) -> str | None:
        """Returns the sub-plan's query in canonical spelling: `SELECT COUNT(*) FROM ... WHERE ...`.

        Its count is the sub-plan's cardinality. The same sub-plan has the same text however the
        query is spelled. None for a set of relations that cannot be queried alone.
        """
        try:
            return self._keys[names]
        except KeyError:
            block = self.block_of(names)
            key = None
            if block is not None and self._is_ambiguous(names, block):
                self._ambiguous[names] = None
            elif block is not None:
                key = block.key(names)
            self._keys[names] = key
            if key is not None:
                self._names.setdefault(key, names)
            return key

    def planned_query(self, names: frozenset[str]) -> str:
        """Returns the sub-plan's query for EXPLAIN, with relations and conditions in the query's
        own order, so that it gets the same estimate as in the whole query.

        Raises `NotAnalysable` for a set of relations that is not a sub-plan.
        """
        known = self._planned.get(names)
        if known is None:
            block = self.block_of(names)
            if block is None or self.key(names) is None:
                raise NotAnalysable(f"{', '.join(sorted(names))} is not a sub-plan of the query")
            known = self._planned[names] = block.query(names)
        return known

    def names_of(self, key: str) -> frozenset[str] | None:
        """Returns the relations of the sub-plan with the query `key`, in any equivalent spelling:
        another order, JOIN or comma, flipped comparisons. None for other queries."""
        try:
            return self._names[key]
        except KeyError:
            found = self._names[key] = self._recognise(key)
            return found

    def _recognise(self, key: str) -> frozenset[str] | None:
        try:
            relations, canonical = self._read_key(key)
        except NotAnalysable:
            return None
        names = frozenset(relations)
        return names if canonical is not None and self.key(names) == canonical else None

    def _is_ambiguous(self, names: frozenset[str], block: Block) -> bool:
        """Whether another block at the same depth has a different sub-plan of these names."""
        return any(
            other.depth == block.depth and other.has(names) and other.key(names) != block.key(names)
            for other in self.blocks
            if other is not block
        )
