"""pg_hint_plan's hints: how they are written, and what the extension says about them.

A message to the server has one comment of hints, at its front. With `debug_print` the extension
lists for each planned statement which hints it used, did not use, found twice and found wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pilotcli.common.errors import SteeringError

ENABLE_SETTING = "pg_hint_plan.enable_hint"
REPORT_SETTINGS = {
    ENABLE_SETTING: "on",
    "pg_hint_plan.debug_print": "on",
    "pg_hint_plan.message_level": "info",
    "pg_hint_plan.parse_messages": "info",
}
"""With these, the extension reads the hints of a message and reports about them to the client."""

_SCANS = ("SeqScan", "TidScan", "IndexScan", "IndexOnlyScan", "BitmapScan")
_JOINS = ("NestLoop", "HashJoin", "MergeJoin", "Memoize")
_OF_JOINS = {*map(str.lower, _JOINS), *(f"no{name}".lower() for name in _JOINS)}
_KNOWN = {
    *_OF_JOINS,
    *map(str.lower, _SCANS),
    *(f"no{name}".lower() for name in _SCANS),
    *(f"{name}regexp".lower() for name in _SCANS[2:]),
    *("leading", "set", "rows", "parallel"),
}
_SPECIAL = re.compile(r'[\s()"]')
_WORD = re.compile(r'"(?:[^"]|"")*"|[()]|[^\s()"]+')
_KEYWORD = re.compile(r"\s*([^\s(]*)\s*")
_LEXEME = re.compile(
    r"""--[^\n]* | /\* | (?<!\w)e'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>\w*)\$.*?\$(?P=tag)\$""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_BEFORE_OLD_HINTS = re.compile(r"[0-9A-Za-z\s_,()]*")
