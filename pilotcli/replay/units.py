"""Units of a workload: queries that one worker runs together.

A unit is a single query, or a whole `BEGIN ... COMMIT` block.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pilotcli.common.records import Query
from pilotcli.common.sql_commands import block_step, command_of, leading_keyword, may_write
from pilotcli.common.temporary_tables import TemporaryTables
from pilotcli.config.model import RunSection

KEPT = 10_000
"""The most statements that are kept to repeat in a new session, so that memory stays bounded."""


def transaction_units(queries: Iterable[Query]) -> Iterator[Sequence[Query]]:
    """Group `BEGIN ... COMMIT` blocks; every other query is a unit of its own.

    A block that the workload never ends is a unit up to the workload's end.
    """
    block: list[Query] = []
    for query in queries:
        if not block and not block_step(query.command, query.sql).begins:
            yield (query,)
            continue
        block.append(query)
        if len(block) > 1 and ends_block(query):
            yield block
            block = []
    if block:
        yield block


def ordered_units(
    queries: Iterable[Query], options: RunSection, round: int
) -> Iterator[Sequence[Query]]:
    """Yields the units of a round: in the workload's order, or shuffled by seed and round."""
    units = transaction_units(queries)
    if not options.shuffle:
        return units
    shuffled = list(units)
    random.Random(f"{options.seed}/{round}").shuffle(shuffled)
    return iter(shuffled)


def ends_block(query: Query) -> bool:
    """Returns whether `query` ends the block that is open, and begins no other."""
    step = block_step(query.command, query.sql)
    return step.ends and not step.begins


@dataclass(frozen=True, slots=True)
class Progress:
    """The queries that have ended, by round and by warm-up round (from 0): one byte for each
    query's number, 1 where the query has ended."""

    rounds: Mapping[int, bytearray] = field(default_factory=dict)
    warmups: Mapping[int, bytearray] = field(default_factory=dict)
    killed: bool = False
    """Whether queries without a result may have been running when the run ended."""

    def is_whole(self, total: int | None) -> bool:
        """Whether all of `total` queries, over all rounds, have ended."""
        return total is not None and sum(map(sum, self.rounds.values())) >= total


class Begun(tuple[Query, ...]):
    """A unit whose first `again` queries have run before: they only bring the session to the same
    state, and are not recorded."""

    again = 0


def left_units(
    units: Iterable[Sequence[Query]], done: bytearray, *, one_session: bool
) -> Iterator[Sequence[Query]]:
    """Yields the units of a round that are left to do. With `one_session` the first one begins with
    the queries that bring a new session to the same state: settings, and the start of an open
    block."""
    settings: list[Query] = []
    block: list[Query] = []
    waits = one_session
    for unit in units:
        ended = [query.seq < len(done) and done[query.seq] == 1 for query in unit]
        again = sum(ended)
        if again == len(unit):
            if one_session:
                for query in unit:
                    remember(query, settings, block)
            continue
        head = [*settings, *block] if waits else []
        waits = False
        if not head and not again:
            yield unit
            continue
        rest = Begun([*head, *unit])
        rest.again = len(head) + again
        yield rest


def may_have_taken_effect(unit: Sequence[Query]) -> Query | None:
    """Returns the next query of the unit, if it may have changed something when its run was killed:
    a statement that writes outside of a block, or the commit of a block."""
    again = unit.again if isinstance(unit, Begun) else 0
    settings: list[Query] = []
    block: list[Query] = []
    for query in unit[:again]:
        remember(query, settings, block)
    query = unit[again]
    command, sql = query.command, query.sql
    changes = block_step(command, sql).keeps if block else may_write(command, sql)
    return query if changes else None


def effect_text(query: Query) -> str:
    """A warning about a query that `may_have_taken_effect` has returned."""
    place = f" ({query.file}:{query.line})" if query.file else ""
    text = f"{query.label}{place} may have been carried out when the run was killed"
    return f"{text}; it runs again"


class Effects:
    """Says which units write and which only read, in the order of the workload.

    What is written to a temporary table stays in the session. A prepared statement writes when the
    statement that it was prepared from does.
    """

    def __init__(self) -> None:
        self._temporary = TemporaryTables()
        self._prepared: dict[str, bool] = {}

    def writes(self, unit: Sequence[Query]) -> bool:
        """Returns whether `unit` may change what other sessions see."""
        # No short cut: each query may create a table, or prepare a statement.
        return True in [self._writes(query) for query in unit]

    def _writes(self, query: Query) -> bool:
        command, sql = query.command, query.sql
        if self._temporary.are_written(sql):
            return False
        if command == "PREPARE" and (prepared := _PREPARED.match(sql)):
            text = prepared[2]
            self._prepared[prepared[1].lower()] = may_write(leading_keyword(text), text)
            return False
        if command == "EXECUTE":
            name = _NAME.search(sql[len("EXECUTE") :])
            return name is None or self._prepared.get(name[0].lower(), True)
        return may_write(command, sql)


_NAME = re.compile(r"[\w$]+")
_PREPARED = re.compile(r"\s*prepare\s+([\w$]+)[^)]*?\)?\s+as\s+(.*)", re.IGNORECASE | re.DOTALL)


def remember(query: Query, settings: list[Query], block: list[Query]) -> None:
    """Add `query` to the statements that a new session has to repeat: those about the session to
    `settings`, those of an open block to `block`.

    Each list has at most `KEPT` statements; a session in a longer block cannot be restored.
    """
    step = block_step(query.command, query.sql)
    if block and step.ends:
        if step.keeps:
            settings.extend(q for q in block if command_of(q.command).effect == "session")
        # With AND CHAIN the next block has the characteristics of this one.
        del block[1 if step.begins else 0 :]
    elif block or step.begins:
        if len(block) < KEPT:
            block.append(query)
    elif command_of(query.command).effect == "session" and len(settings) < KEPT:
        settings.append(query)


Shareable = TypeVar("Shareable")


class Shared(Iterator[Shareable]):
    """Gives each item to one of several threads."""

    def __init__(self, units: Iterator[Shareable]) -> None:
        self._units = units
        self._lock = threading.Lock()

    def __next__(self) -> Shareable:
        with self._lock:
            return next(self._units)
