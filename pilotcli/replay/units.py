"""Units of a workload: what one worker runs without another in between.

A unit is a single query, or a whole `BEGIN ... COMMIT` block.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.common.records import Query

__all__ = [
    "KEPT",
    "WRITES",
    "Begun",
    "Effects",
    "Progress",
    "Shared",
    "ends_block",
    "left_units",
    "may_have_taken_effect",
    "remember",
    "transaction_units",
]

KEPT = 10_000
"""Statements that are kept to make a session anew; of more than that, memory would be the price."""
READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"})
BLOCK_BEGINS = frozenset({"BEGIN", "START"})
BLOCK_ENDS = frozenset({"COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE"})


def transaction_units(queries: Iterable[Query]) -> Iterator[Sequence[Query]]:
    """Group `BEGIN ... COMMIT` blocks; every other query is a unit of its own.

    A block that the workload never ends is a unit up to the workload's end.
    """
    block: list[Query] = []
    for query in queries:
        if not block and query.command not in BLOCK_BEGINS:
            yield (query,)
            continue
        block.append(query)
        if len(block) > 1 and ends_block(query):
            yield block
            block = []
    if block:
        yield block


def ends_block(query: Query) -> bool:
    """Whether `query` ends the block that is open, and begins no other."""
    if query.command not in BLOCK_ENDS:
        return False
    words = query.sql.upper().replace(";", " ").split()
    if query.command == "PREPARE":
        return words[1:2] == ["TRANSACTION"]
    if query.command == "ROLLBACK" and "TO" in words[1:3]:
        return False
    return not ("CHAIN" in words and "NO" not in words)


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been replayed already: by round, and by warm-up round (from 0), one byte for each
    query's number that is 1 where the query has ended."""

    rounds: Mapping[int, bytearray] = field(default_factory=dict)
    warmups: Mapping[int, bytearray] = field(default_factory=dict)
    killed: bool = False
    """Whether queries may have been under way then that have no result."""


class Begun(tuple[Query, ...]):
    """A unit whose first `again` queries have run before: they only bring the session to where it
    was, and are not recorded."""

    again = 0


def left_units(
    units: Iterable[Sequence[Query]], done: bytearray, *, one_session: bool
) -> Iterator[Sequence[Query]]:
    """The units of a round that are left to do. With `one_session` the first of them is headed by
    what made the session as it was: its settings, and the beginning of an open block."""
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
    """The query with which the unit goes on, if it may have changed something when its run was
    killed: a statement outside of a block, or the end of one."""
    again = unit.again if isinstance(unit, Begun) else 0
    settings: list[Query] = []
    block: list[Query] = []
    for query in unit[:again]:
        remember(query, settings, block)
    query = unit[again]
    if block:
        return query if ends_block(query) and query.command in ("COMMIT", "END") else None
    harmless = READS | _OF_THE_SESSION | BLOCK_BEGINS | BLOCK_ENDS
    return None if query.command in harmless else query


class Effects:
    """Tells units that write from those that only read, in the order of the workload.

    What is written to a temporary table, and what belongs to the session, stays with the session;
    a prepared statement is what it was prepared from.
    """

    def __init__(self) -> None:
        self._temporary: set[str] = set()
        self._prepared: dict[str, bool] = {}

    def writes(self, unit: Sequence[Query]) -> bool:
        """Whether `unit` may change what other sessions see."""
        # Every query is looked at: each may make a table, or prepare a statement.
        return True in [self._writes(query) for query in unit]

    def _writes(self, query: Query) -> bool:
        command, sql = query.command, query.sql
        if made := _TEMPORARY.match(sql):
            self._temporary.add(made[1].lower())
            return False
        if command == "PREPARE" and (prepared := _PREPARED.match(sql)):
            self._prepared[prepared[1].lower()] = bool(WRITES.search(prepared[2]))
            return False
        if command == "EXECUTE":
            name = _NAME.search(sql[len("EXECUTE") :])
            return name is None or self._prepared.get(name[0].lower(), True)
        if command in READS:
            return bool(WRITES.search(sql))
        if command in _OF_THE_SESSION | BLOCK_BEGINS | BLOCK_ENDS | _HARMLESS:
            return False
        target = _TARGET.match(sql)
        return target is None or target[1].lower() not in self._temporary


_HARMLESS = frozenset(
    {"SAVEPOINT", "RELEASE", "DECLARE", "FETCH", "MOVE", "CLOSE", "UNLISTEN", "LOCK"}
)
WRITES = re.compile(
    r"\b(insert|update|delete|merge|into|nextval|setval|call|lo_\w+|dblink\w*|pg_advisory\w*)\b",
    re.IGNORECASE,
)
"""Words of a statement that looks as if it only read and may write."""
_NAME = re.compile(r"[\w$]+")
_TEMPORARY = re.compile(
    r"\s*create\s+(?:local\s+|global\s+)?temp(?:orary)?\s+(?:table|view|sequence)\s+"
    r"(?:if\s+not\s+exists\s+)?([\w$]+)",
    re.IGNORECASE,
)
_PREPARED = re.compile(r"\s*prepare\s+([\w$]+)[^)]*?\)?\s+as\s+(.*)", re.IGNORECASE | re.DOTALL)
_TARGET = re.compile(
    r"\s*(?:insert\s+into|update|delete\s+from|merge\s+into|copy|truncate(?:\s+table)?|analyze|"
    r"vacuum|drop\s+table(?:\s+if\s+exists)?|create\s+(?:unique\s+)?index\s+(?:if\s+not\s+exists\s+)?(?:[\w$]+\s+)?on)\s+"
    r"(?:only\s+)?([\w$]+)",
    re.IGNORECASE,
)


def remember(query: Query, settings: list[Query], block: list[Query]) -> None:
    """Note what a new session would need after `query` to be as the one that ran it: statements
    about the session, and those of an open block.

    Of a block, or of settings, that are very long only the first are kept: then `len` of the list
    is `KEPT`, and the session cannot be made anew.
    """
    if block or query.command in BLOCK_BEGINS:
        if len(block) < KEPT:
            block.append(query)
        if len(block) > 1 and ends_block(query):
            if query.command in ("COMMIT", "END"):
                settings.extend(one for one in block if one.command in _OF_THE_SESSION)
            block.clear()
    elif query.command in _OF_THE_SESSION and len(settings) < KEPT:
        settings.append(query)


_OF_THE_SESSION = frozenset({"SET", "RESET", "DISCARD", "PREPARE", "DEALLOCATE", "LOAD", "LISTEN"})


class Shared(Iterator[Sequence[Query]]):
    """Hands units to several threads, each to one of them."""

    def __init__(self, units: Iterator[Sequence[Query]]) -> None:
        self._units = units
        self._lock = threading.Lock()

    def __next__(self) -> Sequence[Query]:
        with self._lock:
            return next(self._units)