_SECTIONS = re.compile(r"^(used|not used|duplication|error) hint:$", re.MULTILINE)
_HEAD = "pg_hint_plan:\nused hint:"
_SYNTAX = re.compile(r'pg_hint_plan: hint syntax error at or near "(.*)"\n\S+:\s+(.*)\Z', re.DOTALL)
_INDEXES = re.compile(r"available indexes for (\w+)\((.*)\):([^\n]*)")
_CONTEXT = "\nCONTEXT:  "
_REFUSED = re.compile(r"INFO:  (?!pg_hint_plan)(.*)")
_NUMBERED = re.compile(r"(?:[^#]|##)*#[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint: its text as it is sent, its keyword in lower case, and its words.

    `words` has a tuple for each pair of parentheses; it is None for a text that is no hint.
    """

    text: str
    keyword: str
    words: tuple[Any, ...] | None

    @property
    def is_known(self) -> bool:
        """Whether the extension knows the keyword, as far as pilot knows."""
        return self.keyword in _KNOWN and self.words is not None

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What the extension compares: equal for two spellings of one hint."""
        words = self.words
        if words is None:
            return (self.text,)
        if self.keyword in _OF_JOINS:
            words = tuple(sorted(words))
        elif self.keyword == "rows":
            words = (*sorted(words[:-1]), *words[-1:])
        elif self.keyword == "parallel" and len(words) == 2:
            words = (*words, "soft")
        return (self.keyword, *words)

    @property
    def subject(self) -> tuple[Any, ...]:
        """What the hint decides: of two hints with one subject only the last one counts."""
        words = self.words or ()
        if self.keyword in _OF_JOINS:
            kind = "memoize" if "memoize" in self.keyword else "join"
            return (kind, *sorted(words))
        if self.keyword == "rows":
            return ("rows", *sorted(words[:-1]))
        if self.keyword == "leading":
            return ("leading",)
        if self.keyword == "set":
            return ("set", *(str(word).lower() for word in words[:1]))
        kind = "parallel" if self.keyword == "parallel" else "scan"
        return (kind, *words[:1])

    @property
    def setting(self) -> tuple[str, str] | None:
        """The name, in lower case, and the value that a `Set` hint sets; None for other hints."""
        words = self.words or ()
        if self.keyword != "set" or len(words) != 2 or not all(isinstance(w, str) for w in words):
            return None
        return words[0].lower(), words[1]

    @property
    def relations(self) -> tuple[str, ...]:
        """The names of the relations in the hint."""
        words = self.words or ()
        if self.keyword in _OF_JOINS or self.keyword == "leading":
            return tuple(names_in(words))
        if self.keyword == "rows":
            return tuple(words[:-1])
        return () if self.keyword == "set" else tuple(words[:1])


def names_in(words: Iterable[Any]) -> Iterator[str]:
    """Yields the names in nested lists of names, from left to right."""
    for word in words:
        if isinstance(word, str):
            yield word
        else:
            yield from names_in(word)


def quote_name(name: str) -> str:
    """Returns a relation's name as the extension reads it: in quotes where it needs them."""
    return '"' + name.replace('"', '""') + '"' if _SPECIAL.search(name) else name


def split_names(text: str) -> list[str]:
    """Returns the names in the text of a hint, without their quotes."""
    return [_unquoted(word) for word in _WORD.findall(text) if word not in "()"]


def _unquoted(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word


def read_hints(text: str) -> list[Hint]:
    """Returns the hints in a comment's text. What is no hint, and all after it, is one of its own
    whose `words` are None."""
    hints = []
    at = 0
    while at < len(text):
        head = _KEYWORD.match(text, at)
        assert head is not None
        if head.end() == len(text) and not head[1]:
            break
        words, end = _read_words(text, head.end())
        hints.append(Hint(text[at:end].strip(), head[1].lower(), words))
        at = end
    return hints


def _read_words(text: str, at: int) -> tuple[tuple[Any, ...] | None, int]:
    """Returns the words between the parentheses that open at `at`, and where they end."""
    lists: list[list[Any]] = []
    for match in _WORD.finditer(text, at):
        word = match[0]
        if text[at : match.start()].strip() or (not lists and word != "("):
            break  # a quote that is not closed, or no parenthesis
        at = match.end()
        if word == "(":
            lists.append([])
        elif word == ")":
            closed = tuple(lists.pop())
            if not lists:
                return closed, at
            lists[-1].append(closed)
        else:
            lists[-1].append(_unquoted(word))
    return None, len(text)


def comment_of(hints: Iterable[Hint]) -> str:
    """Returns the comment with `hints`: those that stop the extension's reading come last.

    Raises `SteeringError` for hints with the marks of a comment in them.
    """
    text = " ".join(hint.text for hint in in_order(hints))
    if _COMMENT_MARK.search(text):  # in a relation's name
        raise SteeringError(f"the hints contain the end of a comment: {text!r}")
    return f"/*+ {text} */" if text else ""


def in_order(hints: Iterable[Hint]) -> list[Hint]:
    """Returns the hints as `comment_of` writes them."""
    return sorted(hints, key=lambda hint: not hint.is_known)


def split_comments(text: str) -> tuple[str, list[Hint]]:
    """Returns the plain comments of a pushed text of comments, and the hints of the others."""
    plain, hints = "", []
    for body in re.findall(r"/\*(.*?)\*/", text, re.DOTALL):
        if body.startswith("+"):
            hints.extend(read_hints(body[1:]))
        else:
            plain += f"/*{body}*/"
    return plain, hints


def take_own_hints(sql: str, version: int) -> tuple[str, list[Hint]]:
    """Returns a query without the hints that its text has, and these hints.

    Only those that the extension for the server's `version` would take if the query were sent
    alone: before PostgreSQL 17 a comment with nothing but words and parentheses in front of it.
    """
    hints: list[Hint] = []
    if "/*+" not in sql:
        return sql, hints
    text = sql
    found = list(_hint_comments(sql))
    for start, end in reversed(found):
        text = f"{text[:start]}/*-{text[start + 3 : end]}{text[end:]}"
    if found:
        start, end = found[0]
        body = sql[start + 3 : end - 2]
        counts = version >= 170000 or _BEFORE_OLD_HINTS.fullmatch(sql, 0, start)
        if counts and not _COMMENT_MARK.search(body):
            hints = read_hints(body)
    return text, hints


def _hint_comments(sql: str) -> Iterator[tuple[int, int]]:
    """Yields where comments of hints begin and end."""
    at = 0
    while (lexeme := _LEXEME.search(sql, at)) is not None:
        at = lexeme.end()
        if lexeme[0] != "/*":
            continue
        depth, at = 1, lexeme.start() + 2
        while depth and (mark := _COMMENT_MARK.search(sql, at)) is not None:
            depth += 1 if mark[0] == "/*" else -1
            at = mark.end()
        if depth:
            return
        if sql.startswith("/*+", lexeme.start()):
            yield lexeme.start(), at


def is_numbered(name: str) -> bool:
    """Whether a relation's name in a sub-plan is `alias#2`, which only pilot knows."""
    return _NUMBERED.match(name) is not None


@dataclass(frozen=True, slots=True)
class HintReport:
    """What the extension said about a message's hints.

    - `states`: the state of each hint, by its `meaning`;
    - `complaints`: its complaints, each with the text at which it was made;
    - `without_index`: keyword and relation of the scans whose index is not there;
    - `refusals`: the server's messages about the settings of `Set` hints.
    """

    states: dict[tuple[Any, ...], str]
    complaints: Sequence[tuple[str, str]]
    without_index: frozenset[tuple[str, str]]
    refusals: Sequence[str] = ()

    def reason(self, hint: Hint, sent: Sequence[Hint]) -> str | None:
        """Returns why a hint among the `sent` ones was not used; None if it was, and "" if the
        extension does not say why."""
        state = self.states.get(hint.meaning)
        if hint.meaning[:2] in self.without_index and state != "duplication":
            return f"{hint.relations[0]} has no such index"
        if state == "used":
            return None
        if state == "duplication":
            same = "setting" if hint.setting is not None else "relations"
            return f"another hint after it is for the same {same}"
        text = " ".join(one.text for one in sent)
        begins = len(" ".join(one.text for one in sent[: sent.index(hint)]))
        ends = begins + len(hint.text) + 2
        for near, complaint in self.complaints:
            at = len(text) - len(near.rstrip())
            other = complaint.partition(" ")[0].lower()  # `Rows hint requires ...`
            is_about = other not in _KNOWN - {hint.keyword} and other != "conflict"
            if state == "not used" and "ambiguous" not in complaint:
                is_about = False
            if begins <= at + 1 <= ends and is_about:
                return f"pg_hint_plan: {complaint}"
        if hint.setting is not None:
            for refusal in self.refusals:
                if f'"{hint.setting[0]}"' in refusal.lower():
                    return refusal
        if state is not None:
            return "" if state == "not used" else "pg_hint_plan found an error in it"
        if self.states or self.complaints:
            return "pg_hint_plan stopped reading before it"
        return (
            "pg_hint_plan has not read it: the statement has no plan, or its hints come from the "
            "table of hints"
        )


def read_report(notices: Iterable[str]) -> HintReport:
    """Returns what the extension says in the server's messages. A hint that one of several
    plannings has used counts as used."""
    states: dict[tuple[Any, ...], str] = {}
    complaints = []
    without_index: set[tuple[str, str]] = set()
    with_index: set[tuple[str, str]] = set()
    refusals = []
    for notice in notices:
        at = notice.find(_HEAD, 0, 64)
        if at >= 0:
            _, *parts = _SECTIONS.split(notice[at:].partition(_CONTEXT)[0])
            for state, text in zip(parts[::2], parts[1::2], strict=True):
                for hint in read_hints(text):
                    if states.get(hint.meaning) != "used":
                        states[hint.meaning] = state
        elif (syntax := _SYNTAX.search(notice)) is not None:
            complaints.append((syntax[1], syntax[2].strip().rstrip(".")))
        elif (indexes := _INDEXES.search(notice)) is not None:
            place = (indexes[1].lower(), _unquoted(indexes[2]))
            (with_index if indexes[3].strip() else without_index).add(place)
        elif (refused := _REFUSED.match(notice)) is not None:
            refusals.append(refused[1])
    return HintReport(states, complaints, frozenset(without_index - with_index), refusals)
