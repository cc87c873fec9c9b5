"""Finds the sets of relations that the planner considers joining, as bit masks.

Without outer, semi and anti joins these are the sets that the conditions connect. With them a
connected set may still not be allowed, so the planner's search is followed (joinrels.c:
`join_search_one_level`, `join_is_legal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.join_tree import Special

_PAIRS_PER_SET = 64


def connected_sets(
    relations: int, edges: Iterable[int], specials: Sequence[Special], limit: int
) -> list[int]:
    """Returns the sets of `relations`, smallest first; `edges`: the sets that conditions connect.

    Raises `NotAnalysable` for more than `limit` sets.
    """
    near = neighbours(relations, edges)
    if not specials and _is_connected(relations, near):
        return _grown(relations, near, limit)
    return Search(relations, near, specials, limit).run()


def neighbours(relations: int, edges: Iterable[int]) -> list[int]:
    """Returns, by the number of a relation, those that a condition connects it with."""
    near = [0] * relations.bit_length()
    for edge in edges:
        for number in range(len(near)):
            if edge >> number & 1:
                near[number] |= edge & relations
    return near


def _singles(relations: int) -> list[int]:
    return [1 << number for number in range(relations.bit_length()) if relations >> number & 1]


def _is_connected(relations: int, near: Sequence[int]) -> bool:
    seen = todo = relations & -relations
    while todo:
        bit = todo & -todo
        todo ^= bit
        new = near[bit.bit_length() - 1] & ~seen
        seen |= new
        todo |= new
    return seen == relations


def _grown(relations: int, near: Sequence[int], limit: int) -> list[int]:
    """Returns every connected set, each made from a smaller one and one more relation."""
    level = {bit: near[bit.bit_length() - 1] & ~bit for bit in _singles(relations)}
    found = list(level)
    while level:
        larger: dict[int, int] = {}
        for members, around in level.items():
            rest = around
            while rest:
                bit = rest & -rest
                rest ^= bit
                grown = members | bit
                if grown not in larger:
                    larger[grown] = (around | near[bit.bit_length() - 1]) & ~grown
        level = larger
        found.extend(level)
        _check(len(found), limit)
    return found


def _check(count: int, limit: int) -> None:
    if count > limit:
        raise NotAnalysable(
            f"the query has more than {limit} sub-plans",
            hint="A larger `limit` takes longer: without the planner module each sub-plan costs an "
            "EXPLAIN.",
        )


class Search:
    """The planner's search for join orders, without costs."""

    def __init__(
        self, relations: int, near: Sequence[int], specials: Sequence[Special], limit: int
    ) -> None:
        self.near = near
        self.specials = specials
        self.limit = limit
        self.tried = 0
        self.singles = _singles(relations)
        self.around = {bit: near[bit.bit_length() - 1] for bit in self.singles}

    def run(self) -> list[int]:
        levels: list[dict[int, None]] = [{}, dict.fromkeys(self.singles)]
        for size in range(2, len(self.singles) + 1):
            levels.append(self._level(levels, size))
            _check(sum(map(len, levels)), self.limit)
        return [members for level in levels for members in level]

    def _level(self, levels: list[dict[int, None]], size: int) -> dict[int, None]:
        found: dict[int, None] = {}
        for members in levels[size - 1]:
            restricted = self._has_clauses(members) or self._is_restricted(members)
            for single in self.singles:
                if single & members or (size == 2 and single < members and restricted):
                    continue
                if not restricted or self._belong(members, single):
                    self._join(members, single, found)
        for small in range(2, size - 1):
            if small > size - small:
                break
            self._bushy(levels[small], levels[size - small], found)
        if not found:
            for members in levels[size - 1]:
                for single in self.singles:
                    if not single & members:
                        self._join(members, single, found)
        return found

    def _bushy(
        self, small: dict[int, None], large: dict[int, None], found: dict[int, None]
    ) -> None:
        for left in small:
            if not self._has_clauses(left) and not self._is_restricted(left):
                continue
            for right in large:
                self.tried += 1
                if self.tried > self.limit * _PAIRS_PER_SET:
                    _check(self.limit + 1, self.limit)
                if not left & right and (left | right) not in found and self._belong(left, right):
                    self._join(left, right, found)

    def _join(self, left: int, right: int, found: dict[int, None]) -> None:
        joined = left | right
        if joined not in found and self.is_legal(left, right):
            found[joined] = None
            self.around[joined] = self.around[left] | self.around[right]

    def _has_clauses(self, members: int) -> bool:
        return bool(self.around[members] & ~members)

    def _belong(self, left: int, right: int) -> bool:
        return bool(self.around[left] & right) or self._must_be_joined(left, right)

    def _is_restricted(self, members: int) -> bool:
        """Whether a special join may need a join without conditions."""
        for special in self.specials:
            if special.kind == "full":
                continue
            both = special.min_left | special.min_right
            if both & ~members and both & members:
                return True
        return False

    def _must_be_joined(self, one: int, other: int) -> bool:
        for special in self.specials:
            if special.kind == "full":
                continue
            left, right = special.min_left, special.min_right
            if (
                (not left & ~one and not right & ~other)
                or (not left & ~other and not right & ~one)
                or (one & right and other & right)
                or (one & left and other & left)
            ):
                return not self._has_legal_clause(one) and not self._has_legal_clause(other)
        return False

    def _has_legal_clause(self, members: int) -> bool:
        return any(
            not single & members
            and self.around[members] & single
            and self.is_legal(members, single)
            for single in self.singles
        )

    def is_legal(self, one: int, other: int) -> bool:
        """Whether the planner may join the two sets, whatever the order in the query's text."""
        joined = one | other
        match: Special | None = None
        unique = False
        must_be_left = False
        for special in self.specials:
            left, right = special.min_left, special.min_right
            if special.kind == "full":
                # The planner joins its sides first, and nothing else with a part of it.
                both = special.syn_left | special.syn_right
                parts = [side & both for side in (one, other) if side & both]
                if joined & both and joined & ~both and parts != [both]:
                    return False
            if not right & joined or not joined & ~right:
                continue
            if any(not (left | right) & ~side for side in (one, other)):
                continue
            if special.kind == "semi" and any(
                not special.syn_right & ~side and special.syn_right != side for side in (one, other)
            ):
                continue
            if (not left & ~one and not right & ~other) or (not left & ~other and not right & ~one):
                if match is not None:
                    return False
                match = special
            elif (
                special.kind == "semi" and special.can_unique and special.syn_right in (one, other)
            ):
                if match is not None:
                    return False
                match, unique = special, True
            elif one & right and other & right:
                continue
            elif special.kind != "left" or joined & left:
                return False
            else:
                must_be_left = True
        if must_be_left:
            return match is not None and match.kind == "left" and match.lhs_strict and not unique
        return True
