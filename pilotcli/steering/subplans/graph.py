"""A query's sub-plans: which there are, what each is called, and its query."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from pilotcli.steering.subplans.block import Block
from pilotcli.steering.subplans.errors import NotAnalysable

__all__ = ["LIMIT", "QueryGraph"]

LIMIT = 10_000
"""The most sub-plans that are listed of one query."""


class QueryGraph:
    """The sub-plans of one query. Made by `analyse`.

    A sub-plan is a set of relations of one query block. A relation's name is its alias; of several
    in a block with the same alias (sub-queries that become part of the query around them bring
    such about) the second in the planner's range table is `alias#2`. Where blocks have sets of
    the same names, the outermost block's is meant; two blocks side by side that have the same
    names for different sub-plans have none of these.
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
        self._keys: dict[frozenset[str], str | None] = {}
        self._names: dict[str, frozenset[str] | None] = {}
        self._subsets: dict[int, tuple[frozenset[str], ...]] = {}

    @property
    def relations(self) -> tuple[str, ...]:
        """The names of all relations, outer blocks first; each name once."""
        return tuple(dict.fromkeys(name for block in self.blocks for name in block.names))

    def subsets(self, limit: int = LIMIT) -> tuple[frozenset[str], ...]:
        """The sub-plans that the planner considers, single relations first.

        Raises `NotAnalysable` where there are more than `limit` in a block.
        """
        found = self._subsets.get(limit)
        if found is None:
            listed = {
                names: None
                for block in self.blocks
                for names in block.name_sets(limit)
                if self.block_of(names) is block and self.key(names) is not None
            }
            found = tuple(sorted(listed, key=len))
            self._subsets[limit] = found
        return found

    def block_of(self, names: Collection[str]) -> Block | None:
        """The outermost block that has all of these relations, None if none has."""
        for block in self.blocks:
            if block.has(names):
                return block
        return None

    def key(self, names: frozenset[str]) -> str | None:
        """The sub-plan's query in its canonical spelling: `SELECT COUNT(*) FROM ... WHERE ...`.

        The count is the sub-plan's cardinality. The same sub-plan has the same text however the
        query is spelled. None for what is no sub-plan that can stand on its own.
        """
        try:
            return self._keys[names]
        except KeyError:
            block = self.block_of(names)
            key = None if block is None or self._is_ambiguous(names, block) else block.key(names)
            self._keys[names] = key
            if key is not None:
                self._names.setdefault(key, names)
            return key

    def planned_query(self, names: frozenset[str]) -> str:
        """The sub-plan's query such that the planner estimates it as it does within the whole:
        relations and conditions in the query's own order. Raises `NotAnalysable` for none."""
        block = self.block_of(names)
        if block is None or self.key(names) is None:
            raise NotAnalysable(f"{', '.join(sorted(names))} is no sub-plan of the query")
        return block.query(names)

    def names_of(self, key: str) -> frozenset[str] | None:
        """The relations of the sub-plan whose query `key` is, in any equivalent spelling: another
        order, JOIN or comma, flipped comparisons. None if it is no sub-plan of this query."""
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
        """Whether a block as far out has another sub-plan of these names."""
        return any(
            other.depth == block.depth and other.has(names) and other.key(names) != block.key(names)
            for other in self.blocks
            if other is not block
        )
