"""What a statement may do, judged by its first word, and by its text where the word is not enough.

This is the only table of SQL commands: all code uses it to find out whether a statement only reads,
may run again, or is steered or compared. Source: PostgreSQL manual, part VI, "SQL Commands".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

_BEFORE_KEYWORD = re.compile(r"(?:[ \t\n\r\f\v(]|--[^\n\r]*)*")
# All but ASCII's other characters: naming the rest of Unicode takes 6 ms to compile.
_KEYWORD = re.compile(r"[^\x00-@\[-^`{-\x7f][^\x00-#%-/:-@\[-^`{-\x7f]*")
_EDGE = re.compile(r"/\*|\*/")


def leading_keyword(sql: str) -> str:
    """Returns the first word of `sql` in capitals, after space, comments and opening parentheses.

    Empty when there is none.
    """
    word = _leading_word(sql)
    return word[0].upper() if word else ""


def _leading_word(sql: str) -> re.Match[str] | None:
    position = 0
    while True:
        position = _BEFORE_KEYWORD.match(sql, position).end()  # type: ignore[union-attr]
        if not sql.startswith("/*", position):
            return _KEYWORD.match(sql, position)
        depth = 0
        for edge in _EDGE.finditer(sql, position):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                position = edge.end()
                break
        else:
            return None


@dataclass(frozen=True, slots=True)
class SqlCommand:
    """What the statements that begin with one word may do.

    `effect` is what they change:

    - `nothing`: they read; `may_write` finds those whose text says otherwise;
    - `cursor`: the place of a cursor, which is lost with its connection;
    - `session`: their session alone; a new session needs them again;
    - `block`: the transaction block alone, which they begin, end, mark or lock tables for;
    - `database`: what other sessions see.
    """

    effect: Literal["nothing", "cursor", "session", "block", "database"]
    planned: bool = False
    """The planner makes a plan of them: EXPLAIN takes them as they are."""
    in_block: Literal["always", "sometimes", "never"] = "always"
    """Whether they can run inside a transaction block: `sometimes` depends on the form, as with
    CREATE TABLE and CREATE DATABASE."""
    steered: bool = True
    """Push handlers are called for them."""
    compared: bool = True
    """Their times count in a comparison: a driver could make them faster."""
    changes_schema: bool = False
    """After them, a name may mean another object, in every session."""
    changes_settings: bool = False
    """They change settings of their session, such as `search_path` and how strings are read."""


_BY_BEHAVIOUR = {
    "SELECT WITH VALUES TABLE": SqlCommand("nothing", planned=True),
    "EXPLAIN": SqlCommand("nothing"),
    "SHOW": SqlCommand("nothing", steered=False, compared=False),
    "DECLARE FETCH MOVE CLOSE": SqlCommand("cursor"),
    "INSERT UPDATE DELETE MERGE": SqlCommand("database", planned=True),
    "ANALYZE ANALYSE CHECKPOINT COMMENT EXECUTE GRANT REASSIGN REFRESH REVOKE SECURITY "
    "TRUNCATE": SqlCommand("database"),
    "COPY": SqlCommand("database", steered=False),
    "NOTIFY": SqlCommand("database", steered=False, compared=False),
    "CLUSTER REINDEX": SqlCommand("database", in_block="sometimes"),
    "VACUUM": SqlCommand("database", in_block="never"),
    "ALTER CALL CREATE DO DROP": SqlCommand("database", in_block="sometimes", changes_schema=True),
    "IMPORT": SqlCommand("database", changes_schema=True),
    "SET RESET": SqlCommand("session", steered=False, compared=False, changes_settings=True),
    "DISCARD": SqlCommand(
        "session", in_block="sometimes", steered=False, compared=False, changes_settings=True
    ),
    "PREPARE DEALLOCATE LISTEN UNLISTEN LOAD": SqlCommand("session", steered=False, compared=False),
    "BEGIN START SAVEPOINT RELEASE END": SqlCommand("block", steered=False, compared=False),
    "LOCK": SqlCommand("block"),
    "COMMIT": SqlCommand("block", in_block="sometimes", steered=False, compared=False),
    # A rollback may take a new table back.
    "ROLLBACK": SqlCommand(
        "block", in_block="sometimes", steered=False, compared=False, changes_schema=True
    ),
    "ABORT": SqlCommand("block", steered=False, compared=False, changes_schema=True),
}
COMMANDS = {word: command for words, command in _BY_BEHAVIOUR.items() for word in words.split()}
_UNKNOWN = SqlCommand("database", in_block="sometimes", changes_schema=True)


def command_of(word: str) -> SqlCommand:
    """Returns what statements may do that begin with `word`, in capitals; a word that is not in
    the table may do everything."""
    return COMMANDS.get(word, _UNKNOWN)


def words_where(holds: Callable[[SqlCommand], bool]) -> frozenset[str]:
    """Returns the first words of the commands for which `holds` is true."""
    return frozenset(word for word, command in COMMANDS.items() if holds(command))


_WRITING_WORDS = re.compile(
    r"\b(insert|update|delete|merge|into|nextval|setval|call|lo_\w+|dblink\w*|pg_advisory\w*)\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_EXPLAIN_OPTIONS = re.compile(
    r"\s*(?:\((?!\s*(?:select|with|values|table)\b)[^)]*\)|(?:(?:analy[sz]e|verbose)\s+)*)",
    re.IGNORECASE,
)


def may_write(command: str, sql: str) -> bool:
    """Returns whether `sql`, whose first word is `command`, may change what other sessions see.

    A statement that reads may do so by a data-modifying WITH, by INTO, or by one of the functions
    named here; the workload's own functions are not looked into.
    """
    effect = command_of(command).effect
    if command == "EXPLAIN":
        return _explain_writes(sql)
    if effect in ("nothing", "cursor"):
        return _WRITING_WORDS.search(sql) is not None
    if effect == "block":
        return _words(sql)[1:2] == ["PREPARED"]
    return effect == "database"


def _explain_writes(sql: str) -> bool:
    """EXPLAIN runs its statement with the option ANALYZE, and else plans it only."""
    text = _COMMENT.sub(" ", sql)
    word = _leading_word(text)
    options = _EXPLAIN_OPTIONS.match(text, word.end()) if word else None
    if options is None or "analy" not in options[0].lower():
        return False
    explained = text[options.end() :]
    return may_write(leading_keyword(explained), explained)


def may_repeat(command: str, sql: str) -> bool:
    """Returns whether `sql`, whose first word is `command`, may be sent again in a new session when
    nobody knows whether it took effect; inside a block, which is gone with its session, more may.
    """
    several = ";" in sql.rstrip("; \n")  # as psql's \; joins them; or in a string, by chance
    return not several and command_of(command).effect != "cursor" and not may_write(command, sql)


class BlockStep(NamedTuple):
    """What a statement does to the transaction block that is open.

    `COMMIT AND CHAIN` ends one and begins the next. What a block has done is kept with `keeps`:
    committed, or prepared for a commit in two phases.
    """

    begins: bool = False
    ends: bool = False
    keeps: bool = False


_NO_STEP = BlockStep()
_BLOCK_EDGES = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE"})


def block_step(command: str, sql: str) -> BlockStep:
    """Returns what `sql`, whose first word is `command`, does to a transaction block."""
    if command not in _BLOCK_EDGES:
        return _NO_STEP
    if command in ("BEGIN", "START"):
        return BlockStep(begins=True)
    return _end_step(command, sql)


@functools.lru_cache(maxsize=64)
def _end_step(command: str, sql: str) -> BlockStep:
    words = _words(sql)
    if command == "PREPARE":
        return BlockStep(ends=True, keeps=True) if words[1:2] == ["TRANSACTION"] else _NO_STEP
    if words[1:2] == ["PREPARED"] or "TO" in words[1:3]:
        return _NO_STEP
    chains = "CHAIN" in words and "NO" not in words
    return BlockStep(begins=chains, ends=True, keeps=command in ("COMMIT", "END"))


def _words(sql: str) -> list[str]:
    return _COMMENT.sub(" ", sql).upper().replace(";", " ").split()
