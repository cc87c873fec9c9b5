"""The queries that a selection leaves of a workload, with what their sessions need before them.

A `BEGIN ... COMMIT` block is one unit: it stays whole if one of its statements is selected, and is
left out whole if one is excluded. Statements that change only their session (SET, PREPARE, what is
written to temporary tables) stay if a query that follows in the same session does.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pilotcli.common.records import Query
from pilotcli.common.sql_commands import block_step, command_of
from pilotcli.common.temporary_tables import TemporaryTables
from pilotcli.workload.selection import Choice, Selection

_OF_BLOCK = re.compile(r"\s*set\s+(?:local|transaction|constraints)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The queries that stay: a byte for each number, 1 for those; and how many there are in all."""

    stays: bytearray
    total: int

    @property
    def count(self) -> int:
        """How many stay."""
        return sum(self.stays)


def chosen(
    queries: Iterable[Query], selection: Selection, notify: Callable[[str], object]
) -> Chosen:
    """Returns what `selection` leaves of `queries`, which are read to their end.

    `notify` receives each text of the selection that fits nothing. Raises `UsageError` if nothing
    is selected.
    """
    choice = Choice(selection)
    sessions: dict[str | None, _Session] = {}
    for query in queries:
        choice.add(query)
        sessions.setdefault(query.facts.session, _Session()).add(query)
    stays, excluded = choice.marks(notify)
    for session in sessions.values():
        session.complete(stays, excluded)
    return Chosen(stays, choice.total)


@dataclass(slots=True)
class _Session:
    """The numbers of a session's queries: of all, of each block, and of those that change the
    session alone."""

    queries: array[int] = field(default_factory=lambda: array("q"))
    blocks: list[list[int]] = field(default_factory=list)
    settings: list[int] = field(default_factory=list)
    open: bool = False
    """Whether the last block has not ended."""
    in_block: list[int] = field(default_factory=list)
    """Settings in the open block, which are lost if it is rolled back."""
    temporary: TemporaryTables = field(default_factory=TemporaryTables)

    def add(self, query: Query) -> None:
        self.queries.append(query.seq)
        step = block_step(query.command, query.sql)
        begins = not self.open and step.begins
        if begins:
            self.open = True
            self.blocks.append([])
        # Each statement may create a temporary table, so this comes first.
        if self.temporary.are_written(query.sql) or _sets_up(query):
            (self.in_block if self.open else self.settings).append(query.seq)
        if not self.open:
            return
        self.blocks[-1].append(query.seq)
        if step.ends and not begins:
            if step.keeps:
                self.settings += self.in_block
            self.in_block = []
            self.open = step.begins  # COMMIT AND CHAIN goes on

    def complete(self, stays: bytearray, excluded: bytearray) -> None:
        """Mark in `stays` whole blocks, and the settings before the last query that stays."""
        for seq in self.queries:
            stays[seq] = stays[seq] and not excluded[seq]
        for block in self.blocks:
            whole = any(stays[seq] for seq in block) and not any(excluded[seq] for seq in block)
            for seq in block:
                stays[seq] = whole
        last = next((seq for seq in reversed(self.queries) if stays[seq]), 0)
        for seq in self.settings:
            if seq < last and not excluded[seq]:
                stays[seq] = 1


def _sets_up(query: Query) -> bool:
    effect = command_of(query.command).effect
    return effect == "session" and not _OF_BLOCK.match(query.sql)
