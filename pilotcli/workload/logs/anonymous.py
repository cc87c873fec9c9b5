"""Other values for the literals of a statement, of the same kind and length."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta

from pilotcli.common.sql_commands import leading_keyword
from pilotcli.workload.logs.sql_tokens import TOKEN

_PART = re.compile(
    r"(?P<escape>\\(?:\\?x[0-9a-fA-F]+|u[0-9a-fA-F]{4}|.))"
    r"|(?P<date>(?<!\d)\d{4}-\d\d-\d\d(?!\d))"
    r"|(?P<time>(?<!\d)\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?!\d))"
    r"|(?P<address>(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]))"
    r"|(?P<hex>(?<![0-9a-zA-Z])(?=[0-9a-fA-F\-]*\d)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<digits>\d+)|(?P<letters>[^\W\d_]+)",
    re.DOTALL,
)
_UNITS = (
    "microseconds?|milliseconds?|msecs?|ms|secs?|seconds?|s|mins?|minutes?|m|hours?|hrs?|h|days?|d|"
    "weeks?|w|months?|mons?|quarters?|years?|yrs?|y|decades?|centur(?:y|ies)|epoch|dow|doy|isodow|"
    "isoyear"
)
_KEPT = re.compile(
    rf"\s*(?:(?:[+-]?[\d.:]+\s*)?(?:{_UNITS})(?:\s+[+-]?[\d.:]+(?:\s*(?:{_UNITS}))?)*(?:\s+ago)?"
    r"|true|false|t|f|yes|no|on|off|null|now|today|yesterday|tomorrow|-?infinity|utc|gmt"
    r"|(?:africa|america|antarctica|asia|atlantic|australia|europe|pacific)/[\w/+-]+"
    r"|(?=.*(?:yy|mi|dd|hh))(?:yyyy|yy|mm|mon|month|dd|dy|day|hh24|hh12|hh|mi|ss|ms|us|tz|am|pm|fm"
    r"|iw|iyyy|q|t|[\s:/.,\-\"])+)\s*",
    re.IGNORECASE,
)
"""Texts that say what to do, and nothing of anybody: units, intervals, booleans, formats."""
_COUNT = re.compile(
    r"(?:\b(?:limit|offset|first|next)\s+|"
    r"\b(?:numeric|decimal|varchar|char|character|varying|bit|time|timestamp|timestamptz|interval|"
    r"float)\s*\(\s*(?:\d+\s*,\s*)?)$",
    re.IGNORECASE,
)
_LONGEST_HEAD = 60
_INT4, _INT8 = (1 << 31) - 1, (1 << 63) - 1
_CODE = frozenset({"DO", "CREATE"})


class Anonymiser:
    """Replaces literals; the same value becomes the same other one with the same `seed`."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(str(seed).encode()).digest()
        self._days = timedelta(days=int.from_bytes(self._random("days")[:2], "big") % 3000 - 1500)

    def replace(self, sql: str) -> str:
        """Returns `sql` with other literals, and without comments that are no hints.

        Numbers of one digit stay (`ORDER BY 1`), and those of LIMIT, OFFSET and of types; times of
        day, units and intervals stay too.
        """
        code = leading_keyword(sql) in _CODE

        def other(token: re.Match[str]) -> str:
            kind, text = token.lastgroup, token[0]
            if kind == "string":
                head, _, body = text.partition("'")
                return f"{head}'{self._text(head, body[:-1])}'"
            if kind == "number":
                before = sql[max(0, token.start() - _LONGEST_HEAD) : token.start()]
                return text if _COUNT.search(before) else self._number(text)
            if kind == "dollar":
                tag = token["tag"]
                body = text[len(tag) : -len(tag)]
                return f"{tag}{self.replace(body) if code else self._text('', body)}{tag}"
            if kind == "comment":
                return text if text.startswith("/*+") else " "
            return text

        return TOKEN.sub(other, sql)

    def _text(self, head: str, body: str) -> str:
        if head in ("x", "X"):
            return self._hex(body)
        if head in ("b", "B") or _KEPT.fullmatch(body):
            return body
        return _PART.sub(self._part, body)

    def _part(self, part: re.Match[str]) -> str:
        kind, text = part.lastgroup, part[0]
        if kind == "date":
            return self._date(text)
        if kind == "address":
            return ".".join(self._digits(octet, most=255) for octet in text.split("."))
        if kind == "hex":
            return "-".join(map(self._hex, text.split("-")))
        if kind == "digits":
            return self._digits(text)
        if kind == "letters":
            return text if text in ("true", "false", "null") else self._letters(text)
        slashes, x, digits = text.rpartition("x")
        return f"{slashes}x{self._hex(digits)}" if kind == "escape" and x and digits else text

    def _random(self, text: str) -> bytes:
        return hashlib.shake_128(self._key + text.encode("utf-8", "replace")).digest(
            max(16, len(text))
        )

    def _letters(self, word: str) -> str:
        random = self._random(word.lower())
        return "".join(
            chr((65 if letter.isupper() else 97) + number % 26)
            for letter, number in zip(word, random, strict=False)
        )

    def _digits(self, digits: str, most: int | None = None) -> str:
        if len(digits) == 1:
            return digits
        random = self._random(digits)
        made = "".join(str(number % 10) for number in random[: len(digits)])
        zeros = len(digits) - len(digits.lstrip("0"))
        if zeros:
            return digits[:zeros] + made[zeros:]
        first = str(random[0] % 9 + 1)
        limits = [most] if most is not None else [_INT4, _INT8]
        if any(len(digits) == len(str(limit)) and int(digits) <= limit for limit in limits):
            first = "1"  # of the same type
        return first + made[1:]

    def _number(self, text: str) -> str:
        return re.sub(r"(?<![eE\d])(?<![eE][+-])\d+", lambda found: self._digits(found[0]), text)

    def _hex(self, text: str) -> str:
        random = self._random(text.lower())
        return "".join(f"{number % 16:x}" for number in random[: len(text)])

    def _date(self, text: str) -> str:
        try:
            moved = date.fromisoformat(text) + self._days
        except (ValueError, OverflowError):
            return text
        return moved.isoformat() if moved.year >= 1000 else text
