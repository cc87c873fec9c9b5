"""Other values for the literals of a statement, of the same kind and length."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from pilotcli.workload.logs.other_values import OtherValues
from pilotcli.workload.logs.sql_tokens import TOKEN

_TYPE = (
    r"(?P<type>reg(?:class|config|type|proc(?:edure)?|oper(?:ator)?|role|namespace|collation"
    r"|dictionary)|interval|time(?:tz)?(?!stamp)|bit(?:\s+varying)?|varbit|jsonpath)\b"
)
_TYPE_BEFORE = re.compile(rf"\b{_TYPE}\s*(?:\(\s*\d+\s*\)\s*)?$", re.IGNORECASE)
_TYPE_AFTER = re.compile(
    rf"(?:\s*::\s*(?:text|varchar)\s*\)*)?\s*(?:::|\bas\s)\s*(?:pg_catalog\.)?{_TYPE}",
    re.IGNORECASE,
)
_KEPT_BEFORE = re.compile(
    r"\b(?:(?:nextval|currval|setval|to_reg\w+|current_setting|date_part|date_trunc|extract"
    r"|set_config)\s*\(\s*"
    r"|(?:has_\w+_privilege|pg_(?!notify|logical_emit)\w+)\s*\([^()]*"
    r"|(?:uescape|escape|at\s+time\s+zone|language|(?:encoding|version|locale|lc_\w+)\s*=?)\s*)$",
    re.IGNORECASE,
)
"""Where a string names an object, or says what to do."""
_KEPT_NUMBER = re.compile(
    r"(?:\b(?:limit|offset|first|next|fetch|move|forward|backward|absolute|relative)\s+"
    r"|\b(?:numeric|decimal|varchar|char|character|varying|bit|time|timestamp|timestamptz|interval"
    r"|float|varbit)\s*\(\s*(?:\d+\s*,\s*)?|::\s*\w+\s*\(\s*(?:\d+\s*,\s*)?"
    r"|\btablesample\s+\w+\s*\(\s*)$",
    re.IGNORECASE,
)
_ORDINAL_BEFORE = re.compile(
    r"\b(?:order|group)\s+by\s+(?P<list>(?:(?:[^()';]|\([^()']*\))*,\s*)?)$", re.IGNORECASE
)
_OTHER_CLAUSE = re.compile(
    r"\b(?:select|values|set|where|having|limit|offset|union|except|intersect)\b", re.IGNORECASE
)
_ORDINAL_AFTER = re.compile(
    r"\s*(?:$|[,;)]|(?:asc|desc|nulls|limit|offset|fetch|having|order|for|union|except|intersect"
    r"|window|using)\b)",
    re.IGNORECASE,
)
_SEARCH_BEFORE = re.compile(
    r"\b(?:(?:(?:plain|phrase|websearch_)?to_ts|ts_headline)\w*\s*\(|setweight\b.*,)\s*$",
    re.IGNORECASE | re.DOTALL,
)
_OF_SEARCH = re.compile(
    r"(?:pg_catalog\.)?(?:simple|arabic|danish|dutch|english|finnish|french|german|greek|hindi"
    r"|hungarian|indonesian|italian|norwegian|polish|portuguese|romanian|russian|serbian|spanish"
    r"|swedish|tamil|turkish)|[A-D]",
    re.IGNORECASE,
)
_CODE_BEFORE = re.compile(r"\b(?:as|do(?:\s+language\s+\w+)?)\s*$", re.IGNORECASE)
_OF_DECODE = re.compile(r"\s*,\s*'hex'", re.IGNORECASE)
_REGEX_BEFORE = re.compile(
    r"(?:!?~\*?|\bsimilar\s+to|\bregexp_\w+\s*\([^()]*,|\bsubstring\s*\([^()]*\bfrom)\s*$",
    re.IGNORECASE,
)
_FORMAT = re.compile(r"(?:FM|TH|PR|MI|[90,.DGSLV])+", re.IGNORECASE)
_SETTING = re.compile(
    r"\bset\s+(?:(?:local|session)\s+)?(\S+?)\s*(?:=|\bto\b)[^;]*$", re.IGNORECASE
)
_OF_SET_CONFIG = re.compile(r"\bset_config\s*\(\s*E?'([^']*)'\s*,\s*$", re.IGNORECASE)
_OPTION = re.compile(r"\b(?:set|with)\s*\([^()]*$", re.IGNORECASE)
_OF_EXTENSIONS = re.compile(
    r"\"?(?:plpgsql|auto_explain|pg_\w+|postgres_fdw|hypopg|plan_\w+|pgaudit|citus|timescaledb)\.",
    re.IGNORECASE,
)
_HEAD = 200
_MOST_KEPT, _LONGEST_KEPT = 10_000, 200
"""How many values are known, and how long a text among them may be: most come again and again."""
_SIGNS_BEFORE = frozenset("=<>+-*/|")
_CODE = frozenset({"DO", "CREATE"})
_SETTERS = frozenset({"SET", "RESET", "SHOW"})
_DEFINERS = frozenset({"ALTER", "CREATE", "COPY", "EXPLAIN"})
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL
)
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = str.maketrans({sign: f"\\{letter}" for letter, sign in _SIGNS.items()} | {"\\": "\\\\"})


class _Place(NamedTuple):
    """Where a literal stands."""

    sql: str
    command: str
    statement: int
    start: int
    end: int

    @property
    def before(self) -> str:
        return self.sql[max(self.statement, self.start - _HEAD) : self.start]

    @property
    def after(self) -> str:
        return self.sql[self.end : self.end + _HEAD]

    @property
    def type(self) -> str:
        """The type that is named beside the literal, as far as it matters here."""
        found = _TYPE_BEFORE.search(self.before) or _TYPE_AFTER.match(self.after)
        return found["type"].lower() if found else ""


class Anonymiser:
    """Replaces literals; the same value becomes the same other one with the same `seed`."""

    def __init__(self, seed: int) -> None:
        self._values = OtherValues(seed)
        self._number = functools.lru_cache(_MOST_KEPT)(self._values.number)
        self._plain = functools.lru_cache(_MOST_KEPT)(self._values.text)

    def replace(self, sql: str) -> str:
        """Returns `sql` with other literals, and without comments that are no hints.

        Numbers of one digit stay, and those of LIMIT, OFFSET, ORDER BY and of types; settings,
        names of objects, times of day, units and intervals stay too.
        """
        made, end, statement, command = [], 0, 0, ""
        for token in TOKEN.finditer(sql):
            between = sql[end : token.start()]
            made.append(between)
            if ";" in between:
                statement, command = token.start(), ""
            end = token.end()
            kind, text = token.lastgroup, token[0]
            if kind == "word" and not command:
                command = text.upper()
            place = _Place(sql, command, statement, token.start(), end)
            if kind == "string":
                text = text if _stays(place) else self._string(text, place)
            elif kind == "number":
                text = text if _number_stays(place) else self._number(text)
            elif kind == "dollar":
                tag = token["tag"]
                body = text[len(tag) : -len(tag)]
                if not _stays(place):
                    body = self._text(body, place)
                text = f"{tag}{body}{tag}"
            elif kind == "comment" and not text.startswith("/*+"):
                text = " "
            made.append(text)
        return "".join(made) + sql[end:]

    def _string(self, text: str, place: _Place) -> str:
        head, _, body = text[:-1].partition("'")
        if head in ("x", "X"):
            return f"{head}'{self._values.hex(body)}'"
        if head in ("b", "B"):
            return f"{head}'{self._values.bits(body)}'"
        plain = body.replace("''", "'")
        if head in ("e", "E"):
            plain = self._text(_unescaped(plain), place).translate(_ESCAPED)
        elif head in ("u&", "U&"):
            plain = self._unicode(plain, place)
        else:
            plain = self._text(plain, place)
        return f"{head}'" + plain.replace("'", "''") + "'"

    def _unicode(self, text: str, place: _Place) -> str:
        sign = re.match(r"\s*uescape\s*'(.)'", place.after, re.IGNORECASE)
        escape = re.escape(sign[1] if sign else "\\")
        plain = re.sub(
            rf"{escape}(?:({escape})|\+([0-9a-fA-F]{{6}})|([0-9a-fA-F]{{4}}))",
            lambda found: found[1] or _character(found[2] or found[3]),
            text,
        )
        escape = sign[1] if sign else "\\"
        return self._text(plain, place).replace(escape, escape * 2)

    def _text(self, text: str, place: _Place) -> str:
        if place.command in _CODE and _CODE_BEFORE.search(place.before):
            return self.replace(text)
        kind = place.type
        if kind.startswith(("bit", "varbit")) and not text.strip("01"):
            return self._values.bits(text)
        if _OF_DECODE.match(place.after) and not text.strip("0123456789abcdefABCDEF"):
            return self._values.hex(text)
        if kind == "jsonpath":
            return self._values.in_syntax(text, "jsonpath")
        if _REGEX_BEFORE.search(place.before):
            return self._values.in_syntax(text, "regex")
        return self._plain(text) if len(text) < _LONGEST_KEPT else self._values.text(text)


def _stays(place: _Place) -> bool:
    """Whether a string stays: it sets something, names an object, or says how."""
    before = place.before
    setting = _OF_SET_CONFIG.search(before)
    if setting:
        return _is_known(setting[1])
    if (known := _sets(place)) is not None:
        return known
    if _KEPT_BEFORE.search(before) or place.type.startswith(("reg", "interval", "time")):
        return True
    text = place.sql[place.start : place.end].partition("'")[2][:-1]
    if _SEARCH_BEFORE.search(before):
        return _OF_SEARCH.fullmatch(text) is not None
    return bool(re.search(r"\bto_(?:char|number)\s*\(", before)) and bool(_FORMAT.fullmatch(text))


def _number_stays(place: _Place) -> bool:
    """Whether a number stays: a count, an ordinal, or a setting."""
    before = place.before
    if (known := _sets(place)) is not None:
        return known
    if before.rstrip()[-1:] in _SIGNS_BEFORE:
        return False  # compared, or a part of a sum
    if _KEPT_NUMBER.search(before):
        return True
    found = _ORDINAL_BEFORE.search(before)
    return (
        found is not None
        and not _OTHER_CLAUSE.search(found["list"])
        and _ORDINAL_AFTER.match(place.after) is not None
    )


def _sets(place: _Place) -> bool | None:
    """Whether a literal is for a setting of the server; None when it is for none at all.

    The application chooses the names and values of its own settings, such as `app.user_id`.
    """
    if place.command in _SETTERS or place.command in _DEFINERS:
        setting = _SETTING.search(place.before)
        if setting:
            return _is_known(setting[1])
        if place.command in _SETTERS or _OPTION.search(place.before):
            return True
    return None


def _is_known(setting: str) -> bool:
    return "." not in setting or _OF_EXTENSIONS.match(setting) is not None


def _unescaped(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        two, four, eight, octal, sign = found.groups()
        if sign:
            return _SIGNS.get(sign, sign)
        return _character(two or four or eight) if octal is None else chr(int(octal, 8) & 255)

    return _ESCAPE.sub(plain, text)


def _character(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"
