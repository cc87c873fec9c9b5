"""Finds FROM and WHERE of the outermost SELECT in a query's text, by PostgreSQL's tokens.

All other clauses keep their text, and so their meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from pilotcli.common.errors import SteeringError

_LETTER, _SPACE = r"A-Za-z_\x80-\U0010ffff", r" \t\n\r\f\v"
_UPPER = re.compile("[A-Z]+")

_COMMANDS = frozenset({"select", "with", "insert"})
_SETS = frozenset({"union", "intersect", "except"})
CLAUSES = frozenset(
    "where group having window order limit offset fetch for returning".split()  # noqa: SIM905
)


class Token(NamedTuple):
    """A token, its place in the text, and the number of brackets around it.

    `text` is in lower case for a word. A word that can only be a name is `quoted`.
    """

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def name(self) -> str | None:
        """The name that the token means, or None for another token."""
        if self.kind == "word":
            return self.text
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else None

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words


END = Token("end", "", 0, 0, -1)


@dataclass(slots=True)
class QueryText:
    """A SELECT, or an INSERT from one, of which FROM and WHERE can be replaced."""

    sql: str
    tokens: list[Token]
    stars: list[Token]
    start: int
    """The first token of FROM's items."""
    end: int
    """The token after them."""
    where_end: int
    """The token after WHERE; `end` without a WHERE."""

    @property
    def functions(self) -> list[str]:
        """The names in front of a parenthesis: those of all functions, and more."""
        pairs = zip(self.tokens, self.tokens[1:], strict=False)
        return sorted({token.name for token, after in pairs if token.name and after.text == "("})

    def text(self, start: int, end: int) -> str:
        """Returns the text of the tokens from `start` up to `end`."""
        return self.sql[self.tokens[start].start : self.tokens[end - 1].end]

    def replaced(self, columns: str, items: str, conditions: Sequence[str]) -> str:
        """Returns the query with other items in FROM, more conditions in WHERE, and `columns` in
        place of `*`."""
        conditions = list(conditions)
        if self.where_end > self.end:
            conditions.append(f"({self.text(self.end + 1, self.where_end)})")
        edits = [(star.start, star.end, columns) for star in self.stars]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        begin, last = self.tokens[self.start].start, self.tokens[self.where_end - 1].end
        edits.append((begin, last, items + where))
        sql = self.sql
        for start, end, text in reversed(edits):
            sql = sql[:start] + text + sql[end:]
        return sql


@cache
def _token_pattern() -> re.Pattern[str]:
    # Compiled at the first use: it takes 10 ms, and few commands push a join order.
    return re.compile(
        rf"""(?P<gap>[{_SPACE}]+|--[^\n\r]*|/\*(?:(?!/\*|\*/).)*\*/)
        |(?P<unread>/\*|[uU]&['"])
        |(?P<string>[eE]'(?:[^'\\]|\\.|'')*'|[bBxXnN]?'(?:[^']|'')*'
            |\$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*)?)\$.*?\$(?P=tag)\$)
        |(?P<word>[{_LETTER}][{_LETTER}0-9$]*)
        |(?P<quoted>"(?:[^"]|"")+")
        |(?P<number>0[xXoObB][0-9A-Fa-f_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?|\$[0-9]+)
        |(?P<mark>::|.)""",
        re.DOTALL | re.VERBOSE,
    )


def tokenize(sql: str) -> list[Token]:
    """Returns the tokens of a statement, and `END`."""
    tokens: list[Token] = []
    depth = 0
    for match in _token_pattern().finditer(sql):
        kind, text = match.lastgroup or "", match[0]
        if kind == "gap":
            continue
        if kind == "unread" or (kind == "string" and text[0] not in "eE" and "\\'" in text):
            raise refusal(f"the query's text has {text[:20]!r}, which pilot does not read here")
        if kind == "word":
            text = _UPPER.sub(lambda upper: upper[0].lower(), text)
            if tokens and tokens[-1].text in (".", "as"):
                kind, text = "quoted", f'"{text}"'
        depth -= text in (")", "]")
        tokens.append(Token(kind, text, match.start(), match.end(), depth))
        depth += text in ("(", "[")
    return [*tokens, END, END, END]  # so that the next tokens can be read anywhere


def refusal(problem: str, hint: str = "") -> SteeringError:
    """Returns the error for a query for which no join order can be set."""
    return SteeringError(
        f"no join order can be set for the query: {problem}",
        hint=hint or "Push no join order for the query, or install pg_hint_plan on the server.",
    )


def read_text(sql: str) -> QueryText:
    """Returns the parts of a statement. Raises `SteeringError` for one without an outermost SELECT
    and its FROM."""
    tokens = tokenize(sql)
    top = [at for at, token in enumerate(tokens) if token.depth <= 0]
    words = {at: tokens[at].text for at in top if tokens[at].kind == "word"}
    selects = [at for at, word in words.items() if word == "select"]
    is_insert = "insert" in words.values()
    if words.get(0) not in _COMMANDS or len(selects) != 1 or not _SETS.isdisjoint(words.values()):
        raise refusal("it is not one SELECT, or an INSERT from one SELECT")
    start = next((at + 1 for at in words if at > selects[0] and _is_from(tokens, at)), len(tokens))
    ends = [at for at in top if at >= start and _is_end(tokens, at, is_insert=is_insert)]
    if not ends or ends[0] == start:
        raise refusal("its outermost SELECT has no FROM")
    if any(tokens[at].text == ";" and tokens[at + 1] is not END for at in top):
        raise refusal("it is several statements")
    end = where_end = ends[0]
    if tokens[end].is_word("where"):
        where_end = ends[1]
    stars = [
        tokens[at]
        for at in range(selects[0] + 1, start)
        if tokens[at].text == "*"
        and tokens[at].depth == 0
        and tokens[at - 1].text != "."
        and (tokens[at + 1].text == "," or tokens[at + 1].is_word("from", "into"))
    ]
    return QueryText(sql, tokens, stars, start, end, where_end)


def _is_from(tokens: Sequence[Token], at: int) -> bool:
    """Whether the token begins FROM, and is not part of IS DISTINCT FROM."""
    return tokens[at].is_word("from") and not tokens[at - 1].is_word("distinct")


def _is_end(tokens: Sequence[Token], at: int, *, is_insert: bool) -> bool:
    """Whether a clause after FROM begins, or the statement ends."""
    token = tokens[at]
    if is_insert and token.is_word("on") and tokens[at + 1].is_word("conflict"):
        return tokens[at + 2].text != "."
    return token.is_word(*CLAUSES) or token.text == ";" or token is END
